"""Which variables a script computes with or evaluates, and which others may flow into those.

bash computes more than it seems to: in `$((n + 1))`, `((n > 5))`, `[[ $n -gt 5 ]]`, `${x:$n:1}` and `${a[n]}` a value
of n such as `a[$(reboot)]` runs a command, wherever n came from. A name is followed through assignments, loops, `set`,
calls of functions and `read`; what goes through a file or another program is not.
The same holds for `eval "$x"` and all else that evaluates: which words do is asked of whoever judges them.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.digits import Digits
from engine.scripts.posix_shell.filenames import is_file
from engine.scripts.posix_shell.followed import ELEMENT, POSITIONAL, Followed, assigned, environment_of
from engine.scripts.posix_shell.options import COMPUTING
from engine.scripts.posix_shell.pieces import DYNAMIC, Word
from engine.scripts.posix_shell.programs import program
from engine.scripts.posix_shell.variables import (
    ANY,
    COMPUTED_NAMES,
    EVALUATED_NAMES,
    INPUT,
    PROMPTS,
    STDIN,
    Sink,
    computing,
    indirect_in,
)

_READ = re.compile(r"\$\{?[!#]?([A-Za-z_][A-Za-z0-9_]*|[0-9@*]|#\})")
_USED = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z_][A-Za-z0-9_]*|\$\{?[0-9@*]|\$\{!#")
_LENGTH = re.compile(r"\$\{#[A-Za-z_][A-Za-z0-9_]*+(?:\[[@*]\])?\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"([!#]?)([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*]|(?<=!)#)(\[[^\]]*\]?)?(.?)(.?)", re.DOTALL)
_ARITHMETIC = re.compile(r"\(\([^()\n]*(?:\([^()\n]*\)[^()\n]*)*|\$\[[^\]\n]*|\blet[ \t][^\n;&|]*")
_EVALUATING_LINE = re.compile(r"(?:\beval\b|\b(?:ba|da|a|k|z)?sh[ \t]+-[a-z]*c\b)[^\n]*")
_SINGLE_QUOTED = re.compile(r"'[^'\n]*'")
_DEFAULT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):?=")
_LITERAL = re.compile(r"""["']?[A-Za-z_][A-Za-z0-9_]*(?:\[[^\]$`]*\])?["']?""")
"""The name of a variable, written out."""
_TOLD_HINT = "set it to a text of the script's own, or give it by 'env:' if that is what you want"


_NOTHING: Mapping[str, Iterable[str]] = MappingProxyType({})


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
    spelled: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By name: the names that stand in its text, which bash puts in where it computes that."""
    anywhere: set[str] = field(default_factory=set)
    """Names whose values may go to any variable."""
    named: set[str] = field(default_factory=set)
    """Names that the script sets to a text which is a name, if to nothing else."""
    unsaid: set[str] = field(default_factory=set)
    """Those that it sets to anything else: of `${!x}` nobody knows then which variable it is."""
    references: set[str] = field(default_factory=set)
    """Names that `declare -n` makes those of other variables."""
    given: set[str] = field(default_factory=set)
    """Names that are set by other ways than an assignment: `read PATH`, `for PS4 in ...`."""

    def says(self, name: str, *values: str) -> None:
        """The script sets the name to these values, as they are written."""
        self.named.add(name)
        if not values or not all(map(_LITERAL.fullmatch, values)):
            self.unsaid.add(name)

    def reached(self, sinks: Mapping[str, Sink], *, spelled: bool) -> dict[str, Sink]:
        """Every name whose value goes to one of these, directly or not; `spelled`: or by its name."""
        found: dict[str, Sink] = {}
        waiting = [*sinks.items()]
        if waiting:
            waiting += ((name, waiting[0][1]) for name in self.anywhere)
        while waiting:
            name, sink = waiting.pop()
            if name not in found:
                found[name] = sink
                waiting += ((source, sink) for source in self.sources.get(name, ()))
                if spelled:
                    waiting += ((source, sink) for source in self.spelled.get(name, ()))
        return found


def sinks(
    script: Followed, evaluated: Mapping[str, Sink], digits: Digits, handed: Mapping[str, Iterable[str]] = _NOTHING
) -> dict[str, Sink]:
    """Names whose value the script computes, or which flow into those that it evaluates.

    `handed`: by name, those whose values scripts within the script give to it.
    """
    flows = Flows()
    for name, names in handed.items():
        flows.sources[name].update(names)
    text = script.text
    for one in script.commands:
        _Reading(script, one, digits).into(flows)
    _through_files(script, flows, digits)
    flows.sources["BASH_ARGV"].add(POSITIONAL)
    for start, end in script.arithmetic:
        flows.sinks.update(_unless(digits, start, _used(script.without_numbers(start, end))))
        flows.sinks.update(script.outputs_named_in(start, end))
        if script.copies_input(start, end):
            flows.sinks.update((STDIN, INPUT))
    for start, end in script.others:
        flows.sinks.update(_unless(digits, start, computed_at_least(text[start:end])))
    for start, end in script.parameters:
        flows.sinks.update(_unless(digits, start, _of_parameter(text[start:end], flows.mappings)))
        if (match := _DEFAULT.match(text, start, end)) is not None:
            flows.sources[match[1]].update(_unless(digits, start, _read(text, match.end(), end)))
            flows.says(match[1])
            flows.given.add(match[1])
    for start, end in script.bodies:
        flows.sources[INPUT].update(_unless(digits, start, _read(text, start, end)))
        flows.spelled[INPUT].update(_used(text[start:end]))
    for name, start, end in flows.assigned:
        if name in flows.integers or name in COMPUTED_NAMES:
            flows.sinks.update(_used(script.without_numbers(text.find("=", start, end) + 1, end)))
    # A number of bash, such as RANDOM, is computed whenever it is assigned.
    flows.sinks.update(name for name in COMPUTED_NAMES if name in flows.sources)
    flows.sinks.update(name for one in script.numbers for name in one.says)
    _by_names(script, flows)
    told = {name: _told(name) for name in flows.given if EVALUATED_NAMES.fullmatch(name)}
    numbers = {name: computing(name) for name in (*flows.sinks, *COMPUTED_NAMES)}
    by_name = any(text.startswith("!", start) for start, _ in script.parameters)
    return flows.reached({**told, **evaluated}, spelled=by_name) | flows.reached(numbers, spelled=True)


def _by_names(script: Followed, flows: Flows) -> None:
    """Which variables `${!x}` and `declare -n x` may lead to: where the script does not write their names, any."""
    indirect = {*indirect_in(script.text, 0, len(script.text))}
    unsaid = {name for name in indirect if name[1:] in flows.unsaid or name[1:] not in flows.named}
    unsaid |= flows.references & flows.unsaid
    if "!#" in unsaid:
        flows.sources["!#"].add(POSITIONAL)
    for name in unsaid - {"!#"}:
        flows.sources[name].add(ANY)
    if unsaid or any(name == ANY for _, name in script.printed):
        flows.sources[ANY].update((*flows.sources, *(name for _, name in script.reads), POSITIONAL, INPUT))


def _told(name: str) -> Sink:
    return Sink(name, "whose value the shell or programs evaluate", _TOLD_HINT)


def _through_files(script: Followed, flows: Flows, digits: Digits) -> None:
    for name, told in script.files.flows():
        flows.sources[name].update(one for at, one in told if not digits.hold(one, at))
    for old, new in script.files.moved():
        flows.sources[new].add(old)
    for folder, names in script.files.gathered():
        flows.sources[folder].update(names)
    flows.sources[INPUT].update(script.files.taken())
    for one in script.commands:
        if script.copies_given(one):
            for name in script.files.printed_to(one):
                flows.sources[name].add(INPUT)
    for name in script.files.copied_input:
        flows.sources[name].add(STDIN)
    for one in script.copying_input:
        for name in (*script.files.printed_to(one), *((INPUT,) if one.command.piped else ())):
            flows.sources[name].add(STDIN)
    flows.sources[INPUT].update(name for one, _, name in script.files.read() if one.command.piped or script.pipes_all)


def _unless(digits: Digits, at: int, names: Iterable[str]) -> Iterator[str]:
    """Those of the names that may hold more than digits there."""
    return (name for name in names if not digits.hold(name, at))


def computed_at_least(text: str) -> frozenset[str]:
    """Of a script that cannot be followed: the names that stand in its arithmetic."""
    found = {name for match in _ARITHMETIC.finditer(text) for name in _used(match[0])}
    return frozenset(found)


def evaluated_at_least(text: str) -> dict[str, Sink]:
    """Of a script that cannot be followed: the names whose values stand in a line after `eval` or `sh -c`."""
    says, hint = "which stands in a line with 'eval' or 'sh -c'", "run the program itself, with it as an argument"
    lines = (match[0] for match in _EVALUATING_LINE.finditer(text))
    return {name: Sink(name, says, hint) for line in lines for name in read_at_least(_SINGLE_QUOTED.sub("", line))}


def read_at_least(text: str) -> frozenset[str]:
    """Of the same: all names whose values it may put in."""
    return frozenset(name for name in _read(text, 0, len(text)) if name.isidentifier())


def targets(script: Followed, arguments: Arguments, hole: int) -> Iterator[str]:
    """The names that take a value which stands in this command."""
    command = arguments.command
    place = command.places.get(hole)
    if (name := script.output_of(arguments)) is not None:
        yield name
    fed = command.piped or script.pipes_all or script.reads_processes or hole in command.in_input
    if fed and id(command) not in script.counted:
        yield INPUT
    yield from script.files.of_value(arguments, hole)
    if place is None:
        return
    word = command.words[place]
    yield "_"
    if word.process:
        yield INPUT
    if id(command) in script.capturing:
        yield "BASH_REMATCH"
    if (name := assigned(arguments, place, word)) is not None:
        yield name
    called = arguments.called[-1:]
    if called and called[0] in ("for", "select") and place > arguments.heads[-1] + 1:
        yield command.words[arguments.heads[-1] + 1].text
    elif (
        (called and (called[0] == "set" or called[0] in script.functions))
        or script.called_by_variable(arguments)
        or ((begin := script.given_to_functions(arguments)) is not None and place >= begin)
    ):
        yield POSITIONAL


@dataclass
class _Reading:
    """What one command says about names."""

    script: Followed
    arguments: Arguments
    digits: Digits

    def into(self, flows: Flows) -> None:
        command = self.arguments.command
        for place, word in enumerate(command.words):
            if (name := assigned(self.arguments, place, word)) is not None:
                if not self.script.calls.gives_number(self.arguments, word):
                    flows.sources[name].update(self._read(word))
                    flows.spelled[name].update(self._spelled(word))
                flows.assigned.append((name, word.start, word.end))
                if "=" in (raw := self._raw(word)):
                    before, _, value = raw.partition("=")
                    flows.says(name, *(() if before.endswith(("+", "]")) else (value,)))
                if name in PROMPTS:
                    flows.sinks.add(name)
            flows.sinks.update(used for item in word.items for used in self._of_item(item, name, flows))
        if id(command) not in self.script.counted:
            self._handed_on(flows)
        self._printed(flows)
        begin = 0 if self.script.called_by_variable(self.arguments) else self.script.given_to_functions(self.arguments)
        if begin is not None:
            for word in command.words[begin:]:
                flows.sources[POSITIONAL].update(self._read(word))
                flows.spelled[POSITIONAL].update(self._spelled(word))
        if self.arguments.starts_shell:
            flows.sinks.update(name for word in command.words for name in computed_at_least(self._raw(word)))
        if self.arguments.heads and not command.pattern:
            head = self.arguments.heads[-1]
            self._called(flows, self.arguments.called[-1], command.words[head], command.words[head + 1 :])

    def _handed_on(self, flows: Flows) -> None:
        """What goes to the input of others."""
        command = self.arguments.command
        if command.piped or self.script.pipes_all or self.script.reads_processes:
            flows.sources[INPUT].update(name for word in command.words for name in self._read(word))
            flows.sources[INPUT].update(environment_of(self.arguments))
        flows.sources[INPUT].update(name for word in command.redirected for name in self._read(word))
        flows.sources[INPUT].update(name for word in command.words if word.process for name in self._read(word))
        for start, end in command.fed:
            flows.spelled[INPUT].update(self._spelled(Word(start=start, end=end)))

    def _called(self, flows: Flows, name: str, head: Word, words: list[Word]) -> None:
        if element := ELEMENT.match(head.text):
            if element[1] not in flows.mappings:
                flows.sinks.update(self._used(_subscript(self._raw(head)), head))
        elif name == "let":
            flows.sinks.update(used for word in words for used in self._used(self._raw(word), word))
        elif program(name).words == "names":
            self._elements(flows, words)
            self._declared(flows, name, words)
        elif name == "[[":
            self._compared(flows, words)
        elif name in ("for", "select") and words:
            flows.sources[words[0].text].update(read for word in words[1:] for read in self._read(word))
            flows.spelled[words[0].text].update(one for word in words[1:] for one in self._spelled(word))
            flows.says(words[0].text, *(self._raw(word) for word in words[2:]))
            flows.given.add(words[0].text)
            if len(words) == 1:
                flows.sources[words[0].text].add(POSITIONAL)
            if name == "select":
                flows.sources["REPLY"].update((INPUT, *self._own_input()))
        elif name == "set" or name in self.script.functions:
            flows.sources[POSITIONAL].update(read for word in words for read in self._read(word))
            flows.spelled[POSITIONAL].update(
                one for word in words if " " not in word.text for one in self._spelled(word)
            )
        elif name in ("read", "mapfile", "readarray", "getopts"):
            self._elements(flows, words)
            self._reads(flows, name, words)
        elif name == "unset":
            flows.sinks.update(read for word in words for read in self._read(word))
        elif name in ("printf", "test", "["):
            if any(word.text.startswith("-v") for word in words):
                self._elements(flows, words)
            self._named_after_v(flows, name, words)

    def _printed(self, flows: Flows) -> None:
        """What goes to the output of a function, to `$_`, and to what `[[ =~ ]]` finds."""
        command = self.arguments.command
        if (output := self.script.output_of(self.arguments)) is not None:
            for word in (*command.words, *command.redirected):
                flows.sources[output].update(self._read(word))
            for start, end in command.fed:
                flows.sources[output].update(self.script.names_in(start, end))
            flows.spelled[output].update(one for word in command.words for one in self._spelled(word))
            if self.script.copies_given(self.arguments):
                flows.sources[output].add(INPUT)
            called = self.arguments.called[-1]
            if called in self.script.functions:
                flows.sources[output].add(f"{called}()")
            flows.sources[output].update(f"{name}()" for name in self.script.called_by_variable(self.arguments))
        if self.script.reads_last:
            flows.sources["_"].update(name for word in command.words for name in self._read(word))
        if id(command) in self.script.capturing:
            flows.sources["BASH_REMATCH"].update(name for word in command.words for name in self._read(word))

    def _elements(self, flows: Flows, words: list[Word]) -> None:
        """`declare a[n]=x`, `read a[n]`: n is computed."""
        for word in words:
            element = ELEMENT.match(word.text)
            if element is not None and element[1] not in flows.mappings:
                flows.sinks.update(self._used(_subscript(self._raw(word)), word))

    def _declared(self, flows: Flows, called: str, words: list[Word]) -> None:
        flags = "".join(word.text for word in words if word.text[:1] in "-+")
        for word in words:
            named = _NAME.match(word.text)
            if word.text.startswith(DYNAMIC):
                # `export $(cat .env)` computes nothing.
                flows.sinks.update(name for name in self._read(word) if called != "export" or not is_file(name))
            elif named and "A" in flags:
                flows.mappings.add(named[0])
            elif named and ("i" in flags or "n" in flags):
                flows.sinks.add(named[0])
                flows.integers.add(named[0])
                if "n" in flags:
                    flows.references.add(named[0])

    def _compared(self, flows: Flows, words: list[Word]) -> None:
        for at, word in enumerate(words):
            if word.text in COMPUTING and not word.quoted:
                beside = words[at + 1 : at + 2] + (words[at - 1 : at] if word.text not in ("-v", "-R") else [])
                flows.sinks.update(used for one in beside for used in self._used(self._raw(one), one))

    def _reads(self, flows: Flows, name: str, words: list[Word]) -> None:
        source = POSITIONAL if name == "getopts" else INPUT
        for default in ("REPLY", "MAPFILE", "OPTARG"):
            flows.sources[default].add(source)
        own = [] if name == "getopts" else self._own_input()
        for target in ("REPLY", "MAPFILE", *(word.text for word in words if _NAME.fullmatch(word.text))):
            flows.sources[target].update(own)
        for word in words:
            flows.sinks.update(self._read(word))
            if word.text.startswith(DYNAMIC):
                flows.anywhere.add(source)
            if word.text.startswith("-C"):
                flows.sinks.update((source, *own))
            if _NAME.fullmatch(word.text):
                flows.sources[word.text].add(source)
                flows.says(word.text)
                flows.given.add(word.text)

    def _own_input(self) -> list[str]:
        return [STDIN] if self.script.has_own_input(self.arguments) else []

    def _named_after_v(self, flows: Flows, name: str, words: list[Word]) -> None:
        for before, word in itertools.pairwise(words):
            if before.text == "-v":
                flows.sinks.update(self._read(word))
                flows.says(word.text)
                flows.given.add(word.text)
                if name == "printf" and _NAME.fullmatch(word.text):
                    flows.sources[word.text].update(read for one in words for read in self._read(one))

    def _of_item(self, item: Word, array: str | None, flows: Flows) -> Iterator[str]:
        """`a=([n]=x)` computes n."""
        if item.text.startswith("[") and array not in flows.mappings:
            yield from self._used(_subscript(self._raw(item)), item)

    def _raw(self, word: Word) -> str:
        return self.script.without_numbers(word.start, word.end)

    def _read(self, word: Word) -> Iterator[str]:
        raw = self._raw(word)
        yield from _unless(self.digits, word.start, _read(raw, 0, len(raw)))
        yield from self.script.outputs_in(word.start, word.end)

    def _used(self, text: str, word: Word) -> Iterator[str]:
        return _unless(self.digits, word.start, _used(text))

    def _spelled(self, word: Word) -> Iterator[str]:
        """Names in a text that may be computed later; not what a program of another name is told."""
        raw = self._raw(word)
        told = ("$(" in raw or "`" in raw) and "echo" not in raw and "printf" not in raw
        return self._used(word.text if told else raw, word)


def _read(text: str, start: int, end: int) -> Iterator[str]:
    """Names whose values stand in a part of the text."""
    for match in _READ.finditer(text, max(start, 0), max(end, 0)):
        yield match[1] if match[1][0] not in "0123456789@*#" else POSITIONAL
    yield from indirect_in(text, start, end)


def _used(text: str) -> Iterator[str]:
    """Names in arithmetic, with a `$` or without. How long a text is, is a number: `${#x}`."""
    text = _LENGTH.sub("0", text) if "${#" in text else text
    for match in _USED.finditer(text):
        yield POSITIONAL if match[0][0] == "$" else match[0]
    yield from indirect_in(text, 0, len(text))


def _subscript(raw: str) -> str:
    return raw[raw.find("[") + 1 :].split("]", 1)[0]


def _of_parameter(inner: str, mappings: set[str]) -> Iterator[str]:
    match = _PARAMETER.match(inner)
    if match is None:
        return
    mark, name, subscript, first, second = match.groups()
    variable = name if name.isidentifier() else POSITIONAL
    if mark == "!" and subscript is None and name != "#" and first not in ("*", "@"):
        yield variable
    if first == "@" and second == "P":
        yield variable
        yield from (f"!{name}" for _ in mark if mark == "!")
    if subscript and name not in mappings and subscript not in ("[@]", "[*]"):
        yield from _used(subscript)
    if first == ":" and second not in ("-", "=", "?", "+", ""):
        yield from _used(inner[match.end() - 1 :])
