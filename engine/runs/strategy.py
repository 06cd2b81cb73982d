"""How a run spreads over its targets: in which batches, and when failures keep others from starting. Pure."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from engine.runs.pinned import PinnedSpec
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


def is_failure(state: StepState) -> bool:
    """Whether the end of a target counts: what is not a success does, also an end that nobody can prove."""
    return state not in _FINE


def beyond(failed: int, allowed: int | None) -> bool:
    """Whether more have failed than may."""
    return allowed is not None and failed > allowed


def halts(
    ended: Mapping[str, StepState], batch: Sequence[str], max_failures: int | str | None, total: int
) -> Halt | None:
    """Whether what has ended so far keeps everything else from starting.

    That is so beyond `max_failures`, and after a `batch` of which no target succeeded.
    """
    if beyond(sum(is_failure(state) for state in ended.values()), allowed_failures(max_failures, total)):
        return "maxFailures"
    if batch and all(is_failure(ended.get(name, StepState.SUCCEEDED)) for name in batch):
        return "batchFailed"
    return None


# --- several runners -------------------------------------------------------------------------------------------------

SLICED_ABOVE = 100
"""A run on more targets than this may be worked on by several runners: on fewer, what they would agree on costs more
than it brings."""


def may_be_sliced(spec: PinnedSpec) -> bool:
    """Whether several runners may work on a run of this plan together.

    In `stepFirst` every target waits for every other after each step, and one at a time is one runner's.
    """
    return (
        spec.on_targets and spec.order == "targetFirst" and spec.max_parallel > 1 and len(spec.targets) > SLICED_ABOVE
    )


@dataclass(frozen=True, slots=True)
class Spread:
    """Where a run stands that several runners work on: what may begin, and what has failed."""

    batch: int
    """The number of the open one, from 0: its targets may begin."""
    failed: int
    """Of all targets, those that have failed, or will."""
    good: bool
    """Whether any target of the open batch has ended without a failure."""
    pauses: bool
    """Whether the time between two batches is still to pass."""
    halt: Halt | None


def stands(
    spec: PinnedSpec,
    batches: Sequence[Sequence[str]],
    ended: Mapping[str, StepState],
    begun: Set[str],
    failing: Set[str],
) -> Spread:
    """Where a run stands after what is recorded of it: `failing` have begun, and will not succeed any more."""
    known = {**dict.fromkeys(failing, StepState.FAILED), **ended}
    halted = halts(known, (), spec.max_failures, len(spec.targets))
    over = list(takewhile(lambda batch: all(name in ended for name in batch), batches))
    halted = halted or next((why for batch in over if (why := halts(ended, batch, None, 0))), None)
    number = min(len(over), len(batches) - 1)
    batch = batches[number]
    good = any(not is_failure(ended[name]) for name in batch if name in ended)
    untouched = number > 0 and begun.isdisjoint(batch) and not any(name in ended for name in batch)
    return Spread(number, sum(map(is_failure, known.values())), good, untouched, halted)


def share_of_places(count: int, runners: int, held: int, own: int) -> int:
    """How many more targets a runner may begin, where `held` of `count` places are taken, `own` of them by itself.

    Each of the runners has as many as any other; where it does not come out even, who comes first has one more.
    """
    return max(0, min(count - held, -(-count // max(1, runners)) - own))
