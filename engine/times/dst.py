"""Wall-clock times to instants where clocks change (DEFINITIONS 5). All instants are aware, in UTC."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import heappop, heappush
from typing import Literal
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_ZERO = timedelta(0)
_AROUND = timedelta(minutes=1)
"""Beyond what a change of clocks touches: the first of its instants lies on the edge."""
_NEVER = datetime.min  # noqa: DTZ901 - a wall time has no zone


@dataclass(frozen=True, slots=True)
class Rule:
    """What a clock change does to wall times: those that a gap leaves out, and those that a fold repeats."""

    gap: Literal["next", "skip"] = "next"
    fold: Literal["first", "second", "both"] = "first"


ELAPSED = Rule(gap="skip", fold="both")
"""For times that follow elapsed time: both passes of a repeated hour, nothing shifted in a missing one."""


def offset_at(instant: datetime, where: ZoneInfo) -> timedelta:
    """The zone's offset from UTC at an instant."""
    return instant.astimezone(where).utcoffset() or _ZERO


def steady(after: datetime, until: datetime, where: ZoneInfo) -> Iterator[tuple[datetime, datetime, timedelta | None]]:
    """(after, until] in parts (a, b], in order: each with the offset that its clock keeps, or None around a change.

    Where the offset is known, wall times and instants correspond one to one.
    """
    begin = after
    for change, size in _changes(after - _AROUND - _DAY, until + _AROUND + _DAY, where):
        # before and after it, times repeat or are missing for as long as the clock jumps
        low, high = (min(max(at, begin), until) for at in (change - size - _AROUND, change + size + _AROUND))
        if begin < low:
            yield begin, low, offset_at(low, where)
        if low < high:
            yield low, high, None
        begin = high
    if begin < until:
        yield begin, until, offset_at(until, where)


def changes(after: datetime, until: datetime, where: ZoneInfo) -> Iterator[tuple[datetime, timedelta]]:
    """The instants in (after, until] at which clocks change, oldest first, each with how far they jump.

    Of each year they are worked out once.

    The years lie between 2 and 9998; it counts on no two changes within a day.
    """
    for year in range(after.year, until.year + 1):
        yield from (change for change in _of_year(year, where) if after < change[0] <= until)


@lru_cache(maxsize=4096)
def _of_year(year: int, where: ZoneInfo) -> tuple[tuple[datetime, timedelta], ...]:
    begin, end = (datetime(one, 1, 1, tzinfo=UTC) for one in (year, year + 1))
    return tuple(_changes(begin - _SECOND, end - _SECOND, where))


def _changes(after: datetime, until: datetime, where: ZoneInfo) -> Iterator[tuple[datetime, timedelta]]:
    """The instants at which clocks change, each with how far; as `instants`, it counts on no two within a day."""
    known = offset_at(after, where)
    while after < until:
        ahead = min(after + _DAY, until)
        if (found := offset_at(ahead, where)) != known:
            low, high = 0, int((ahead - after) / _SECOND) + 1
            while low < high:
                middle = (low + high) // 2
                if offset_at(after + middle * _SECOND, where) == known:
                    low = middle + 1
                else:
                    high = middle
            yield after + low * _SECOND, abs(found - known)
            known = found
        after = ahead


def earliest_wall(after: datetime, where: ZoneInfo) -> datetime:
    """A wall time (naive) such that everything that comes after the instant `after` has this wall time or a later one.

    It is what the clock shows, except shortly before clocks go back: a second pass then shows earlier times again.
    """
    wall = after.astimezone(where).replace(tzinfo=None)
    back = offset_at(after, where) - offset_at(after + _DAY, where)
    return wall - max(back, _ZERO)


def instants(walls: Iterable[datetime], where: ZoneInfo, rule: Rule) -> Iterator[datetime]:
    """The instants of wall times that rise: oldest first, each once, endless where `walls` is."""
    second_passes: list[datetime] = []
    steady, steady_until = _ZERO, _NEVER
    last: datetime | None = None
    for wall in walls:
        if wall < steady_until:
            found: datetime | None = (wall - steady).replace(tzinfo=UTC)
        else:
            first, second = _offsets(wall, where)
            if first == second and (first, first) == _offsets(wall + _DAY, where):
                steady, steady_until = first, wall + _DAY
            found = _first_pass(wall, first, second, where, rule)
            if first > second and rule.fold != "first":
                heappush(second_passes, (wall - second).replace(tzinfo=UTC))
        if found is None or found == last:  # several times that fall into one gap are one
            continue
        while second_passes and second_passes[0] < found:
            yield heappop(second_passes)
        if second_passes and second_passes[0] == found:
            heappop(second_passes)
        yield found
        last = found
    while second_passes:
        yield heappop(second_passes)


def missing(walls: Iterable[datetime], where: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Those of wall times that rise which do not exist, each with the instant at which its gap ends."""
    steady_until = _NEVER
    for wall in walls:
        if wall < steady_until:
            continue
        first, second = _offsets(wall, where)
        if first == second and (first, first) == _offsets(wall + _DAY, where):
            steady_until = wall + _DAY
        elif first < second:
            yield wall, _change((wall - second).replace(tzinfo=UTC), first, second, where)


def _offsets(wall: datetime, where: ZoneInfo) -> tuple[timedelta, timedelta]:
    """Offsets of the two readings of a wall time: equal at most times, falling in a fold, rising in a gap (PEP 495)."""
    first = wall.replace(tzinfo=where, fold=0).utcoffset() or _ZERO
    return first, wall.replace(tzinfo=where, fold=1).utcoffset() or _ZERO


def _first_pass(wall: datetime, first: timedelta, second: timedelta, where: ZoneInfo, rule: Rule) -> datetime | None:
    """Where a wall time stands, its second pass apart. None if the rule gives it none."""
    if first == second:
        return (wall - first).replace(tzinfo=UTC)
    if first > second:
        return None if rule.fold == "second" else (wall - first).replace(tzinfo=UTC)
    return None if rule.gap == "skip" else _change((wall - second).replace(tzinfo=UTC), first, second, where)


def _change(before: datetime, old: timedelta, new: timedelta, where: ZoneInfo) -> datetime:
    """The first instant of the new offset: the end of the gap that begins after `before`."""
    low, high = 0, int((new - old) / _SECOND)
    while low < high:
        middle = (low + high) // 2
        if offset_at(before + middle * _SECOND, where) == new:
            high = middle
        else:
            low = middle + 1
    return before + low * _SECOND
