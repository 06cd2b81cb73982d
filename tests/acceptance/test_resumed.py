"""A drained stop, the state folder deleted, another start: what was open goes on where it was."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.site import REQUESTS, Site, job, soon, steps_of
from tests.acceptance.test_owner import _settled

Make = Callable[..., Site]
GATE = "touch {0}/begun; while [ ! -e {0}/go ]; do sleep 0.1; done; "


def slow(effects: Any, *, later: str = "echo 2") -> str:
    """Three steps and a last one, each leaves a trace; the first waits until it may end."""
    steps = f"""
        - run: '{GATE.format(effects)} echo 1 >> {effects}/work; echo printed'
        - run: '{later} >> {effects}/work'
        - run: 'echo 3 >> {effects}/work'
    """
    return job("slow", steps, f"finally: [{{run: 'echo fin >> {effects}/work'}}]")


def hello(effects: Any) -> str:
    return job("hello", f"- run: 'echo hello >> {effects}/hello'", "concurrency: {group: one}")


def stopped_in_the_first_step(here: Site, name: str = "slow") -> Any:
    """A run of `name` between its first two steps, its engine gone in order and its store deleted."""
    here.running(name)
    here.wait(lambda: (here.effects / "begun").exists(), what="the first step")
    daemon = here.daemons[-1]
    daemon.signal(15)
    here.wait(lambda: "stopping" in daemon.stderr, what="word of the signal")
    (here.effects / "go").touch()
    assert daemon.ended() == 0
    assert here.sync()["engine"]["closed"]
    shutil.rmtree(here.state)
    (run,) = here.runs(name)
    assert run["status"]["state"] == "queued", run
    return run


@pytest.mark.slow
def test_a_run_goes_on_after_a_drained_stop_and_a_deleted_store(site: Make) -> None:
    """Every step takes effect once; the run keeps its name and its commit, though another is in force by now."""
    here = site({})
    here.commit({"slow.yaml": slow(here.effects)})
    here.up()
    here.request("one", "jobRef: slow")
    before = stopped_in_the_first_step(here)
    here.commit({"slow.yaml": job("slow", f"- run: 'echo other >> {here.effects}/work'")})
    here.up()
    (run,) = here.ended("slow")
    assert run["status"]["state"] == "succeeded", run
    assert run["status"]["attempt"] == before["status"]["attempt"] + 1
    assert here.left("work") == ["1", "2", "3", "fin"]
    for key in ("metadata", "spec"):
        assert run[key] == before[key]
    assert steps_of(run)["step_1"] == steps_of(before)["step_1"]
    assert here.answered("one")["state"] == "done"
    here.daemons[-1].stop()


@pytest.mark.slow
def test_what_the_branch_does_not_hold_is_not_guessed(site: Make) -> None:
    """A later step reads what an earlier one printed: the run is unknown and says so."""
    here = site({})
    here.commit({"slow.yaml": slow(here.effects, later='echo "${{ steps.step_1.stdout }}"')})
    here.up()
    here.request("one", "jobRef: slow")
    stopped_in_the_first_step(here)
    here.up()
    (run,) = here.ended("slow")
    assert (run["status"]["state"], run["status"]["reason"]) == ("unknown", "storeLost")
    assert "step_1" in run["status"]["message"]
    assert here.left("work") == ["1"]


@pytest.mark.slow
def test_what_waited_runs_after_a_drained_stop_and_a_deleted_store(site: Make) -> None:
    """For a slot that another run holds, and for its time."""
    here = site({})
    group = "concurrency: {group: one}"
    here.commit({
        "slow.yaml": slow(here.effects).replace("spec:\n", f"spec:\n  {group}\n"),
        "hello.yaml": hello(here.effects),
        "later.yaml": job("later", f"- run: 'echo later >> {here.effects}/later'"),
    })  # fmt: skip
    here.up()
    here.request("one", "jobRef: slow")
    here.running("slow")
    here.request("two", "jobRef: hello")
    here.request("three", f'jobRef: later, notBefore: "{soon(8)}"')
    here.answered("two", "accepted")
    here.answered("three", "accepted")
    stopped_in_the_first_step(here)
    waiting = [run["status"]["state"] for name in ("hello", "later") for run in here.runs(name)]
    assert waiting == ["waiting", "waiting"]
    here.up()
    runs = [run for name in ("slow", "hello", "later") for run in here.ended(name)]
    assert [run["status"]["state"] for run in runs] == ["succeeded"] * 3
    assert here.left("hello") == ["hello"]
    assert here.left("later") == ["later"]
    assert runs[1]["status"]["startedAt"] >= runs[0]["status"]["finishedAt"], "one slot"


@pytest.mark.slow
@pytest.mark.parametrize("branch", [REQUESTS, "main"])
def test_an_inline_run_goes_on_from_the_text_of_its_request(site: Make, branch: str) -> None:
    here = site({})
    here.up()
    script = GATE.format(here.effects) + f"echo 1 >> {here.effects}/work"
    steps = f"[{{run: '{script}'}}, {{run: 'echo 2 >> {here.effects}/work'}}]"
    here.request("one", f"job: {{targets: {{names: [here]}}, steps: {steps}}}", branch=branch)
    stopped_in_the_first_step(here, "one")
    here.up()
    (run,) = here.ended("one")
    assert run["status"]["state"] == "succeeded", run
    assert here.left("work") == ["1", "2"]


@pytest.mark.slow
def test_after_an_undrained_stop_nothing_goes_on(site: Make) -> None:
    here = site({})
    here.commit({"slow.yaml": slow(here.effects)})
    daemon = here.up()
    here.request("one", "jobRef: slow")
    name = here.running("slow")["metadata"]["name"]
    daemon.kill()
    shutil.rmtree(here.state)
    here.up()
    run = here.wait(lambda: _settled(here, name), what="the open run settled")
    assert (run["status"]["state"], run["status"]["reason"]) == ("unknown", "storeLost")
    (here.effects / "go").touch()
    here.stays(lambda: [line for line in here.left("work") if line != "1"], seconds=2)
