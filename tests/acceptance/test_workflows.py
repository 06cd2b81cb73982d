"""Workflows, from outside: commits that define and start them, what their jobs left behind, and their Run files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.site import HERE, MAIN, REQUESTS, Site
from tests.running import ends

Make = Callable[..., Site]


def workflow(name: str, jobs: str, rest: str = "") -> str:
    """A Workflow with these nodes (a YAML mapping in flow style, one a line), and further keys of its spec."""
    nodes = "".join(f"    {line.strip()}\n" for line in jobs.strip().splitlines())
    more = "".join(f"  {line.strip()}\n" for line in rest.strip().splitlines())
    return f"apiVersion: opsconductor/v1\nkind: Workflow\nmetadata: {{name: {name}}}\nspec:\n{more}  jobs:\n{nodes}"


def work(site: Site, name: str = "work", more: str = "") -> str:
    """A job that leaves its param `n` behind, fails where that is `bad`, and gives it as an output."""
    return f"""
        apiVersion: opsconductor/v1
        kind: Job
        metadata: {{name: {name}}}
        spec:
          params: {{n: {{type: string, required: true}}}}
          targets: {{names: [here]}}
          concurrency: {{onConflict: queueOne}}
          steps:
            - id: say
              env: {{N: "${{{{ params.n }}}}"}}
              run: |
                echo "$N" >> {site.effects}/log
                test "$N" != bad &&
                printf "v-%s" "$N"
              outputs: {{version: "${{{{ stdout }}}}"}}
          outputs: {{version: "${{{{ steps.say.outputs.version }}}}"}}
{more}
    """


def nodes_of(run: Any) -> dict[str, str]:
    return {name: node["state"] for name, node in run["status"]["nodes"].items()}


@pytest.fixture
def made(bare: Site) -> Make:
    def make(*workflows: str, **more: str) -> Site:
        documents = {f"w{number}.yaml": text for number, text in enumerate(workflows)}
        others = {f"{name}.yaml": text for name, text in more.items()}
        bare.create({"here.yaml": HERE, "work.yaml": work(bare), **documents, **others})
        bare.pulled()
        return bare

    return make


def test_a_graph_runs_in_its_order_and_hands_results_on(made: Make) -> None:
    site = made(
        workflow(
            "release",
            """
            ship: {jobRef: work, needs: [build, look], params: {n: "${{ jobs.build.outputs.version.here }}-shipped"}}
            build: {jobRef: work, params: {n: "${{ params.tag }}"}}
            look: {wait: 1s}
            mend: {jobRef: work, needs: [ship], if: "${{ failure() }}", params: {n: never}}
            """,
            "params: {tag: {type: string, required: true}}\n"
            'outputs: {shipped: "${{ jobs.ship.outputs.version.here }}"}',
        )
    )
    site.up()
    run = site.asked("ask", "workflowRef: release, params: {tag: one}")
    assert site.left("log") == ["one", "v-one-shipped"]
    assert run["spec"]["workflow"] == "release"
    assert run["status"]["state"] == "succeeded", run
    assert run["status"]["outputs"] == {"shipped": "v-v-one-shipped"}
    assert nodes_of(run) == {"ship": "succeeded", "build": "succeeded", "look": "succeeded", "mend": "skipped"}
    child = site.run_file(run["status"]["nodes"]["build"]["run"])
    cause = child["spec"]["cause"]
    assert (cause["kind"], cause["name"], cause["node"]) == ("workflow", run["metadata"]["name"], "build")
    assert cause["instant"] == run["spec"]["cause"]["instant"]
    assert site.status("workflows/release.yaml")["lastRun"]["run"] == run["metadata"]["name"]
    assert site.text("jobs/release.yaml") == ""


def test_failures_stop_what_needs_them_and_nothing_else(made: Make) -> None:
    site = made(
        workflow(
            "broken",
            """
            a: {jobRef: work, params: {n: bad}}
            b: {jobRef: work, needs: [a], params: {n: never}}
            c: {jobRef: work, needs: [b], params: {n: never}}
            other: {jobRef: work, params: {n: other}}
            mend: {jobRef: work, needs: [c], if: "${{ failure() }}", params: {n: mended}}
            forgiven: {jobRef: work, params: {n: bad}, continueOnError: true}
            after: {jobRef: work, needs: [forgiven], params: {n: "after-${{ jobs.forgiven.state }}"}}
            wrong: {jobRef: work, params: {n: "${{ params.n }}"}}
            """,
            "params: {n: {}}",
        )
    )
    site.up()
    run = site.asked("ask", "workflowRef: broken, params: {n: 3}")
    assert run["status"]["state"] == "failed"
    assert nodes_of(run) == {
        "a": "failed", "b": "skipped", "c": "skipped", "other": "succeeded", "mend": "succeeded",
        "forgiven": "failed", "after": "succeeded", "wrong": "failed",
    }  # fmt: skip
    assert sorted(site.left("log")) == ["after-failed", "bad", "bad", "mended", "other"]
    assert "it must be text, not a number" in run["status"]["nodes"]["wrong"]["reason"]
    assert run["status"]["nodes"]["b"]["reason"] == "needs a, which failed"


def test_a_node_is_done_for_each_item(made: Make) -> None:
    site = made(
        workflow(
            "each",
            """
            all: {jobRef: work, forEach: {items: "${{ params.names }}", as: i, maxParallel: 3}, params: {n: "${{ i }}"}}
            end: {jobRef: work, needs: [all], params: {n: "${{ string(size(jobs.all.outputs.version)) }}"}}
            """,
            "params: {names: {type: array}}",
        ),
    )
    site.up()
    run = site.asked("ask", "workflowRef: each, params: {names: [x, y, z]}")
    assert sorted(site.left("log")) == ["3", "x", "y", "z"]
    node = run["status"]["nodes"]["all"]
    assert node["items"] == ["x", "y", "z"] and len(node["runs"]) == 3
    assert node["outputs"] == {"version": [{"here": "v-x"}, {"here": "v-y"}, {"here": "v-z"}]}


def test_a_schedule_starts_a_workflow_and_once_waits_for_it(made: Make) -> None:
    site = made(
        workflow("nightly", "a: {jobRef: work, params: {n: one}}\nb: {jobRef: work, needs: [a], params: {n: two}}"),
        schedule="""
            apiVersion: opsconductor/v1
            kind: Schedule
            metadata: {name: often}
            spec: {workflowRef: nightly, every: 1s}
        """,
    )
    site.up()
    (first, *_) = site.ended("nightly")
    assert first["spec"]["cause"]["kind"] == "schedule"
    assert site.left("log")[:2] == ["one", "two"]


def test_a_cancelled_workflow_cancels_its_runs_and_cleans_up(made: Make) -> None:
    long = """
        apiVersion: opsconductor/v1
        kind: Job
        metadata: {name: long}
        spec: {targets: {names: [here]}, steps: [{run: sleep 60}]}
    """
    site = made(
        workflow(
            "slow",
            """
            a: {jobRef: long}
            b: {jobRef: work, needs: [a], params: {n: never}}
            tidy: {jobRef: work, needs: [b], if: "${{ always() }}", params: {n: tidied}}
            """,
        ),
        long=long,
    )
    site.up()
    site.request("ask", "workflowRef: slow")
    site.running("long")
    run = site.runs("slow")[0]["metadata"]["name"]
    site.request("stop", f"action: cancel, run: {run}, reason: enough")
    (ended,) = site.ended("slow")
    assert ended["status"]["state"] == "cancelled"
    assert ended["status"]["reason"] == "enough"
    assert nodes_of(ended) == {"a": "cancelled", "b": "cancelled", "tidy": "succeeded"}
    assert site.left("log") == ["tidied"]
    assert site.answered("stop")["state"] == "done"


def test_a_workflow_that_runs_out_of_time_ends_its_runs(made: Make, tmp_path: Path) -> None:
    """The job of a node is under way then: it is ended on its target, and its `finally` runs."""
    long = f"""
        apiVersion: opsconductor/v1
        kind: Job
        metadata: {{name: long}}
        spec:
          targets: {{names: [here]}}
          steps:
            - run: echo $$ > {tmp_path}/pid; sleep 600; echo survived > {tmp_path}/survived
          finally:
            - run: echo tidied > {tmp_path}/tidied
    """
    site = made(
        workflow(
            "late",
            """
            a: {wait: 1h}
            long: {jobRef: long}
            b: {jobRef: work, needs: [a, long], params: {n: never}}
            """,
            "timeout: 5s",
        ),
        long=long,
    )
    site.up()
    run = site.asked("ask", "workflowRef: late")
    assert run["status"]["state"] == "timedOut"
    assert nodes_of(run) == {"a": "timedOut", "long": "timedOut", "b": "timedOut"}
    child = site.run_file(run["status"]["nodes"]["long"]["run"])
    assert child["status"]["reason"] == "the workflow ran out of time"
    assert ends(int((tmp_path / "pid").read_text()))
    assert (tmp_path / "tidied").exists()
    assert not (tmp_path / "survived").exists()


# --- gates ------------------------------------------------------------------------------------------------------------

GATED = """
build: {jobRef: work, params: {n: built}}
ask: {needs: [build], approval: {RULE}}
ship: {jobRef: work, needs: [ask], params: {n: "${{ jobs.build.outputs.version.here }}"}}
"""


def user(name: str, teams: str = "") -> str:
    spec = f"email: {name}@example.org, teams: [{teams}]"
    return f"apiVersion: opsconductor/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def gated(made: Make, rule: str) -> Site:
    users = {name: user(name, teams) for name, teams in (("ann", "ops"), ("bob", "ops"), ("eve", ""))}
    return made(workflow("release", GATED.replace("RULE", rule)), **users)


def gate_of(site: Site) -> Any:
    """The one gate that waits."""

    def open_gate() -> Any:
        found = [path for path in site.tree() if path.startswith("gates/")]
        return yaml.safe_load(site.text(found[0])) if found else None

    return site.wait(open_gate, what="a gate")


def approval(site: Site, name: str, digest: str, decision: str = "approve", *, by: str = "ann", **more: Any) -> Any:
    """Push an Approval as this person, and wait for its answer."""
    text = f"apiVersion: opsconductor/v1\nkind: Approval\nmetadata: {{name: {name}}}\n"
    text += f"spec: {{gate: '{digest}', decision: {decision}}}\n"
    mine = {"GIT_COMMITTER_EMAIL": f"{by}@example.org", "GIT_COMMITTER_NAME": by}
    before, site.environment = site.environment, {**site.environment, **mine}
    path = f"requests/{name}.yaml" if "branch" not in more else f"definitions/requests/{name}.yaml"
    site.commit({path: text}, branch=more.get("branch", REQUESTS))
    site.environment = before
    return site.answered(name)


def test_a_gate_waits_for_people_who_see_what_it_holds_back(made: Make) -> None:
    site = gated(made, "teams: [ops], count: 2, notRequester: true")
    site.up()
    site.request("ask", "workflowRef: release")
    gate = gate_of(site)
    digest = gate["metadata"]["name"]
    assert gate["spec"]["next"] == [
        {"id": "ship", "job": "work", "params": {"n": "v-built"}, "targets": ["here"]},
    ]
    assert gate["status"] == {"state": "open", "votes": [], "advisory": True}
    assert digest[7:19] in site.text("README.md")
    refused = [
        approval(site, "own", digest, by="ann"),
        approval(site, "stranger", digest, by="eve"),
        approval(site, "guess", f"sha256:{'0' * 64}", by="bob"),
    ]
    assert [one["reason"] for one in refused] == ["requester", "notAllowed", "unknownGate"]
    assert approval(site, "first", digest, by="bob")["state"] == "done"
    assert approval(site, "again", digest, by="bob")["reason"] == "twice"
    site.commit({"carl.yaml": user("carl", "ops")})
    site.in_force()
    assert approval(site, "second", digest, by="carl", branch=MAIN)["message"].startswith("carl approved, 2 of 2")
    (run,) = site.ended("release")
    assert run["status"]["state"] == "succeeded"
    assert site.left("log") == ["built", "v-built"]
    node = run["status"]["nodes"]["ask"]
    assert (node["reason"], node["gate"]["digest"]) == ("approved by bob, carl", digest)
    assert node["gate"]["advisory"] is True
    assert [vote["by"] for vote in node["gate"]["votes"]] == ["bob", "carl"]
    late = approval(site, "late", digest, "reject", by="ann")
    assert (late["state"], late["reason"]) == ("refused", "gateClosed")
    site.wait(lambda: not [path for path in site.tree() if path.startswith("gates/")], what="the gate's file to go")


def test_a_reject_from_the_command_line_fails_the_gate(made: Make) -> None:
    site = gated(made, "")
    site.up()
    asked = site.run("run", "release")
    assert asked.returncode == 0, asked.stderr
    digest = gate_of(site)["metadata"]["name"]
    (row,) = site.json("get", "gates", "-o", "json")["items"]
    assert row["metadata"]["name"] == digest
    assert "no open gate begins with 'zz'; there are: " + digest[7:19] in site.run("reject", "zz").stderr
    done = site.run("reject", digest[7:15], "--reason", "not on a Friday", "--wait")
    assert done.returncode == 1
    assert "then runs: ship: work(n='v-built') on here" in done.stderr
    assert "nothing proves who approves" in done.stderr
    (run,) = site.ended("release")
    assert (run["status"]["state"], nodes_of(run)["ship"]) == ("failed", "skipped")
    site.wait(lambda: not [path for path in site.tree() if path.startswith("gates/")], what="the gate's file to go")
    (vote,) = run["status"]["nodes"]["ask"]["gate"]["votes"]
    for command in ("approve", "reject"):
        again = site.run(command, digest[7:15])
        assert again.returncode == 2
        assert f"(ask of {run['metadata']['name']}) was rejected at " in again.stderr
        assert f"{vote['by']} said reject at 20" in again.stderr
        assert "(not on a Friday); what came of it: opsconductor describe run release-" in again.stderr
    assert run["status"]["nodes"]["ask"]["reason"] == "rejected by ann: not on a Friday"
    assert site.left("log") == ["built"]


@pytest.mark.parametrize(("on_timeout", "state"), [("fail", "failed"), ("skip", "succeeded")])
def test_a_gate_that_nobody_answers_opens_for_nobody(made: Make, on_timeout: str, state: str) -> None:
    site = gated(made, f"timeout: 1s, onTimeout: {on_timeout}")
    site.up()
    run = site.asked("ask", "workflowRef: release")
    assert run["status"]["state"] == state
    assert nodes_of(run)["ship"] == "skipped"
    assert site.left("log") == ["built"]


# --- again, and after a loss ------------------------------------------------------------------------------------------


def test_what_failed_is_done_again_with_what_needs_it(made: Make) -> None:
    site = made(
        workflow(
            "release",
            """
            build: {jobRef: work, params: {n: built}}
            ship: {jobRef: flaky, needs: [build], params: {n: "${{ jobs.build.outputs.version.here }}"}}
            tell: {jobRef: work, needs: [ship], params: {n: told}}
            other: {jobRef: work, params: {n: other}}
            """,
        ),
    )
    site.commit({"flaky.yaml": work(site, "flaky").replace('"$N" != bad', f"-e {site.effects}/mended")})
    site.up()
    first = site.asked("ask", "workflowRef: release")
    assert nodes_of(first) == {"build": "succeeded", "ship": "failed", "tell": "skipped", "other": "succeeded"}
    before = len(site.left("log"))
    (site.effects / "mended").touch()
    site.pulled()
    done = site.run("rerun", first["metadata"]["name"], "--failed-only", "--wait")
    assert done.returncode == 0, done.stderr
    again = site.run_file(done.stdout.strip())
    assert set(nodes_of(again).values()) == {"succeeded"}
    assert site.left("log")[before:] == ["v-built", "told"]
    assert again["status"]["nodes"]["build"]["inherited"] is True
    assert again["status"]["nodes"]["build"]["run"] == first["status"]["nodes"]["build"]["run"]
    assert again["spec"]["cause"]["rerunOf"] == first["metadata"]["name"]
    named = site.asked("named", f"action: rerun, run: {first['metadata']['name']}, fromStep: tell")
    assert (site.left("log")[before + 2 :], nodes_of(named)["tell"]) == ([], "skipped")
    site.request("wrong", f"action: rerun, run: {first['metadata']['name']}, fromStep: tel")
    assert site.answered("wrong")["message"] == "there is no node 'tel' to begin with; did you mean 'tell'?"


@pytest.mark.parametrize("lost", [False, True])
def test_a_gate_is_still_there_after_a_stop_and_without_the_store(made: Make, lost: bool) -> None:
    """After a drained stop the branch says everything: the same gate, with what was said at it, and what it opens."""
    site = gated(made, "users: [bob, eve], count: 2")
    daemon = site.up()
    site.request("ask", "workflowRef: release")
    digest = gate_of(site)["metadata"]["name"]
    assert approval(site, "first", digest, by="bob")["state"] == "done"
    assert daemon.stop() == 0
    if lost:
        shutil.rmtree(site.state)
    site.up()
    assert gate_of(site)["metadata"]["name"] == digest
    assert approval(site, "again", digest, by="bob")["reason"] == "twice"
    assert approval(site, "second", digest, by="eve")["state"] == "done"
    (run,) = site.ended("release")
    assert run["status"]["state"] == "succeeded", run
    assert site.left("log") == ["built", "v-built"]


def test_a_workflow_is_unknown_where_the_store_was_lost_without_a_stop(made: Make) -> None:
    site = gated(made, "")
    daemon = site.up()
    site.request("ask", "workflowRef: release")
    digest = gate_of(site)["metadata"]["name"]
    daemon.kill()
    shutil.rmtree(site.state)
    site.up()
    (run,) = site.ended("release")
    assert (run["status"]["state"], run["status"]["reason"]) == ("unknown", "storeLost")
    assert nodes_of(run) == {"build": "succeeded", "ask": "unknown", "ship": "skipped"}
    assert approval(site, "late", digest, by="bob")["reason"] == "gateClosed"
    assert site.left("log") == ["built"]


def test_once_ends_at_a_gate_and_goes_on_at_the_next_time(made: Make) -> None:
    site = gated(made, "")
    site.up().stop()
    site.request("ask", "workflowRef: release")
    assert site.once().returncode == 0
    (path,) = [path for path in site.tree() if path.startswith("gates/")]
    text = f"spec: {{gate: 'sha256:{path[6:-5]}', decision: approve}}\n"
    text = f"apiVersion: opsconductor/v1\nkind: Approval\nmetadata: {{name: yes}}\n{text}"
    site.commit({"requests/yes.yaml": text.replace("name: yes", "name: agreed")}, branch=REQUESTS)
    done = site.once()
    assert done.returncode == 0, done.stderr
    assert site.left("log") == ["built", "v-built"]
