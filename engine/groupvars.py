"""Values that targets have from their groups. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.selection import matches
from schemas.target import Target, TargetGroup


@dataclass(frozen=True)
class Variables:
    """Values that targets have from their groups.

    The nearest group wins, key by key: one that holds the target itself over one that holds its group. Of groups that
    are equally near, the one whose name comes first in the alphabet wins.
    """

    groups: Mapping[str, TargetGroup]
    _holders: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, group in self.groups.items():
            for inner in group.spec.groups:
                self._holders.setdefault(inner, []).append(name)

    def of(self, target: Target) -> dict[str, Any]:
        return {key: value for key, (value, _) in self.given(target).items()}

    def given(self, target: Target) -> dict[str, tuple[Any, str]]:
        """By key the value, and the group that it is from."""
        if not any(group.spec.vars for group in self.groups.values()):
            return {}
        near = [name for name, group in self.groups.items() if _holds(group, target)]
        found: dict[str, tuple[Any, str]] = {}
        for name in self._by_distance(near):
            for key, value in self.groups[name].spec.vars.items():
                found.setdefault(key, (value, name))
        return found

    def _by_distance(self, near: Iterable[str]) -> Iterator[str]:
        seen: set[str] = set()
        ring = sorted(near)
        while ring:
            yield from ring
            seen.update(ring)
            ring = sorted({holder for name in ring for holder in self._holders.get(name, ())} - seen)


def _holds(group: TargetGroup, target: Target) -> bool:
    spec = group.spec
    return target.name in spec.names or (spec.selector is not None and matches(spec.selector, target.metadata.labels))
