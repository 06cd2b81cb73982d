"""Whether all is well, judged in one place for every page that says so. Pure."""

from dataclasses import dataclass

from engine.status.views import SyncView


@dataclass(frozen=True, slots=True)
class Troubles:
    """How much of each is not well; all is well where nothing is."""

    behind: bool = False
    """The newest commit is not in force."""
    failing: int = 0
    unreachable: int = 0
    gates: int = 0
    channels: int = 0
    """By which messages do not get through at present, and wait."""
    dead_letters: int = 0
    late: int = 0
    missed: int = 0
    overdue: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """A trouble in words, and the title of the section of the status page that shows it, if one does."""

    words: str
    section: str | None = None


def said(found: Troubles) -> tuple[Said, ...]:
    """What is not well, in words, the most urgent first; whether the newest commit is in force is said by each page."""
    counted = (
        (found.failing, "job fails", "jobs fail", "failing"),
        (found.unreachable, "target is unreachable", "targets are unreachable", "unreachable"),
        (found.late, "run is late", "runs are late", None),
        (found.overdue, "start is overdue", "starts are overdue", None),
        (found.missed, "schedule has missed starts", "schedules have missed starts", None),
        (found.gates, "gate waits for people", "gates wait for people", "waiting-for-people"),
        (found.channels, "channel fails", "channels fail", "failing-channels"),
        (found.dead_letters, "message is undelivered", "messages are undelivered", "dead-letters"),
    )
    return tuple(Said(f"{count} {one if count == 1 else many}", at) for count, one, many, at in counted if count)


def is_behind(sync: SyncView) -> bool:
    """Whether a newer commit than that in force was seen."""
    return sync.observed is not None and sync.applied is not None and sync.observed != sync.applied
