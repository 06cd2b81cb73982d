"""Groups and their places: the rule alone, without a journal."""

import pytest

from engine.expressions.expression import ExpressionError
from engine.judge import Launch, scheduled
from engine.runs.concurrency import Demand, Holder, InTheWay, Replace, Slot, Waiter, free, named, place
from engine.runs.planning import plan_run
from engine.runs.refused import PlanRefused
from schemas.quantities import parse_instant
from tests.planned import NOW, tree

HELD = (Holder(0, "a", 1),)
WAITING = (Waiter("b", 2),)


@pytest.mark.parametrize(
    ("conflict", "alone", "held", "with_one_waiting"),
    [
        ("skip", Slot(0), InTheWay("a"), InTheWay("a")),
        ("fail", Slot(0), InTheWay("a"), InTheWay("a")),
        ("queueOne", Slot(0), None, InTheWay("b")),
        ("queue", Slot(0), None, None),
        ("cancelRunning", Slot(0), Replace(("a",)), Replace(("a", "b"))),
        ("allow", Slot(None), Slot(None), Slot(None)),
    ],
)
def test_what_becomes_of_a_run_whose_time_has_come(conflict, alone, held, with_one_waiting) -> None:
    demand = Demand(conflict)
    assert place(demand, (), ()) == alone
    assert place(demand, HELD, ()) == held
    assert place(demand, HELD, WAITING) == with_one_waiting


def test_who_was_told_to_end_is_not_told_again_and_keeps_his_place() -> None:
    assert place(Demand("cancelRunning"), (Holder(0, "a", 1, leaving=True),), ()) is None


def test_as_many_may_wait_as_max_queue_says() -> None:
    assert place(Demand("queue", most_waiting=2), HELD, WAITING) is None
    assert place(Demand("queue", most_waiting=1), HELD, WAITING) == InTheWay("b")


def test_a_free_place_is_for_the_next_in_line() -> None:
    assert place(Demand("queue", limit=2), HELD, WAITING) is None
    assert place(Demand("queue", limit=2, priority=1), HELD, WAITING) == Slot(1)


@pytest.mark.parametrize(("limit", "taken", "number"), [(1, (), 0), (2, (1,), 0), (1, (1,), None), (3, (0, 2), 1)])
def test_no_more_are_taken_than_the_limit_says_whichever_they_are(limit, taken, number) -> None:
    assert free(limit, taken) == number


# --- names ---

EACH = """kind: Job
metadata: {name: vacuum}
spec:
  params: {database: {type: string}, shard: {type: integer, default: 3}}
  concurrency: {group: "db-${{ params.database }}-${{ params.shard }}", limit: 2}
  steps: [{uses: dummy}]
"""
EVERY = """kind: Schedule
metadata: {name: s}
spec: {jobRef: vacuum, every: 1h, jitter: 10m, params: {database: "a b"}}
"""


def test_a_group_is_named_by_the_params_of_the_run() -> None:
    catalog = tree(EACH, EVERY).catalog
    assert catalog is not None
    launch = scheduled(catalog, "s", NOW)
    assert isinstance(launch, Launch)
    assert launch.membership is not None
    assert launch.membership.group == "db-a b-3"


@pytest.mark.parametrize("database", ["x\ny", "x" * 300])
def test_a_name_that_nobody_could_read_is_refused(database: str) -> None:
    catalog = tree(EACH).catalog
    assert catalog is not None
    refused = plan_run(catalog, catalog.jobs["vacuum"], params={"database": database})
    assert isinstance(refused, PlanRefused)
    assert refused.reason == "badParams"
    assert refused.message.startswith("concurrency.group: ")


def test_a_group_without_a_name_is_none() -> None:
    with pytest.raises(ExpressionError):
        named("${{ params.database }}", {"database": None})
    assert named("a${{ params.database }}", {"database": None}) == "a"


def test_a_scheduled_run_starts_after_its_jitter_and_is_named_by_its_instant() -> None:
    catalog = tree(EACH, EVERY).catalog
    assert catalog is not None
    starts = [scheduled(catalog, "s", parse_instant(f"2026-03-28T{hour:02}:00:00Z")) for hour in range(24)]
    late = [one.starts_at - one.cause.instant for one in starts if isinstance(one, Launch) and one.starts_at]
    assert len(late) == 24
    assert len({span.total_seconds() for span in late}) > 12, "they are spread"
    assert all(0 <= span.total_seconds() < 600 for span in late)
