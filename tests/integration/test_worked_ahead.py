"""What is worked out before it is due is what would be decided when it is due, whatever the clock does."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

import reconciler.schedules
from engine.catalog import Catalog
from engine.schedules.decide import decide
from journal import schedules as schedules_of_journal
from journal.clock import SystemClock
from journal.databases.tables import decisions, runs
from journal.store import Journal
from reconciler.schedules import Schedules
from tests.catalogs import catalog, job, local_target

T0 = datetime(2026, 11, 21, 11, 57, 30, tzinfo=UTC)
KINDS = {
    "often": "every: 20s",
    "minutely": "cron: '* * * * *', timeZone: Europe/Chisinau",
    "late": "cron: '* * * * *', timeZone: UTC, jitter: 40s",
    "noon": "cron: '0 12 * * *', timeZone: UTC, catchUp: {policy: none}",
    "never-late": "cron: '*/2 * * * *', timeZone: UTC, catchUp: {policy: none}",
    "held": "every: 1m, suspend: {reason: a rest, until: 2026-11-21T12:01:10Z}",
    "over": "every: 30s, endAt: 2026-11-21T12:02:00Z",
    "days": "every: 1m, calendars: {except: [rest]}",
    "walled": "every: 1m, catchUp: {policy: all, window: 1h, max: 3}",
}
REST = "kind: Calendar\nmetadata: {name: rest}\nspec: {dates: [2026-11-22]}\n"
WALL = (
    "kind: Window\nmetadata: {name: wall}\n"
    "spec: {effect: deny, from: 2026-11-21T12:00:30Z, until: 2026-11-21T12:01:30Z, timeZone: UTC,\n"
    "  jobs: {names: [walled]}, blocked: defer}\n"
)


def _catalog() -> Catalog:
    where = "  targets: {names: [here]}\n  concurrency: {onConflict: allow}\n"
    jobs = {name: "walled" if name == "walled" else "greet" for name in KINDS}
    schedules = [
        f"kind: Schedule\nmetadata: {{name: {name}}}\nspec: {{jobRef: {jobs[name]}, {when}}}\n"
        for name, when in KINDS.items()
    ]
    return catalog(local_target("here"), job("greet", spec=where), job("walled", spec=where), REST, WALL, *schedules)


def _walk(chance: random.Random) -> list[datetime]:
    """Some looks in time, some late, one after minutes, one after the clock was set back."""
    now, found = T0, []
    for _ in range(60):
        now += timedelta(seconds=chance.choice([1, 2, 5, 9, 20, 31, 150, -40] if chance.random() < 0.3 else [1, 3, 10]))
        found.append(now)
    return found


def _recorded(conn: Connection) -> list[str]:
    rows = [str(row[1:]) for row in conn.execute(select(decisions))]
    return sorted(rows) + sorted(str(row) for row in conn.execute(select(runs.c.id, runs.c.due_at, runs.c.state)))


@pytest.mark.parametrize("seed", range(4))
async def test_it_is_what_would_be_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    asked: list[datetime] = []

    def counted(name: str, spec: Any, since: Any, now: datetime, **more: Any) -> Any:
        asked.append(now)
        return decide(name, spec, since, now, **more)

    monkeypatch.setattr(reconciler.schedules, "decide", counted)
    definitions, walk = _catalog(), _walk(random.Random(seed))
    found, when_due = {}, {}
    for ahead in (True, False):
        journal = Journal.open(f"sqlite:///{tmp_path / f'{ahead}.sqlite3'}", clock=SystemClock())
        schedules = Schedules(journal)
        await schedules.adopt(definitions, T0)
        when_due[ahead] = 0
        for now in walk:
            if ahead:
                await _ahead(schedules, now - timedelta(seconds=1))
            asked.clear()
            await schedules.decide(now)
            when_due[ahead] += len(asked)
        found[ahead] = await journal.read(_recorded)
        await journal.close()

    assert found[True] == found[False]
    assert len(found[True]) > 50
    assert when_due[True] < when_due[False], "nothing was worked out ahead"


async def test_what_was_worked_out_is_for_its_time_and_its_clock_alone(tmp_path: Path) -> None:
    """A machine that slept starts nothing hours late, and what another process has decided is not decided again."""
    definitions = _catalog()
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)

    async def of(name: str, instant: datetime) -> tuple[str, str | None] | None:
        found = await journal.read(lambda conn: schedules_of_journal.decision(conn, name, instant))
        return found and (found.decision, found.reason)

    slept = Schedules(journal)
    await slept.adopt(definitions, T0)
    await _ahead(slept, noon - timedelta(seconds=10))
    await slept.decide(noon + timedelta(hours=5))
    assert await of("noon", noon) == ("skipped", "missed")

    tomorrow = noon + timedelta(days=1)
    await _ahead(slept, tomorrow - timedelta(seconds=10))
    other = Schedules(journal)
    await other.adopt(definitions, tomorrow - timedelta(seconds=9))
    await other.decide(tomorrow + timedelta(seconds=40))
    assert await slept.decide(tomorrow + timedelta(seconds=20)) == 0
    assert await of("noon", tomorrow) == ("skipped", "missed")
    await journal.close()


async def _ahead(schedules: Schedules, now: datetime) -> None:
    while schedules.work_ahead(now) < 1:
        pass


async def test_other_definitions_forget_what_was_worked_out(tmp_path: Path) -> None:
    """A job that another commit has changed runs as that commit says."""
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    schedules = Schedules(journal)
    due = "kind: Schedule\nmetadata: {name: often}\nspec: {jobRef: greet, every: 1m, priority: PRIORITY}\n"
    before, after = (
        catalog(local_target("here"), job("greet", spec="  targets: {names: [here]}\n"), due.replace("PRIORITY", level))
        for level in ("1", "2")
    )
    await schedules.adopt(before, T0)
    await _ahead(schedules, T0)
    await schedules.adopt(after, T0)
    await schedules.decide(T0 + timedelta(minutes=1))

    assert await journal.read(lambda conn: conn.execute(select(runs.c.priority)).scalars().all()) == [2]
    await journal.close()
