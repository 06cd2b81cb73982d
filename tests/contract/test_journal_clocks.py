"""Clocks of many schedules at once, and clocks that were ahead of the time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, event
from structlog.testing import capture_logs

from engine.identity import RunId
from engine.schedules.decide import Decided, Due, Skips
from engine.status.views import DecisionView
from journal import outbox, schedules, setback
from journal.schedules import ClockRow
from tests.contract.conftest import Desk

DAY = datetime(2026, 11, 21, tzinfo=UTC)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def skips(first: int, last: int, reason: str = "missed", name: str = "nightly") -> Decided:
    """An hourly schedule's."""
    return Decided((), (Skips(name, at(first), at(last), last - first + 1, reason),), at(last))  # type: ignore[arg-type]


def ran(*hours: int, name: str = "nightly") -> tuple[Decided, dict[datetime, RunId]]:
    runs = {at(hour): RunId(f"{name}-{hour}") for hour in hours}
    return Decided(tuple(Due(name, instant) for instant in runs), (), at(max(hours))), runs


async def news(desk: Desk) -> Sequence[tuple[str, str]]:
    """What was announced since the last time."""
    batch = await desk.see(outbox.pending, "status")
    await desk.do(outbox.advance, "status", batch.last_seq)
    told: Sequence[tuple[str, str]] = batch.objects
    return told


# --- many at once ---------------------------------------------------------------------------------------------------


async def test_clocks_are_set_together(desk: Desk) -> None:
    """New ones and known ones; who is not among them stays, and so does what was decided."""
    first = {name: ClockRow("a", at(0), at(1)) for name in ("nightly", "hourly", "weekly")}
    await desk.do(schedules.put_clocks, first)
    await desk.do(schedules.record, *ran(1), at(1))
    assert await news(desk) == (("schedule", "nightly"), ("schedule", "hourly"), ("schedule", "weekly"))
    changed = {"nightly": ClockRow("b", at(2), at(3), at(4)), "daily": ClockRow("c", at(5), at(6))}
    await desk.do(schedules.put_clocks, changed)
    assert await news(desk) == (("schedule", "nightly"), ("schedule", "daily"))
    last = DecisionView("nightly", at(1), "run", None, "nightly-1")
    expected = first | changed | {"nightly": replace(changed["nightly"], last=last)}
    assert await desk.see(schedules.clocks) == expected
    await desk.do(schedules.put_clocks, {})
    assert await news(desk) == ()


async def test_clocks_move_on_together(desk: Desk) -> None:
    """From where each began; the loss is over, and nothing is announced."""
    await desk.do(schedules.put_clocks, {name: ClockRow("a", at(0), at(1), at(2)) for name in ("x", "y", "z")})
    await news(desk)
    await desk.do(schedules.move_clocks, {"x": ("b", at(3)), "y": ("c", at(4)), "unknown": ("d", at(5))})
    assert await desk.see(schedules.clocks) == {
        "x": ClockRow("b", at(0), at(3)),
        "y": ClockRow("c", at(0), at(4)),
        "z": ClockRow("a", at(0), at(1), at(2)),
    }
    await desk.do(schedules.move_clocks, {})
    assert await news(desk) == ()


async def test_it_is_known_of_many_up_to_when_they_are_decided(desk: Desk) -> None:
    """Of more than a statement takes; who has no clock is left out."""
    await desk.do(schedules.put_clocks, {"s1": ClockRow("a", at(0), at(1)), "s4321": ClockRow("a", at(0), at(2))})
    asked = [f"s{number}" for number in range(40_000)]
    assert await desk.see(schedules.considered_untils, asked) == {"s1": at(1), "s4321": at(2)}
    assert await desk.see(schedules.considered_untils, ()) == {}


async def test_decisions_of_many_schedules_are_kept_together(desk: Desk) -> None:
    """As one by one: skips go on where they stopped, and what is decided stays as it is."""
    names = ("nightly", "hourly", "new")
    await desk.do(schedules.put_clocks, {name: ClockRow("a", at(0), at(0)) for name in names})
    await desk.do(schedules.record, skips(1, 2), {}, at(2))
    await desk.do(schedules.record, *ran(1, 2, name="hourly"), at(2))
    every = ((skips(3, 4), {}), (skips(2, 3, name="hourly"), {}), (skips(3, 3, "window", name="new"), {}))
    await desk.do(schedules.record_all, every, at(4))
    assert await desk.see(schedules.day, DAY.date()) == (
        Skips("nightly", at(1), at(4), 4, "missed"),
        Skips("new", at(3), at(3), 1, "window"),
    )
    assert [one.instant for one in await desk.see(schedules.decided, "hourly")] == [at(2), at(1)]
    last = {name: clock.last for name, clock in (await desk.see(schedules.clocks)).items()}
    assert last == {
        "nightly": DecisionView("nightly", at(4), "skipped", "missed", None),
        "hourly": DecisionView("hourly", at(2), "run", None, "hourly-2"),
        "new": DecisionView("new", at(3), "skipped", "window", None),
    }


# --- a clock that was ahead -----------------------------------------------------------------------------------------


def hourly_until(first: datetime) -> tuple[datetime, int]:
    """The last instant up to five o'clock, and how many there are from the first."""
    return at(5), int((at(5) - first) / timedelta(hours=1)) + 1


async def test_a_clock_that_is_set_back_takes_back_skips_of_what_has_not_come(desk: Desk) -> None:
    """Runs stay: they were there. So do the decisions of other schedules."""
    for name in ("nightly", "other"):
        await desk.do(
            schedules.put_clock, name, fingerprint="a", considered_from=at(0), considered_until=at(40), lost_until=at(9)
        )
        await desk.do(schedules.record, skips(1, 2, "window", name=name), {}, at(40))
        await desk.do(schedules.record, skips(3, 8, name=name), {}, at(40))
        await desk.do(schedules.record, *ran(9, name=name), at(40))
        await desk.do(schedules.record, skips(26, 30, name=name), {}, at(40))
    await news(desk)
    await desk.do(setback.set_back, ("nightly",), at(5.5), hourly_until)
    assert await news(desk) == (("decision", "2026-11-21"), ("decision", "2026-11-22"), ("schedule", "nightly"))
    left = {
        name: [skip for skip in await desk.see(schedules.day, DAY.date()) if skip.schedule == name]
        for name in ("nightly", "other")
    }
    assert left == {
        "nightly": [Skips("nightly", at(1), at(2), 2, "window"), Skips("nightly", at(3), at(5), 3, "missed")],
        "other": [Skips("other", at(1), at(2), 2, "window"), Skips("other", at(3), at(8), 6, "missed")],
    }
    assert [skip.schedule for skip in await desk.see(schedules.day, at(24).date())] == ["other"]
    assert (await desk.see(schedules.decision, "nightly", at(9))).run == "nightly-9"
    assert await desk.see(schedules.decision, "nightly", at(6)) is None
    found = await desk.see(schedules.clocks)
    clock = found["nightly"]
    assert (clock.considered_from, clock.considered_until, clock.lost_until) == (at(0), at(5.5), None)
    assert (found["other"].considered_until, found["other"].lost_until) == (at(40), at(9))


async def test_a_clock_that_began_ahead_begins_where_it_is_set_back_to(desk: Desk) -> None:
    await desk.do(schedules.put_clock, "nightly", fingerprint="a", considered_until=at(40))
    await desk.do(setback.set_back, ("nightly",), at(5), hourly_until)
    clock = (await desk.see(schedules.clocks))["nightly"]
    assert (clock.considered_from, clock.considered_until) == (at(5), at(5))


async def test_what_nobody_can_count_is_shared_evenly(desk: Desk) -> None:
    """By whatever definition it was made: what it began before the clock did is of a former one."""
    for name in ("nightly", "other"):
        await desk.do(schedules.put_clock, name, fingerprint="a", considered_from=at(4), considered_until=at(9))
        await desk.do(schedules.record, skips(1, 9, name=name), {}, at(9))
    await desk.do(setback.set_back, ("nightly",), at(5.5), lambda _: (at(1), 100))
    await desk.do(setback.set_back, ("other",), at(5), None)
    assert await desk.see(schedules.day, DAY.date()) == (
        Skips("nightly", at(1), at(5), 5, "missed"),
        Skips("other", at(1), at(5), 5, "missed"),
    )


async def test_what_was_skipped_under_former_names_is_taken_back_and_no_clock_goes_forward(desk: Desk) -> None:
    await desk.do(schedules.put_clock, "hourly", fingerprint="a", considered_from=at(0), considered_until=at(4))
    await desk.do(schedules.record, skips(1, 4), {}, at(4))
    await desk.do(schedules.record, skips(6, 9), {}, at(4))
    names = ("hourly", "nightly")
    assert sorted(await desk.see(setback.skipped_beyond, (*names, "other"), at(5))) == [("nightly", at(1))]
    await desk.do(setback.set_back, names, at(5), hourly_until)
    assert await desk.see(schedules.day, DAY.date()) == (Skips("nightly", at(1), at(5), 5, "missed"),)
    assert (await desk.see(schedules.clocks))["hourly"].considered_until == at(4)


async def test_skips_of_two_definitions_are_two_records(desk: Desk) -> None:
    await desk.do(schedules.put_clock, "nightly", fingerprint="a", considered_until=at(0))
    await desk.do(schedules.record, skips(1, 2), {}, at(2))
    await desk.do(schedules.put_clock, "nightly", fingerprint="b", considered_from=at(2), considered_until=at(2))
    await desk.do(schedules.record, skips(3, 4), {}, at(4))
    await desk.do(schedules.record, skips(5, 5), {}, at(5))
    assert await desk.see(schedules.day, DAY.date()) == (
        Skips("nightly", at(1), at(2), 2, "missed"),
        Skips("nightly", at(3), at(5), 3, "missed"),
    )


async def test_a_clock_says_its_newest_decision_that_has_come(desk: Desk) -> None:
    """Where the newest of all is a run of a clock that was ahead."""
    for name in ("nightly", "hourly"):
        await desk.do(schedules.put_clock, name, fingerprint="a", considered_from=at(1), considered_until=at(5))
        await desk.do(schedules.record, *ran(9, 8, name=name), at(9))
    await desk.do(schedules.record, skips(3, 4), {}, at(4))
    clocks = await desk.see(schedules.clocks)
    assert {name: (clock.mark, clock.last.instant) for name, clock in clocks.items()} == {
        "nightly": (at(4), at(9)),
        "hourly": (at(1), at(9)),
    }
    await desk.do(schedules.move_clocks, {"nightly": ("a", at(9))})
    assert (await desk.see(schedules.clocks))["nightly"].mark is None


async def test_a_run_of_an_instant_that_is_recorded_as_skipped_is_said(desk: Desk) -> None:
    await desk.do(schedules.record, skips(1, 4), {}, at(4))
    with capture_logs() as said:
        await desk.do(schedules.record, *ran(3), at(4))
    assert [(one["log_level"], one["schedule"], one["run"]) for one in said] == [("warning", "nightly", "nightly-3")]
    assert (await desk.see(schedules.decision, "nightly", at(3))).decision == "skipped"


async def test_what_ran_ahead_of_its_time_is_known(desk: Desk) -> None:
    """Of schedules that have a clock, and only what is beyond it."""
    for name in ("nightly", "hourly", "even"):
        await desk.do(schedules.put_clock, name, fingerprint="a", considered_until=at(9))
        await desk.do(schedules.record, *ran(1, 9, 8, name=name), at(9))
    await desk.do(schedules.record, *ran(9, name="without"), at(9))
    assert await desk.see(setback.ran_ahead) == {}
    await desk.do(setback.set_back, ("nightly",), at(5), hourly_until)
    await desk.do(setback.set_back, ("hourly",), at(8), hourly_until)
    assert await desk.see(setback.ran_ahead) == {"nightly": (at(8), at(9)), "hourly": (at(9),)}


async def test_what_ran_under_a_former_name_is_known(desk: Desk) -> None:
    """Of names that have no clock any more, after the instant that is given for each."""
    await desk.do(schedules.record, *ran(1, 9, 8, name="nightly"), at(9))
    await desk.do(schedules.record, *ran(2, name="hourly"), at(9))
    found = await desk.see(setback.ran_after, {"nightly": at(7), "hourly": at(2), "never": at(0)})
    assert found == {"nightly": (at(8), at(9))}


async def test_what_ran_is_not_read_from_a_clock_on_that_lags(desk: Desk) -> None:
    """Where one schedule was held for a year, the others' runs of that year are nobody's question."""
    await desk.do(schedules.record, *ran(9, name="nightly"), at(9))
    asked: list[str] = []

    def after(conn: Connection) -> object:
        event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2]))
        return setback.ran_after(conn, {"nightly": at(8), "hourly": at(9), "lags": at(8) - timedelta(days=365)})

    assert await desk.see(after) == {"nightly": (at(9),)}
    assert len(asked) == 2, "the one that lags is asked for alone"


async def test_what_ran_and_was_accounted_for_elsewhere_is_taken_back(desk: Desk) -> None:
    await desk.do(schedules.record, *ran(1, 2), at(2))
    await desk.do(schedules.take_back, RunId("nightly-1"))
    assert [one.instant for one in await desk.see(schedules.decided, "nightly")] == [at(2)]
