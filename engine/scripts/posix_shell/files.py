"""Files that a script writes and runs, or reads back: `echo "X=$x" > app.env; . ./app.env`.

Known by their names as they are written, in one script, whatever the order of its commands: a pipe with a name
(`mkfifo`) is read before it is written, and a loop runs again.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice, zip_longest
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.blocks import Block
from engine.scripts.posix_shell.filenames import by_variables, file, last_part
from engine.scripts.posix_shell.pieces import DYNAMIC, Refusal, Word
from engine.scripts.posix_shell.prints import COPYING, SAYING, counts, prints_only_numbers
from engine.scripts.posix_shell.programs import interprets, is_awk, is_shell, program
from engine.scripts.posix_shell.quoted import Quoted
from engine.scripts.posix_shell.within import Within
from engine.scripts.posix_shell.writers import MOVING, copies_input, written_by

if TYPE_CHECKING:
    from engine.scripts.posix_shell.followed import Followed

HINT = "give the value to what is run as an argument, or by its environment"
_ENVIRONMENT = (("envsubst",), ("env",), ("printenv",))
"""Programs that print variables of their environment."""
_HINT_IN_BASH = (
    f"{HINT}; or write nothing but assignments to the file, each by printf 'NAME=%q\\n' VALUE, "
    "and let bash alone read it, with '.'"
)
_SOURCING = frozenset({".", "source"})
_SCRIPTED = frozenset({"expect", "tclsh", "wish", "gnuplot", "octave", "julia", "rbash"})
_OF_NUMBERS = re.compile(r"(?:[^%]|%%|%-?[0-9.]*[diuxXo])*", re.DOTALL)
"""A format of printf that writes each value as a number."""
_CODE = re.compile(r"-[A-Za-z]*[cem]|--eval|--execute|--print|-r|--command")
_VALUED = frozenset({"-o", "-O", "+o", "+O", "-W", "-X", "-I", "--rcfile", "--init-file"})
_FILE_OPTION = re.compile(r"(?:-[A-Za-z]*f|--file|--makefile)(?:=(.*))?", re.DOTALL)
_RUN_IN_TEXT = re.compile(r"(?:^|[\s;&|({])(?:\.|source|(?:ba|da|k|z)?sh(?:[ \t]+-[a-z]+)*)[ \t]+([^\s;&|<>()'\"$]+)")
_MOST_FOLDERS = 10
"""Folders around a file that are looked for."""
_DEEPEST = 300
"""Brackets around a command that are looked at for where its output goes."""


class Files:
    """The files of one script that is read whole."""

    def __init__(self, script: "Followed") -> None:
        self._script = script

    def _name(self, text: str) -> str | None:
        return file(text, anywhere=self._changes_folder)

    def _named(self, word: Word) -> str | None:
        if (name := self._name(word.text)) is not None or DYNAMIC not in word.text:
            return name
        return by_variables(self._script.text[word.start : word.end])

    @cached_property
    def _changes_folder(self) -> bool:
        return any(one.called[-1:] in (("cd",), ("pushd",)) for one in self._script.commands)

    def of_value(self, arguments: Arguments, hole: int) -> frozenset[str]:
        """The files that a value in this command is written to, or the variables that bash sets by such a file."""
        command = arguments.command
        place = command.places.get(hole)
        told = hole in command.in_input or (place is not None and self._tells(arguments, command.words[place]))
        return frozenset(self._goes_to(arguments)) if told else frozenset()

    def flows(self) -> Iterator[tuple[str, Iterator[tuple[int, str]]]]:
        """The files with the variables that are written to each, and where their values are put in."""
        for arguments in self._script.commands:
            for name in self._goes_to(arguments):
                yield name, self._told(arguments)
        for one in self._script.commands if self._script.functions else ():
            if one.called[-1:] and (called := one.called[-1]) in self._script.functions:
                at = one.command.words[one.heads[-1]].start
                for name in self._outputs.get(id(one.command), ()):
                    yield name, iter([(at, f"{called}()")])
            for called in self._script.called_by_variable(one):
                for name in self._outputs.get(id(one.command), ()):
                    yield name, iter([(one.command.words[0].start, f"{called}()")])

    def _goes_to(self, arguments: Arguments) -> Iterator[str]:
        for name in self._files.get(id(arguments.command), ()):
            if self._quoted.assigns(name):
                yield from self._quoted.assigned(arguments)
            else:
                yield name

    def printed_to(self, arguments: Arguments) -> frozenset[str]:
        """The files that what a command prints goes to."""
        return self._outputs.get(id(arguments.command), frozenset())

    def sets(self, arguments: Arguments) -> frozenset[str]:
        """The variables that bash sets where this command reads a file of assignments."""
        return self._quoted.sourced(arguments)

    @cached_property
    def _quoted(self) -> Quoted:
        return Quoted(self._script, self._files, self._name, self._moved_to, self._within)

    @cached_property
    def _within(self) -> Within:
        return Within([one.command for one in self._script.commands], self._script.blocks)

    def _moved_to(self, name: str) -> frozenset[str]:
        """The names that a file has before and after it is copied or renamed."""
        return _reached({name}, self._pairs[0], self._pairs[1])

    @cached_property
    def _pairs(self) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """What files are moved to, and from."""
        to: defaultdict[str, set[str]] = defaultdict(set)
        back: defaultdict[str, set[str]] = defaultdict(set)
        for old, new in self.moved():
            to[old].add(new)
            back[new].add(old)
        return to, back

    def moved(self) -> Iterator[tuple[str, str]]:
        """Files that are copied, renamed or read into others, and to what."""
        for number, one in enumerate(self._script.commands):
            name = one.called[-1] if one.heads else ""
            yield from self._also_called(one)
            if name in MOVING:
                yield from self._moved_by(one.texts[one.heads[-1] + 1 :])
                operands = [word for word in one.command.words[one.heads[-1] + 1 :] if word.text[:1] != "-"]
                names = [self._named(word) for word in operands]
                yield from (
                    (old, new) for new in names[-1:] for old in names[:-1] if old is not None and new is not None
                )
            elif one.heads and not prints_only_numbers(one) and (outputs := self._outputs.get(id(one.command))):
                words = (*one.command.words[one.heads[-1] + 1 :], *one.command.taken)
                between = f"{name} {number}"  # each file that it reads goes to each that it writes
                parts = (part for word in words for part in _parts(word.text))
                yield from ((old, between) for part in parts if (old := self._name(part)) is not None)
                yield from ((old, between) for word in words if (old := self._named(word)) is not None)
                yield from ((between, new) for new in outputs)

    def _also_called(self, one: Arguments) -> Iterator[tuple[str, str]]:
        """A variable that is set to the name of a file: `f=x.sh; echo $x > "$f"; sh x.sh`."""
        for text in one.texts if "$" in self._script.text else ():
            variable, assigns, value = text.partition("=")
            name = self._name(value) if assigns and variable.isidentifier() else None
            if name is not None and (alias := by_variables(f"${variable}")) is not None:
                yield from ((alias, name), (name, alias))

    @cached_property
    def copied_input(self) -> frozenset[str]:
        """The files to which it copies what it has on its standard input: `cp /dev/stdin f`."""
        copying = [one for one in self._script.commands if copies_input(one)]
        return frozenset(name for one in copying for text in written_by(one) if (name := self._name(text)) is not None)

    def _moved_by(self, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
        """To the last operand, which may be a folder; or to the one after `-t`."""
        option = next((at for at, text in enumerate(texts) if text.startswith(("-t", "--target-directory"))), None)
        operands = [text for text in texts if not text.startswith("-")]
        if option is not None:
            attached = texts[option].removeprefix("-t") if texts[option][1] != "-" else texts[option].partition("=")[2]
            target, olds = attached or "".join(texts[option + 1 : option + 2]), operands
        else:
            target, olds = (operands[-1], operands[:-1]) if operands else ("", [])
        for text in olds:
            if (old := self._name(text)) is not None:
                within = f"{target.rstrip('/')}/{text.rstrip('/').rpartition('/')[2]}"
                yield from ((old, new) for one in (target, within) if (new := self._name(one)) is not None)

    def read(self) -> Iterator[tuple[Arguments, int, str]]:
        """Commands that print what a file holds, where they stand, and the file."""
        for one in self._script.commands if self.written else ():
            words = one.command.words
            if not words and one.command.taken:
                place = one.command.taken[0].start
            elif one.heads and not (prints_only_numbers(one) or any(map(counts, self._script.passes_on(one)))):
                place = words[one.heads[-1]].start
            else:
                continue
            for name in {name for word in (*words[1:], *one.command.taken) for name in self._named_by(word)}:
                yield one, place, name

    def _named_by(self, word: Word) -> Iterator[str]:
        """The files that are written which a word names: itself, in an option, or by a folder that they are in."""
        if (named := self._named(word)) is not None and named in self.written:
            yield named
        for part in _parts(word.text):
            if (name := self._name(part)) in self.written and name is not None:
                yield name
            if (folder := part.rstrip("/").removeprefix("./") or part[:1]) in self._by_folder:
                yield _all_in(folder)

    @cached_property
    def _by_folder(self) -> dict[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in self.written:
            path = PurePosixPath(name.partition(":")[2])
            for folder in islice(path.parents, _MOST_FOLDERS):
                found[str(folder)].append(name)
        return found

    def gathered(self) -> Iterator[tuple[str, Sequence[str]]]:
        """The folders, as they are called here, with the files in them that are written."""
        yield from ((_all_in(folder), names) for folder, names in self._by_folder.items())

    def taken(self) -> Iterator[str]:
        """The files that `read` or a list of commands has for its input."""
        for one in self._script.commands if self.written else ():
            if one.command.compound or one.called[-1:] in (("read",), ("mapfile",), ("readarray",)):
                yield from (name for word in one.command.taken if (name := self._named(word)) in self.written and name)

    def run(self, arguments: Arguments, *, input_runs: bool) -> Iterator[tuple[str, Refusal]]:
        """The files that a command runs; `input_runs`: it takes its input for commands."""
        if not self.written or arguments.command.pattern:
            return
        for place in (*arguments.perhaps, *arguments.heads):
            if DYNAMIC not in arguments.texts[place]:
                continue
            if (name := self._named(arguments.command.words[place])) in self.written and name is not None:
                yield name, Refusal("is run as a command in the same script", hint=HINT)
        for name in self._run_by(arguments, input_runs=input_runs) if arguments.heads else ():
            if name in self.written:
                in_bash = self._script.dialect == "bash" and arguments.called[-1] in (*_SOURCING, "bash")
                hint = _HINT_IN_BASH if in_bash and "$" not in name else HINT
                yield name, Refusal(f"is run by '{arguments.called[-1]}' in the same script", hint=hint)

    def _run_by(self, arguments: Arguments, *, input_runs: bool) -> Iterator[str]:
        command = arguments.command
        by_text: defaultdict[str, list[Word]] = defaultdict(list)
        for word in reversed(command.words[arguments.heads[0] + 1 :]):
            by_text[word.text].append(word)
        run = [*_run(arguments), *self._found_by_path(arguments)]
        words = [by_text[text].pop() for text in run if DYNAMIC in text and by_text[text]]
        words += command.taken if input_runs else ()
        yield from (name for text in run if (name := self._name(text)) is not None)
        yield from (name for word in words if (name := self._named(word)) is not None)

    def _found_by_path(self, arguments: Arguments) -> Iterator[str]:
        """The files of the names of commands, where the script says where those are looked for."""
        if "PATH=" in self._script.text:
            yield from (self._by_last_part[name] for name in arguments.called if name in self._by_last_part)

    @cached_property
    def _by_last_part(self) -> dict[str, str]:
        return {last_part(name): name.partition(":")[2] for name in self.written}

    def run_in(self, code: str) -> Iterator[tuple[str, Refusal]]:
        """The same of a script within the script."""
        for match in _RUN_IN_TEXT.finditer(code) if self.written else ():
            if (name := self._name(match[1])) in self.written and name is not None:
                yield name, Refusal("is run by a script within the script", hint=HINT)

    @cached_property
    def written(self) -> frozenset[str]:
        """All files that the output of a command goes to which prints its words or its input."""
        found = frozenset(name for names in self._files.values() for name in names)
        calls = (one for one in self._script.commands if self._script.may_call(one))
        found = found.union(*(self._outputs.get(id(one.command), ()) for one in calls), self.copied_input)
        return _reached(found, self._pairs[0]) if found else found

    @cached_property
    def _files(self) -> dict[int, frozenset[str]]:
        """The same of those that print their words or their input."""
        copying = {id(one) for one in self._script.copying_input}
        prints = (
            one.command
            for one in self._script.commands
            if id(one) in copying or one.called[-1:] in _ENVIRONMENT or self._copies(one)
        )
        return {id(one): self._outputs[id(one)] for one in prints if id(one) in self._outputs}

    def _copies(self, one: Arguments) -> bool:
        """Whether it writes or prints its words, its input, or what `<( ... )` stands for in its words."""
        if not one.heads:
            return False
        copies = one.called[-1] in _PRINTING or any(True for _ in written_by(one))
        return copies or (any(word.process for word in one.command.words) and not prints_only_numbers(one))

    @cached_property
    def _outputs(self) -> dict[int, frozenset[str]]:
        """By command the files that what it prints goes to."""
        found: defaultdict[int, set[str]] = defaultdict(set)
        lists: dict[Block, set[str]] = {}
        for one in reversed(self._script.commands):  # what it feeds, and the brackets that it stands in, end after it
            command = one.command
            found[id(command)] |= self._direct(one, found)
            if lists and command.words:
                around = islice(self._within.around(command).chain(), _DEEPEST)
                found[id(command)].update(name for block in around for name in lists.get(block, ()))
            if command.compound and found[id(command)] and (block := self._within.block(command)) is not None:
                lists.setdefault(block, set()).update(found[id(command)])
        return {number: frozenset(names) for number, names in found.items() if names}

    def _direct(self, one: Arguments, found: defaultdict[int, set[str]]) -> set[str]:
        command = one.command
        names = {name for word in command.written if (name := self._named(word)) is not None}
        names.update(name for text in written_by(one) if (name := self._name(text)) is not None)
        if one.called[-1:] in (("tee",), ("sponge",)):
            names.update(name for word in command.words[one.heads[-1] + 1 :] if (name := self._named(word)) is not None)
        names.update(name for those in command.processes for inner in those for name in found[id(inner)])
        after = command.feeds
        reader = None if after is None else self._script.by_command.get(id(after))
        if after is not None and (reader is None or not counts(reader)):
            names |= found[id(after)]
        return names

    def _says(self, arguments: Arguments) -> bool:
        """Whether it prints its words."""
        if not arguments.heads:
            return False
        name, after = arguments.called[-1], arguments.heads[-1] + 1
        if name == "printf":
            form = next((text for text in arguments.texts[after:] if text != "--"), "")
            return DYNAMIC in form or _OF_NUMBERS.fullmatch(form) is None
        return name in SAYING

    def _tells(self, arguments: Arguments, word: Word) -> bool:
        """Whether it prints what stands in this word."""
        if word.process:
            moves = bool(arguments.heads) and arguments.called[-1] in MOVING
            return moves or not prints_only_numbers(arguments)
        return self._says(arguments) or arguments.called[-1:] in _ENVIRONMENT

    def _told(self, arguments: Arguments) -> Iterator[tuple[int, str]]:
        command = arguments.command
        spans = [*command.fed]
        spans += ((word.start, word.end) for word in command.words if self._tells(arguments, word))
        if arguments.called[-1:] in _ENVIRONMENT:
            at = command.words[arguments.heads[-1]].start
            yield from ((at, name) for place, name in self._script.printed if place == at)
        for start, end in spans:
            yield from ((start, name) for _, name in self._script.reads_in(start, end))
            yield from ((start, name) for name in self._script.outputs_in(start, end))


def _reached(names: Iterable[str], *ways: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """The names, and all that can be reached from them by these ways."""
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += (one for way in ways for one in way.get(name, ()))
    return frozenset(found)


def _all_in(folder: str) -> str:
    return f"file:{folder}/"


def _parts(text: str) -> frozenset[str]:
    """What in a word may name a file: `f`, `--file=f`."""
    return frozenset({text, text.partition("=")[2]}) - {""}


_PRINTING = SAYING | COPYING | {"dd"}


def runs_file(arguments: Arguments, place: int) -> bool:
    """Whether it runs the file that `<( ... )` at this place stands for."""
    return arguments.command.words[place].process and DYNAMIC in _run(arguments)


def _run(arguments: Arguments) -> Iterator[str]:
    texts, names = arguments.texts, arguments.names
    for at in arguments.heads:
        name, rest = names[at], texts[at + 1 :]
        if "/" in texts[at]:
            yield texts[at]
        if name in _SOURCING or name in _SCRIPTED:
            yield from islice((text for text in rest if not text.startswith("-")), 1)
        elif name == "crontab":
            yield from (text for text in rest if not text.startswith("-"))
        elif name in ("at", "batch", "make", "sed") or is_awk(name) or program(name).language == "sql":
            yield from _given_by_option(rest)
        elif interprets(name):
            yield from _script_of(rest, shell=is_shell(name))


def _given_by_option(rest: list[str]) -> Iterator[str]:
    for option, word in zip_longest(rest, rest[1:], fillvalue=""):
        if (match := _FILE_OPTION.fullmatch(option)) is not None:
            yield match[1] or word
        elif option.startswith("-f"):
            yield option[2:]


def _script_of(rest: list[str], *, shell: bool) -> Iterator[str]:
    """The first operand of an interpreter, unless it has its code in an option."""
    skip = False
    for text in rest:
        if skip or text.startswith(("-", "+")):
            if not skip and _CODE.fullmatch(text) and not (shell and text == "-e"):
                return
            skip = not skip and text in _VALUED
            continue
        yield text
        return
