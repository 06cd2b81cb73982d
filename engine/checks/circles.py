"""Groups that contain each other."""

from collections.abc import Iterator
from itertools import islice

from engine.checks.scope import Scope
from engine.graph import circles, shown
from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS


def check(scope: Scope) -> Iterator[Diagnostic]:
    """Each circle once, at the reference that closes it, seen from its first group by name."""
    groups = scope.catalog.groups
    graph = {name: group.spec.groups for name, group in groups.items()}
    for circle in islice(circles(graph), MAX_FINDINGS):
        first, last = circle[0], circle[-1]
        authored = scope.authored("TargetGroup", last)
        index = groups[last].spec.groups.index(first)
        way = shown([*circle, first], "contains")
        related = tuple(
            Related(scope.authored("TargetGroup", name).span("metadata", "name"), f"group {name}")
            for name in circle[:-1][:10]
        )
        hint = "remove one of these references"
        yield Diagnostic(authored.span("spec", "groups", index), "OC306", f"a circle: {way}", hint, related=related)
