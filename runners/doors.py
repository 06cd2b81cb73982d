"""Doors: how the parts of a runner are found by name, the built-in ones and those of plug-ins alike.

A part is named by an entry point, a factory in a module. Those of plug-ins stand in the metadata of installed packages,
ours in a table of the same form. A part is imported when it is first asked for, so that one that cannot be imported
concerns only those who need it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class NoPart(Exception):  # noqa: N818 - named after what it means: there is no such part here
    """The part cannot be had on this runner. The message is for people, and says what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a plug-in's part. `source` is its package."""

    group: str
    name: str
    source: str
    problem: str


class Door(Generic[T]):
    """Parts of one kind, by name. Whose factory takes what is the matter of the kind.

    A plug-in cannot take the name of a built-in part; where two plug-ins have the same name, neither is used.
    """

    def __init__(self, group: str, what: str, built_in: Mapping[str, str]) -> None:
        """`group` is that of the entry points, `what` the kind in words, `built_in` names our factories."""
        self.group = group
        self._what = what
        self._built_in = {name: EntryPoint(name, value, group) for name, value in built_in.items()}
        self._loaded: dict[str, Callable[..., T]] = {}

    @property
    def built_in(self) -> frozenset[str]:
        return frozenset(self._built_in)

    @cached_property
    def _plugged(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            found.setdefault(entry.name, []).append(entry)
        return {name: tuple(entries) for name, entries in found.items()}

    def factory(self, name: str) -> Callable[..., T]:
        """What makes the part. Raises NoPart."""
        if name not in self._loaded:
            self._loaded[name] = cast("Callable[..., T]", _load(self._entry(name), self._what))
        return self._loaded[name]

    def plugged(self) -> Mapping[str, EntryPoint]:
        """What plug-ins bring and can be used, as far as that is known without importing it."""
        found = {name: entries[0] for name, entries in self._plugged.items() if len(entries) == 1}
        return {name: entry for name, entry in found.items() if name not in self._built_in}

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the parts of plug-ins. Imports all of them."""
        for name, entries in sorted(self._plugged.items()):
            try:
                if name in self._built_in:
                    raise NoPart(f"{self._what} '{name}' is built in and cannot be replaced; give yours another name")
                self.factory(name)
            except NoPart as error:
                yield Fault(self.group, name, " and ".join(source(entry) for entry in entries), str(error))

    def _entry(self, name: str) -> EntryPoint:
        if name in self._built_in:
            return self._built_in[name]
        match self._plugged.get(name, ()):
            case ():
                raise NoPart(f"this runner has no {self._what} '{name}'; install the plug-in that brings it")
            case (entry,):
                return entry
            case entries:
                who = " and ".join(sorted(source(entry) for entry in entries))
                raise NoPart(f"{who} both bring a {self._what} '{name}', so neither is used; uninstall one of them")


def source(entry: EntryPoint) -> str:
    """The package that an entry point belongs to, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "opsconductor"


def _load(entry: EntryPoint, what: str) -> Any:
    try:
        made = entry.load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise NoPart(f"{what} '{entry.name}' of {source(entry)} cannot be loaded: {why}") from error
    if not callable(made):
        raise NoPart(f"{what} '{entry.name}' of {source(entry)} is no factory: {entry.value} cannot be called")
    return made
