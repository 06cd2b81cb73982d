"""In which concurrency group a run is, and which place it gets there: what shares a group shares its places. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.expressions.expression import ExpressionError, has_expression, render, to_text
from engine.identity import scan_name
from schemas.job import Job, OnConflict
from schemas.workflow import WorkflowSpec

if TYPE_CHECKING:
    from engine.catalog import Catalog

MAX_GROUP = 200
"""Characters of a group's name, once its expressions are filled in."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run asks of its group. `most_waiting` of `queue`: how many may wait, itself among them; None: any."""

    on_conflict: OnConflict
    limit: int = 1
    most_waiting: int | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Membership:
    """The group that a run is in, and what it asks of it. `group` is filled in: it is never rendered again.

    `max_queue` is that of `queue`: how many may wait; None: any.
    """

    group: str
    on_conflict: OnConflict
    limit: int = 1
    max_queue: int | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    """A run that has a place. `age`: the smaller, the older. `leaving`: it was told to end."""

    number: int
    run: str
    age: int = 0
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Waiter:
    """A run that waits for a place."""

    run: str
    age: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a concurrency group; none is needed where `number` is None."""

    number: int | None


@dataclass(frozen=True, slots=True)
class InTheWay:
    """A run that has a place, or waits for one, keeps the new one out."""

    run: str


@dataclass(frozen=True, slots=True)
class Replace:
    """These runs of the group are to end, the oldest first; then the question is asked again."""

    runs: tuple[str, ...]


def place(
    demand: Demand, holders: Sequence[Holder], waiting: Sequence[Waiter], full: bool | None = None
) -> Slot | InTheWay | Replace | None:
    """The place of a run whose time has come; None: it waits.

    `holders` are the runs of the group that have a place, `waiting` those that wait for one, the next of them first;
    the first alone will do where `full` says whether as many wait as may, and nothing is to be replaced. Who waits
    with no less priority goes first, also where limits differ. A group that replaces (`cancelRunning`) wants its newest
    runs alone, as many as the limit says: whatever is older, and was not told to end yet, is to end.
    """
    if demand.on_conflict == "allow":
        return Slot(None)
    if demand.on_conflict == "cancelRunning" and (surplus := _surplus(demand.limit, holders, waiting)):
        return Replace(surplus)
    is_next = not waiting or waiting[0].priority < demand.priority
    number = free(demand.limit, (holder.number for holder in holders)) if is_next else None
    if number is not None:
        return Slot(number)
    match demand.on_conflict:
        case "skip" | "fail":
            return InTheWay(holders[0].run if holders else waiting[0].run)
        case "queueOne":
            return InTheWay(waiting[0].run) if waiting else None
        case "queue":
            most = demand.most_waiting
            crowded = (most is not None and len(waiting) >= most) if full is None else full
            return InTheWay(waiting[0].run) if crowded and waiting else None
        case "cancelRunning":
            return None


def free(limit: int, taken: Iterable[int]) -> int | None:
    """The first place that nobody has; None where as many are taken as the limit says, whichever they are."""
    held = set(taken)
    if len(held) >= limit:
        return None
    return next(number for number in range(limit) if number not in held)


def _surplus(limit: int, holders: Iterable[Holder], waiting: Iterable[Waiter]) -> tuple[str, ...]:
    """The oldest that are too many when one more comes."""
    wanted = [(one.age, one.run) for one in holders if not one.leaving] + [(one.age, one.run) for one in waiting]
    return tuple(run for _, run in sorted(wanted)[: max(len(wanted) + 1 - limit, 0)])


def named(written: str, params: Mapping[str, Any]) -> str:
    """The group that a text with expressions names for a run with these params.

    Raises ExpressionError where an expression fails, or the name is empty, too long or not of printable characters.
    """
    if not has_expression(written):
        return written
    name = to_text(render(written, {"params": params}))
    if not name.strip() or len(name) > MAX_GROUP or not name.isprintable():
        shown = f"'{name[:40]}'" if name.isprintable() else "it"
        raise ExpressionError(f"{shown} is no name of a group: 1 to {MAX_GROUP} printable characters, not blanks alone")
    return name


def group_of_job(job: Job) -> str:
    """That of a job's runs, as it is written: what its expressions give is `named`."""
    return job.spec.concurrency.group or job.name


def renamed_groups(catalog: "Catalog", at: int | None = None) -> Mapping[str, str]:
    """The groups of jobs and workflows that name none, and of Discoveries, that were renamed, each with today's.

    `at`: as they were in that generation of names; None: those that are nobody else's now. A group that another
    document names goes on by itself. What is defined no more is taken to have named none: it must not come to be in the
    group of who has its former name by now.
    """
    found: dict[str, str] = {}
    for old, name in catalog.names_then("Job", at).items():
        if (job := catalog.jobs.get(name)) is None or job.spec.concurrency.group is None:
            found[old] = name
    for old, name in catalog.names_then("Workflow", at).items():
        if (flow := catalog.workflows.get(name)) is None or flow.spec.concurrency.group is None:
            found[_of_workflow(old)] = _of_workflow(name)
    for old, name in catalog.names_then("Discovery", at).items():
        found[scan_name(old)] = scan_name(name)
    named = {job.spec.concurrency.group for job in catalog.jobs.values()}
    named |= {workflow.spec.concurrency.group for workflow in catalog.workflows.values()}
    return {old: today for old, today in found.items() if old not in named}


def group_of(name: str, spec: WorkflowSpec) -> str:
    """That of a workflow's runs, as it is written: by default one that no job has unless it names it."""
    return spec.concurrency.group or _of_workflow(name)


def _of_workflow(name: str) -> str:
    return f"workflow/{name}"
