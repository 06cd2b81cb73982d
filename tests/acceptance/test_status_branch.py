"""Where the status goes: to another repository, and to another branch when the Project says so."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.site import PROJECT, STATUS, Site, job

Make = Callable[..., Site]

HELLO = job("hello", "- {id: greet, run: echo hello}")
MOVED = PROJECT + "      status: {ref: refs/heads/elsewhere/status}\n"
ELSEWHERE = "elsewhere/status"


def files(repository: Path, branch: str) -> set[str]:
    said = subprocess.run(
        ["git", "-C", repository, "ls-tree", "-r", "--name-only", branch], capture_output=True, text=True, check=False
    )
    return set(said.stdout.split())


@pytest.mark.slow
def test_a_branch_deleted_in_another_repository_comes_back_while_all_is_quiet(site: Make) -> None:
    """`--status-remote`: nobody else looks there, so the engine asks it as often as it asks the source."""
    here = site({"hello.yaml": HELLO})
    results = here.root / "results.git"
    subprocess.run(["git", "init", "-q", "--bare", results], check=True)
    here.start("--status-remote", str(results))
    here.wait(lambda: "sync.yaml" in files(results, STATUS), what="the claim")
    here.request("one", "jobRef: hello")
    here.wait(lambda: "requests/one.yaml" in files(results, STATUS), what="an answer")
    settled = here.wait(
        lambda: {"targets/here.yaml", "jobs/hello.yaml"} <= (seen := files(results, STATUS)) and seen, what="all files"
    )
    subprocess.run(["git", "-C", results, "update-ref", "-d", f"refs/heads/{STATUS}"], check=True)
    here.wait(lambda: settled <= files(results, STATUS), what="the files again", timeout=15)


@pytest.mark.slow
def test_the_status_follows_the_project_to_another_branch(site: Make) -> None:
    """At once, with all that was; and a restart finds it there."""
    here = site({"hello.yaml": HELLO})
    daemon = here.up()
    here.asked("one", "jobRef: hello")
    here.wait(lambda: "targets/here.yaml" in files(here.source, STATUS), what="all files")
    before = files(here.source, STATUS)
    moved = here.commit({"opsconductor.yaml": MOVED})
    here.wait(lambda: before <= files(here.source, ELSEWHERE), what="the files on the other branch")
    left = here.head(STATUS)
    here.request("two", "jobRef: hello")
    here.wait(lambda: "requests/two.yaml" in files(here.source, ELSEWHERE), what="news on the other branch")
    assert moved in here.git("show", f"{ELSEWHERE}:sync.yaml")
    assert daemon.stop() == 0
    assert "closed: null" not in here.git("show", f"{ELSEWHERE}:sync.yaml")
    assert here.once().returncode == 0
    assert here.head(STATUS) == left, "nothing is written to the branch that was left"
    assert len([path for path in files(here.source, ELSEWHERE) if path.startswith("runs/")]) == 2


@pytest.mark.slow
def test_two_engines_that_meet_on_another_branch_do_not_both_decide(site: Make) -> None:
    """The second was started with the new branch before the first had seen the commit: the first ends."""
    here = site({"hello.yaml": HELLO, "opsconductor.yaml": PROJECT.replace("interval: 1s", "interval: 30s")})
    first = here.up()
    first.signal(signal.SIGSTOP)
    here.commit({"opsconductor.yaml": MOVED})
    second = here.start("--state", str(here.root / "other-engine"))
    here.wait(lambda: "README.md" in files(here.source, ELSEWHERE), what="the second engine's status")
    first.signal(signal.SIGCONT)
    assert first.ended(60) == 1
    assert "belongs to engine" in first.stderr
    assert second.running


@pytest.mark.slow
def test_a_branch_that_may_not_be_pushed_leaves_the_status_where_it_is(site: Make) -> None:
    """What runs is not disturbed, and sync.yaml says why."""
    here = site({"hello.yaml": HELLO})
    hook = here.source / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/elsewhere/*) echo "not here"; exit 1;; esac\n')
    hook.chmod(0o755)
    here.up()
    moved = here.commit({"opsconductor.yaml": MOVED})
    here.in_force(moved)
    told = here.wait(
        lambda: [c for c in here.sync()["conditions"] if c["reason"] == "StatusBranchRefused"], what="the reason"
    )
    assert "not here" in told[0]["message"]
    here.asked("one", "jobRef: hello")
    mended = here.commit({"opsconductor.yaml": PROJECT})
    here.in_force(mended)
    here.wait(
        lambda: all(c["reason"] != "StatusBranchRefused" for c in here.sync()["conditions"]), what="no reason any more"
    )


@pytest.mark.slow
def test_a_commit_that_names_the_branch_it_stands_on_is_rejected_and_can_be_mended(site: Make) -> None:
    """`validate` cannot know --branch; the engine does. It stays on the last good commit, also after a restart."""
    here = site({"hello.yaml": HELLO})
    here.git("branch", "prod", "main")
    here.start("--branch", "prod")
    here.wait(lambda: here.sync().get("appliedCommit") == here.head("prod"), what="the first commit in force")
    for key in ("requests", "status"):
        shared = PROJECT + f"      {key}: {{ref: refs/heads/prod}}\n"
        bad = here.commit({"opsconductor.yaml": shared}, branch="prod")
        assert [found["code"] for found in here.rejected(bad)["findings"]] == ["OC312"]
    here.daemons[-1].stop()
    again = here.start("--branch", "prod")
    mended = here.commit({"opsconductor.yaml": PROJECT}, branch="prod")
    here.wait(lambda: here.sync().get("appliedCommit") == mended, what="the mending commit in force")
    assert again.running


@pytest.mark.slow
def test_a_commit_that_names_another_engines_branch_can_be_mended(site: Make) -> None:
    """The engine ends, since the other may decide by now; where the head names its own branch again it starts there."""
    here = site({"hello.yaml": HELLO})
    first = here.up()
    claim = "engine: {id: aaaaaaaaaaaa, host: there, since: 2026-01-01T00:00:00Z, closed: null}"
    taken = f"apiVersion: opsconductor/v1\nkind: SyncStatus\nmetadata: {{name: sync}}\nstatus:\n  {claim}\n"
    here.commit({"sync.yaml": taken}, branch=ELSEWHERE)
    here.commit({"opsconductor.yaml": MOVED})
    assert first.ended(60) == 1
    assert here.once().returncode == 1
    mended = here.commit({"opsconductor.yaml": PROJECT})
    second = here.start()
    here.in_force(mended)
    assert second.running
    here.asked("one", "jobRef: hello")
