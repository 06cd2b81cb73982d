"""What a document is made of beside its own text: files of the repository, step libraries, types of plug-ins.

Who changes one of those changes what the document does, though not a letter of it differs.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from posixpath import normpath
from typing import Any

from engine.checks.files import files_of
from engine.checks.memory import remembered
from engine.checks.scope import PlacedStep, steps_of
from engine.compile import Compiled
from engine.expressions.expression import has_expression
from engine.vendored import Library, use_of
from schemas.library import LibraryStep
from schemas.paths import PEM
from schemas.reader import Authored
from schemas.steps import STEP_TYPES, StepType

_HANDED_ON = re.compile(r"\s*\$\{\{\s*inputs\.[A-Za-z_][A-Za-z0-9_]*\s*\}\}\s*")


@dataclass(frozen=True)
class Tree:
    """The definitions of a commit, valid or not. What is asked of all of them is found once: a tree may be compared
    with the one before it and the one after."""

    definitions: Sequence[Authored]
    libraries: Mapping[str, Library] = field(default_factory=dict)
    plugged: Mapping[str, StepType] = field(default_factory=dict)
    whole: bool = True
    """Every file that may hold a definition could be read."""

    @cached_property
    def by_identity(self) -> Mapping[str, Authored]:
        """Sorted. Of two with one identity the first counts, as in a catalog."""
        first: dict[str, Authored] = {}
        for authored in self.definitions:
            first.setdefault(authored.identity, authored)
        return dict(sorted(first.items()))

    @cached_property
    def doubles(self) -> Sequence[Authored]:
        """Those that do not count."""
        if len(self.by_identity) == len(self.definitions):
            return ()
        counted = {id(authored) for authored in self.by_identity.values()}
        return tuple(authored for authored in self.definitions if id(authored) not in counted)

    @cached_property
    def made_of_more(self) -> Sequence[tuple[Authored, "Ingredients"]]:
        """Those that are made of more than their text, in the order of the definitions."""
        return tuple((one, own) for one in self.definitions if (own := of(one)) is not _NOTHING)

    @cached_property
    def files(self) -> frozenset[str]:
        """Where they stand."""
        return frozenset(authored.file for authored in self.definitions)

    @classmethod
    def of(cls, compiled: Compiled) -> "Tree":
        """That of a commit which was compiled."""
        seen = compiled.readable
        libraries, types = (seen.libraries, seen.plugged) if seen is not None else ({}, {})
        return cls(compiled.definitions, libraries, types, whole=compiled.whole)


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Of one document. Paths are from the root, without `.`; an empty one is the whole repository."""

    files: frozenset[str] = frozenset()
    """Files, and folders with all that is below."""
    beginnings: frozenset[str] = frozenset()
    """Where a run works out which file it is: what its path begins with."""
    libraries: frozenset[str] = frozenset()
    plugged: bool = False
    hands_on: bool = False
    """A step of a library that takes a file's path from who uses it."""


def of(authored: Authored) -> Ingredients:
    """What one document, or one step of a library, is made of."""
    return remembered(authored, "ingredients", (), lambda: _of(authored))


def touched(tree: Tree, paths: Collection[str], libraries: Iterable[str], *, plugged: bool) -> Mapping[str, str]:
    """The documents that use what changed, by identity, and what that is: a file's path, a library, a lock file.

    `libraries` are those that changed, `plugged` says that the types of plug-ins did.
    """
    among = _by_folder(paths)
    changed = {name: f"libraries/{name}" for name in libraries}
    for name, library in tree.libraries.items():
        for step in library.steps.values():
            if name not in changed and (file := _file_of(of(step), among)) is not None:
                changed[name] = file
    changed = _users_of(changed, tree.libraries)
    taking = {name for name, one in tree.libraries.items() if any(of(step).hands_on for step in one.steps.values())}
    handing = set(_users_of(dict.fromkeys(taking, ""), tree.libraries))
    found: dict[str, str] = {}
    for authored, own in tree.made_of_more:
        because = next((changed[name] for name in sorted(own.libraries) if name in changed), None)
        because = because or _file_of(own, among)
        if because is None and not own.libraries.isdisjoint(handing):
            because = _file_of(_handed(authored, handing), among)
        if because is None and own.plugged and plugged:
            because = "opsconductor.lock"
        if because is not None:
            found.setdefault(authored.identity, because)
    return found


_NOTHING = Ingredients()


def _of(authored: Authored) -> Ingredients:
    files = {_plain(file) for file, _ in files_of(authored.document)}
    beginnings: set[str] = set()
    libraries: set[str] = set()
    plugged = hands_on = False
    for placed in steps_of(authored):
        uses = placed.step.uses
        if (use := use_of(uses)) is not None:
            libraries.add(use.library)
        plugged = plugged or (uses is not None and use is None and uses not in STEP_TYPES)
        for value in _named_in(placed):
            if not has_expression(value):
                files.add(_plain(value))
            elif isinstance(authored.document, LibraryStep) and _HANDED_ON.fullmatch(value):
                hands_on = True
            else:
                beginnings.add(_beginning(value))
    if isinstance(authored.document, LibraryStep) and hands_on:
        defaults = (schema.get("default") for schema in authored.document.spec.inputs.values())
        files.update(_plain(one) for one in defaults if isinstance(one, str))
    found = Ingredients(frozenset(files), frozenset(beginnings), frozenset(libraries), plugged, hands_on)
    return _NOTHING if found == _NOTHING else found


def _named_in(placed: PlacedStep) -> Iterator[str]:
    """The paths that a step names, or works out."""
    for name in placed.type.files if placed.type is not None else ():
        value = (placed.step.with_ or {}).get(name)
        if isinstance(value, str) and PEM not in value:
            yield value


def _handed(authored: Authored, handing: Collection[str]) -> Ingredients:
    """What a document's steps give to steps of libraries that take a path: any text may be one."""
    texts: list[str] = []
    for placed in steps_of(authored):
        use = use_of(placed.step.uses)
        if use is not None and use.library in handing:
            texts += _texts(placed.step.with_ or {})
    files = frozenset(_plain(text) for text in texts if not has_expression(text))
    return Ingredients(files, frozenset(_beginning(text) for text in texts if has_expression(text)))


def _texts(values: Mapping[str, Any]) -> list[str]:
    return [value for value in values.values() if isinstance(value, str)]


def _by_folder(paths: Iterable[str]) -> dict[str, str]:
    """For each of the paths, and each folder around one: a path there."""
    found: dict[str, str] = {}
    for path in paths:
        at = path
        while at not in found:
            found[at] = path
            at = at.rpartition("/")[0]
    return found


def _file_of(own: Ingredients, among: Mapping[str, str]) -> str | None:
    """A changed file that is one of these."""
    for file in sorted(own.files):
        if file in among:
            return among[file]
    return next((path for begin in sorted(own.beginnings) for path in among.values() if path.startswith(begin)), None)


def _users_of(changed: Mapping[str, str], libraries: Mapping[str, Library]) -> dict[str, str]:
    """The libraries that changed and those that use them, directly or not."""
    found = dict(changed)
    grows = True
    while grows:
        grows = False
        for name, library in libraries.items():
            used = {one for step in library.steps.values() for one in of(step).libraries}
            if name not in found and (via := next((one for one in sorted(used) if one in found), None)) is not None:
                found[name] = found[via]
                grows = True
    return found


def _plain(path: str) -> str:
    plain = normpath(path) if path else ""
    return "" if plain == "." else plain


def _beginning(text: str) -> str:
    """What a path certainly begins with, though a run works out the rest."""
    known = text.partition("${{")[0]
    folder, slash, name = known.rpartition("/")
    return f"{_plain(folder)}/{name}".removeprefix("/") if slash else known.removeprefix(".")
