"""One scrape in the format that Prometheus asked for. Imports prometheus-client, so it is imported by the first."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from journal.counts import BOUNDS
from opsconductor.metrics.described import BY_NAME, PREFIX, Described
from opsconductor.metrics.series import Series, Spread

_EDGES = (*(repr(bound) for bound in BOUNDS), "+Inf")


def exposed(series: Iterable[Series], accept: str) -> tuple[bytes, str]:
    """The answer to a scrape, and its content type. A registry of its own: nobody else's metrics are in it."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(tuple(_families(series))))
    registry.register(_of_the_process())
    text: bytes = encode(registry)
    return text, content_type


@cache
def _of_the_process() -> Collector:
    return ProcessCollector(registry=None)


class _Given(Collector):
    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _families(series: Iterable[Series]) -> Iterator[Metric]:
    families: dict[str, Any] = {}
    for name, labels, value in series:
        known = BY_NAME[PREFIX + name]
        if known.name not in families:
            families[known.name] = _family(known)
        match value:
            case Spread(up_to=up_to, seconds=seconds):
                families[known.name].add_metric(labels, list(zip(_EDGES, up_to, strict=True)), seconds)
            case _:
                families[known.name].add_metric(labels, float(value))
    yield from families.values()


def _family(known: Described) -> Metric:
    kinds: dict[str, Callable[..., Metric]] = {
        "gauge": GaugeMetricFamily,
        "counter": CounterMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    return kinds[known.kind](known.name, known.text, labels=known.labels)
