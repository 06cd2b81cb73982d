"""Which names have series of their own, and what becomes of the counts of all others."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from engine.catalog import DEFAULT_POOL, Catalog
from journal.counts import Count
from opsconductor.metrics.described import OTHERS, OWN_SERIES

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """Which names have series of their own. What else the journal knows is too many, or gone from the definitions."""

    own: frozenset[Labels] = frozenset()
    others: frozenset[Labels] = frozenset()
    pools: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()

    @classmethod
    def of(cls, catalog: Catalog | None) -> "Names":
        """As the commit in force has them. None: there is none yet."""
        if catalog is None:
            return cls()
        named = [(name, "job") for name in catalog.jobs] + [(name, "workflow") for name in catalog.workflows]
        own = frozenset(sorted(named)[:OWN_SERIES])
        return cls(own, frozenset(named) - own, _few({DEFAULT_POOL, *catalog.pools}), _few(catalog.channels))

    def job(self, name: str, kind: str) -> Labels:
        """The name and kind under which a job or workflow is shown."""
        return (name, kind) if (name, kind) in self.own else (OTHERS, kind)

    def pool(self, name: str) -> str:
        """The name under which a pool is shown."""
        return name if name in self.pools else OTHERS

    def sums(self, one: Count) -> bool:
        """Whether it is summed under OTHERS. Ends of jobs that are gone are shown nowhere."""
        match one.what:
            case "run":
                return (one.name, one.kind) in self.others
            case "late":
                return one.name not in self.pools
            case _:
                return False


def _few(names: Collection[str]) -> frozenset[str]:
    return frozenset(sorted(names)[:OWN_SERIES])


_Key = tuple[str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class Others:
    """The counts of OTHERS, which only grow while this process lives, whoever is counted there.

    A sum over those who are there now would jump with each commit that adds or removes a job, and whoever watches for
    failures would be told of those of last year. So each scrape adds what has come since the one before.
    """

    counts: Mapping[_Key, Count] = field(default_factory=dict)
    _seen: Mapping[_Key, Count] = field(default_factory=dict)

    def grown(self, counts: Iterable[Count], names: Names) -> "Others":
        """With what the journal has counted by now. Of whom nothing was known before, everything is new."""
        seen = {(one.what, one.kind, one.name, one.detail, one.size): one for one in counts}
        sums = dict(self.counts)
        for key, one in seen.items():
            if names.sums(one):
                what, kind, _, detail, size = key
                summed = (what, kind, OTHERS, detail, size)
                known = sums.get(summed, replace(one, name=OTHERS, times=0, seconds=0.0, last=None))
                times, seconds = _since(self._seen.get(key), one)
                sums[summed] = replace(known, times=known.times + times, seconds=known.seconds + seconds)
        return Others(sums, seen)


NO_OTHERS = Others()


def _since(before: Count | None, now: Count) -> tuple[int, float]:
    if before is None or now.times < before.times:  # fewer than before: the journal is another one
        return now.times, now.seconds
    return now.times - before.times, now.seconds - before.seconds
