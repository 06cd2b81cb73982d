"""Takes one safeguard away from the program in this process, to show that the suite notices.

Nothing here is reachable from the program: the launcher of these tests calls it before the program begins.
"""

from collections.abc import Callable
from typing import Any


def remove(safeguard: str) -> None:
    """Take away `fence`, `cause-key`, `looks` or `durable-start`; several are separated by commas."""
    for name in safeguard.split(","):
        _REMOVERS[name]()


def _fence() -> None:
    """A runner's writes are taken for those of whoever holds the run now, and as if the run had not ended."""
    from journal import leases, steps

    of_steps = ("start", "skip", "settle", "interrupt", "end", "end_target")
    for module, names in ((steps, of_steps), (leases, ("finish", "release"))):
        for name in names:
            setattr(module, name, _unfenced(getattr(module, name)))


def _unfenced(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(tx: Any, fence: Any, *arguments: Any, **names: Any) -> Any:
        from sqlalchemy import select, update

        from journal.databases.tables import runs
        from journal.fence import Fence

        this = runs.c.id == fence.run
        token, state = tx.execute(select(runs.c.token, runs.c.state).where(this)).one()
        tx.execute(update(runs).where(this).values(state="running"))
        result = function(tx, Fence(fence.run, token), *arguments, **names)
        tx.execute(update(runs).where(this, runs.c.state == "running").values(state=state))
        return result

    return call


def _cause_key() -> None:
    """The table of runs is made without its unique keys, and nobody looks a cause up: it may have several runs."""
    from sqlalchemy import UniqueConstraint, false, select

    from journal import counts, happenings, runs
    from journal.databases import tables

    for constraint in [one for one in tables.runs.constraints if isinstance(one, UniqueConstraint)]:
        tables.runs.constraints.remove(constraint)
    runs.there = lambda tx, cause: None
    # What is counted and told of a run's end asks for the one run of that id.
    counts.run_ended = lambda tx, row: None
    happenings.run_ended = lambda tx, run, row, now: None
    runs._known_of = lambda keys: select(tables.runs.c.cause_key).where(false())  # type: ignore[assignment, return-value]


def _looks() -> None:
    """No process looks whether another has decided a schedule meanwhile.

    On SQLite transactions take turns, and such a look always sees; on PostgreSQL two may look at once and see nothing.
    """
    from datetime import UTC, datetime

    from journal import schedules

    schedules.considered_untils = lambda conn, names: dict.fromkeys(names, datetime.min.replace(tzinfo=UTC))


def _durable_start() -> None:
    """A step's start is written together with its end, after the effect."""
    from journal import steps

    start, end = steps.start, steps.end

    def later(*_arguments: Any, **_names: Any) -> None:
        return None

    def both(tx: Any, fence: Any, target: Any, phase: Any, step: Any, attempt: Any, ended: Any, now: Any) -> None:
        start(tx, fence, target, phase, step, attempt, now)
        end(tx, fence, target, phase, step, attempt, ended, now)

    steps.start, steps.end = later, both  # type: ignore[assignment]


_REMOVERS: dict[str, Callable[[], None]] = {
    "fence": _fence,
    "cause-key": _cause_key,
    "looks": _looks,
    "durable-start": _durable_start,
}
