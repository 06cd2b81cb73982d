"""What is said of an instant, by what is known of it."""

from datetime import date, datetime

import pytest

from engine.schedules.decide import SkipReason, Skips
from engine.schedules.why import Definition, Known, Ran, answer
from engine.status.views import DecisionView, ScheduleView
from schemas.quantities import parse_instant
from schemas.schedule import Schedule

NOW = parse_instant("2026-06-01T12:00:00Z")
BEGAN = parse_instant("2026-05-01T00:00:00Z")
COMMIT = "c" * 40


def at(text: str) -> datetime:
    return parse_instant(f"2026-{text}:00Z")


def definition(commit: str = COMMIT, **fields: object) -> Definition:
    document = {"apiVersion": "opsconductor/v1", "kind": "Schedule", "metadata": {"name": "s"}}
    return Definition(Schedule.model_validate({**document, "spec": {"jobRef": "j", "every": "1h", **fields}}), commit)


def clock(last: datetime | None = None) -> ScheduleView:
    decided = DecisionView("s", last, "run") if last else None
    return ScheduleView("s", "j", "f", BEGAN, decided)


def known(**fields: object) -> Known:
    return Known(**{"name": "s", "now": NOW, "current": definition(), "clock": clock(at("06-01T11:00")), **fields})  # type: ignore[arg-type]


def test_a_run_is_a_fact_and_names_its_commit() -> None:
    ran = Ran("j-1", "failed", "d" * 40, at("06-01T10:00"), "lostTooOften")
    said = answer(known(run=ran), at("06-01T10:00"))
    assert (said.decision, said.commit, said.run) == ("run", "d" * 40, ran)
    assert said.why == ("run j-1 is failed (lostTooOften)", "it was looked at on time")
    assert said.rule == "every: 1h, counted from 1970-01-01T00:00:00Z"


def test_a_run_that_another_kept_out_when_its_time_came_is_a_skip() -> None:
    """A schedule with jitter enqueues before it is known who will be in the way."""
    starts = parse_instant("2026-06-01T10:00:40Z")
    ran = Ran("j-1", "cancelled", COMMIT, at("06-01T10:00"), "overlap", "run k-1 was in its way", starts)
    said = answer(known(run=ran, current=definition(jitter="1m")), at("06-01T10:00"))
    assert (said.decision, said.reason) == ("skipped", "overlap")
    assert said.why[1:] == (
        "run j-1 is cancelled (overlap): run k-1 was in its way",
        "it was looked at on time",
        "it starts 40s later, at 2026-06-01T10:00:40Z: its jitter",
    )


def test_a_run_that_waits_says_for_what() -> None:
    waits = "waits for a place in group web (held by k-1)"
    said = answer(known(run=Ran("j-1", "waiting", COMMIT, at("06-01T10:00"), waits=waits)), at("06-01T10:00"))
    assert said.why[0] == f"run j-1 is waiting: {waits}"


def test_jitter_is_told_beforehand() -> None:
    said = answer(known(current=definition(jitter="30m")), at("06-01T13:00"))
    assert said.decision == "willRun"
    assert said.why[1].endswith(": its jitter")


def test_a_run_that_was_caught_up_says_how_late_and_by_which_rule() -> None:
    said = answer(known(run=Ran("j-1", "succeeded", COMMIT, at("06-01T10:40"))), at("06-01T10:00"))
    assert said.why[1] == "it was looked at 40m late, and still ran by catchUp: {policy: latest, window: 1h}"


@pytest.mark.parametrize(
    ("reason", "fields", "part"),
    [
        ("missed", {"catchUp": {"policy": "none"}}, "was not caught up: catchUp is {policy: none}"),
        ("suspended", {"suspend": {"reason": "holidays"}}, "the schedule was suspended: holidays"),
        ("suspended", {"suspend": {"until": "2026-07-01T00:00:00Z"}}, "suspended until 2026-07-01T00:00:00Z"),
        ("overlap", {}, "concurrency group"),
        ("catchUpMax", {}, "catchUp.max"),
        ("noTargets", {}, "chose no target"),
        ("storeLost", {}, "store was lost"),
        ("window", {}, "window"),
        ("calendar", {}, "calendars"),
    ],
)
def test_each_reason_of_a_skip_has_words(reason: SkipReason, fields: dict[str, object], part: str) -> None:
    skip = Skips("s", at("06-01T08:00"), at("06-01T10:00"), 3, reason)
    said = answer(known(skip=skip, skip_commit="d" * 40, then=definition("d" * 40, **fields)), at("06-01T09:00"))
    assert (said.decision, said.reason, said.commit) == ("skipped", reason, "d" * 40)
    assert part in said.why[0]
    assert "one of 3 instants in a row" in said.why[1]


def test_an_instant_within_a_record_of_skips_that_was_never_due_is_not_due() -> None:
    skip = Skips("s", at("06-01T08:00"), at("06-01T10:00"), 3, "suspended")
    assert answer(known(skip=skip), at("06-01T09:17")).decision == "notDue"


@pytest.mark.parametrize(
    ("fields", "instant", "decision", "part"),
    [
        ({}, "06-01T13:00", "willRun", "it is due then"),
        ({"current": definition(suspend={"reason": "audit"})}, "06-01T13:00", "willSkip", "suspended: audit"),
        ({}, "06-01T12:00", "pending", "the last one is of 2026-06-01T11:00:00Z"),
        ({"published": False, "clock": None}, "06-01T10:00", "unknown", "no engine has published"),
        ({"clock": None}, "06-01T10:00", "notConsidered", "not in force yet"),
        ({}, "05-01T00:00", "notConsidered", "its clock began at 2026-05-01T00:00:00Z"),
        ({"oldest": date(2026, 5, 20)}, "05-02T00:00", "unknown", "its oldest record is of 2026-05-20"),
        ({}, "06-01T10:20", "notDue", "this is 0:20:00 after one of its instants"),
        ({"current": None}, "06-01T10:00", "notDue", "no such schedule"),
    ],
)
def test_without_a_record_it_says_what_is_known_and_no_more(
    fields: dict[str, object], instant: str, decision: str, part: str
) -> None:
    said = answer(known(**fields), at(instant))
    assert said.decision == decision
    assert part in said.why[0]


def test_an_instant_that_is_not_due_has_its_neighbours() -> None:
    said = answer(known(), at("06-01T10:20"))
    assert (said.before, said.after) == (at("06-01T10:00"), at("06-01T11:00"))
