"""What becomes of the clocks of schedules when a catalog comes into force. Pure: what the journal holds is told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from engine.catalog import Catalog
from engine.schedules.decide import fingerprint, restarts
from journal.schedules import ClockRow
from journal.setback import Kept
from reconciler.setbacks import Setback, kept_until
from schemas.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of a schedule's document, which is the same in many commits."""

    document: Schedule
    zone: str | None
    suspended: bool
    mark: str


Readings = Mapping[str, Reading]
"""By the names of the schedules in force."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What the journal is to hold: the clocks that are `wanted`, of which those `changed` are otherwise in it."""

    readings: Readings
    wanted: Mapping[str, ClockRow]
    changed: Mapping[str, ClockRow]
    gone: tuple[str, ...]
    """Clocks that it is to forget."""
    ahead: tuple[Setback, ...]
    """Clocks that were ahead of the time: they are to be set back first."""
    unknown: Mapping[str, Setback]
    """By each of its names, what it has no clock of: where it has records ahead of the time, these are set back too."""


def planned(catalog: Catalog, stored: Mapping[str, ClockRow], before: Readings, now: datetime) -> Adoption:
    """A schedule that is new, or whose time changed, is considered from `now` on; a renamed one keeps its clock.

    `before` is what was in force, decided up to `now`.
    """
    readings: dict[str, Reading] = {}
    wanted: dict[str, ClockRow] = {}
    ahead: list[Setback] = []
    kept: set[str] = set()
    unknown: dict[str, Setback] = {}
    for name, document in catalog.live_schedules.items():
        reading = readings[name] = _read(document, catalog, before.get(name))
        names = (name, *catalog.former_names("Schedule", name))
        known = next((old for old in names if old in stored), None)
        clock = wanted[name] = _clock(name, known, reading.mark, stored, before, now)
        if known is None:
            unknown.update(dict.fromkeys(names, Setback(names)))
            continue
        kept.add(known)
        if clock.considered_until < stored[known].considered_until:
            ahead.append(Setback(names, left_of(before, known, now)))
    gone = tuple(name for name in stored if name not in wanted)
    removed = [name for name in gone if name not in kept and stored[name].considered_until > now]
    ahead += _removed(catalog, before, removed, now)
    changed = {name: clock for name, clock in wanted.items() if stored.get(name) != clock}
    return Adoption(readings, wanted, changed, gone, tuple(ahead), unknown)


def left_of(readings: Readings, name: str, now: datetime) -> Kept | None:
    """What is left of the records of a schedule up to `now`; None where nobody knows how it was defined."""
    read = readings.get(name)
    return None if read is None else kept_until(read.document.spec, now, read.zone)


def _read(document: Schedule, catalog: Catalog, known: Reading | None) -> Reading:
    project = catalog.project.spec
    zone, suspended = project.defaults.time_zone, project.suspend
    if known is not None and known.document is document and (known.zone, known.suspended) == (zone, suspended):
        return known
    return Reading(document, zone, suspended, fingerprint(document.spec, zone_default=zone, suspended=suspended))


def _clock(
    name: str, known: str | None, mark: str, stored: Mapping[str, ClockRow], before: Readings, now: datetime
) -> ClockRow:
    """Of a schedule that the journal knows under a name, or not at all."""
    if known is None or restarts(stored[known].fingerprint, mark, now):
        # What was decided beyond `now`, before the clock was set back, is taken back: an instant has one decision.
        # Where nobody knows by which definition it was decided, it stays, and the new one begins after it.
        begins = now if known is None or known in before else max(now, stored[known].considered_until)
        return ClockRow(fingerprint=mark, considered_from=begins, considered_until=begins, lost_until=None)
    if known == name:
        return replace(stored[known], fingerprint=mark)
    # What was decided is known under the former name alone: the new one is published as decided up to here.
    taken = stored[known]
    return replace(taken, fingerprint=mark, considered_from=taken.considered_until, last=None, mark=None)


def _removed(catalog: Catalog, before: Readings, names: Iterable[str], now: datetime) -> Iterator[Setback]:
    """By all names that they had and nobody else has: `catalog` does not know them any more, but its ledger does."""
    whose = catalog.names.whose("Schedule")
    for name in names:
        read = before.get(name)
        said = read.document.metadata.previous_names if read else ()
        former = dict.fromkeys((*(old for old in said if not _is_others(catalog, old, name)), *whose.get(name, ())))
        yield Setback((name, *(old for old in former if old not in catalog.schedules)), left_of(before, name, now))


def _is_others(catalog: Catalog, old: str, name: str) -> bool:
    last = catalog.names.last("Schedule", old)
    return last is not None and last.today != name
