"""In which concurrency group a run is, and which place it gets there: what shares a group shares its places. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from schemas.job import Job, OnConflict
from schemas.workflow import WorkflowSpec


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a concurrency group; none is needed where `number` is None."""

    number: int | None


@dataclass(frozen=True, slots=True)
class InTheWay:
    """A run that has a place, or waits for one, keeps the new one out."""

    run: str


def place(
    on_conflict: OnConflict, limit: int, holders: Sequence[tuple[int, str]], waiting: Callable[[], str | None]
) -> Slot | InTheWay | None:
    """The place of a run that is due; None: it waits.

    `holders` are the places taken, with the runs in them, those that `cancelRunning` frees no longer among them;
    `waiting` gives the first that waits in the group, and is asked only where it matters.
    """
    if on_conflict == "allow":
        return Slot(None)
    number = free(limit, (held for held, _ in holders))
    if number is not None:
        return Slot(number)
    match on_conflict:
        case "skip" | "fail":
            return InTheWay(holders[0][1])
        case "queueOne":
            first = waiting()
            return None if first is None else InTheWay(first)
        case "queue" | "cancelRunning":
            return None


def free(limit: int, taken: Iterable[int]) -> int | None:
    """The first place that nobody has."""
    held = set(taken)
    return next((slot for slot in range(limit) if slot not in held), None)


def group_of_job(job: Job) -> str:
    """That of a job's runs."""
    return job.spec.concurrency.group or job.name


def group_of(name: str, spec: WorkflowSpec) -> str:
    """That of a workflow's runs: by default one that no job has unless it names it."""
    return spec.concurrency.group or f"workflow/{name}"
