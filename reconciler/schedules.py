"""Schedules: what is due is decided once, and enqueued in the transaction that says so."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from engine.admission import Admissions
from engine.catalog import Catalog
from engine.decide import Decided, Due, ScheduleClock, Skips, decide, fingerprint, next_due, restarts
from engine.identity import RunId
from engine.judge import Launch, scheduled
from engine.refused import PlanRefused
from engine.views import ScheduleView
from journal import runs, schedules, standing
from journal.schedules import ClockRow
from journal.store import Journal
from reconciler.agenda import Agenda
from reconciler.launches import new_run
from schemas.schedule import ScheduleSpec, Suspension

log = structlog.get_logger(__name__)

_AT_ONCE = 256
"""Schedules that are decided together."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Behind:
    """Another process has decided the schedule up to `until`: decide again from there."""

    until: datetime


class Schedules:
    """Keeps the clocks of the active schedules in memory, and every decision in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._catalog: Catalog | None = None
        self._admissions: Admissions | None = None
        self._clocks: dict[str, ScheduleClock] = {}
        self._agenda = Agenda({})

    @property
    def next_due(self) -> datetime | None:
        """The earliest instant at which something is to be decided."""
        return self._agenda.earliest

    def soonest(self, count: int) -> tuple[tuple[datetime, str], ...]:
        """The next due instants, each with its schedule: one a schedule. May be asked from another thread."""
        return self._agenda.first(count)

    @property
    def admissions(self) -> Admissions | None:
        """What calendars and windows say, in force."""
        return self._admissions

    def view(self, name: str, clock: ClockRow) -> ScheduleView | None:
        """The clock of a schedule with what the definitions say of it; None where it is not defined any more."""
        catalog = self._catalog  # once: this is called from the journal's reader, and the loop may adopt another
        schedule = catalog.schedules.get(name) if catalog else None
        if schedule is None or catalog is None:
            return None
        return ScheduleView(
            name=name,
            job=schedule.spec.job_ref or schedule.spec.workflow_ref or "",
            fingerprint=clock.fingerprint,
            considered_from=clock.considered_from,
            last=clock.last,
            next_due=_next(catalog, name, max(clock.considered_from, clock.last.instant if clock.last else _LONG_AGO)),
            suspended=_suspension(schedule.spec, project=catalog.project.spec.suspend),
        )

    async def adopt(
        self, catalog: Catalog, now: datetime, *, also: Callable[[Connection], None] = lambda _: None
    ) -> None:
        """Go over to another catalog: a schedule that is new, or whose time changed, is considered from `now` on.

        The caller decides under the former catalog first, so that no instant lies between the two. A renamed schedule
        keeps its clock. `also` is written in the same transaction.
        """
        stored = await self._journal.read(schedules.clocks)
        wanted = {name: self._clock_for(name, catalog, stored, now) for name in catalog.live_schedules}
        changed = {name: clock for name, clock in wanted.items() if stored.get(name) != clock}
        gone = [name for name in stored if name not in wanted]

        def change(tx: Connection) -> None:
            schedules.put_clocks(tx, changed)
            for name in gone:
                schedules.forget(tx, name)
            also(tx)

        await self._journal.write(change)
        # What is in force still is due when it was: most commits change few of many schedules.
        still = {name for name in self._clocks if name in wanted and name not in changed}
        self._catalog, self._admissions = catalog, Admissions(catalog)
        self._clocks = {name: ScheduleClock(row.considered_until, row.lost_until) for name, row in wanted.items()}
        self._agenda = Agenda(
            {
                name: self._agenda.of(name) if name in still else self._next_of(name, clock.considered_until)
                for name, clock in self._clocks.items()
            }
        )

    def _clock_for(self, name: str, catalog: Catalog, stored: Mapping[str, ClockRow], now: datetime) -> ClockRow:
        mark = self._mark(name, catalog)
        names = (name, *catalog.schedules[name].metadata.previous_names)
        old = next((stored[known] for known in names if known in stored), None)
        if old is None or restarts(old.fingerprint, mark, now):
            return ClockRow(fingerprint=mark, considered_from=now, considered_until=now, lost_until=None)
        return replace(old, fingerprint=mark)

    async def decide(self, now: datetime) -> int:
        """Decide everything that is due; gives the number of runs that were enqueued. A quiet look costs nothing."""
        catalog = self._catalog
        if catalog is None:
            return 0
        due, started = self._agenda.until(now), 0
        for first in range(0, len(due), _AT_ONCE):
            started += await self._decide_together(due[first : first + _AT_ONCE], catalog, now)
        return started

    async def _decide_together(self, names: Sequence[str], catalog: Catalog, now: datetime) -> int:
        """Changes that wait at one time share a transaction of the journal; they are made in the order of the names."""
        every = (self._decide_one(name, catalog, now) for name in names)
        outcomes = await asyncio.gather(*every, return_exceptions=True)  # none goes on behind our back
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome for outcome in outcomes if isinstance(outcome, int))

    async def _decide_one(self, name: str, catalog: Catalog, now: datetime) -> int:
        while isinstance(outcome := await self._decide_from(self._clocks[name], name, catalog, now), _Behind):
            self._clocks[name] = replace(self._clocks[name], considered_until=outcome.until)
        return outcome

    async def _decide_from(self, clock: ScheduleClock, name: str, catalog: Catalog, now: datetime) -> "int | _Behind":
        project = catalog.project.spec
        assert self._admissions is not None
        decided = decide(
            name,
            catalog.schedules[name].spec,
            clock,
            now,
            zone_default=project.defaults.time_zone,
            suspended=project.suspend,
            admission=self._admissions.of(name),
        )
        launches = [(due, _launch(catalog, due)) for due in decided.runs]
        mark = self._mark(name, catalog)

        def change(tx: Connection) -> "tuple[RunId, ...] | _Behind":
            # Another process may have decided meanwhile: what it skipped must not run, and what it did not see be lost.
            until = schedules.considered_until(tx, name)
            if until is not None and until > clock.considered_until:
                return _Behind(until)
            return _record(tx, name, mark, decided, launches, catalog, now)

        outcome = await self._journal.write(change)
        if isinstance(outcome, _Behind):
            return outcome
        self._clocks[name] = replace(clock, considered_until=decided.considered_until)
        self._agenda.set(name, self._next_of(name, decided.considered_until))
        for run in outcome:
            log.info("run enqueued", run=run, schedule=name)
        for skip in decided.skips:
            log.info("due instants skipped", schedule=name, reason=skip.reason, count=skip.count)
        return len(outcome)

    def _mark(self, name: str, catalog: Catalog) -> str:
        project = catalog.project.spec
        spec = catalog.schedules[name].spec
        return fingerprint(spec, zone_default=project.defaults.time_zone, suspended=project.suspend)

    def _next_of(self, name: str, after: datetime) -> datetime | None:
        assert self._catalog is not None
        return _next(self._catalog, name, after)


def _launch(catalog: Catalog, due: Due) -> Launch | PlanRefused:
    launch = scheduled(catalog, due.schedule, due.instant)
    return launch if isinstance(launch, PlanRefused) else replace(launch, starts_at=due.starts_at)


def _next(catalog: Catalog, name: str, after: datetime) -> datetime | None:
    return next_due(catalog.schedules[name].spec, after, zone_default=catalog.project.spec.defaults.time_zone)


def _suspension(spec: ScheduleSpec, *, project: bool) -> str | None:
    if project:
        return "the whole project is suspended"
    match spec.suspend:
        case Suspension(reason=reason):
            return reason
        case True:
            return ""
        case _:
            return None


def _crowded(tx: Connection, new: runs.NewRun) -> runs.Overlap | None:
    """Of all that one window puts off, only so many as can start or wait when it ends."""
    other = standing.crowd(tx, new) if runs.there(tx, new.cause) is None else None
    return None if other is None else runs.Overlap(other)


def _record(
    tx: Connection,
    name: str,
    mark: str,
    decided: Decided,
    launches: Iterable[tuple[Due, Launch | PlanRefused]],
    catalog: Catalog,
    now: datetime,
) -> tuple[RunId, ...]:
    """Enqueue what runs, turn what cannot into a skip, and move the clock: all or nothing."""
    enqueued: dict[datetime, RunId] = {}
    skips = list(decided.skips)
    for due, launch in launches:
        if isinstance(launch, PlanRefused):
            log.warning("nothing to run", schedule=name, instant=due.instant.isoformat(), why=launch.message)
            skips.append(Skips(name, due.instant, due.instant, 1, "noTargets"))
            continue
        new = new_run(launch, catalog)
        result = crowded if (crowded := _crowded(tx, new)) is not None else runs.enqueue(tx, new, now)
        if isinstance(result, runs.Overlap):
            skips.append(Skips(name, due.instant, due.instant, 1, "overlap"))
        else:
            enqueued[due.instant] = launch.run
    kept = tuple(due for due in decided.runs if due.instant in enqueued)
    ordered = tuple(sorted(skips, key=lambda skip: skip.first))
    schedules.record(tx, replace(decided, runs=kept, skips=ordered), enqueued, now)
    schedules.put_clock(tx, name, fingerprint=mark, considered_until=decided.considered_until)
    return tuple(enqueued.values())
