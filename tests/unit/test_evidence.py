"""What is read of a status branch about one instant, from branches as the publisher writes them."""

import subprocess
from datetime import date, datetime
from pathlib import Path

import pytest

from engine.identity import Cause, run_id
from engine.schedules.decide import Skips
from engine.states import RunState
from engine.status.readmodel import decision_files, run_files, sync_file, to_yaml
from engine.status.views import RunView, SyncView
from opsconductor.evidence import Evidence
from schemas.quantities import parse_instant

DAY = date(2026, 6, 1)
ME = ("-c", "user.name=a", "-c", "user.email=a@b.example")


def at(text: str) -> datetime:
    return parse_instant(f"2026-06-01T{text}:00Z")


class Branch:
    """A status branch that grows commit by commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "status")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(self.folder), *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def publish(self, files: dict[str, str]) -> None:
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.git("add", "-A")
        self.git(*ME, "commit", "-q", "--allow-empty", "-m", "status [skip ci]")

    def skips(self, applied: str, *skips: Skips) -> None:
        sync = to_yaml(sync_file(SyncView(applied=applied)))
        self.publish({"sync.yaml": sync, **decision_files(DAY, skips)})

    def evidence(self) -> Evidence:
        return Evidence(self.folder / ".git", self.git("rev-parse", "HEAD"))


@pytest.fixture
def branch(tmp_path: Path) -> Branch:
    return Branch(tmp_path)


def held(until: str, count: int) -> Skips:
    return Skips("held", at("08:00"), at(until), count, "suspended")


def test_a_skip_belongs_to_the_commit_that_was_in_force_when_it_was_published(branch: Branch) -> None:
    """The record grows with each commit, and other commits come into force: its beginning tells."""
    branch.skips("a" * 40)
    branch.skips("b" * 40, held("08:00", 1))
    for hour in range(9, 20):
        branch.skips("c" * 40, held(f"{hour:02}:00", hour - 7))
    skip, commit = branch.evidence().skip_of(("held",), at("12:00")) or (None, None)
    assert (skip, commit) == (held("19:00", 12), "b" * 40)


def test_a_record_of_another_day_or_schedule_is_found_or_left_out(branch: Branch) -> None:
    branch.skips("b" * 40, Skips("held", at("08:00"), parse_instant("2026-06-20T08:00:00Z"), 480, "suspended"))
    evidence = branch.evidence()
    assert evidence.skip_of(("held",), parse_instant("2026-06-10T08:00:00Z")) is not None
    assert evidence.skip_of(("former", "held"), at("09:00")) is not None
    assert evidence.skip_of(("other",), at("09:00")) is None
    assert evidence.skip_of(("held",), parse_instant("2026-06-21T08:00:00Z")) is None
    assert evidence.skip_of(("held",), at("07:00")) is None
    assert evidence.oldest() == DAY


def test_a_run_is_found_by_its_cause_whatever_its_job_is_called(branch: Branch) -> None:
    cause = Cause("schedule", "nightly", at("02:30"))
    views = [
        RunView(run_id("tidy", cause), "tidy", "d" * 40, cause, RunState.SUCCEEDED, at("02:31")),
        RunView(run_id("tidy", Cause("request", "nightly", at("02:30"))), "tidy", "d" * 40,
                Cause("request", "nightly", at("02:30")), RunState.FAILED, at("02:31")),
    ]  # fmt: skip
    branch.publish({path: text for view in views for path, text in run_files(view).items()})
    evidence = branch.evidence()
    ran = evidence.run_of(("nightly",), at("02:30"))
    assert ran is not None
    assert (ran.id, ran.state, ran.commit, ran.queued_at) == (views[0].id, "succeeded", "d" * 40, at("02:31"))
    assert evidence.run_of(("nightly",), at("02:31")) is None
    assert evidence.run_of(("other",), at("02:30")) is None


@pytest.mark.parametrize("text", ["", "- 1", "kind: Decision", "\x00", "a: &a [*a]", "kind: Run\nspec: 7\n"])
def test_files_that_nobody_of_us_wrote_count_as_missing(branch: Branch, text: str) -> None:
    run = "runs/2026/06/01/held-20260601T080000Z-0123456789.yaml"
    paths = ["sync.yaml", "schedules/held.yaml", run, "runs/notes.txt"]
    paths += [f"decisions/{name}.yaml" for name in ("2026/06/01", "2026/06/held", "x/y", "20xx/99/99")]
    branch.publish(dict.fromkeys(paths, f"# held\n{text}"))
    evidence = branch.evidence()
    assert (evidence.sync(), evidence.clock("held")) == (None, None)
    assert evidence.run_of(("held",), at("08:00")) is None
    assert evidence.skip_of(("held",), at("08:00")) is None
    assert evidence.oldest() in (None, DAY)


def test_an_empty_branch_says_nothing(branch: Branch) -> None:
    branch.publish({})
    evidence = branch.evidence()
    assert (evidence.oldest(), evidence.clock("s"), evidence.run_of(("s",), at("08:00"))) == (None, None, None)
