"""Floods, hangs, full disks: a clear message, bounded time and memory, nothing lost."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import HERE, Site, credential, instant, job, schedule, ssh_target, steps_of
from tests.openssh import OpenSsh

Make = Callable[..., Site]

HELLO = job("hello", "- {id: greet, run: echo hello}")


def memory(pid: int) -> int:
    """The largest resident memory that a process has had, in MiB."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


@pytest.mark.slow
def test_a_flood_is_bounded(bare: Site, openssh: OpenSsh) -> None:
    """100 MB of output on two targets: the run ends, the log is capped and says so, memory and git stay small."""
    (bare.secrets / "key").touch(mode=0o600)
    (bare.secrets / "key").write_text(openssh.private_key)
    flood = """
        - id: flood
          run: 'head -c 100000000 /dev/zero | tr "\\0" x; echo; echo the-end; exit 1'
          continueOnError: true
        - {id: lines, run: 'yes line | head -c 20000000'}
    """
    bare.create({
        "here.yaml": HERE,
        "remote.yaml": ssh_target("remote", openssh),
        "key.yaml": credential("key", "type: ssh, from: {file: key}"),
        "flood.yaml": job("flood", flood, "targets: {names: [here, remote]}"),
    })  # fmt: skip
    daemon = bare.up()
    before = memory(daemon.pid)
    run = bare.asked("flood", "jobRef: flood", timeout=120)
    assert run["status"]["state"] == "succeeded", run
    for target in ("here", "remote"):
        step = steps_of(run, target)["flood"]
        assert (step["state"], step["exitCode"]) == ("failed", 1)
        assert len(step["stdoutTail"].encode()) <= 2048
        assert "the-end" in step["stdoutTail"], "the tail is the end of the output"
    assert memory(daemon.pid) - before < 150
    for log in bare.state.rglob("*flood*.log"):
        assert log.stat().st_size < 100_000_000
        with log.open("rb") as file:
            file.seek(-200, 2)
            assert b"the log ends here" in file.read()
    assert max(len(text) for text in bare.tree().values()) < 64 * 1024


@pytest.mark.slow
def test_a_journal_damaged_meanwhile_ends_the_engine_with_a_clear_message(bare: Site) -> None:
    """Exit 1 and what to do next, without a crash report; with a run under way on two targets as well."""
    bare.create({"here.yaml": HERE, "there.yaml": HERE.replace("name: here", "name: there")})
    waits = f"- {{id: wait, run: 'until [ -e {bare.effects}/go ]; do sleep 0.1; done'}}"
    bare.commit({"waits.yaml": job("waits", waits, "targets: {names: [here, there]}")})
    daemon = bare.up()
    bare.request("now", "jobRef: waits")
    bare.running("waits")
    for file in bare.state.glob("journal.sqlite3*"):
        if not file.name.endswith("-shm"):
            file.write_bytes(os.urandom(file.stat().st_size))
    (bare.effects / "go").touch()
    assert daemon.ended() == 1
    assert "damaged or not a database" in daemon.stderr
    assert "restore it from a backup" in daemon.stderr
    assert "Traceback" not in daemon.stderr
    assert "bug" not in daemon.stderr


@pytest.mark.slow
def test_a_hanging_step_holds_nobody_else(site: Make) -> None:
    """While one job hangs, others run, commits are taken in, and status is published."""
    here = site({"hello.yaml": HELLO, "hangs.yaml": job("hangs", "- {id: h, run: sleep 600}")})
    here.up()
    here.request("hang", "jobRef: hangs")
    here.running("hangs")
    here.asked("meanwhile", "jobRef: hello")
    commit = here.commit({"more.yaml": job("more", "- run: echo more")})
    here.in_force(commit)
    here.asked("more", "jobRef: more")
    assert here.runs("hangs")[0]["status"]["state"] == "running"


@pytest.mark.slow
def test_a_step_that_closes_its_output_and_stays_is_ended_by_its_timeout(site: Make) -> None:
    """A background child that keeps the pipes open does not hold the run for ever."""
    here = site({
        "stays.yaml": job("stays", "- {id: s, timeout: 3s, run: 'sleep 600 & exit 0'}"),
        "closes.yaml": job("closes", "- {id: s, timeout: 2s, run: 'exec >&- 2>&-; sleep 600'}"),
    })  # fmt: skip
    here.up()
    here.request("a", "jobRef: stays")
    here.request("b", "jobRef: closes")
    assert here.ended("closes")[0]["status"]["state"] == "timedOut"
    (run,) = here.ended("stays")
    took = instant(run["status"]["finishedAt"]) - instant(run["status"]["startedAt"])
    assert took.total_seconds() < 20


@pytest.mark.slow
def test_binary_output_is_harmless(site: Make) -> None:
    """Bytes that are no text, terminal controls, YAML syntax: kept out of the way of files and pages."""
    nasty = r"""
        - id: nasty
          shell: python3
          run: |
            import sys
            sys.stdout.buffer.write(bytes(range(256)) + b"\x1b]0;title\x07\x1b[31m\n---\n- a: [}\n")
            sys.stdout.buffer.write(b"| <script>alert(1)</script> |")
            sys.exit(1)
    """
    here = site({"nasty.yaml": job("nasty", nasty)})
    here.up()
    run = here.asked("nasty", "jobRef: nasty")
    step = steps_of(run)["nasty"]
    assert "alert(1)" in step["stdoutTail"]
    text = next(text for path, text in here.tree().items() if path.startswith("runs/"))
    assert "\x1b" not in text
    assert "\0" not in text
    assert "<script>" not in here.text("README.md")
    shown = here.run("logs", run["metadata"]["name"])
    assert shown.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB. Needs root, as containers have it."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@pytest.mark.slow
def test_a_full_disk_is_said_and_survived(site: Make, small_disk: Path) -> None:
    """No room for the store: a message that names the folder; with room again it goes on, nothing lost or doubled."""
    here = site({
        "note.yaml": job("note", "- run: 'echo x >> EFFECTS'"),
        "often.yaml": schedule("often", "note", "every: 1s"),
    })  # fmt: skip
    here.commit({"note.yaml": job("note", f"- run: 'echo \"${{{{ run.id }}}}\" >> {here.effects}/note'")})
    state = small_disk / "engine"
    daemon = here.up("--state", str(state))
    here.wait(lambda: len(here.left("note")) >= 2, what="two effects")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    here.request("during", "jobRef: note")
    here.wait(lambda: "disk" in daemon.stderr and str(state) in daemon.stderr, what="word of the full disk", timeout=60)
    assert "Traceback" not in daemon.stderr
    filler.unlink()
    if not daemon.running:
        assert daemon.process.returncode == 1
        daemon = here.start("--state", str(state))
    answer = here.answered("during", timeout=90)
    # a scheduled run that already waits is what the request would have asked for
    assert answer["state"] == "done" or answer["reason"] == "overlap", answer
    known = len(here.left("note"))
    here.wait(lambda: len(here.left("note")) >= known + 2, what="two more effects", timeout=60)
    assert daemon.stop() == 0
    lines = here.left("note")
    assert len(lines) == len(set(lines)), "no run had its effect twice"
    assert here.sync()["engine"]["closed"]


@pytest.mark.slow
def test_a_repository_that_vanishes_and_returns(site: Make) -> None:
    """While the source is away runs go on from the last good commit; when it is back, everything is published."""
    here = site({
        "note.yaml": job("note", "- run: 'echo x >> EFFECTS'"),
        "often.yaml": schedule("often", "note", "every: 2s"),
    })  # fmt: skip
    here.commit({"note.yaml": job("note", f"- run: 'echo x >> {here.effects}/note'")})
    daemon = here.up()
    here.wait(lambda: here.left("note"), what="an effect")
    away = here.root / "away.git"
    here.source.rename(away)
    known = len(here.left("note"))
    here.own_source = away
    here.wait(lambda: len(here.left("note")) >= known + 3, what="effects without the source")
    here.wait(lambda: "definitions.git" in daemon.stderr.split("Ctrl-C stops")[-1], what="word of the missing source")
    here.own_source = None
    shutil.move(away, here.root / "definitions.git")
    here.wait(lambda: len(here.runs("note")) >= known + 3, what="the runs published", timeout=90)
    assert daemon.running
    assert daemon.stop() == 0


@pytest.mark.slow
def test_a_damaged_mirror_is_made_again(site: Make) -> None:
    """The mirror is a cache: a restart on a damaged one goes on."""
    here = site({"hello.yaml": HELLO})
    here.up()
    here.asked("one", "jobRef: hello")
    assert here.daemons[0].stop() == 0
    for path in (here.state / "mirror.git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"rubbish")
    here.up()
    here.asked("two", "jobRef: hello")
    assert len(here.runs("hello")) == 2
