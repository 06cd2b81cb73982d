"""Who is chosen by selectors, groups and selections, for many of them: an index of labels, and sets as bits.

A thousand conditions over ten thousand targets are a megabyte of bits; as sets of names they would be a gigabyte.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property
from typing import TypeVar

from engine.graph import components
from schemas.envelope import Document
from schemas.selector import Expression, Selection, Selector
from schemas.target import TargetGroup

S = TypeVar("S")
_KEPT = 64 * 1024 * 1024
"""Bytes of answers that are kept; beyond that they are found again."""
_A_NOTE = 1_000
"""Bytes that it takes to keep one, beside its bits."""


class Fleet:
    """All targets, in the order of their names: target number n is bit n."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(sorted(names))
        self.number = {name: number for number, name in enumerate(self.names)}
        self.all = (1 << len(self.names)) - 1

    def bits(self, numbers: Iterable[int]) -> int:
        """Those with these numbers."""
        found = bytearray(len(self.names) // 8 + 1)
        for number in numbers:
            found[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(found, "little")

    def of(self, names: Iterable[str]) -> "Targets":
        """Those of the names that are targets."""
        if isinstance(names, Targets):
            return Targets(self, self.all) & names
        return Targets(self, self.bits(self.number[name] for name in names if name in self.number))


class Targets(Set[str]):
    """Some of a fleet's targets; iteration is in the order of their names. Cheap to cut with another of the fleet."""

    __slots__ = ("_bits", "_fleet")

    def __init__(self, fleet: Fleet, bits: int) -> None:
        self._fleet = fleet
        self._bits = bits

    @classmethod
    def _from_iterable(cls, names: Iterable[S]) -> frozenset[S]:
        """Of what is compared with a set of another kind."""
        return frozenset(names)

    @property
    def first(self) -> str:
        """The first by name. Raises IndexError where there is none."""
        return self._fleet.names[(self._bits & -self._bits).bit_length() - 1 if self._bits else len(self._fleet.names)]

    def __contains__(self, name: object) -> bool:
        number = self._fleet.number.get(name) if isinstance(name, str) else None
        return number is not None and bool(self._bits >> number & 1)

    def __iter__(self) -> Iterator[str]:
        written, names = bin(self._bits)[:1:-1], self._fleet.names
        place = written.find("1")
        while place >= 0:
            yield names[place]
            place = written.find("1", place + 1)

    def __len__(self) -> int:
        return self._bits.bit_count()

    def __bool__(self) -> bool:
        return self._bits != 0

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Targets) and other._fleet is self._fleet
        return self._bits == other._bits if isinstance(other, Targets) and same else super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as a set of another kind may be equal to it

    def isdisjoint(self, other: Iterable[object]) -> bool:
        """Whether none is in both."""
        return not self._bits & self._same(other)

    def __and__(self, other: Set[object]) -> "Targets":
        return Targets(self._fleet, self._bits & self._same(other))

    __rand__ = __and__

    def joined(self, other: "Targets") -> "Targets":
        """These and those, of one fleet."""
        return Targets(self._fleet, self._bits | other._bits)

    def __sub__(self, other: Set[object]) -> "Targets":
        return Targets(self._fleet, self._bits & ~self._same(other))

    def _same(self, other: Iterable[object]) -> int:
        if isinstance(other, Targets) and other._fleet is self._fleet:
            return other._bits
        return self._fleet.of(name for name in other if isinstance(name, str))._bits


class Members:
    """Who is chosen by selectors, groups and selections. Same answers as engine.selection.

    Selectors choose by labels, so that documents of any kind may stand for the targets.
    """

    def __init__(self, targets: Mapping[str, Document], groups: Mapping[str, TargetGroup]) -> None:
        self.fleet = Fleet(targets)
        self._groups = groups
        self._by_label: dict[str, dict[str, list[int]]] = {}
        for name, target in targets.items():
            for key, value in target.metadata.labels.items():
                self._by_label.setdefault(key, {}).setdefault(value, []).append(self.fleet.number[name])
        self._known: dict[str, int] = {}
        self._seen: dict[int, tuple[Selection | Selector, int]] = {}
        """Answers by the identity of who was asked for, who stays here so that no other can come to have it."""
        self._room = _KEPT

    def of(self, names: Iterable[str]) -> Targets:
        """Those of the names that are targets."""
        return self.fleet.of(names)

    def selected(self, selector: Selector) -> Targets:
        return Targets(self.fleet, self._selected(selector))

    def group(self, name: str) -> Targets:
        return Targets(self.fleet, self._of_groups.get(name, 0))

    def chosen(self, selection: Selection) -> Targets:
        return Targets(self.fleet, self._chosen(selection))

    def _chosen(self, selection: Selection) -> int:
        seen = self._seen.get(id(selection))
        if seen is not None:
            return seen[1]
        return self._noted(selection, self._found(selection))

    def _found(self, selection: Selection) -> int:
        said = selection.selector is not None or selection.groups or selection.names
        if not said:
            found = self.fleet.all if selection.exclude is not None else 0
        else:
            found = self._named(selection.names)
            for name in selection.groups:
                found |= self._of_groups.get(name, 0)
            if selection.selector is not None:
                found |= self._selected(selection.selector)
        return found & ~self._chosen(selection.exclude) if selection.exclude is not None else found

    def _named(self, names: tuple[str, ...]) -> int:
        return self.fleet.of(names)._bits if names else 0

    def _selected(self, selector: Selector) -> int:
        seen = self._seen.get(id(selector))
        if seen is not None:
            return seen[1]
        memo = repr(selector)  # of a thousand jobs that select alike, one is worked out
        known = self._known.get(memo)
        if known is None:
            known = self.fleet.all
            for key, value in selector.match_labels.items():
                known &= self._labelled(key, value)
            for condition in selector.match_expressions:
                known = known and known & self._holding(condition)
            self._keep(memo, known)
        return self._noted(selector, known)

    def _noted(self, asked: Selection | Selector, bits: int) -> int:
        self._spend(_A_NOTE + bits.bit_length() // 8)
        self._seen[id(asked)] = asked, bits
        return bits

    def _keep(self, memo: str, bits: int) -> None:
        self._spend(len(memo) + bits.bit_length() // 8)
        self._known[memo] = bits

    def _spend(self, room: int) -> None:
        self._room -= room
        if self._room < 0:
            self._known.clear()
            self._seen.clear()
            self._room = _KEPT - room

    @cached_property
    def _of_groups(self) -> Mapping[str, int]:
        """By group, those in it and in the groups it contains; groups that contain each other have the same ones."""
        graph = {name: group.spec.groups for name, group in self._groups.items()}
        found: dict[str, int] = {}
        for together in components(graph):
            bits = 0
            for name in together:
                spec = self._groups[name].spec
                bits |= self._named(spec.names)
                bits |= self._selected(spec.selector) if spec.selector is not None else 0
                for below in spec.groups:
                    bits |= found.get(below, 0)
            found.update(dict.fromkeys(together, bits))
        return found

    def _with(self, key: str, values: Iterable[str]) -> int:
        found = 0
        for value in values:
            found |= self._labelled(key, value)
        return found

    def _labelled(self, key: str, value: str | None = None) -> int:
        """Those with a label; of any value where none is given."""
        held = self._by_label.get(key, {})
        if not held or (value is not None and value not in held):
            return 0
        memo = f"{key}={value}" if value is not None else key
        known = self._known.get(memo)
        if known is None:
            lists = held.values() if value is None else (held[value],)
            known = self.fleet.bits(number for numbers in lists for number in numbers)
            self._keep(memo, known)
        return known

    def _holding(self, condition: Expression) -> int:
        match condition.operator:
            case "In":
                return self._with(condition.key, condition.values)
            case "NotIn":
                return self.fleet.all & ~self._with(condition.key, condition.values)
            case "Exists":
                return self._labelled(condition.key)
            case "DoesNotExist":
                return self.fleet.all & ~self._labelled(condition.key)
