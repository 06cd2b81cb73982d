"""Redirections and here-documents."""

import re

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE, Body, Command, Dialect, Refusal, Unsure, Word
from engine.scripts.posix_shell.words import Words

_DESCRIPTOR = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
"""bash puts the number of one that is free into the variable: `exec {log}> f`."""
_CLOSED = re.compile(r"[0-9]+-?|-")
"""After `>&` no file, but another descriptor, or none."""
_REDIRECTIONS = ("&>>", "&>", "<>", "<&", ">&", ">>", ">|", "<", ">")


class Documents(Words):
    """Reads redirections, and the here-documents that they announce when their line ends."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        super().__init__(text, dialect)
        self._all: list[Command] = []
        """The commands, in the order in which they begin."""

    # --- redirections and here-documents ----------------------------------------------------------------------------

    def _redirect(self, command: Command) -> None:
        before = command.words[-1] if command.words else None
        attached = before is not None and before.end == self._at and not before.quoted
        named = self.dialect == "bash" and before is not None and _DESCRIPTOR.fullmatch(before.text) is not None
        if before is not None and attached and (before.text.isdigit() or named):
            command.words.pop()  # a file descriptor
        if self._take("<<<"):
            if self.dialect != "bash":
                raise Unsure("'<<<' is bash's; say 'shell: bash'")
            self._skip_space()
            word = self._word()
            command.redirected.append(word)
            command.body_holes.extend(word.holes)
            command.fed.append((word.start, word.end))
            command.documents.append(word.text)
        elif self._peek(2) == "<<":
            self._at += 2
            self._announce(command, tabs=self._take("-"))
        elif self._peek(2) in ("<(", ">("):
            command.words.append(self._process(command))
        else:
            self._redirect_to(command)

    def _redirect_to(self, command: Command) -> None:
        operator = next(op for op in _REDIRECTIONS if self._take(op))
        self._skip_space()
        if self._peek(2) in ("<(", ">("):
            word = self._process(command)
            command.redirected.append(word)
            if operator.startswith("<"):
                command.body_holes.extend(word.holes)
                command.fed.append((word.start, word.end))
            return
        word = self._word()
        command.redirected.append(word)
        if operator.startswith("<"):
            command.taken.append(word)
        if operator == "<>" or (operator[0] in "&>" and not (operator == ">&" and _CLOSED.fullmatch(word.text))):
            command.written.append(word)
        if operator in ("<&", ">&"):
            for hole in word.holes:
                self.found[hole] = Refusal(f"follows '{operator}'")

    def _process(self, command: Command) -> Word:
        """`<( ... )` or `>( ... )`, which stands for a file."""
        if self.dialect != "bash":
            raise Unsure("'<(' is bash's; say 'shell: bash'")
        begun, takes_output = len(self._all), self._peek() == ">"
        word = Word(quoted=True, start=self._at, process=True)
        self._at += 2
        word.add(DYNAMIC)
        self._substituted(word)
        word.end = self._at
        if takes_output:
            command.processes.append(self._all[begun:])
        return word

    def _announce(self, command: Command, *, tabs: bool) -> None:
        self._skip_space()
        start = self._at
        word = self._word()
        raw = self._text[start : self._at]
        if word.holes or DYNAMIC in word.text or HOLE in raw or "\n" in raw:
            raise Unsure("the end mark of a here-document is no plain word")
        self._document_within = self._depth > 1
        self._pending.append(Body(word.text, literal=word.quoted, tabs=tabs, owner=command))

    def _bodies(self) -> None:
        bodies, self._pending = self._pending, []
        for body in bodies:
            self._body(body)

    def _body(self, body: Body) -> None:
        start = self._at
        while True:
            if self._ended():
                raise Unsure(f"the here-document does not end with '{body.delimiter}'")
            line_start = self._at
            end = self._text.find("\n", self._at, self._end)
            end = self._end if end < 0 else end
            line = self._text[line_start:end]
            self._at = min(end + 1, self._end)
            if (line.lstrip("\t") if body.tabs else line) == body.delimiter:
                break
        (self.others if body.literal else self.bodies).append((start, line_start))
        (body.owner.scripts if body.literal else body.owner.fed).append((start, line_start))
        body.owner.documents.append(self._text[start:line_start])
        if body.literal:
            self._refuse_within(
                start, line_start, self._forbidden or "stands in a here-document with a quoted end mark"
            )
        else:
            self._expanded(start, line_start, body)

    def _expanded(self, start: int, end: int, body: Body) -> None:
        """The text of an unquoted here-document, read like a double-quoted text."""
        if self._text.endswith("\\\n", start, end):
            raise Unsure("a here-document's last line is continued")
        outer = self._at, self._end
        self._at, self._end = start, end
        before = self._forbidden
        while not self._ended():
            char = self._peek()
            if char == HOLE:
                hole = self._at
                self._hole("quoted", None)
                self._owners.setdefault(hole, []).append(body.owner)
                body.owner.body_holes.append(hole)
            elif char == "\\":
                if self._peek(2)[1:] == HOLE:
                    self.found[self._at + 1] = Refusal("follows a backslash")
                self._at += 2
            elif self._peek(2) == "$(" and self._peek(3) != "$((":
                self._at += 2
                self._forbidden = before or "stands in a substitution within a here-document"
                self.commands(close=")")
                self._forbidden = before
            elif char in "$`":
                self._expansion(Word(), quoted=True)
            else:
                self._at += 1
        self._at, self._end = outer
