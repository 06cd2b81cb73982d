"""Events in the journal: decided once, in order, whoever decides and how often; two with one key are one."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import reconciler.triggers
from engine import triggers as rules
from journal import events, runs
from journal.clock import SystemClock
from journal.errors import Unavailable
from journal.events import EventKind, EventRow, NewEvent
from journal.store import Journal
from reconciler.beside import hear_events
from reconciler.triggers import IN_A_ROW, Triggers
from schemas.quantities import format_instant
from tests.catalogs import catalog

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
JOB = """\
kind: Job
metadata: {name: deploy}
spec:
  params: {version: {type: string}}
  concurrency: {onConflict: allow}
  steps: [{uses: dummy}]
"""
KEY = "kind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}}\n"
TRIGGER = """\
kind: Trigger
metadata: {name: t}
spec:
  event: {webhook: {credentialRef: key}}
  jobRef: deploy
  params: {version: "${{ event.version }}"}
  dedupe: {key: "${{ event.version }}", window: 10m}
"""


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield opened
    await opened.close()


def given(at: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: at


async def _came(
    journal: Journal, key: str, event: Mapping[str, Any], at: datetime = AT, *, kind: EventKind = "webhook"
) -> str:
    new = NewEvent("t", key, kind, at, payload=json.dumps(event).encode())
    return await journal.write(lambda tx: events.receive(tx, new))


async def _events(journal: Journal, limit: int = 15) -> list[EventRow]:
    return sorted(await journal.read(lambda conn: events.recent(conn, "t", limit)), key=lambda event: event.seq)


def _deciding(journal: Journal) -> Triggers:
    found = Triggers(journal)
    found.active = catalog(JOB, KEY, TRIGGER)
    return found


async def test_many_deciders_at_once_start_one_run_an_event(journal: Journal) -> None:
    """Two engines, a pass and a wake: the journal says who was first."""
    for number in range(5):
        assert await _came(journal, f"k{number}", {"version": f"v{number}"}) == "new"
    deciders = [_deciding(journal) for _ in range(4)]
    await asyncio.gather(*(one.decide(given(AT)) for one in deciders for _ in range(3)))
    found = await _events(journal)
    assert [event.state for event in found] == ["started"] * 5
    assert len({event.run for event in found}) == 5
    assert len(await journal.read(runs.open_runs)) == 5
    left = [await journal.read(lambda conn, seq=event.seq: events.payload(conn, seq)) for event in found]
    assert left == [None] * 5


async def test_two_events_with_one_key_within_the_window_are_one(journal: Journal) -> None:
    """From the arrival of the one that started a run; after the window the key counts again."""
    deciding = _deciding(journal)
    for key, minutes in (("a", 0), ("b", 9), ("c", 11)):
        await _came(journal, key, {"version": "v1"}, AT + timedelta(minutes=minutes))
        await deciding.decide(given(AT + timedelta(minutes=minutes)))
    found = await _events(journal)
    assert [(event.state, event.reason) for event in found] == [
        ("started", None),
        ("ignored", "duplicate"),
        ("started", None),
    ]
    assert found[1].run == found[0].run


async def test_a_renamed_trigger_remembers_what_came(journal: Journal) -> None:
    """Deliveries, dedupe keys, and what waited when it was renamed."""
    deciding = _deciding(journal)
    await _came(journal, "first", {"version": "v1"})
    await deciding.decide(given(AT))
    await _came(journal, "waits", {"version": "v2"})
    renamed = catalog(JOB, KEY, TRIGGER.replace("name: t", "name: t2, previousNames: [t]"))
    await journal.write(lambda tx: deciding.adopt(tx, renamed, (), AT))
    deciding.active = renamed
    answers = []
    for key in ("first", "again"):
        new = NewEvent("t2", key, "webhook", AT + timedelta(minutes=1), payload=b'{"version": "v1"}')
        answers.append(await journal.write(lambda tx, new=new: events.receive(tx, new)))
    assert answers == ["known", "new"]
    await deciding.decide(given(AT + timedelta(minutes=1)))
    found = await journal.read(lambda conn: events.recent(conn, "t2"))
    assert {event.key: (event.state, event.reason) for event in found} == {
        "first": ("started", None),
        "waits": ("started", None),
        "again": ("ignored", "duplicate"),
    }
    assert not await _events(journal), "nothing is left under the old name"


async def test_what_comes_by_the_former_name_while_it_changes_is_decided_by_the_new_one(journal: Journal) -> None:
    """The receiver goes by the definitions of the moment in which it looks: another commit may be in force by the time
    its event is recorded. What was answered with 202 is not refused then, and what is known starts nothing."""
    deciding = _deciding(journal)
    await _came(journal, "first", {"version": "v1"})
    await deciding.decide(given(AT))
    renamed = catalog(JOB, KEY, TRIGGER.replace("name: t", "name: t2, previousNames: [t]"))
    await journal.write(lambda tx: deciding.adopt(tx, renamed, (), AT))
    deciding.active = renamed
    for key, version in (("first", "v1"), ("second", "v2"), ("third", "v2")):
        await _came(journal, key, {"version": version})
    await deciding.decide(given(AT + timedelta(minutes=1)))
    found = await journal.read(lambda conn: events.recent(conn, "t2"))
    assert {event.key: (event.state, event.reason) for event in found} == {
        "first": ("started", None),
        "second": ("started", None),
        "third": ("ignored", "duplicate"),
    }
    assert len(await journal.read(runs.open_runs)) == 2
    assert not await _events(journal), "nothing is left under the old name"


async def test_an_event_that_trips_over_a_bug_keeps_no_other_from_being_decided(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, and the next one starts its run."""
    real = rules.verdict

    def buggy(*arguments: Any) -> Any:
        if arguments[1].key == "bad":
            raise RuntimeError("a bug")
        return real(*arguments)

    monkeypatch.setattr(rules, "verdict", buggy)
    await _came(journal, "bad", {})
    await _came(journal, "good", {"version": "v1"})
    await _deciding(journal).decide(given(AT))
    assert [(event.state, event.reason) for event in await _events(journal)] == [
        ("refused", "error"),
        ("started", None),
    ]


async def test_what_started_a_run_starts_none_again_when_its_record_is_gone(journal: Journal) -> None:
    """The cause of a run is kept for ever: a delivery that comes again after years finds it."""
    deciding = _deciding(journal)
    await _came(journal, "k", {"version": "v1"})
    await deciding.decide(given(AT))
    (before,) = await _events(journal)
    await journal.write(lambda tx: events.forget(tx, ()))
    assert await _came(journal, "k", {"version": "v1"}, AT + timedelta(days=400)) == "new"
    await deciding.decide(given(AT + timedelta(days=400)))
    (after,) = await _events(journal)
    assert after.run == before.run
    assert len(await journal.read(runs.open_runs)) == 1


async def test_what_started_a_run_under_a_former_name_starts_none_again(journal: Journal) -> None:
    """Also where the record is gone: of a store that was filled from the status branch, or after many others."""
    deciding = _deciding(journal)
    await _came(journal, "k", {"version": "v1"})
    await deciding.decide(given(AT))
    (before,) = await _events(journal)
    await journal.write(lambda tx: events.forget(tx, ()))
    deciding.active = catalog(JOB, KEY, TRIGGER.replace("name: t", "name: t2, previousNames: [t]"))
    for key in ("k", "other"):
        new = NewEvent("t2", key, "webhook", AT + timedelta(days=4), payload=b'{"version": "v1"}')
        await journal.write(lambda tx, new=new: events.receive(tx, new))
    assert await deciding.decide(given(AT + timedelta(days=4)))
    again, other = sorted(await journal.read(lambda conn: events.recent(conn, "t2")), key=lambda event: event.seq)
    assert (again.state, again.run) == ("started", before.run)
    assert (other.state, other.reason, other.run) == ("ignored", "duplicate", before.run)
    assert len(await journal.read(runs.open_runs)) == 1


async def test_of_ends_of_runs_too_only_so_many_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_KEPT", 50)
    for number in range(220):
        await _came(journal, f"run/{number}", {}, kind="run")
        (event,) = await journal.read(lambda conn: events.pending(conn, 1))
        await journal.write(lambda tx, event=event: events.settle(tx, event, "ignored", AT))  # type: ignore[misc]
    kept = await journal.read(lambda conn: events.counts(conn, "t"))
    assert 50 <= kept["ignored"] < 150


async def test_only_so_many_decided_events_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go; what waits stays."""
    monkeypatch.setattr(events, "MOST_KEPT", 50)
    deciding = _deciding(journal)
    for number in range(200):
        await _came(journal, f"k{number}", {"nothing": "of use"})
        if number < 190:
            await deciding.decide(given(AT))
    kept = await journal.read(lambda conn: events.counts(conn, "t"))
    assert kept["refused"] < 50 + 100, "it is looked at with every hundredth"
    assert kept["pending"] == 10


@pytest.mark.parametrize(("blocked", "told"), [("skip", [("refused", "window")]), ("defer", [("started", None)])])
async def test_windows_hold_what_a_trigger_starts(
    journal: Journal, blocked: str, told: list[tuple[str, str | None]]
) -> None:
    """It is no person: `requests: allow`, which is the default, does not let it through."""
    until = AT + timedelta(hours=1)
    times = f"from: {format_instant(AT - timedelta(hours=1))}, until: {format_instant(until)}"
    window = f"kind: Window\nmetadata: {{name: w}}\nspec: {{effect: deny, {times}, blocked: {blocked}}}\n"
    deciding = Triggers(journal)
    deciding.active = catalog(JOB, KEY, TRIGGER, window)
    await _came(journal, "k", {"version": "v1"})
    await deciding.decide(given(AT))
    assert [(event.state, event.reason) for event in await _events(journal)] == told
    ids = tuple(await journal.read(runs.open_runs))
    found = await journal.read(lambda conn: runs.get_all(conn, ids))
    waits = [("waiting", until)] if blocked == "defer" else []
    assert [(str(run.state), run.starts_at) for run in found.values()] == waits


async def test_a_job_that_commits_to_the_paths_of_its_own_trigger_does_not_run_for_ever(journal: Journal) -> None:
    """Each commit comes while the run of the one before is open; whose time between is longer start as ever."""
    trigger = "kind: Trigger\nmetadata: {name: t}\nspec: {event: {definitions: {paths: ['**']}}, jobRef: deploy}\n"
    deciding = Triggers(journal)
    deciding.active = catalog(JOB, trigger)
    for number in range(IN_A_ROW + 1):
        at = AT + timedelta(minutes=number)
        await _came(journal, f"commit/{number}", {"commit": str(number)}, at, kind="definitions")
        await deciding.decide(given(at))
    states = [(event.state, event.reason) for event in await _events(journal, IN_A_ROW + 1)]
    assert states == [("started", None)] * IN_A_ROW + [("refused", "inARow")]
    for run in await journal.read(runs.open_runs):
        await journal.write(partial(runs.cancel, run=run, reason="over", by=None, now=AT + timedelta(hours=1)))
    await _came(journal, "commit/later", {"commit": "x"}, AT + timedelta(hours=2), kind="definitions")
    await deciding.decide(given(AT + timedelta(hours=2)))
    assert (await _events(journal, IN_A_ROW + 2))[-1].state == "started"


async def test_a_window_that_opens_while_many_events_are_decided_counts_from_then_on(journal: Journal) -> None:
    """Each is decided by the time that it is, not by the time when the first one was."""
    deciding = Triggers(journal)
    wall = (
        "kind: Window\nmetadata: {name: wall}\n"
        "spec: {effect: deny, from: 2026-11-21T12:00:10Z, until: 2026-11-21T13:00:00Z, blocked: skip, requests: deny}\n"
    )
    deciding.active = catalog(JOB, KEY, TRIGGER, wall)
    for number in range(20):
        await _came(journal, f"e{number}", {"version": f"v{number}"})
    seconds = iter(range(100))
    await deciding.decide(lambda: AT + timedelta(seconds=next(seconds)))
    assert [event.state for event in await _events(journal, 20)] == ["started"] * 10 + ["refused"] * 10


async def test_between_the_portions_of_many_events_others_have_their_turn(journal: Journal) -> None:
    deciding = _deciding(journal)
    for number in range(120):
        await _came(journal, f"e{number}", {"version": f"v{number}"})
    left = []

    async def between() -> None:
        left.append(len(await journal.read(lambda conn: events.pending(conn, 200))))

    await deciding.decide(given(AT), between=between)
    assert left[-1] == 0
    assert len(left) > 2
    assert left == sorted(left, reverse=True)


async def test_a_key_is_known_within_its_window_whatever_else_comes(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends much that starts nothing makes nobody forget what has started a run."""
    monkeypatch.setattr(events, "MOST_KEPT", 50)
    deciding = _deciding(journal)
    deciding.active = catalog(JOB, KEY, TRIGGER + "  if: \"${{ event.version != 'no' }}\"\n")
    await _came(journal, "first", {"version": "v1"})
    await deciding.decide(given(AT))
    for number in range(220):
        await _came(journal, f"k{number}", {"version": "no"})
    await deciding.decide(given(AT))
    assert (await journal.read(lambda conn: events.counts(conn, "t")))["ignored"] < 50 + 100
    later = AT + timedelta(minutes=1)
    await _came(journal, "again", {"version": "v1"}, later)
    await deciding.decide(given(later))
    assert [(event.key, event.reason) for event in await _events(journal, 1)] == [("again", "duplicate")]


async def test_of_keys_too_only_so_many_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_KEPT", 20)
    for number in range(100):
        await _came(journal, f"k{number}", {"version": f"v{number}"})
    await _deciding(journal).decide(given(AT))
    assert (await journal.read(lambda conn: events.counts(conn, "t")))["started"] <= 40


async def test_whoever_sends_without_a_pause_keeps_nothing_else_waiting(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have their turn after each portion, and what comes meanwhile is left for the next call."""
    monkeypatch.setattr(reconciler.triggers, "_LONGEST", 0)
    for number in range(3):
        await _came(journal, f"k{number}", {"version": f"v{number}"})
    turns = 0

    async def others() -> None:
        nonlocal turns
        turns += 1
        assert turns < 10
        await _came(journal, f"more{turns}", {"version": f"more{turns}"})

    assert await _deciding(journal).decide(given(AT), between=others) == 3
    assert turns == 3
    assert await journal.read(events.waiting) == 3


async def test_nothing_is_decided_while_another_commit_comes_into_force(journal: Journal) -> None:
    deciding = _deciding(journal)
    await _came(journal, "k", {"version": "v1"})
    async with deciding.turn:
        waits = asyncio.create_task(deciding.decide(given(AT)))
        done, _ = await asyncio.wait({waits}, timeout=0.3)
        assert not done
        assert await journal.read(events.waiting) == 1
    assert await waits == 1


async def test_a_backlog_is_decided_after_a_pause_though_nothing_new_comes(journal: Journal) -> None:
    """While it is not known whether the branch is still ours nothing is decided; afterwards all of it is."""
    deciding, asked = _deciding(journal), 0

    def moment() -> datetime:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("not now", timedelta(seconds=0.05))
        return AT

    hearing = asyncio.create_task(hear_events(deciding, journal, moment))
    await _came(journal, "k", {"version": "v1"})
    async with asyncio.timeout(10):
        while await journal.read(events.waiting):
            await asyncio.sleep(0.01)
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)
    assert [event.state for event in await _events(journal)] == ["started"]
