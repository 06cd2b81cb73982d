"""Schedules whose clocks are ahead of the time: what was skipped beforehand is taken back, what ran stays."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.schedules.decide import ScheduleClock
from engine.times import recurrence
from journal import schedules, setback
from journal.setback import Kept
from journal.store import Journal
from schemas.schedule import ScheduleSpec


@dataclass(frozen=True, slots=True)
class Setback:
    """A clock to set back: the names that its schedule has and had, its own first, and what its definition counts.

    `kept` is None where nobody knows by which definition it was decided.
    """

    names: tuple[str, ...]
    kept: Kept | None = None


def kept_until(spec: ScheduleSpec, to: datetime, zone: str | None) -> Kept:
    """What is left, up to `to`, of a record of skips by this definition."""
    return partial(_kept_until, spec, to, zone)


def _kept_until(spec: ScheduleSpec, to: datetime, zone: str | None, first: datetime) -> tuple[datetime, int]:
    span = recurrence.span(spec, first - recurrence.TICK, to, zone_default=zone)
    return (first, 1) if span is None else (max(span.last, first), span.count)


async def counted(journal: Journal, every: Sequence[Setback], to: datetime) -> Sequence[Setback]:
    """The same, counted already: nobody waits for the journal's writer while some odd rule is walked through."""
    owner = {name: one for one in every if one.kept is not None for name in one.names}
    reach = await journal.read(lambda conn: setback.skipped_beyond(conn, owner, to)) if owner else ()
    known: dict[tuple[str, ...], dict[datetime, tuple[datetime, int]]] = {}
    for name, first in reach:
        kept = owner[name].kept
        if kept is not None and first <= to:
            known.setdefault(owner[name].names, {})[first] = await asyncio.to_thread(kept, first)
    return [replace(one, kept=_known(known[one.names], one.kept)) if one.names in known else one for one in every]


def _known(known: Mapping[datetime, tuple[datetime, int]], kept: Kept | None) -> Kept | None:
    """A record that another process has made meanwhile is counted where it is found."""
    return None if kept is None else lambda first: known[first] if first in known else kept(first)


def take_back(tx: Connection, every: Sequence[Setback], to: datetime, catalog: Catalog) -> Mapping[str, ScheduleClock]:
    """Set these clocks of schedules in force back to `to`, and give them as they are from then on."""
    set_back(tx, every, to)
    own = [one.names[0] for one in every]
    stored = schedules.considered_untils(tx, own)
    return with_what_ran(tx, {name: ScheduleClock(stored.get(name, to)) for name in own}, catalog)


def set_back(tx: Connection, every: Sequence[Setback], to: datetime) -> None:
    """Set these clocks back to `to` in the journal, whatever is put in force thereafter."""
    for one in every:
        setback.set_back(tx, one.names, to, one.kept)


def with_what_ran(tx: Connection, clocks: Mapping[str, ScheduleClock], catalog: Catalog) -> Mapping[str, ScheduleClock]:
    """The same clocks, with what runs beyond them by their names, and by those that their schedules had."""
    former = {old: name for name in clocks for old in catalog.former_names("Schedule", name)}
    ran = dict(setback.ran_ahead(tx))
    since = {old: clocks[name].considered_until for old, name in former.items()}
    for old, instants in setback.ran_after(tx, since).items():
        ran[former[old]] = tuple(sorted({*ran.get(former[old], ()), *instants}))
    return {name: replace(clock, ran=ran[name]) if name in ran else clock for name, clock in clocks.items()}
