"""Who starts, who waits and who is in the way, of several launches of one commit where nothing else runs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from engine.concurrency import InTheWay, Slot, free, group_of, place
from engine.judge import Launch
from schemas.workflow import WorkflowSpec

ALONE = "if nothing else runs"


@dataclass(frozen=True, slots=True)
class Place:
    """What the journal makes of a launch, as `journal.runs.enqueue` does; `other` is the cause that decides it."""

    verdict: Literal["starts", "waits", "refused", "replaced"] = "starts"
    other: str | None = None

    @property
    def message(self) -> str | None:
        """A sentence about it, where there is more to say than that it starts."""
        match self.verdict:
            case "starts":
                return None
            case "waits":
                return f"waits for the run of {self.other}, {ALONE}"
            case "refused":
                return f"overlap: the run of {self.other}, of the same group, is in its way, {ALONE}"
            case "replaced":
                return f"{self.other} ends it again, {ALONE}"


@dataclass
class _Group:
    """Holders by their place, and who waits, both by cause."""

    holders: dict[int, str] = field(default_factory=dict)
    waiting: list[tuple[int, int, str, int]] = field(default_factory=list)
    """By priority, the highest first, then by age; with the limit that each asks for."""

    def admit(self) -> str | None:
        """The first that waits gets a place that has become free."""
        if self.waiting and (number := free(self.waiting[0][3], self.holders)) is not None:
            *_, cause, _ = self.waiting.pop(0)
            self.holders[number] = cause
            return cause
        return None


def places(launches: Iterable[tuple[str, Launch, datetime]], now: datetime) -> dict[str, Place]:
    """By cause what comes of launches with the instants that they begin at, in the order of the engine.

    One that is not due at `now` takes no place: it may find others there when its time comes.
    """
    groups: dict[str, _Group] = {}
    found: dict[str, Place] = {}
    for age, (cause, launch, begins) in enumerate(launches):
        concurrency = launch.concurrency
        if begins > now or launch.dry_run or concurrency is None:
            continue
        name = launch.planned.spec.job
        own = group_of(name, launch.job) if isinstance(launch.job, WorkflowSpec) else concurrency.group or name
        group = groups.setdefault(own, _Group())
        if concurrency.on_conflict == "cancelRunning":
            _replaced(group, cause, found)
        first = group.waiting[0][2] if group.waiting else None
        holders = sorted(group.holders.items())
        match place(concurrency.on_conflict, concurrency.limit, holders, lambda first=first: first):  # type: ignore[misc]
            case Slot(number=number):
                if number is not None:
                    group.holders[number] = cause
                found[cause] = Place()
            case InTheWay(run=other):
                found[cause] = Place("refused", other)
            case None:
                group.waiting = sorted([*group.waiting, (-launch.priority, age, cause, concurrency.limit)])
                found[cause] = Place("waits", holders[0][1])
    return found


def _replaced(group: _Group, by: str, found: dict[str, Place]) -> None:
    """Those that have a place and did not begin yet are ended; whoever waited takes what becomes free."""
    for number, cause in sorted(group.holders.items()):
        del group.holders[number]
        found[cause] = Place("replaced", by)
        while (admitted := group.admit()) is not None:
            found[admitted] = replace(found[admitted], verdict="starts", other=None)
