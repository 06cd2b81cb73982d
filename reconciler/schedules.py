"""Schedules: what is due is decided once, and enqueued in the transaction that says so."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import structlog
from engine.planning import PlanRefused
from journal.points import reach
from journal.store import Journal
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.decide import Decided, Due, ScheduleClock, Skips, decide, fingerprint, next_due
from engine.identity import RunId
from engine.judge import Launch, scheduled
from journal import runs, schedules
from reconciler.launches import new_run

log = structlog.get_logger(__name__)


class Schedules:
    """Keeps the clocks of the active schedules in memory, and every decision in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._catalog: Catalog | None = None
        self._clocks: dict[str, ScheduleClock] = {}
        self._due: dict[str, datetime | None] = {}

    @property
    def next_due(self) -> datetime | None:
        """The earliest instant at which something is to be decided."""
        return min((instant for instant in self._due.values() if instant is not None), default=None)

    async def adopt(self, catalog: Catalog, now: datetime) -> None:
        """Go over to another catalog: a schedule that is new, or whose time changed, is considered from `now` on.

        The caller decides under the former catalog first, so that no instant lies between the two.
        """
        stored = await self._journal.read(schedules.clocks)
        kept: dict[str, ScheduleClock] = {}
        fresh: dict[str, str] = {}
        for name, schedule in catalog.schedules.items():
            mark = fingerprint(schedule)
            names = (name, *schedule.metadata.previous_names)
            old = next((stored[known] for known in names if known in stored), None)
            if old is not None and old.fingerprint == mark:
                kept[name] = ScheduleClock(old.considered_until, old.lost_until)
            else:
                fresh[name] = mark
        renamed = {name for name in kept if name not in stored}
        gone = [name for name in stored if name not in catalog.schedules]

        def change(tx: Connection) -> None:
            for name, mark in fresh.items():
                schedules.start_clock(
                    tx, name, fingerprint=mark, job=catalog.schedules[name].spec.job_ref or "", now=now
                )
            for name in renamed:
                schedules.rename_clock(tx, catalog.schedules[name].metadata.previous_names, name)
            schedules.drop_clocks(tx, gone)

        if fresh or renamed or gone:
            await self._journal.write(change)
        self._catalog = catalog
        self._clocks = {**kept, **{name: ScheduleClock(now) for name in fresh}}
        self._due = {name: self._next_of(name, self._clocks[name].considered_until) for name in self._clocks}

    async def decide(self, now: datetime) -> int:
        """Decide everything that is due; gives the number of runs that were enqueued. A quiet look costs nothing."""
        catalog = self._catalog
        if catalog is None:
            return 0
        started = 0
        for name in [name for name, due in self._due.items() if due is not None and due <= now]:
            started += await self._decide_one(name, catalog, now)
        return started

    async def _decide_one(self, name: str, catalog: Catalog, now: datetime) -> int:
        project = catalog.project.spec
        decided = decide(
            name,
            catalog.schedules[name].spec,
            self._clocks[name],
            now,
            zone_default=project.defaults.time_zone,
            suspended=project.suspend,
        )
        launches = [(due, scheduled(catalog, name, due.instant)) for due in decided.runs]
        reach("schedule.decided")
        outcome = await self._journal.write(lambda tx: _record(tx, name, decided, launches, catalog, now))
        reach("schedule.enqueued")
        self._clocks[name] = replace(self._clocks[name], considered_until=decided.considered_until)
        self._due[name] = self._next_of(name, decided.considered_until)
        for run in outcome:
            log.info("run enqueued", run=run, schedule=name)
        for skip in decided.skips:
            log.info("due instants skipped", schedule=name, reason=skip.reason, count=skip.count)
        return len(outcome)

    def _next_of(self, name: str, after: datetime) -> datetime | None:
        assert self._catalog is not None
        zone = self._catalog.project.spec.defaults.time_zone
        return next_due(self._catalog.schedules[name].spec, after, zone_default=zone)


def _record(
    tx: Connection,
    name: str,
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
            skips.append(Skips(name, due.instant, due.instant, 1, "noTargets"))
            continue
        result = runs.enqueue(tx, new_run(launch, catalog), now)
        if isinstance(result, runs.Overlap):
            skips.append(Skips(name, due.instant, due.instant, 1, "overlap"))
        else:
            enqueued[due.instant] = launch.run
    kept = tuple(due for due in decided.runs if due.instant in enqueued)
    ordered = tuple(sorted(skips, key=lambda skip: skip.first))
    schedules.record(tx, replace(decided, runs=kept, skips=ordered), enqueued, now)
    return tuple(enqueued.values())
