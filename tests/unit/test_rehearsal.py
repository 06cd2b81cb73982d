"""A dry run by its plan: what would run, with which values, and what only the run itself can tell."""

from typing import Any

import pytest

from engine.expressions.contexts import RunFacts
from engine.identity import Cause, RunId
from engine.runs.planning import Planned, plan_run
from engine.runs.progress import StepRecord
from engine.runs.rehearsal import MOST, Rehearsal, places_of, rehearse
from engine.runs.repetition import Records
from engine.states import RunState, StepState
from engine.status.readback import parse_run_file
from engine.status.readmodel import run_files
from engine.status.views import RunView
from opsconductor.rehearsed import lines, of_place
from schemas.guard import load
from schemas.quantities import parse_instant
from tests.planned import credential, ssh_target, tree

AT = parse_instant("2026-03-28T00:00:00Z")
CAUSE = Cause("request", "ask", AT, requested_by="a@example.org")
FACTS = RunFacts(RunId("work-1"), "work", "c" * 40, AT, 1, CAUSE)


def of(
    steps: str, params: dict[str, Any] | None = None, *, rest: str = "", carried: Records | None = None
) -> Rehearsal:
    text = f"kind: Job\nmetadata: {{name: work}}\nspec:\n  targets: {{names: [db, web]}}\n{rest}  steps:\n{steps}"
    compiled = tree(ssh_target("db", "key"), ssh_target("web", "key"), credential("key", ", username: ops"), text)
    assert compiled.catalog is not None, compiled.findings
    planned = plan_run(compiled.catalog, compiled.catalog.jobs["work"], params=params or {})
    assert isinstance(planned, Planned), planned
    return rehearse(planned.spec, planned.params, FACTS, carried)


def would(rehearsal: Rehearsal, target: str = "web") -> dict[str, dict[str, Any]]:
    (place,) = [place for place in rehearsal.places if place.name == target]
    return {step.id: dict(step.would or {}) for step in place.steps}


def test_what_is_known_is_filled_in_and_the_rest_is_named() -> None:
    found = of(
        '    - {id: a, run: "echo ${{ target.name }} ${{ params.n + 1 }}"}\n'
        '    - {id: b, run: "echo ${{ steps.a.stdout }}", env: {X: "on ${{ target.host }} ${{ run.id }}"}}\n',
        {"n": 4},
        rest="  params: {n: {type: integer}}\n",
    )
    assert found.state is RunState.SUCCEEDED
    first, second = would(found)["a"], would(found)["b"]
    assert first["values"] == {"OC1": "web", "OC2": "5"}
    assert (first["verdict"], first["connection"], first["user"], first["host"]) == (
        "run",
        "ssh",
        "ops",
        "web.example:22",
    )
    assert second["values"] == {"OC1": "${{ steps.a.stdout }}"}
    assert second["env"] == {"X": "on web.example ${{ run.id }}"}, "the run has another id than its rehearsal"
    assert second["knownOnlyAtRunTime"] == ["run.id", "steps.a.stdout"]


def test_conditions_are_decided_where_they_can_be() -> None:
    found = would(
        of(
            "    - {id: a, run: 'true', if: \"${{ target.name == 'web' }}\"}\n"
            '    - {id: b, run: "true", if: "steps.a.exitCode == 0"}\n'
            '    - {id: c, run: "true", if: failure()}\n'
            '    - {id: d, run: "true", if: always()}\n'
            '    - {id: e, run: "true", if: false}\n'
        )
    )
    assert {name: one["verdict"] for name, one in found.items()} == {
        "a": "run", "b": "depends", "c": "depends", "d": "run", "e": "skip",
    }  # fmt: skip
    assert found["b"]["because"] == "steps.a.exitCode == 0"
    assert "knownOnlyAtRunTime" not in found["b"], "it is told once"
    assert found["c"]["because"] == "failure(): false while all goes well"


def test_a_condition_that_is_not_what_a_step_depends_on_first_is_named() -> None:
    """A step of a rescue runs after a failure; whether it does then, its own condition says."""
    found = would(
        of("    - {id: a, run: 'true', rescue: [{run: 'echo mended', if: \"${{ steps.a.exitCode == 3 }}\"}]}\n")
    )
    assert found["a/rescue_1"]["because"] == "it runs after 'a' has failed"
    assert found["a/rescue_1"]["knownOnlyAtRunTime"] == ["steps.a.exitCode == 3"]


@pytest.mark.parametrize(
    ("retry", "facts", "said"),
    [
        ("{maxAttempts: 3}", {}, "at most 3 attempts"),
        ("{maxAttempts: 3, delay: 20s}", {"delay": "20s"}, "at most 3 attempts, 20s apart"),
        (
            "{maxAttempts: 9, delay: 90s, backoff: exponential}",
            {"delay": "1m30s", "backoff": "exponential", "maxDelay": "1h"},
            "at most 9 attempts, 1m30s apart, twice as long each time up to 1h",
        ),
        (
            "{maxAttempts: 9, delay: 10m, backoff: exponential, maxDelay: 5m, jitter: true}",
            {"delay": "5m", "jitter": True},
            "at most 9 attempts, 5m apart, each pause shortened by chance, by up to half",
        ),
        (
            "{maxAttempts: 2, jitter: true, onExitCodes: [7, 75], if: \"${{ state == 'failed' }}\"}",
            {"onExitCodes": [7, 75], "if": "state == 'failed'"},
            "at most 2 attempts; again only after exit code 7 or 75, or where nothing was sent; "
            "again only if state == 'failed'",
        ),
        ("{maxAttempts: 2, if: false}", {"if": False}, "at most 2 attempts; again only if false"),
    ],
)
def test_of_repetitions_it_is_told_when_and_after_which_pause(retry: str, facts: dict[str, Any], said: str) -> None:
    found = of(f"    - {{id: a, run: 'true', retry: {retry}}}\n")
    assert would(found)["a"].get("retry", {}) == facts
    (place, *_) = found.places
    shown = of_place({"steps": [{"id": step.id, "would": step.would} for step in place.steps]})
    assert [line for line in shown if "attempts" in line] == [f"    {said}"]


def test_the_outputs_of_a_step_that_is_left_out_are_known_to_be_null() -> None:
    found = of(
        "    - {id: a, run: 'true', if: false, outputs: {x: \"${{ stdout }}\"}}\n"
        '    - {id: b, run: "true", if: "steps.a.outputs.x == null"}\n'
    )
    assert would(found)["b"]["verdict"] == "run"


def test_a_secret_is_a_name() -> None:
    found = of('    - {id: a, run: "true", env: {P: "${{ secrets.key.privateKey }}"}, become: root}\n')
    one = would(found)["a"]
    assert one["env"] == {"P": '${{ secrets["key"].privateKey }}'}
    assert (one["secretsOf"], one["become"], one["credential"]) == (["key"], "root", "key")


def test_rescue_and_finally_stand_where_they_belong() -> None:
    found = of(
        "    - {id: a, run: 'true', rescue: [{run: 'echo mended'}]}\n  rescue: [{run: 'echo sorry'}]\n"
        "  finally: [{run: 'echo over'}]\n"
    )
    assert {name: (one["verdict"], one.get("because")) for name, one in would(found).items()} == {
        "a": ("run", None),
        "a/rescue_1": ("depends", "it runs after 'a' has failed"),
        "rescue_1": ("depends", "it runs after a step has failed"),
        "finally_1": ("run", None),
    }


def test_loops_show_their_items() -> None:
    found = would(
        of(
            '    - {id: a, run: "echo ${{ item }}", forEach: {items: [x, y]}}\n'
            '    - {id: b, run: "echo ${{ one }}", forEach: {items: "${{ steps.a.json }}", as: one}}\n'
        )
    )
    assert [found[name]["values"]["OC1"] for name in ("a[0]", "a[1]")] == ["x", "y"]
    assert found["b"]["forEach"]["items"] == "${{ steps.a.json }}"
    assert (found["b[]"]["verdict"], found["b[]"]["because"]) == ("depends", "it runs once for each one there is")
    assert found["b[]"]["knownOnlyAtRunTime"] == ["one"]


def test_what_is_known_to_fail_fails_the_rehearsal() -> None:
    found = of(
        '    - {id: a, run: "echo ${{ 1 / params.n }}"}\n    - {id: b, run: "true"}\n',
        {"n": 0},
        rest="  params: {n: {type: integer}}\n",
    )
    assert found.state is RunState.FAILED
    assert [(name, one["verdict"]) for name, one in would(found).items()] == [("a", "fail"), ("b", "skip")]


def test_results_that_a_repetition_takes_over_are_known() -> None:
    record = StepRecord("steps", "a", StepState.SUCCEEDED, exit_code=0, stdout="71\n", inherited=True)
    found = of(
        '    - {id: a, run: "echo 71"}\n    - {id: b, run: "echo ${{ steps.a.stdout }}"}\n', carried={"web": (record,)}
    )
    assert would(found)["b"]["values"] == {"OC1": "71"}
    assert would(found, "db")["b"]["knownOnlyAtRunTime"] == ["steps.a.stdout"]


def test_the_batches_are_shown() -> None:
    found = of("    - {run: 'true'}\n", rest='  strategy: {batches: [1, "100%"], maxParallel: 3}\n')
    assert found.strategy == {"order": "targetFirst", "maxParallel": 3, "batches": [["db"], ["web"]]}


def test_its_size_is_bounded() -> None:
    steps = "".join(f'    - {{id: s{n}, run: "echo {"x" * 3000} ${{{{ target.name }}}}"}}\n' for n in range(200))
    found = of(steps)
    assert len(str(found.to_json())) < 2 * MOST
    assert would(found)["s199"] == {"verdict": "run", "leftOut": "the details: there is no room for more"}


def test_a_store_and_a_status_branch_give_it_back() -> None:
    found = of(
        '    - {id: a, name: First, run: "echo ${{ target.name }}", timeout: 5m}\n    - {run: "true", if: false}\n'
    )
    assert places_of(found.to_json()) == found.places
    view = RunView(
        RunId("work-1"), "work", "c" * 40, CAUSE, found.state, AT, targets=("db", "web"), finished_at=AT,
        results=found.places, rehearsal=found.strategy,
    )  # fmt: skip
    files = run_files(view)
    assert parse_run_file(*files.values()) == view
    (text,) = files.values()
    document = load(text.encode(), "Run").documents[0]
    assert isinstance(document, dict)
    said = list(lines(document, "web"))
    assert said[0] == "dry run of work at cccccccccccc: nothing was sent, connected to or opened"
    assert said[3:8] == [
        "web",
        "  a (First) would run",
        "      connection ssh, as ops, host web.example:22, credential key, shell sh, timeout 5m",
        '      run: echo "${OC1}"',
        "      values:",
    ]
    assert said[8:] == ["        OC1 = web", "  step_2 would be skipped: if: false"]


def test_a_step_of_a_library_is_told_with_those_it_consists_of() -> None:
    found = of(
        "    - {id: a, run: 'echo 1', outputs: {n: '${{ int(stdout) }}'}}\n"
        "    - id: r\n      uses: linux-core/disk@1\n"
        "      with: {path: '/${{ target.name }}', minFreeMiB: '${{ steps.a.outputs.n }}'}\n"
        "    - {id: no, if: false, uses: linux-core/disk@1}\n"
    )
    shown = would(found)
    assert list(shown) == ["a", "r", "r.script", "no"]
    assert shown["r"]["with"] == {"path": "/web", "minFreePercent": 0, "minFreeMiB": "${{ steps.a.outputs.n }}"}
    assert shown["r"]["knownOnlyAtRunTime"] == ["steps.a.outputs.n"]
    assert shown["r.script"]["env"] == {"AT": "/web", "MIN_PERCENT": 0, "MIN_MIB": "${{ inputs.minFreeMiB }}"}
    assert shown["r.script"]["knownOnlyAtRunTime"] == ["inputs.minFreeMiB"]


def test_a_step_of_a_library_that_would_refuse_its_input_is_said_to_fail() -> None:
    found = of(
        "    - {id: r, uses: linux-core/disk@1, with: {path: '${{ target.name }}'}}\n    - {id: after, run: 'true'}\n"
    )
    assert found.state is RunState.FAILED
    assert would(found)["r"]["verdict"] == "fail"
    assert would(found)["r"]["because"].startswith("linux-core/disk@1: input 'path':")
    assert would(found)["after"]["verdict"] == "skip"
