"""How long a cron pauses at most, by its wall times: what tells intervals that leave nothing out without walking."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from engine.times.cron import Cron

_ANY_YEAR = datetime(2028, 1, 1)  # noqa: DTZ001 -- wall time
_DAY = timedelta(days=1)
_FIRST, _LAST = date(2096, 1, 1), date(2123, 12, 31)
"""Years that have every kind of February, and begin with every day of the week, leap years too."""
_FOR_EVER = 28 * 366
"""Days, more than all of them."""


@lru_cache(maxsize=4096)
def ever(read: Cron) -> bool:
    """Whether it has any instant at all."""
    return next(read.walls(_ANY_YEAR), None) is not None


@lru_cache(maxsize=4096)
def covers(read: Cron, duration: timedelta) -> bool:
    """Whether intervals of this length, from every wall time of a cron on, leave nothing out (clock changes apart)."""
    gaps = [later - earlier for earlier, later in pairwise(read.times)]
    if max(gaps, default=timedelta(0)) > duration:
        return False
    overnight = _DAY - read.times[-1] + read.times[0]
    if len(read.months) == 12 and read.days is None and read.weekdays is None:
        return overnight <= duration
    if duration < _DAY:
        return False
    margin = 0 if len(read.months) == 12 else 7  # the days of the week move from year to year
    return overnight + (_longest_pause(read.days, read.months, read.weekdays) - 1 + margin) * _DAY <= duration


@lru_cache(maxsize=4096)
def _longest_pause(days: tuple[int, ...] | None, months: tuple[int, ...], weekdays: tuple[int, ...] | None) -> int:
    """Days from one day that fires to the next, at most; `_FOR_EVER` where there are no two."""
    of_month, of_year, of_week = _bits()
    named = _any_of(of_month, days or ()) | _any_of(of_week, weekdays or ())
    if days is None and weekdays is None:
        named = _any_of(of_week, range(7))
    fires = f"{named & _any_of(of_year, months):b}".strip("0")
    return max(map(len, fires.split("1")[1:-1])) + 1 if len(fires) > 1 else _FOR_EVER


def _any_of(bits: dict[int, int], wanted: Iterable[int]) -> int:
    found = 0
    for one in wanted:
        found |= bits[one]
    return found


@lru_cache(maxsize=1)
def _bits() -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Those years with a bit for each day: by day of month, by month, by day of week."""
    of_month, of_year, of_week = (
        dict.fromkeys(range(1, 32), 0),
        dict.fromkeys(range(1, 13), 0),
        dict.fromkeys(range(7), 0),
    )
    for ordinal in range(_FIRST.toordinal(), _LAST.toordinal() + 1):
        day, bit = date.fromordinal(ordinal), 1 << (ordinal - _FIRST.toordinal())
        of_month[day.day] |= bit
        of_year[day.month] |= bit
        of_week[day.isoweekday() % 7] |= bit
    return of_month, of_year, of_week
