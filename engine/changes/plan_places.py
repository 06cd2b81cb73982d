"""Who starts, who waits and who is in the way, of several launches of one commit where nothing else runs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from engine.judge import Launch
from engine.runs.concurrency import Demand, Holder, InTheWay, Replace, Slot, Waiter, free, place

ALONE = "if nothing else runs"


@dataclass(frozen=True, slots=True)
class Place:
    """What the journal makes of a launch, as `journal.runs.enqueue` does; `other` is the cause that decides it."""

    verdict: Literal["starts", "waits", "refused", "fails", "replaced"] = "starts"
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
            case "fails":
                return f"fails: the run of {self.other}, of the same group, is in its way, {ALONE}"
            case "replaced":
                return f"{self.other} ends it again, {ALONE}"


@dataclass
class _Group:
    """Holders by their place, and who waits, both by cause; with their ages and what they ask for."""

    holders: dict[int, tuple[int, str]] = field(default_factory=dict)
    waiting: list[tuple[int, int, str, int]] = field(default_factory=list)
    """By priority, the highest first, then by age; with the limit that each asks for."""

    def judged(self, demand: Demand) -> Slot | InTheWay | Replace | None:
        """What becomes of a launch that comes now."""
        holders = [Holder(number, cause, age) for number, (age, cause) in sorted(self.holders.items())]
        return place(demand, holders, [Waiter(cause, age, -priority) for priority, age, cause, _ in self.waiting])

    def admit(self) -> str | None:
        """The first that waits gets a place that has become free."""
        if self.waiting and (number := free(self.waiting[0][3], self.holders)) is not None:
            _, age, cause, _ = self.waiting.pop(0)
            self.holders[number] = (age, cause)
            return cause
        return None

    def end(self, cause: str, found: dict[str, Place]) -> None:
        """What has not begun is ended at once; whoever waited takes what becomes free."""
        self.holders = {number: held for number, held in self.holders.items() if held[1] != cause}
        self.waiting = [one for one in self.waiting if one[2] != cause]
        while (admitted := self.admit()) is not None:
            found[admitted] = replace(found[admitted], verdict="starts", other=None)


def places(launches: Iterable[tuple[str, Launch, datetime]], now: datetime) -> dict[str, Place]:
    """By cause what comes of launches with the instants that they begin at, in the order of the engine.

    One that is not due at `now` takes no place: it may find others there when its time comes.
    """
    groups: dict[str, _Group] = {}
    found: dict[str, Place] = {}
    for age, (cause, launch, begins) in enumerate(launches):
        member = launch.membership
        if begins > now or launch.dry_run or member is None:
            continue
        group = groups.setdefault(member.group, _Group())
        demand = Demand(member.on_conflict, member.limit, member.max_queue, launch.priority)
        outcome = group.judged(demand)
        if isinstance(outcome, Replace):
            for older in outcome.runs:
                group.end(older, found)
                found[older] = Place("replaced", cause)
            outcome = group.judged(demand)
        match outcome:
            case Slot(number=number):
                if number is not None:
                    group.holders[number] = (age, cause)
                found[cause] = Place()
            case InTheWay(run=other):
                found[cause] = Place("fails" if member.on_conflict == "fail" else "refused", other)
            case _:
                _, first = group.holders[min(group.holders)]  # there is one, or it would not wait
                group.waiting = sorted([*group.waiting, (-launch.priority, age, cause, member.limit)])
                found[cause] = Place("waits", first)
    return found
