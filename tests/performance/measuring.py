"""How things are measured here: contestants take turns, and medians are compared.

The machine is shared and its speed changes from second to second, so a figure means little and a ratio of two figures
from the same minute means much. Every round runs each contestant once, the next round in the opposite order.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

Contestant = Callable[[], Awaitable[float | None]]
"""Does the work once. Returns the seconds it took where only a part of it counts, else None: all of it counts."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of each round, for each contestant."""

    seconds: Mapping[str, Sequence[float]]

    def of(self, name: str) -> float:
        return median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """How many times longer `name` takes than `other`: the median of the rounds' own ratios."""
        return median(one / two for one, two in zip(self.seconds[name], self.seconds[other], strict=True))

    def difference(self, name: str, other: str) -> float:
        """How much longer `name` takes, in seconds: the median of the rounds' own differences."""
        return median(one - two for one, two in zip(self.seconds[name], self.seconds[other], strict=True))


async def alternating(rounds: int, contestants: Mapping[str, Contestant]) -> Taken:
    """Let each contestant work once a round, after one round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for number in range(rounds + 1):
        for name in order if number % 2 else reversed(order):
            began = time.perf_counter()
            part = await contestants[name]()
            seconds = time.perf_counter() - began if part is None else part
            if number:
                taken[name].append(seconds)
    return Taken(taken)


def percentile(values: Sequence[float], hundredth: int) -> float:
    return quantiles(values, n=100, method="inclusive")[hundredth - 1]


def milliseconds(seconds: float) -> str:
    value = seconds * 1000
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms" if value >= 10 else f"{value:.2f} ms"


def times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 100 else f"{ratio:.1f}x" if ratio >= 10 else f"{ratio:.2f}x"
