"""Groups that contain each other, and targets that are reached through each other."""

from collections.abc import Iterator
from itertools import islice

from engine.checks.connections import JUMP, jump_of
from engine.checks.scope import Scope
from engine.graph import circles, shown
from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS


def check(scope: Scope) -> Iterator[Diagnostic]:
    """Each circle once, at the reference that closes it, seen from its first member by name."""
    yield from _of_groups(scope)
    yield from _of_jumps(scope)


def _of_groups(scope: Scope) -> Iterator[Diagnostic]:
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


def _of_jumps(scope: Scope) -> Iterator[Diagnostic]:
    jumps = {name: jump for name, target in scope.catalog.targets.items() if (jump := jump_of(target)) is not None}
    for circle in islice(circles({name: (jump,) for name, jump in jumps.items()}), MAX_FINDINGS):
        span = scope.authored("Target", circle[-1]).span(*JUMP)
        way = shown([*circle, circle[0]], "is reached through")
        yield Diagnostic(span, "OC322", f"a circle of jumps: {way}", "one of them must be reached directly")
