"""One owner of the status branch, and rebuilding it both ways: from the store, and the store from it."""

import shutil
import signal
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.acceptance.site import MAIN, REQUESTS, STATUS, Site, instant, job, schedule

Make = Callable[..., Site]

HELLO = job("hello", "- {id: greet, run: echo hello}")
OFTEN = schedule("often", "hello", "every: 2s")


def decisions(site: Site, reason: str) -> list[Any]:
    found: list[Any] = []
    for path, text in site.tree().items():
        if path.startswith("decisions/"):
            found += [record for record in yaml.safe_load(text)["decisions"] if record["reason"] == reason]
    return found


def noting(site: Site, name: str = "hello") -> None:
    """From now on the job's step leaves its run's id, to be counted: a run's file is one however often it ran."""
    step = f"- {{id: greet, run: 'echo \"${{{{ run.id }}}}\" >> {site.effects}/{name}'}}"
    site.commit({f"{name}.yaml": job(name, step)})


def fired(site: Site) -> list[str]:
    """Instants of the schedule that have runs."""
    return [str(run["spec"]["cause"]["instant"]) for run in site.runs() if run["spec"]["cause"]["kind"] == "schedule"]


def test_another_engines_open_claim_stops_this_one(site: Make) -> None:
    """Found at its start: exit 1, the other named, nothing started, and the way on is told."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN})
    first = here.up()
    owner = here.sync()["engine"]
    refused = here.once("--state", str(here.root / "other-engine"))
    assert refused.returncode == 1
    assert owner["id"] in refused.stderr
    assert owner["host"] in refused.stderr
    assert "--take-over" in refused.stderr
    assert here.sync()["engine"]["id"] == owner["id"]
    assert first.running


@pytest.mark.slow
def test_an_engine_takes_over_when_it_is_told_to(site: Make) -> None:
    """`--take-over` claims the branch; the other drains and exits 1; nothing fires twice."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN})
    noting(here)
    first = here.up()
    owner = here.sync()["engine"]
    second = here.start("--state", str(here.root / "other-engine"), "--take-over")
    assert first.ended(60) == 1
    here.wait(lambda: here.sync()["engine"]["id"] != owner["id"], what="the new owner's claim")
    before = len(here.runs("hello"))
    here.ended("hello", before + 2)
    assert second.running
    assert second.stop() == 0
    effects = here.left("hello")
    assert len(effects) == len(set(effects)) > 0, "nothing fired twice"


@pytest.mark.slow
def test_a_deleted_store_keeps_the_engines_name(site: Make) -> None:
    """The id comes from machine and state path: its own claim of before is no stranger's."""
    here = site({"hello.yaml": HELLO})
    daemon = here.up()
    owner = here.sync()["engine"]["id"]
    daemon.kill()
    shutil.rmtree(here.state)
    done = here.once()
    assert done.returncode == 0, done.stderr
    assert here.sync()["engine"]["id"] == owner


def test_a_foreign_commit_is_kept_aside_and_reported(site: Make) -> None:
    """Whoever writes to the status branch loses nothing, and changes nothing."""
    here = site({"hello.yaml": HELLO})
    here.up()
    here.asked("one", "jobRef: hello")
    settled = here.tree()
    foreign = here.commit({"README.md": "mine\n", "notes/mine.md": "mine\n"}, branch=STATUS, message="mine")
    here.wait(lambda: here.head() != foreign and "notes/mine.md" not in here.tree(), what="our branch again")
    kept = here.git("for-each-ref", "--contains", foreign, "--format=%(refname)")
    assert kept, "the foreign commit is kept under a ref"
    assert f"refs/heads/{STATUS}" not in kept.splitlines()
    assert foreign[:7] in here.text("sync.yaml") + here.daemons[0].stderr
    assert here.text("README.md") != "mine\n"
    assert set(settled) <= set(here.tree())
    assert here.daemons[0].running
    here.asked("two", "jobRef: hello")


@pytest.mark.slow
def test_a_deleted_branch_is_written_again(site: Make) -> None:
    """From the store: all runs, jobs, targets, requests."""
    here = site({"hello.yaml": HELLO})
    here.up()
    here.asked("one", "jobRef: hello")
    here.asked("two", "jobRef: hello")
    here.wait(lambda: "two" in here.text("README.md") or here.status("targets/here.yaml"), what="all files")
    before = {path: text for path, text in here.tree().items() if path not in ("sync.yaml", "README.md")}
    here.git("update-ref", "-d", f"refs/heads/{STATUS}")
    here.wait(lambda: set(before) <= set(here.tree()), what="the files again")
    after = here.tree()
    assert {path: after[path] for path in before} == before
    here.asked("three", "jobRef: hello")


@pytest.mark.slow
def test_a_store_deleted_after_a_drained_stop_loses_nothing(site: Make) -> None:
    """Nothing fires twice, acts stay consumed, and a request that arrived meanwhile runs."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN, "other.yaml": job("other", "- run: echo other")})
    here.up()
    old = here.asked("before", "jobRef: other")
    here.ended("hello", 2)
    assert here.daemons[0].stop() == 0
    before = {run["metadata"]["name"]: run for run in here.runs()}
    shutil.rmtree(here.state)
    here.request("meanwhile", "jobRef: other")
    here.stays(lambda: here.head(MAIN), seconds=3)  # so that instants fall due while nothing runs
    here.up()
    assert here.answered("meanwhile")["state"] == "done"
    scheduled = len(fired(here))
    here.wait(lambda: len(fired(here)) >= scheduled + 2, what="two more fires")
    assert here.daemons[-1].stop() == 0
    runs = {run["metadata"]["name"]: run for run in here.runs()}
    assert {name: runs[name] for name in before} == before, "history is taken in as it was"
    overlapping = [
        second
        for record in decisions(here, "overlap")
        for second in range(int(instant(record["from"]).timestamp()), int(instant(record["to"]).timestamp()) + 1, 2)
    ]
    seconds = sorted([int(instant(due).timestamp()) for due in fired(here)] + overlapping)
    assert seconds == list(range(seconds[0], seconds[-1] + 1, 2)), "each instant once; one queue may be full of them"
    requested = [run for run in runs.values() if run["spec"]["cause"]["kind"] == "request"]
    assert [run["spec"]["cause"]["name"] for run in requested].count("before") == 1
    assert here.status("requests/before.yaml")["run"] == old["metadata"]["name"]
    assert decisions(here, "storeLost") == []


@pytest.mark.slow
def test_a_store_lost_undrained_is_said(site: Make) -> None:
    """kill -9 and the store gone: open runs become unknown, the gap is `storeLost`, older requests are refused so."""
    here = site({
        "hello.yaml": HELLO,
        "often.yaml": OFTEN,
        "sleeps.yaml": job("sleeps", "- {id: nap, run: sleep 600}"),
    })  # fmt: skip
    noting(here)
    daemon = here.up()
    here.ended("hello", 1)
    here.request("nap", "jobRef: sleeps")
    nap = here.running("sleeps")["metadata"]["name"]
    daemon.kill()
    shutil.rmtree(here.state)
    before = set(fired(here))
    here.request("unanswered", "jobRef: hello")
    here.stays(lambda: here.head(MAIN), seconds=5)
    here.up()
    answer = here.answered("unanswered")
    assert (answer["state"], answer["reason"]) == ("refused", "storeLost")
    run = here.wait(lambda: _settled(here, nap), what="the open run settled")
    assert run["status"]["state"] == "unknown"
    lost = here.wait(lambda: decisions(here, "storeLost"), what="skips for the lost store")
    assert lost[0]["schedule"] == "often"
    here.wait(lambda: set(fired(here)) - before, what="fires after the rebuild")
    here.asked("new", "jobRef: hello")
    effects = here.left("hello")
    assert len(effects) == len(set(effects)) > 0, "nothing fired twice"
    for record in lost:
        between = [i for i in fired(here) if instant(record["from"]) <= instant(i) <= instant(record["to"])]
        assert not between, "an instant is run or skipped, not both"
    assert here.git("rev-list", "--count", REQUESTS) == "3"


def _settled(site: Site, name: str) -> Any:
    run = site.run_file(name)
    return run if run["status"]["state"] not in ("running", "queued", "waiting") else None


@pytest.mark.slow
def test_a_killed_engine_goes_on_where_it_was(site: Make) -> None:
    """`kill -9` with the store kept: no request and no instant is lost or done twice."""
    here = site({
        "note.yaml": job("note", "- {id: n, run: 'echo \"${{ run.id }}\" >> EFFECTS'}"),
        "often.yaml": schedule("often", "note", "every: 1s"),
    })  # fmt: skip
    here.commit({"note.yaml": job("note", f"- {{id: n, run: 'echo \"${{{{ run.id }}}}\" >> {here.effects}/note'}}")})
    for _ in range(3):
        daemon = here.up() if not here.daemons else here.start()
        known = len(here.left("note"))
        here.wait(lambda known=known: len(here.left("note")) >= known + 2, what="two more effects")  # type: ignore[misc]
        daemon.signal(signal.SIGKILL)
        daemon.ended()
    here.start()
    here.request("last", "jobRef: note")
    here.answered("last")
    here.daemons[-1].stop()
    lines = here.left("note")
    assert len(lines) == len(set(lines)), "no run had its effect twice"
    instants = [int(instant(i).timestamp()) for i in fired(here)]
    skipped = [
        second
        for path, text in here.tree().items()
        if path.startswith("decisions/")
        for record in yaml.safe_load(text)["decisions"]
        for second in range(int(instant(record["from"]).timestamp()), int(instant(record["to"]).timestamp()) + 1)
    ]
    decided = sorted(instants + skipped)
    assert decided == list(range(decided[0], decided[-1] + 1)), "every due instant is accounted for, once"


@pytest.mark.slow
def test_sync_is_written_in_one_style(site: Make) -> None:
    """A stop changes the line of the engine's claim and nothing else: histories stay readable, diffs small."""
    here = site({"hello.yaml": HELLO})
    here.up()
    here.asked("one", "jobRef: hello")
    before = here.text("sync.yaml").splitlines()
    here.daemons[0].stop()
    after = here.text("sync.yaml").splitlines()
    assert len([line for line in after if line not in before]) <= 2, "\n".join(after)


@pytest.mark.slow
def test_an_engine_that_was_frozen_finds_the_other_and_ends(site: Make) -> None:
    """SIGSTOP, another takes over, SIGCONT: the first sees the foreign claim, starts nothing more and exits 1."""
    here = site({"hello.yaml": HELLO, "often.yaml": OFTEN})
    noting(here)
    first = here.up()
    here.ended("hello")
    owner = here.sync()["engine"]["id"]
    first.signal(signal.SIGSTOP)
    second = here.start("--state", str(here.root / "other-engine"), "--take-over")
    here.wait(lambda: here.sync()["engine"]["id"] != owner, what="the new owner's claim", timeout=60)
    known = len(here.runs("hello"))
    here.ended("hello", known + 1, timeout=60)
    first.signal(signal.SIGCONT)
    assert first.ended(60) == 1
    assert second.running
    assert second.stop() == 0
    effects = here.left("hello")
    assert len(effects) == len(set(effects)) > 0, "no instant had its effect twice"
