"""A dry run of a workflow by its plan: which nodes would begin, what each would do, and what only the run can tell."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.expressions.contexts import RunFacts
from engine.identity import Cause, RunId
from engine.runs.rehearsal import Rehearsal, nodes_of
from engine.states import NodeState, RunState
from engine.status.readback import parse_run_file
from engine.status.readmodel import run_file, run_files
from engine.status.views import RunView
from engine.workflows.graphfacts import NodeRecord
from engine.workflows.graphrehearsal import MOST_OF_A_GRAPH, rehearse_graph
from engine.workflows.workflowplan import PlannedWorkflow, plan_workflow
from opsconductor.rehearsed import lines
from schemas.quantities import parse_instant
from tests.catalogs import catalog, local_target

AT = parse_instant("2026-03-28T00:00:00Z")
CAUSE = Cause("request", "ask", AT, requested_by="a@example.org")
FACTS = RunFacts(RunId("w-1"), "w", "c" * 40, AT, 1, CAUSE)
BUILD = """\
kind: Job
metadata: {name: build}
spec:
  params: {tag: {type: string, default: v1}}
  targets: {names: [web, db]}
  steps: [{id: a, run: 'echo "${{ params.tag }}"', outputs: {v: "${{ stdout }}"}}]
  outputs: {v: "${{ steps.a.outputs.v }}"}
"""
SHIP = """\
kind: Job
metadata: {name: ship}
spec:
  params: {v: {type: string, default: none}, n: {type: integer, default: 1}}
  targets: {names: [web, db]}
  steps:
    - {id: a, run: 'echo "${{ params.v }} ${{ params.n }}"', if: "params.n < 9"}
    - {id: b, run: 'echo', if: "params.v != 'none'"}
"""
CALL = "kind: Job\nmetadata: {name: call}\nspec:\n  params: {n: {default: 1}}\n  steps: [{id: a, uses: assert, with: {that: '${{ params.n > 0 }}'}}]\n"  # noqa: E501


def of(
    jobs: str,
    params: dict[str, Any] | None = None,
    *,
    carried: Mapping[str, NodeRecord] | None = None,
    targets: int = 0,
) -> Rehearsal:
    text = f"kind: Workflow\nmetadata: {{name: w}}\nspec:\n  params: {{x: {{}}}}\n  jobs:\n{jobs}"
    more = [local_target(f"more-{number:03}", "{role: many}") for number in range(targets)]
    many = "kind: Job\nmetadata: {name: many}\nspec:\n  targets: {selector: {matchLabels: {role: many}}}\n"
    many += f"  steps: [{{id: a, run: 'echo {'a long line ' * 30}'}}]\n"
    users = [
        f"kind: User\nmetadata: {{name: {name}}}\nspec: {{email: {name}@example.org, teams: [web]}}\n"
        for name in ("ana", "bob")
    ]
    places = [local_target("web", "{role: web}"), local_target("db"), *more]
    known = catalog(*places, *users, BUILD, SHIP, CALL, *([many] if more else []), text)
    planned = plan_workflow(known, known.workflows["w"], params=params or {})
    assert isinstance(planned, PlannedWorkflow), planned
    return rehearse_graph(planned.spec, planned.params, FACTS, carried)


def would(found: Rehearsal) -> dict[str, Mapping[str, Any]]:
    return {node.id: node.would or {} for node in found.nodes}


def verdicts(found: Rehearsal) -> dict[str, tuple[str, str | None]]:
    return {name: (one["verdict"], one.get("because")) for name, one in would(found).items()}


def test_each_node_has_the_rehearsal_of_its_job_with_what_is_known_of_its_params() -> None:
    found = of(
        '    build: {jobRef: build, params: {tag: "${{ params.x }}"}}\n'
        "    ship: {jobRef: ship, needs: [build], params: {v: \"${{ jobs.build.outputs.v['web'] }}\", n: 2}}\n",
        {"x": "v7"},
    )
    assert found.state is RunState.SUCCEEDED
    (build,) = would(found)["build"]["runs"]
    assert build["params"] == {"tag": "v7"}
    assert list(build["targets"]) == ["db", "web"]
    assert build["targets"]["db"]["steps"][0]["would"]["values"] == {"OC1": "v7"}
    (ship,) = would(found)["ship"]["runs"]
    assert ship["params"] == {"v": "${{ jobs.build.outputs.v['web'] }}", "n": 2}
    assert ship["knownOnlyAtRunTime"] == ["jobs.build.outputs.v['web']"]
    first, second = (step["would"] for step in ship["targets"]["web"]["steps"])
    assert (first["verdict"], first["values"]) == ("run", {"OC1": "${{ params.v }}", "OC2": "2"})
    assert first["knownOnlyAtRunTime"] == ["params.v"]
    assert (second["verdict"], second["because"]) == ("depends", "params.v != 'none'")


def test_conditions_are_decided_where_they_can_be() -> None:
    found = of(
        "    no: {jobRef: build, if: \"${{ params.x == 'y' }}\"}\n"
        "    behind: {jobRef: ship, needs: [no]}\n"
        "    tidy: {jobRef: ship, needs: [no], if: always()}\n"
        '    out: {jobRef: ship, if: "${{ jobs.no.outputs.v == null }}", needs: [tidy, no]}\n'
        "    yes: {jobRef: build}\n"
        "    maybe: {jobRef: ship, needs: [yes], if: \"${{ jobs.yes.outputs.v['web'] != '' }}\"}\n"
        "    later: {jobRef: ship, needs: [maybe]}\n"
        "    never: {jobRef: ship, needs: [maybe], if: false}\n"
        "    undo: {jobRef: ship, needs: [yes], if: failure()}\n"
        "    first: {jobRef: ship, if: failure()}\n",
        {"x": "z"},
    )
    assert verdicts(found) == {
        "no": ("skip", "params.x == 'y' is false"),
        "behind": ("skip", "needs no, which would be skipped"),
        "tidy": ("run", "always()"),
        "out": ("skip", "needs no, which would be skipped"),
        "yes": ("run", None),
        "maybe": ("depends", "jobs.yes.outputs.v['web'] != ''"),
        "later": ("depends", "whether 'maybe' runs"),
        "never": ("skip", "if: false"),
        "undo": ("depends", "failure(): false while all goes well"),
        "first": ("skip", "failure() is false"),
    }
    assert "runs" not in would(found)["behind"]
    assert would(found)["later"]["runs"]


def test_gates_and_waits_say_what_they_would_ask_and_wait() -> None:
    found = of(
        "    ask: {approval: {users: [ana], teams: [web], count: 2, notRequester: true, timeout: 4h, "
        "onTimeout: skip}}\n"
        "    pause: {wait: 10m, needs: [ask]}\n"
    )
    assert would(found)["ask"]["asks"] == {
        "count": 2, "users": ["ana"], "teams": ["web"], "notRequester": True, "timeout": "4h", "onTimeout": "skip",
    }  # fmt: skip
    assert would(found)["pause"] == {"verdict": "run", "wait": "10m"}


def test_items_are_gone_through_where_they_are_known() -> None:
    found = of(
        '    eu: {jobRef: ship, forEach: {items: "${{ params.x }}", as: one}, params: {n: "${{ one }}"}}\n'
        '    made: {jobRef: build, forEach: {items: [a, b], as: tag}, params: {tag: "${{ tag }}"}}\n'
        '    us: {jobRef: call, needs: [made], forEach: {items: "${{ jobs.made.outputs.v }}", as: one}, '
        'params: {n: "${{ size(one) }}"}}\n',
        {"x": [3, 11]},
    )
    known = would(found)["eu"]
    assert (known["forEach"]["items"], known["forEach"]["count"]) == ([3, 11], 2)
    assert [run["item"] for run in known["runs"]] == [3, 11]
    steps = [run["targets"]["web"]["steps"][0]["would"]["verdict"] for run in known["runs"]]
    assert steps == ["run", "skip"]
    later = would(found)["us"]
    assert later["knownOnlyAtRunTime"] == ["jobs.made.outputs.v"]
    (run,) = later["runs"]
    assert "item" not in run
    assert run["steps"][0]["would"]["knownOnlyAtRunTime"] == ["params.n > 0"]


def test_what_is_known_to_fail_fails_the_rehearsal_and_what_needs_it_is_left_out() -> None:
    found = of(
        '    bad: {jobRef: ship, params: {n: "${{ params.x }}"}}\n'
        "    behind: {jobRef: build, needs: [bad]}\n"
        "    undo: {jobRef: build, needs: [bad], if: failure()}\n"
        '    forgiven: {jobRef: ship, params: {n: "${{ params.x }}"}, continueOnError: true}\n'
        "    after: {jobRef: build, needs: [forgiven]}\n"
        '    walks: {jobRef: ship, forEach: {items: "${{ params.x }}"}}\n',
        {"x": "many"},
    )
    assert found.state is RunState.FAILED
    said = verdicts(found)
    assert said["bad"][0] == said["forgiven"][0] == "fail"
    assert "param 'n'" in str(said["bad"][1])
    assert said["behind"] == ("skip", "needs bad, which would fail")
    assert (said["undo"], said["after"]) == (("run", "failure()"), ("run", None))
    assert said["walks"] == ("fail", "forEach.items: a list is needed, and this is none")


def test_of_what_needs_a_job_with_a_failing_step_only_the_run_can_tell() -> None:
    found = of(
        '    a: {jobRef: call, params: {n: "${{ params.x }}"}}\n    b: {jobRef: build, needs: [a]}\n', {"x": "text"}
    )
    assert found.state is RunState.FAILED
    assert [node.state for node in found.nodes] == [NodeState.FAILED, NodeState.SKIPPED]
    assert verdicts(found)["b"] == ("depends", "how 'a' ends")


def test_results_that_a_repetition_takes_over_are_known() -> None:
    record = NodeRecord("build", NodeState.SUCCEEDED, outputs={"v": {"web": "v3"}}, inherited=True)
    found = of(
        "    build: {jobRef: build}\n"
        "    ship: {jobRef: ship, needs: [build], params: {v: \"${{ jobs.build.outputs.v['web'] }}\"}}\n",
        carried={"build": record},
    )
    assert verdicts(found)["build"] == ("skip", "its result is taken over from the run that is repeated")
    (ship,) = would(found)["ship"]["runs"]
    assert ship["params"]["v"] == "v3"
    assert ship["targets"]["web"]["steps"][1]["would"]["verdict"] == "run"


def test_a_limit_of_expressions_narrows_where_it_is_known() -> None:
    found = of(
        '    one: {jobRef: build, limit: {selector: {matchLabels: {role: "${{ params.x }}"}}}}\n'
        "    two: {jobRef: build, needs: [one], "
        "limit: {selector: {matchLabels: {role: \"${{ jobs.one.outputs.v['web'] }}\"}}}}\n"
        '    none: {jobRef: build, limit: {selector: {matchLabels: {role: "${{ run.job }}"}}}}\n',
        {"x": "web"},
    )
    (one,), (two,) = would(found)["one"]["runs"], would(found)["two"]["runs"]
    assert (list(one["targets"]), one["limit"]) == (["web"], {"selector": {"matchLabels": {"role": "web"}}})
    assert list(two["targets"]) == ["db", "web"], "which of them, only the run can tell"
    assert two["knownOnlyAtRunTime"] == ["jobs.one.outputs.v['web']"]
    assert verdicts(found)["none"] == ("fail", "limit: it leaves no target")


def test_its_size_is_bounded_and_what_is_left_out_is_said() -> None:
    found = of("    a: {jobRef: many}\n    b: {jobRef: many}\n", targets=1000)
    first, second = would(found)["a"]["runs"][0], would(found)["b"]["runs"][0]
    told = len(first["targets"])
    assert 100 < told < 1000
    assert first["leftOut"] == f"{1000 - told} more targets: there is no room for them"
    assert second["leftOut"] == "what it would do: there is no room for more"
    (text,) = run_files(_view(found)).values()
    assert len(text) < 4 * MOST_OF_A_GRAPH
    assert parse_run_file(text) == _view(found)


def test_a_store_and_a_status_branch_give_it_back() -> None:
    found = of(
        '    a: {jobRef: call, params: {n: "${{ params.x }}"}}\n    b: {wait: 1m, needs: [a]}\n'
        "    c: {approval: {}, needs: [b]}\n    d: {jobRef: build, forEach: {items: [x, y]}, needs: [c]}\n",
        {"x": 0},
    )
    assert nodes_of(found.to_json()) == found.nodes
    (text,) = run_files(_view(found)).values()
    assert parse_run_file(text) == _view(found)


def test_people_read_the_nodes_each_after_what_it_needs() -> None:
    found = of(
        "    ship: {jobRef: call, needs: [ask], forEach: {items: [1, 2], as: one}, params: {n: '${{ one }}'}}\n"
        "    ask: {approval: {users: [ana, bob]}, needs: [wait]}\n    wait: {wait: 10m}\n"
    )
    said = "\n".join(lines(run_file(_view(found))))
    assert said.startswith(f"dry run of workflow w at {'c' * 12}: nothing was sent, connected to or opened\n")
    assert said.index("wait would wait 10m") < said.index("ask would ask for approval, after wait") < said.index("ship")
    assert "one person of ana or bob must approve within 1d; else it fails" in said
    assert "ship (job call) would run, after ask" in said
    assert "2 times, once for each one, one after another" in said
    assert "for one = 2" in said


def _view(found: Rehearsal) -> RunView:
    view = RunView(FACTS.id, "w", "c" * 40, CAUSE, found.state, AT, {"x": None}, on_targets=False, finished_at=AT)
    return replace(view, rehearsal=found.strategy, workflow=True, nodes=found.nodes)
