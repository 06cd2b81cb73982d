"""Groups that contain each other."""

from collections.abc import Iterator, Mapping

from engine.checks.scope import Scope
from schemas.diagnostic import Diagnostic, Related
from schemas.target import TargetGroup


def check(scope: Scope) -> Iterator[Diagnostic]:
    """Each circle once, at the reference that closes it, seen from its first group by name."""
    groups = scope.catalog.groups
    for circle in _circles(groups):
        first, last = circle[0], circle[-1]
        authored = scope.authored("TargetGroup", last)
        index = groups[last].spec.groups.index(first)
        way = " contains ".join([*circle, first])
        related = tuple(
            Related(scope.authored("TargetGroup", name).span("metadata", "name"), f"group {name}")
            for name in circle[:-1]
        )
        hint = "remove one of these references"
        yield Diagnostic(authored.span("spec", "groups", index), "OC306", f"a circle: {way}", hint, related=related)


def _circles(groups: Mapping[str, TargetGroup]) -> Iterator[tuple[str, ...]]:
    """Depth first, by a stack of our own: a chain of groups may be thousands long."""
    done: set[str] = set()
    for root in groups:
        if root in done:
            continue
        way: dict[str, Iterator[str]] = {root: iter(groups[root].spec.groups)}
        while way:
            name = next(reversed(way))
            below = next(way[name], None)
            if below is None:
                del way[name]
                done.add(name)
            elif below in way:
                circle = list(way)
                yield tuple(circle[circle.index(below) :])
            elif below not in done and below in groups:
                way[below] = iter(groups[below].spec.groups)
