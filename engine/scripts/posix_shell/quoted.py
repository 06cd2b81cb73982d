"""Files of assignments for bash, each value quoted: `printf 'A=%q\\n' "$x" > app.env; . ./app.env`.

What `printf %q` and `${x@Q}` write is one word to bash, and to no other shell: `$'a\\'b'` ends in dash at its second
quote. It is one where it is all of the right side of an assignment, and only while nobody edits the file. So nothing
but lines of assignments may be written to it, and each place where the script names it must be one that is known here.
"""

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.filenames import last_part
from engine.scripts.posix_shell.pieces import Command, Word
from engine.scripts.posix_shell.variables import EVALUATED_NAMES
from engine.scripts.posix_shell.within import Within

if TYPE_CHECKING:
    from engine.scripts.posix_shell.followed import Followed

_LITERAL = r"[A-Za-z0-9_./:@,+-]*+"
_OPENING = r"(?:export[ ]|readonly[ ])?"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*+"
_ASSIGNMENT = rf"{_OPENING}{_NAME}=(?:\$\{{{_NAME}@Q\}}|{_LITERAL})"
_NO_COMMAND = r"#[^\n\\$`'\"%]*+"
_FORMAT = re.compile(rf"(['\"])(?:(?:{_OPENING}{_NAME}=(?:%q|%d|{_LITERAL})|{_NO_COMMAND}|)\\n)++\1")
_SAID = re.compile(rf"(['\"]?){_OPENING}{_NAME}={_LITERAL}\1|\"{_ASSIGNMENT}\"|'{_NO_COMMAND}'")
_BODY = re.compile(rf"(?:[ \t]*+(?:{_ASSIGNMENT}|{_NO_COMMAND}|)\n)*+")
_ASSIGNED = re.compile(rf"({_NAME})=")
_COMMENT = re.compile(r"^[ \t]*+#.*", re.MULTILINE)
_REMOVED = re.compile(r"rm(?: -[rRf]+)?(?: --)? (\S+)")
_HANDLING = frozenset({"rm", "chmod", "chown", "chgrp", "ls", "test", "[", "touch", "mv", "cp", "ln", "install"})
"""Programs that leave what a file says as it is, and show it to nobody."""
_PASSING = frozenset({"cat", "tee", "sponge"})
_NOTHING = frozenset({":", "true"})
_REDEFINED = frozenset({"printf", "echo", "cat", ".", "source", "bash"})

_MOST = 16
"""Files of one script that are looked into: the whole script is, for each."""


class Quoted:
    """Which of the files of one script are such, and what is assigned in them."""

    def __init__(
        self,
        script: "Followed",
        files: Mapping[int, frozenset[str]],
        name: Callable[[str], str | None],
        group: Callable[[str], frozenset[str]],
        within: Within,
    ) -> None:
        """`files`: those that what a command prints goes to; `name`: of a file as it is written; `group`: what one
        is called before and after it is moved; `within`: what stands in which brackets."""
        self._script = script
        self._files = files
        self._name = name
        self._group = group
        self._within = within
        self._known: dict[str, bool] = {}
        self._variables: dict[str, frozenset[str]] = {}

    def assigns(self, name: str) -> bool:
        """Whether a file of this name holds nothing but assignments, and bash alone reads it, with `.` or as a script.

        Then what is written to it becomes the value of the variables that are assigned.
        """
        if name not in self._known and len(self._known) >= _MOST:
            return False
        if name not in self._known:
            self._known[name] = self._assigns(name)
        return self._known[name]

    def assigned(self, arguments: Arguments) -> frozenset[str]:
        """The variables that are assigned in what a command writes."""
        return self._written.get(id(arguments.command)) or frozenset()

    def sourced(self, arguments: Arguments) -> frozenset[str]:
        """The variables that this command sets by reading such a file."""
        if arguments.called[-1:] not in ((".",), ("source",)) or not self._files:
            return frozenset()
        named = {name for word in arguments.command.words[1:] if (name := self._name(word.text)) is not None}
        names = [name for name in named if self.assigns(name)]
        return frozenset(one for name in names for one in self._assigned_in(name))

    def _assigned_in(self, name: str) -> frozenset[str]:
        if name not in self._variables:
            group = self._group(name)
            numbers = (number for number, names in self._files.items() if not group.isdisjoint(names))
            self._variables[name] = frozenset(one for number in numbers for one in self._written.get(number) or ())
        return self._variables[name]

    def _assigns(self, name: str) -> bool:
        if self._script.dialect != "bash" or not _REDEFINED.isdisjoint(self._script.functions):
            return False
        if "xpg_echo" in self._script.text:
            return False
        group = self._group(name)
        known = 0
        for one in self._script.commands:
            if not group.isdisjoint(self._files.get(id(one.command), frozenset())):
                if self._written.get(id(one.command)) is None:
                    return False
                names = [*one.command.written, *self._operands(one)]
            else:
                names = self._handled(one)
            known += sum(self._name(word.text) in group for word in names)
        return known == self._named(group)

    def _named(self, group: frozenset[str]) -> int:
        """How often the text names it, but in comments."""
        ends = {last_part(name) for name in group}
        pattern = "|".join(re.escape(end) for end in sorted(ends, key=len, reverse=True))
        return sum(1 for _ in re.finditer(rf"(?<![\w.-])(?:{pattern})(?![\w.-])", self._uncommented))

    @cached_property
    def _uncommented(self) -> str:
        return _COMMENT.sub("", self._script.text)

    def _operands(self, one: Arguments) -> list[Word]:
        """The files that `tee` writes."""
        return one.command.words[1:] if one.called[-1:] in (("tee",), ("sponge",)) else []

    def _handled(self, one: Arguments) -> list[Word]:
        """The words of a command that may be files of which it reads nothing, or which bash reads."""
        words = one.command.words
        if one.command.compound:
            return one.command.written if self._all_written(one.command) else []
        if not words:
            return one.command.written  # `> f`
        called = one.called
        if called in ((".",), ("source",)) or called == ("bash",):
            return words[1:2]
        if called and called[-1] in _NOTHING:
            return one.command.written
        if called and called[-1] in _HANDLING:
            return words[one.heads[-1] + 1 :]
        if called == ("trap",):
            removed = (_REMOVED.fullmatch(word.text) for word in words)
            return [_named(match[1]) for match in removed if match is not None]
        return []

    def _all_written(self, compound: Command) -> bool:
        inner = self._within.of(compound)
        return bool(inner) and self._others[inner.stop] == self._others[inner.start]

    @cached_property
    def _others(self) -> list[int]:
        """How many of the first n commands do not write assignments alone to a file."""
        return [0, *accumulate(self._written.get(id(one)) is None for one in self._within.commands)]

    @cached_property
    def _written(self) -> dict[int, frozenset[str] | None]:
        """By command the variables that are assigned in what it writes to a file; None where more is written."""
        found: dict[int, frozenset[str] | None] = {}
        for one in self._script.commands:  # what feeds it stands before it
            if id(one.command) in self._files:
                lines = self._lines(one, found)
                names = None if lines is None else {name for line in lines for name in _ASSIGNED.findall(line)}
                evaluated = names is not None and any(map(EVALUATED_NAMES.fullmatch, names))
                found[id(one.command)] = None if names is None or evaluated else frozenset(names)
        return found

    def _lines(self, one: Arguments, before: Mapping[int, frozenset[str] | None]) -> list[str] | None:
        """What a command prints, as it is written in the script; None where that is more than assignments."""
        command, text = one.command, self._script.text
        name, after = one.called[-1], one.heads[-1] + 1
        operands = command.words[after:]
        raw = [text[word.start : word.end] for word in operands]
        if name == "printf":
            return raw[0][1:-1].split("\\n") if raw and _FORMAT.fullmatch(raw[0]) else None
        if name == "echo":
            return raw if len(raw) == 1 and _SAID.fullmatch(raw[0]) else None
        if name not in _PASSING or command.taken or (name == "cat" and operands):
            return None
        if command.feeder is not None:
            return [] if before.get(id(command.feeder)) is not None else None
        bodies = [text[start:end] for start, end in (*command.fed, *command.scripts)]
        return bodies if bodies and all(map(_BODY.fullmatch, bodies)) else None


def _named(text: str) -> Word:
    word = Word()
    word.add(text)
    return word
