"""Which windows stand in the way of what a merge brings: of the fires that change, and of what starts by itself."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engine.changes.plan_starts import Start
from engine.changes.plan_times import Fires, ScheduleChange
from engine.schedules.windows import Blocked
from schemas.calendar import Window


@dataclass(frozen=True, slots=True)
class Block:
    """A window in which runs would start after the merge.

    `cause` is `Schedule/x` or `RunRequest/x`; `before` and `after` are how many of its runs that the plan lists would
    start in it on either side; `first` is the first of those after the merge.
    """

    window: str
    effect: Literal["allow", "deny"]
    cause: str
    before: int
    after: int
    first: datetime


def of_schedules(windows: Mapping[str, Window], schedules: Iterable[ScheduleChange]) -> Iterator[Block]:
    """Of the fires that change; `windows` are those of head."""
    for change in schedules:
        before, after = _instants(change.before), _instants(change.after)
        for name, instants in after.items():
            effect, cause = windows[name].spec.effect, f"Schedule/{change.name}"
            yield Block(name, effect, cause, len(before.get(name, ())), len(instants), instants[0])


def of_requests(windows: Mapping[str, Window], starts: Iterable[Start]) -> Iterator[Block]:
    """Of the acts that the merge brings; `windows` are those that are then in force."""
    for start in starts:
        if start.starts_at is None or start.cause.startswith("Schedule/"):
            continue
        for name in _names(start.blocked):
            yield Block(name, windows[name].spec.effect, start.cause, 0, 1, start.starts_at)


def _instants(fires: Fires) -> dict[str, list[datetime]]:
    """The starts that fall into each window, oldest first."""
    found: dict[str, list[datetime]] = {}
    for planned in fires.listed:
        for window in _names(planned.blocked):
            found.setdefault(window, []).append(planned.fire.instant)
    return found


def _names(blocked: Blocked | None) -> tuple[str, ...]:
    return blocked.windows if blocked is not None else ()
