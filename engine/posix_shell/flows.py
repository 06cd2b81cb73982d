"""Which variables a script computes with or evaluates, and which others may flow into those.

bash computes more than it seems to: in `$((n + 1))`, `((n > 5))`, `[[ $n -gt 5 ]]`, `${x:$n:1}` and `${a[n]}` a value
of n such as `a[$(reboot)]` runs a command, wherever n came from. A name is followed through assignments, loops, `set`,
calls of functions and `read`; what goes through a file or another program is not.
The same holds for `eval "$x"` and all else that evaluates: which words do is asked of whoever judges them.
"""

import itertools
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
_EVALUATING_LINE = re.compile(r"(?:\beval\b|\b(?:ba|da|a|k|z)?sh[ \t]+-[a-z]*c\b)[^\n]*")
_SINGLE_QUOTED = re.compile(r"'[^'\n]*'")
_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):?=")


@dataclass(frozen=True, slots=True)
class Sink:
    """What becomes of a variable's value: it is computed, or evaluated."""

    name: str
    """The variable itself, which others flow into."""
    says: str
    """To be put after the variable's name."""
    hint: str = ""
    """What to do where the value is no number; empty: make it one."""

    def of(self, name: str) -> str:
        """What becomes of the value of the variable `name`, which flows into this one."""
        if name == self.name or not (name.isidentifier() and self.name.isidentifier()):
            return f"{_called(name)}, {self.says}"
        return f"'{name}', and so '{self.name}', {self.says}"


def computing(name: str) -> Sink:
    return Sink(name, "with which the script computes: bash runs commands in such a value")


def _called(name: str) -> str:
    return f"'{name}'" if name.isidentifier() else "a variable" if name == INPUT else "an argument of the script"


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

    def reached(self, sinks: Mapping[str, Sink], checked: frozenset[str]) -> dict[str, Sink]:
        """Every name whose value goes to one of these, directly or not; without those that the script checks."""
        found: dict[str, Sink] = {}
        waiting = [*sinks.items()]
        while waiting:
            name, sink = waiting.pop()
            if name not in found and name not in checked:
                found[name] = sink
                waiting += ((source, sink) for source in self.sources.get(name, ()))
        return found


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
    reads: Sequence[tuple[int, str]]
    """Where the values of variables are put in, in order."""

    def names_in(self, start: int, end: int) -> Iterator[str]:
        """The variables whose values are put in between these places."""
        for _, name in self.reads[bisect_left(self._read_places, start) : bisect_left(self._read_places, end)]:
            yield POSITIONAL if name[0] in "0123456789@*" else name

    @cached_property
    def _read_places(self) -> list[int]:
        return [at for at, _ in self.reads]

    @cached_property
    def pipes_all(self) -> bool:
        """Whether more goes through a pipe than the words of the command before it: `{ ...; } | x`."""
        return any(
            one.command.piped and (one.command.compound or not self.functions.isdisjoint(one.called))
            for one in self.commands
        )


def sinks(script: Followed, evaluated: Mapping[str, Sink]) -> dict[str, Sink]:
    """Names whose value the script computes, or which flow into those that it evaluates."""
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
    asked = checked(text, _tests(script))
    numbers = {name: computing(name) for name in (*flows.sinks, *COMPUTED_NAMES)}
    return flows.reached(evaluated, asked) | flows.reached(numbers, asked - COMPUTED_NAMES)


def computed_at_least(text: str) -> frozenset[str]:
    """Of a script that cannot be followed: the names that stand in its arithmetic."""
    found = {name for match in _ARITHMETIC.finditer(text) for name in _used(match[0])}
    return frozenset(found - checked(text, (match.end() for match in _COMMAND.finditer(text))))


def evaluated_at_least(text: str) -> dict[str, Sink]:
    """Of a script that cannot be followed: the names whose values stand in a line after `eval` or `sh -c`."""
    says, hint = "which stands in a line with 'eval' or 'sh -c'", "run the program itself, with it as an argument"
    lines = (match[0] for match in _EVALUATING_LINE.finditer(text))
    return {name: Sink(name, says, hint) for line in lines for name in read_at_least(_SINGLE_QUOTED.sub("", line))}


def read_at_least(text: str) -> frozenset[str]:
    """Of the same: all names whose values it may put in."""
    return frozenset(name for name in _read(text, 0, len(text)) if name.isidentifier())


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
            flows.sinks.update(used for item in word.items for used in self._of_item(item, name, flows))
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

    def _of_item(self, item: Word, array: str | None, flows: Flows) -> Iterator[str]:
        """`a=([n]=x)` computes n."""
        if item.text.startswith("[") and array not in flows.mappings:
            yield from _used(_subscript(self._raw(item)))

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
