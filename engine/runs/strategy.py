"""How a run spreads over its targets: in which batches, and when failures keep others from starting. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from engine.states import StepState

Halt = Literal["maxFailures", "batchFailed"]
"""Why targets that have not begun do not begin any more."""

_FINE = frozenset({StepState.SUCCEEDED, StepState.SKIPPED})


def batches_of(names: Sequence[str], shares: Sequence[int | str]) -> tuple[tuple[str, ...], ...]:
    """The batches, one after another, in the order of the names; together they have each name once.

    A share is a number of targets, or a percentage of all of them, rounded up; none is empty. The last share repeats.
    """
    found: list[tuple[str, ...]] = []
    begin = 0
    while begin < len(names):
        share = shares[min(len(found), len(shares) - 1)]
        size = max(1, share if isinstance(share, int) else -(-len(names) * percent(share) // 100))
        found.append(tuple(names[begin : begin + size]))
        begin += size
    return tuple(found)


def percent(share: str) -> int:
    """The number of a percentage."""
    return int(share.removesuffix("%"))


def allowed_failures(share: int | str | None, total: int) -> int | None:
    """How many targets may fail before nothing new starts: a number, or a percentage of all, rounded down."""
    if share is None or isinstance(share, int):
        return share
    return total * percent(share) // 100


def halts(
    ended: Mapping[str, StepState], batch: Sequence[str], max_failures: int | str | None, total: int
) -> Halt | None:
    """Whether what has ended so far keeps everything else from starting.

    That is so beyond `max_failures`, and after a `batch` of which no target succeeded. What is not a success is a
    failure here, also an end that nobody can prove.
    """
    allowed = allowed_failures(max_failures, total)
    if allowed is not None and sum(state not in _FINE for state in ended.values()) > allowed:
        return "maxFailures"
    if batch and all(ended.get(name, StepState.SUCCEEDED) not in _FINE for name in batch):
        return "batchFailed"
    return None
