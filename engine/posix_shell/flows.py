"""Which variables a script computes with, and which others may flow into those.

bash computes more than it seems to: in `$((n + 1))`, `((n > 5))`, `[[ $n -gt 5 ]]`, `${x:$n:1}` and `${a[n]}` a value
of n such as `a[$(reboot)]` runs a command, wherever n came from. A name is followed through assignments, loops, `set`,
calls of functions and `read`; what goes through a file or another program is not.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from engine.posix_shell.arguments import Arguments, assigned_name
from engine.posix_shell.digits import checked
from engine.posix_shell.options import COMPUTING
from engine.posix_shell.pieces import DYNAMIC, Word
from engine.posix_shell.programs import program
from engine.posix_shell.variables import COMPUTED_NAMES

INPUT = "<input>"
"""What goes through a pipe or a here-document, to whoever reads it."""
POSITIONAL = "@"
"""`$1`, `$2`, ..., of the script and of its functions."""

_READ = re.compile(r"\$\{?[!#]?([A-Za-z_][A-Za-z0-9_]*|[0-9@*])")
_USED = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*|\$\{?[0-9@*]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ELEMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\[")
_PARAMETER = re.compile(r"([!#]?)([A-Za-z_][A-Za-z0-9_]*|[0-9@*]+)(\[[^\]]*\]?)?(.?)(.?)", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[;&|({!]|\b(?:then|do|else|if|while|until)\b)[ \t]*(?=case\b|\[\[)", re.MULTILINE)
_ARITHMETIC = re.compile(r"\(\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*|\$\[[^\]\n]*|\blet[ \t][^\n;&|]*")
_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):?=")


@dataclass
class Flows:
    """Names from which computed values come, and what flows into what."""

    sinks: set[str] = field(default_factory=set)
    sources: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By name: the names that it may take its value from."""
    assigned: list[tuple[str, int, int]] = field(default_factory=list)
    """Names, and the words in which they are assigned, by their places in the text."""
    integers: set[str] = field(default_factory=set)
    """Names that `declare -i` makes numbers: what is assigned to them is computed."""
    mappings: set[str] = field(default_factory=set)
    """Arrays whose subscripts are text."""

    def reached(self, checked: frozenset[str]) -> frozenset[str]:
        """Every name whose value is computed, directly or not; without those that the script checks."""
        found: set[str] = set()
        waiting = [*self.sinks]
        while waiting:
            name = waiting.pop()
            if name not in found and name not in checked:
                found.add(name)
                waiting += self.sources.get(name, ())
        return frozenset(found)


@dataclass(frozen=True)
class Followed:
    """A script that was followed to its end."""

    text: str
    commands: tuple[Arguments, ...]
    functions: frozenset[str]
    arithmetic: Sequence[tuple[int, int]]
    """Places in the text, as the others."""
    parameters: Sequence[tuple[int, int]]
    """`${...}`"""
    others: Sequence[tuple[int, int]]
    """Scripts of others, which are not followed."""
    bodies: Sequence[tuple[int, int]]
    """Here-documents."""

    @cached_property
    def pipes_all(self) -> bool:
        """Whether more goes through a pipe than the words of the command before it: `{ ...; } | x`."""
        return any(
            one.command.piped and (one.command.compound or not self.functions.isdisjoint(one.called))
            for one in self.commands
        )


def computed_names(script: Followed) -> frozenset[str]:
    """Names whose value the script computes."""
    flows = Flows()
    text = script.text
    for one in script.commands:
        _Reading(script, one).into(flows)
    for start, end in script.arithmetic:
        flows.sinks.update(_used(text[start:end]))
    for start, end in script.others:
        flows.sinks.update(computed_at_least(text[start:end]))
    for start, end in script.parameters:
        flows.sinks.update(_of_parameter(text[start:end], flows.mappings))
        if (match := _DEFAULT.match(text, start, end)) is not None:
            flows.sources[match[1]].update(_read(text, match.end(), end))
    for start, end in script.bodies:
        flows.sources[INPUT].update(_read(text, start, end))
    for name, start, end in flows.assigned:
        if name in flows.integers or name in COMPUTED_NAMES:
            flows.sinks.update(_used(text[text.find("=", start, end) + 1 : end]))
    # A number of bash, such as RANDOM, is computed whenever it is assigned.
    flows.sinks.update(name for name in COMPUTED_NAMES if name in flows.sources)
    return flows.reached(checked(text, _tests(script))) | COMPUTED_NAMES


def computed_at_least(text: str) -> frozenset[str]:
    """Of a script that cannot be followed: the names that stand in its arithmetic."""
    found = {name for match in _ARITHMETIC.finditer(text) for name in _used(match[0])}
    return frozenset(found - checked(text, (match.end() for match in _COMMAND.finditer(text))))


def _tests(script: Followed) -> Iterator[int]:
    for one in script.commands:
        if one.heads and one.called[-1] in ("case", "[["):
            yield one.command.words[one.heads[-1]].start


def targets(script: Followed, arguments: Arguments, hole: int) -> Iterator[str]:
    """The names that take a value which stands in this command."""
    command = arguments.command
    place = command.places.get(hole)
    if command.piped or script.pipes_all or hole in command.body_holes:
        yield INPUT
    if place is None:
        return
    word = command.words[place]
    if word.process:
        yield INPUT
    if (name := _assigned(arguments, place, word)) is not None:
        yield name
    called = arguments.called[-1:]
    if called and called[0] in ("for", "select") and place > arguments.heads[-1] + 1:
        yield command.words[arguments.heads[-1] + 1].text
    elif called and (called[0] == "set" or called[0] in script.functions):
        yield POSITIONAL


def _assigned(arguments: Arguments, place: int, word: Word) -> str | None:
    if arguments.assigns(place):
        return assigned_name(word.text)
    element = _ELEMENT.match(word.text)
    return element[1] if element and place == arguments.first else None


@dataclass
class _Reading:
    """What one command says about names."""

    script: Followed
    arguments: Arguments

    def into(self, flows: Flows) -> None:
        command = self.arguments.command
        for place, word in enumerate(command.words):
            if (name := _assigned(self.arguments, place, word)) is not None:
                flows.sources[name].update(self._read(word))
                flows.assigned.append((name, word.start, word.end))
        if command.piped or self.script.pipes_all:
            flows.sources[INPUT].update(name for word in command.words for name in self._read(word))
        flows.sources[INPUT].update(name for word in command.redirected for name in self._read(word))
        flows.sources[INPUT].update(name for word in command.words if word.process for name in self._read(word))
        if self.arguments.starts_shell:
            flows.sinks.update(name for word in command.words for name in computed_at_least(self._raw(word)))
        if self.arguments.heads and not command.pattern:
            head = self.arguments.heads[-1]
            self._called(flows, self.arguments.called[-1], command.words[head], command.words[head + 1 :])

    def _called(self, flows: Flows, name: str, head: Word, words: list[Word]) -> None:
        if element := _ELEMENT.match(head.text):
            if element[1] not in flows.mappings:
                flows.sinks.update(_used(_subscript(self._raw(head))))
        elif name == "let":
            flows.sinks.update(used for word in words for used in _used(self._raw(word)))
        elif program(name).words == "names":
            self._declared(flows, words)
        elif name == "[[":
            self._compared(flows, words)
        elif name in ("for", "select") and words:
            flows.sources[words[0].text].update(read for word in words[1:] for read in self._read(word))
            if len(words) == 1:
                flows.sources[words[0].text].add(POSITIONAL)
        elif name == "set" or name in self.script.functions:
            flows.sources[POSITIONAL].update(read for word in words for read in self._read(word))
        elif name in ("read", "mapfile", "readarray", "getopts"):
            self._reads(flows, name, words)
        elif name == "unset":
            flows.sinks.update(read for word in words for read in self._read(word))
        elif name in ("printf", "test", "["):
            self._named_after_v(flows, name, words)

    def _declared(self, flows: Flows, words: list[Word]) -> None:
        flags = "".join(word.text for word in words if word.text[:1] in "-+")
        for word in words:
            named = _NAME.match(word.text)
            if word.text.startswith(DYNAMIC):
                flows.sinks.update(self._read(word))
            elif named and "A" in flags:
                flows.mappings.add(named[0])
            elif named and ("i" in flags or "n" in flags):
                flows.sinks.add(named[0])
                flows.integers.add(named[0])

    def _compared(self, flows: Flows, words: list[Word]) -> None:
        for at, word in enumerate(words):
            if word.text in COMPUTING and not word.quoted:
                beside = words[at + 1 : at + 2] + (words[at - 1 : at] if word.text not in ("-v", "-R") else [])
                flows.sinks.update(used for one in beside for used in _used(self._raw(one)))

    def _reads(self, flows: Flows, name: str, words: list[Word]) -> None:
        source = POSITIONAL if name == "getopts" else INPUT
        for default in ("REPLY", "MAPFILE", "OPTARG"):
            flows.sources[default].add(source)
        for word in words:
            flows.sinks.update(self._read(word))
            if _NAME.fullmatch(word.text):
                flows.sources[word.text].add(source)

    def _named_after_v(self, flows: Flows, name: str, words: list[Word]) -> None:
        for before, word in itertools.pairwise(words):
            if before.text == "-v":
                flows.sinks.update(self._read(word))
                if name == "printf" and _NAME.fullmatch(word.text):
                    flows.sources[word.text].update(read for one in words for read in self._read(one))

    def _raw(self, word: Word) -> str:
        return self.script.text[word.start : word.end]

    def _read(self, word: Word) -> Iterator[str]:
        return _read(self.script.text, word.start, word.end)


def _read(text: str, start: int, end: int) -> Iterator[str]:
    """Names whose values stand in a part of the text."""
    for match in _READ.finditer(text, max(start, 0), max(end, 0)):
        yield match[1] if match[1][0] not in "0123456789@*" else POSITIONAL


def _used(text: str) -> Iterator[str]:
    """Names in arithmetic, with a `$` or without."""
    for match in _USED.finditer(text):
        yield POSITIONAL if match[0][0] == "$" else match[0]


def _subscript(raw: str) -> str:
    return raw[raw.find("[") + 1 :].split("]", 1)[0]


def _of_parameter(inner: str, mappings: set[str]) -> Iterator[str]:
    match = _PARAMETER.match(inner)
    if match is None:
        return
    mark, name, subscript, first, second = match.groups()
    if mark == "!" and subscript is None and first not in ("*", "@"):
        yield name
    if first == "@" and second == "P":
        yield name
    if subscript and name not in mappings and subscript not in ("[@]", "[*]"):
        yield from _used(subscript)
    if first == ":" and second not in ("-", "=", "?", "+", ""):
        yield from _used(inner[match.end() - 1 :])
