"""What this process measures of itself, beginning at nought with it: how long spans took."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from threading import Lock

from journal.counts import BOUNDS, size_of
from journal.spans import Ended, Facts
from opsconductor.metrics.names import Labels
from opsconductor.metrics.series import Series, Spread


class Meter:
    """`watch` is a watcher of spans. Spans end on the engine's thread, scrapes come on another."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._found: dict[tuple[str, Labels], tuple[list[int], float]] = {}

    def watch(self, name: str, facts: Facts) -> Ended:
        """Measure spans that have a metric."""
        began = self._monotonic()

        def ended(error: BaseException | None, _: Facts) -> None:
            match name:
                case "git":
                    outcome = "failed" if error is not None else "succeeded"
                    self._took("git_duration_seconds", (facts["operation"], outcome), self._monotonic() - began)
                case "reconcile":
                    self._took("reconcile_duration_seconds", (), self._monotonic() - began)

        return ended

    def _took(self, metric: str, labels: Labels, seconds: float) -> None:
        with self._lock:
            classes, before = self._found.get((metric, labels), ([0] * (len(BOUNDS) + 1), 0.0))
            classes[size_of(seconds)] += 1
            self._found[metric, labels] = classes, before + seconds

    def series(self) -> Iterator[Series]:
        """What was measured so far."""
        with self._lock:
            found = [(*key, tuple(accumulate(classes)), total) for key, (classes, total) in self._found.items()]
        for metric, labels, up_to, total in sorted(found):
            yield metric, labels, Spread(up_to, total)
