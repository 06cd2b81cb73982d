"""Why, asked of a repository whose definitions went on since: the commit of the time answers, where it is there."""

import subprocess
from pathlib import Path

import pytest

from engine.identity import Cause, run_id
from engine.states import RunState
from engine.status.readmodel import run_files, schedule_path, schedule_status, sync_file, to_yaml
from engine.status.views import DecisionView, RunView, ScheduleView, SyncView
from opsconductor.inquiry import Inquiry
from schemas.quantities import parse_instant
from tests.catalogs import HEAD, PROJECT, local_target
from tests.planned import job, schedule

STATUS = "opsconductor/status"
RAN = parse_instant("2026-06-01T00:30:00Z")
NOW = parse_instant("2026-06-02T12:00:00Z")


class Repository:
    """Definitions on main, status on its branch, by plain git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        words = ["git", "-C", str(self.folder), "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()

    def define(self, *documents: str) -> str:
        (self.folder / "definitions").mkdir(exist_ok=True)
        (self.folder / "opsconductor.yaml").write_text(PROJECT)
        text = "---\n".join(HEAD + one for one in (local_target("here"), job("work", "{names: [here]}"), *documents))
        (self.folder / "definitions" / "all.yaml").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def publish(self, files: dict[str, str]) -> None:
        self.git("checkout", "-q", "--orphan", STATUS)
        self.git("rm", "-rqf", ".")
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "status")
        self.git("checkout", "-q", "main")

    def ask(self) -> Inquiry:
        return Inquiry.open(str(self.folder), remote=None, branch="main", offline=False, now=NOW)


def nightly(name: str, hour: int, metadata: str = "") -> str:
    return schedule(name, "work", f'cron: "30 {hour} * * *", timeZone: Europe/Berlin', metadata)


def status(applied: str, ran: str, by: str, name: str = "nightly", former: tuple[str, ...] = ()) -> dict[str, str]:
    cause = Cause("schedule", by, RAN)
    run = RunView(run_id("work", cause), "work", ran, cause, RunState.SUCCEEDED, RAN)
    clock = ScheduleView(
        name,
        "work",
        "f",
        parse_instant("2026-05-01T00:00:00Z"),
        DecisionView(name, RAN, "run", run=run.id),
        former_names=former,
    )
    return {
        "sync.yaml": to_yaml(sync_file(SyncView(applied=applied))),
        schedule_path(name): to_yaml(schedule_status(clock)),
        **run_files(run),
    }


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_the_rule_is_that_of_the_commit_which_decided(repository: Repository) -> None:
    old = repository.define(nightly("nightly", 2))
    new = repository.define(nightly("nightly", 3))
    repository.publish(status(new, old, "nightly"))
    inquiry = repository.ask()
    ran, following = inquiry.last_and_next("nightly")
    assert (ran.decision, ran.rule, ran.commit) == ("run", 'cron: "30 2 * * *" in Europe/Berlin', old)
    assert (following.decision, following.rule, following.commit) == (
        "pending", 'cron: "30 3 * * *" in Europe/Berlin', new,
    )  # fmt: skip


def test_a_run_under_a_former_name_is_found(repository: Repository) -> None:
    old = repository.define(nightly("before", 2))
    new = repository.define(nightly("nightly", 2, ", previousNames: [before]"))
    repository.publish(status(new, old, "before"))
    assert repository.ask().answer("nightly", RAN).decision == "run"


@pytest.mark.parametrize("known", [False, True])
def test_a_run_under_an_earlier_name_is_found_by_what_the_engine_knows(repository: Repository, known: bool) -> None:
    """The document says the last of its names alone; the status says all that its journal knows."""
    old = repository.define(nightly("first", 2))
    repository.define(nightly("before", 2, ", previousNames: [first]"))
    new = repository.define(nightly("nightly", 2, ", previousNames: [before]"))
    repository.publish(status(new, old, "first", former=("before", "first") if known else ()))
    assert (repository.ask().answer("nightly", RAN).decision == "run") == known


def test_the_rule_is_that_of_the_name_by_which_it_was_decided(repository: Repository) -> None:
    """Another schedule had the present name then."""
    old = repository.define(nightly("first", 2), nightly("nightly", 5))
    repository.define(nightly("first", 2))
    new = repository.define(nightly("nightly", 3, ", previousNames: [first]"))
    repository.publish(status(new, old, "first"))
    found = repository.ask().answer("nightly", RAN)
    assert (found.decision, found.rule) == ("run", 'cron: "30 2 * * *" in Europe/Berlin')


def test_what_is_in_force_answers_for_the_future_not_what_lies_on_disk(repository: Repository) -> None:
    old = repository.define(nightly("nightly", 2))
    repository.define(nightly("nightly", 3), nightly("fresh", 5))
    repository.publish(status(old, old, "nightly"))
    inquiry = repository.ask()
    assert inquiry.answer("nightly", parse_instant("2026-06-03T00:30:00Z")).decision == "willRun"
    fresh = inquiry.answer("fresh", parse_instant("2026-06-03T03:30:00Z"))
    assert (fresh.decision, fresh.commit) == ("notConsidered", "the files on disk; not in force")
    assert fresh.why == ("the schedule is not in force: its commit is not accepted yet",)


def test_without_the_commit_in_force_the_files_on_disk_answer_and_say_so(repository: Repository) -> None:
    repository.define(nightly("nightly", 2))
    repository.publish(status("f" * 40, "e" * 40, "nightly"))
    ran = repository.ask().answer("nightly", RAN)
    assert (ran.decision, ran.commit) == ("run", "e" * 40)
    future = repository.ask().answer("nightly", parse_instant("2026-06-03T00:30:00Z"))
    assert future.commit == "the files on disk, since it is not known what is in force"


def test_a_schedule_that_is_gone_is_still_known_by_what_it_did(repository: Repository) -> None:
    old = repository.define(nightly("nightly", 2))
    new = repository.define()
    repository.publish(status(new, old, "nightly"))
    inquiry = repository.ask()
    assert inquiry.knows("nightly") and not inquiry.knows("nobody")
    assert inquiry.answer("nightly", RAN).rule == 'cron: "30 2 * * *" in Europe/Berlin'


def test_before_any_engine_nothing_is_known_and_that_is_said(repository: Repository) -> None:
    repository.define(nightly("nightly", 2))
    said = repository.ask().answer("nightly", RAN)
    assert (said.decision, said.why) == ("unknown", ("no engine has published any status here",))
