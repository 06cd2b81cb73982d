"""Starting and stopping: `init`, `up`, `--once`, `--paused`, signals, one engine a state folder."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import yaml

from tests.acceptance.site import HERE, MAIN, PROJECT, REQUESTS, STATUS, Site, instant, job, schedule, soon

Make = Callable[..., Site]

HELLO = job("hello", "- {id: greet, run: echo hello}")
FAILS = job("fails", "- {id: no, run: exit 3}")
SLOW = job("slow", "- {id: work, run: 'sleep 2; echo did >> $EFFECTS/work'}", "env: {EFFECTS: EFFECTS_FOLDER}")


def test_init_and_up_leave_a_green_status_commit_within_a_minute(bare: Site) -> None:
    """Two commands on a fresh machine: runs over real SSH, a README.md page, everything green within 60 s."""
    for setting in ("OPSCONDUCTOR_STATE", "OPSCONDUCTOR_SECRET_DIR"):
        del bare.environment[setting]
    began = time.monotonic()
    assert bare.run("init", "demo", cwd=bare.root).returncode == 0
    bare.own_source = bare.root / "demo"
    assert bare.git("symbolic-ref", "--short", "HEAD") == MAIN
    assert bare.git("status", "--porcelain") == ""
    bare.spawn("up", "demo")
    runs = bare.wait(lambda: [r for r in bare.runs() if r["status"]["state"] == "succeeded"], timeout=60, what="a run")
    assert time.monotonic() - began < 60
    assert set(runs[0]["status"]["targets"]) == {"web-01", "web-02", "db-01"}
    page = bare.text("README.md")
    assert runs[0]["spec"]["job"] in page
    assert runs[0]["metadata"]["name"] in page, "the page links to the run"
    assert bare.git("rev-parse", "HEAD")[:10] in page
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", page), "it says when"
    ready = next(c for c in bare.sync()["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"
    assert bare.git("status", "--porcelain") == "", "the user's work tree is left alone"
    assert bare.git("symbolic-ref", "--short", "HEAD") == MAIN


@pytest.mark.slow
def test_the_workflow_of_the_sample_asks_and_then_tidies_up(bare: Site) -> None:
    """As the tutorial has it, over real SSH."""
    for setting in ("OPSCONDUCTOR_STATE", "OPSCONDUCTOR_SECRET_DIR"):
        del bare.environment[setting]
    assert bare.run("init", "demo", cwd=bare.root).returncode == 0
    bare.own_source = demo = bare.root / "demo"
    bare.spawn("up", "demo")
    bare.in_force()
    asked = bare.run("run", "look-and-tidy", cwd=demo)
    assert asked.returncode == 0, asked.stderr
    path = bare.wait(lambda: next((one for one in bare.tree() if one.startswith("gates/")), None), what="a gate")
    assert bare.runs("tidy-up") == [], "nobody has said yes"
    digest = yaml.safe_load(bare.text(path))["metadata"]["name"].removeprefix("sha256:")
    done = bare.run("approve", digest[:8], "--wait", cwd=demo)
    assert done.returncode == 0, done.stderr
    assert "then runs: tidy: tidy-up(days=14) on web-01, web-02" in done.stderr
    (run,) = bare.ended("look-and-tidy")
    assert {name: node["state"] for name, node in run["status"]["nodes"].items()} == {
        "look": "succeeded", "ask": "succeeded", "tidy": "succeeded",
    }  # fmt: skip


def test_a_term_signal_drains(site: Make) -> None:
    """SIGTERM lets a running step end, records it, closes the claim and exits 0."""
    here = site({"slow.yaml": SLOW})
    here.commit({"slow.yaml": SLOW.replace("EFFECTS_FOLDER", str(here.effects))})
    daemon = here.up()
    here.request("one", "jobRef: slow")
    here.running("slow")
    assert daemon.stop() == 0
    assert here.left("work") == ["did"]
    (run,) = here.runs("slow")
    assert run["status"]["state"] in ("succeeded", "queued", "running"), "ended, or handed over"
    assert here.sync()["engine"]["closed"]
    here.up()
    (run,) = here.ended("slow")
    assert run["status"]["state"] == "succeeded"
    assert here.left("work") == ["did"], "the step is not repeated"


@pytest.mark.slow
def test_a_second_term_signal_stops_at_once(site: Make) -> None:
    """A step of ten minutes does not hold whoever insists."""
    here = site({"slow.yaml": job("slow", "- run: sleep 600")})
    daemon = here.up("--grace", "10m")
    here.request("one", "jobRef: slow")
    here.running("slow")
    daemon.signal(signal.SIGTERM)
    here.wait(lambda: "stopping" in daemon.stderr, what="word of the first signal")
    daemon.signal(signal.SIGTERM)
    daemon.ended(20)


def test_ctrl_c_exits_130(site: Make) -> None:
    """An interrupt by the keyboard drains too, and the exit code says what it was."""
    here = site({"hello.yaml": HELLO})
    daemon = here.up()
    daemon.signal(signal.SIGINT)
    assert daemon.ended() == 130
    assert here.sync()["engine"]["closed"]


def test_once_says_by_its_exit_code_how_it_went(site: Make) -> None:
    """`up --once`: 0 idle and clean, 1 after a failed run or for an invalid commit."""
    here = site({"hello.yaml": HELLO, "fails.yaml": FAILS})
    idle = here.once()
    assert idle.returncode == 0, idle.stderr
    assert here.sync()["engine"]["closed"]
    here.request("good", "jobRef: hello")
    good = here.once()
    assert good.returncode == 0, good.stderr
    assert [run["status"]["state"] for run in here.runs()] == ["succeeded"]
    here.request("bad", "jobRef: fails")
    bad = here.once()
    assert bad.returncode == 1, bad.stderr
    assert "fails" in bad.stderr
    broken = here.commit({"hello.yaml": HELLO.replace("run:", "rum:")})
    invalid = here.once()
    assert invalid.returncode == 1, invalid.stderr
    assert here.sync()["observedCommit"] == broken
    assert here.sync()["findings"]


def test_paused_shows_and_neither_decides_nor_pushes(site: Make) -> None:
    """`up --paused` reads and validates; schedules and requests wait, and no branch is written."""
    here = site({"hello.yaml": HELLO, "often.yaml": schedule("often", "hello", "every: 1s")})
    here.request("one", "jobRef: hello")
    refs = here.git("for-each-ref")
    daemon = here.start("--paused")
    here.wait(lambda: (here.head(MAIN) or "?")[:10] in daemon.stderr, what="word of the commit on stderr")
    here.stays(lambda: here.git("for-each-ref"), seconds=4)
    assert here.git("for-each-ref") == refs
    assert daemon.stop() == 0
    assert here.git("for-each-ref") == refs


def test_paused_names_what_is_wrong(site: Make) -> None:
    """A dry start on somebody's broken branch says file, line and column."""
    here = site({"hello.yaml": HELLO.replace("run:", "rum:")})
    daemon = here.start("--paused")
    here.wait(lambda: re.search(r"definitions/hello\.yaml:\d+:\d+", daemon.stderr), what="the place of the mistake")
    assert here.head() is None
    assert daemon.stop() == 0


def test_a_second_engine_on_the_same_state_exits_naming_folder_and_process(site: Make) -> None:
    """Two engines never share a store."""
    here = site({"hello.yaml": HELLO})
    first = here.up()
    second = here.once()
    assert second.returncode == 1
    assert str(here.state) in second.stderr
    assert str(first.pid) in second.stderr
    assert first.running


@pytest.mark.slow
def test_a_work_tree_is_a_source_and_only_its_commits_count(bare: Site) -> None:
    """SOURCE may be the folder one edits in; what is not committed yet is not in force."""
    folder = bare.root / "work"
    (folder / "definitions").mkdir(parents=True)
    bare.own_source = folder
    subprocess.run(["git", "init", "--quiet", str(folder)], env=bare.environment, check=True)
    (folder / "opsconductor.yaml").write_text(PROJECT)
    (folder / "definitions" / "all.yaml").write_text("---\n".join([HERE, "\n" + HELLO]))
    bare.git("add", ".")
    bare.git("commit", "--quiet", "-m", "first")
    (folder / "definitions" / "all.yaml").write_text("not even YAML: [")
    bare.up()
    bare.request("one", "jobRef: hello")
    assert bare.ended("hello")[0]["status"]["state"] == "succeeded"
    assert (folder / "definitions" / "all.yaml").read_text() == "not even YAML: ["
    (folder / "definitions" / "all.yaml").write_text("---\n".join([HERE, "\n" + HELLO, "\n" + FAILS]))
    bare.git("commit", "--quiet", "-am", "second")
    bare.in_force()
    bare.request("two", "jobRef: fails")
    assert bare.ended("fails")[0]["status"]["state"] == "failed"


@pytest.mark.slow
def test_what_was_due_while_the_engine_was_away_is_decided_once(site: Make) -> None:
    """Every due instant is accounted for: after a stop, `catchUp: latest` runs the newest and records the others."""
    here = site({"hello.yaml": HELLO, "often.yaml": schedule("often", "hello", "every: 2s, catchUp: {policy: latest}")})
    here.up()
    here.ended("hello")
    assert here.daemons[0].stop() == 0
    here.stays(lambda: here.head(STATUS), seconds=45)
    here.up()
    known = len(here.runs("hello"))
    here.ended("hello", known + 3)
    here.daemons[-1].stop()
    seconds: list[int] = []
    for run in here.runs("hello"):
        seconds.append(int(instant(run["spec"]["cause"]["instant"]).timestamp()))
    skipped: list[int] = []
    for path, text in here.tree().items():
        if path.startswith("decisions/"):
            skipped += _instants_of(text, every=2)
    assert sorted(seconds + skipped) == list(range(min(seconds), max(seconds) + 1, 2))


def _instants_of(decisions: str, *, every: int) -> list[int]:
    import yaml

    found: list[int] = []
    for record in yaml.safe_load(decisions)["decisions"]:
        first, last = (int(instant(record[end]).timestamp()) for end in ("from", "to"))
        these = list(range(first, last + 1, every))
        assert len(these) == record["count"], record
        found += these
    return found


@pytest.mark.slow
def test_an_engine_that_was_away_starts_a_one_time_schedule_late(site: Make) -> None:
    """`at` that came while nothing ran is caught up within its window."""
    when = soon(15)  # time enough to take the commit in before
    here = site({"hello.yaml": HELLO, "party.yaml": schedule("party", "hello", f"at: {when}")})
    assert here.once().returncode == 0
    assert here.runs("hello") == []
    here.stays(lambda: here.head(REQUESTS), seconds=(instant(when) - datetime.now(UTC)).total_seconds() + 1)
    again = here.once()
    assert again.returncode == 0, again.stderr
    (run,) = here.runs("hello")
    assert instant(run["spec"]["cause"]["instant"]) == instant(when)
