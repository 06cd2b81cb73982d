"""What was decided of schedules goes into the journal: runs, skips and clocks in one change, or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.identity import RunId
from engine.judge import Launch
from engine.runs.refused import PlanRefused
from engine.schedules.decide import Decided, Due, ScheduleClock, Skips
from journal import runs, schedules, standing
from reconciler.launches import new_run

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Behind:
    """Another process has decided the schedule up to `until`: decide again from there."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded of a decision: what came to a run, and what was skipped, also for what was in its way."""

    runs: tuple[RunId, ...]
    skips: tuple[Skips, ...]


@dataclass(frozen=True, slots=True)
class Deciding:
    """What was decided for one schedule, from `clock` on, and what it starts; it is not recorded yet."""

    name: str
    mark: str
    clock: ScheduleClock
    decided: Decided
    launches: tuple[tuple[Due, Launch | PlanRefused], ...]
    next: datetime | None
    """The due instant after these."""


def _enqueue(tx: Connection, new: runs.NewRun, now: datetime) -> runs.Enqueue:
    """Of all that one window puts off, only so many are recorded as can start or wait when it ends."""
    other = standing.crowd(tx, new) if runs.there(tx, new.cause) is None else None
    return runs.enqueue(tx, new, now) if other is None else runs.Overlap(other)


def record_all(
    tx: Connection, everyone: Sequence[Deciding], catalog: Catalog, now: datetime
) -> "list[Recorded | Behind]":
    """Enqueue what runs, turn what cannot into a skip, and move the clocks: all or nothing."""
    # Another process may have decided meanwhile: what it skipped must not run, and what it did not see be lost.
    untils = schedules.considered_untils(tx, [one.name for one in everyone])
    ours = [one for one in everyone if untils.get(one.name, one.clock.considered_until) <= one.clock.considered_until]
    launches = [(one, due, launch) for one in ours for due, launch in one.launches if isinstance(launch, Launch)]
    launches.sort(key=lambda each: (each[1].instant, each[0].name))  # places are given in the order of due instants
    results = runs.enqueue_all(tx, [new_run(launch, catalog) for _, _, launch in launches], now, one=_enqueue)
    enqueued: dict[str, dict[datetime, RunId]] = {one.name: {} for one in ours}
    for (one, due, launch), result in zip(launches, results, strict=True):
        if not isinstance(result, runs.Overlap):
            enqueued[one.name][due.instant] = launch.run
    kept = {one.name: _as_it_was_recorded(one, enqueued[one.name]) for one in ours}
    _keep(tx, [(one, kept[one.name], enqueued[one.name]) for one in ours], untils, now)
    return [
        Recorded(tuple(enqueued[one.name].values()), kept[one.name].skips)
        if one.name in kept
        else Behind(untils[one.name])
        for one in everyone
    ]


def _as_it_was_recorded(one: Deciding, enqueued: Mapping[datetime, RunId]) -> Decided:
    """The decision, where what did not come to a run is a skip."""
    skips = list(one.decided.skips)
    for due, launch in one.launches:
        if isinstance(launch, PlanRefused):
            log.warning("nothing to run", schedule=one.name, instant=due.instant.isoformat(), why=launch.message)
            skips.append(Skips(one.name, due.instant, due.instant, 1, "noTargets"))
        elif due.instant not in enqueued:
            skips.append(Skips(one.name, due.instant, due.instant, 1, "overlap"))
    kept = tuple(due for due in one.decided.runs if due.instant in enqueued)
    return replace(one.decided, runs=kept, skips=tuple(sorted(skips, key=lambda skip: skip.first)))


def _keep(
    tx: Connection,
    found: Sequence[tuple[Deciding, Decided, Mapping[datetime, RunId]]],
    known: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Record the decisions, and move the clocks; one that another process has forgotten begins again where we are."""
    schedules.record_all(tx, [(decided, enqueued) for one, decided, enqueued in found if one.name in known], now)
    schedules.move_clocks(
        tx, {one.name: (one.mark, decided.considered_until) for one, decided, _ in found if one.name in known}
    )
    for one, decided, enqueued in found:
        if one.name not in known:
            schedules.record(tx, decided, enqueued, now)
            schedules.put_clock(tx, one.name, fingerprint=one.mark, considered_until=decided.considered_until)
