"""Takes one safeguard away from the program in this process, to show that the suite notices.

Nothing here is reachable from the program: the launcher of these tests calls it before the program begins.
"""

from collections.abc import Callable
from typing import Any


def remove(safeguard: str) -> None:
    """Take away `fence`, `cause-key` or `durable-start`."""
    _REMOVERS[safeguard]()


def _fence() -> None:
    """Writes are accepted whatever token they carry, and whether or not the run is running."""
    from sqlalchemy import bindparam, func, select, update

    from journal import leases, steps
    from journal.tables import Instant, runs

    steps._HELD = select(runs.c.seq).where(runs.c.id == bindparam("run"))
    leases._FINISH = (
        update(runs)
        .where(runs.c.id == bindparam("which"))
        .values(
            state=bindparam("to_state"),
            reason=func.coalesce(bindparam("why"), runs.c.wish_reason),
            outputs=bindparam("gave", type_=runs.c.outputs.type),
            finished_at=bindparam("now", type_=Instant),
            slot=None,
            lease_until=None,
        )
        .returning(runs.c.job, runs.c.concurrency)
    )


def _cause_key() -> None:
    """The table of runs is made without its unique keys, so that one cause may have several runs."""
    from sqlalchemy import UniqueConstraint

    from journal.tables import runs

    for constraint in [one for one in runs.constraints if isinstance(one, UniqueConstraint)]:
        runs.constraints.remove(constraint)


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
    "durable-start": _durable_start,
}
