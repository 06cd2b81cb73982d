"""Where a value may stand in a script for sh or bash, and how it is read there.

A scanner, not a parser: it follows quoting, substitutions, here-documents and command boundaries closely enough to say
for each hole whether it stands bare, in double quotes, in a here-document or in a comment. Whatever it does not follow
for certain, it refuses: a script without holes never comes here, and every refusal can be answered with `env:`.

Beyond quoting it knows that some commands evaluate their arguments (`eval`, `sh -c`, `ssh`, `sed`, bash's `printf -v`),
that a shell may read its commands from a pipe or a here-document, and that bash computes array subscripts and `-eq`
inside `[[ ]]`, which runs `$(...)` found in a value.

Sources: POSIX.1-2024 XCU 2.2-2.10; bash manual 3.1, 3.2.4, 3.5, 6.5.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Dialect = Literal["sh", "bash"]
Reading = Literal["bare", "quoted", "comment"]
"""`bare`: put the variable in double quotes; `quoted`: it stands in double quotes or a here-document already."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a value may not stand here: `${{ }}` <reason>."""

    reason: str


def readings(text: str, holes: Sequence[int], dialect: Dialect) -> dict[int, Reading | Refusal]:
    """For each hole, an offset in `text` where HOLE stands in its place, how the value is read there."""
    scan = _Scan(text, dialect)
    try:
        scan.commands(close=None)
        scan.bodies_ended()
    except _Unsure as unsure:
        reason = f"stands in a script that cannot be followed for certain: {unsure.reason}"
        return {hole: _refused(scan.found.get(hole)) or Refusal(reason) for hole in holes}
    return {hole: scan.verdict(hole) for hole in holes}


HOLE = "\ue000"
"""Stands for one hole while scanning: a private-use character, which a script may not hold itself."""

_MAX_DEPTH = 40
_SPACE = " \t"
_BREAKS = " \t\n;&|<>()"

_LEADING = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"})
"""Words after which a command follows."""
_CLOSING = frozenset({"fi", "done", "esac", "}"})
_DECLARING = frozenset({"export", "readonly", "local", "declare", "typeset"})
_EVALUATING = frozenset(
    {
        "eval", "let", "trap", "source", ".", "alias", "read", "unset", "getopts", "mapfile", "readarray", "bind",
        "complete", "compgen", "enable", "hash", "ssh", "rsh", "mosh", "watch", "parallel", "pdsh", "sed", "gsed", "ed",
        "ex", "vi", "vim", "nvim", "emacs", "gdb", "at", "batch", "expect", "tclsh", "m4", "make", "coproc", "su",
        "runuser", "script",
    }
)  # fmt: skip
_SHELLS = frozenset(
    {"sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "fish", "csh", "tcsh", "rbash", "busybox", "toybox",
     "pwsh", "powershell", "cmd"}
)  # fmt: skip
_TAKING_DATA = frozenset(
    {
        "echo", "printf", "logger", "test", "[", "[[", "for", "select", "case", "grep", "egrep", "fgrep",
        "cat", "ls", "mkdir", "rmdir", "rm", "cp", "mv", "ln", "touch", "chmod", "chown", "chgrp", "stat",
        "date", "df", "du", "tr", "cut", "head", "tail", "tee", "wc", "basename", "dirname", "realpath",
        "readlink", "cd", "mail", "systemctl", "journalctl", "id", "kill", "true", "false", ":", "exit",
        "return", "set", "shift", "curl", "wget", "ping", "hostnamectl", "apt-get", "apt", "dnf", "yum",
        "zypper", "apk", "jq", "sleep", "seq", "expr", "uniq", "diff", "cmp", "md5sum", "sha256sum",
    }
)  # fmt: skip
"""Commands none of whose words are commands: `echo started at ...` starts nothing."""
_CLIENTS = frozenset({"psql", "mysql", "mariadb", "sqlite", "sqlite3", "mongo", "mongosh", "sqlplus"})
"""Interpreters that take options after their operands, too."""
_AWKS = frozenset({"awk", "gawk", "mawk", "nawk"})
_INTERPRETERS = re.compile(
    r"(python|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|Rscript|osascript|psql|mysql|mariadb|sqlite3?|mongo|mongosh"
    r"|sqlplus|bc|dc|guile|ghc|scala|groovy|jshell|R)[0-9.]*"
)
_CODE_OPTION = re.compile(
    r"-[A-Za-z]*[cerpPEMC]|--(eval|execute|command|run|print|process-begin|process-end)(=.*)?", re.DOTALL
)
_COMMAND_OPTION = re.compile(r"-[A-Za-z]*c[A-Za-z]*|--command(=.*)?|-[Ss]|/[ckCK]", re.DOTALL)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_SUBSCRIPT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[")
_COMPUTING = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R"})
_DYNAMIC = "\ue001"
"""Stands in a word for an expansion, whose text is not known here."""


class _Unsure(Exception):  # noqa: N818 -- caught in this module only
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class _Word:
    text: str = ""
    quoted: bool = False
    """Any part of it: a quoted word is no keyword."""
    holes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Command:
    words: list[_Word] = field(default_factory=list)
    redirected: list[_Word] = field(default_factory=list)
    body_holes: list[int] = field(default_factory=list)
    piped: bool = False
    """Whether its output goes to another command."""
    conditional: bool = False
    """Within [[ ]]."""
    compound: bool = False
    pattern: bool = False
    """Patterns of 'case', which are no command."""

    def literal(self) -> list[str]:
        return [word.text for word in self.words]

    def names(self) -> list[str]:
        """Words as commands and options are looked for: without their folders, and without what is not known here.

        `${x}eval` is taken for eval, since x may be empty.
        """
        return [text.replace(_DYNAMIC, "").rsplit("/", 1)[-1] for text in self.literal()]

    def name(self) -> str:
        return next((word.text for word in self.words if not _ASSIGNMENT.match(word.text)), "")


@dataclass(slots=True)
class _Body:
    """A here-document that begins after this line."""

    delimiter: str
    literal: bool
    tabs: bool
    owner: _Command


@dataclass(slots=True)
class _Case:
    state: Literal["subject", "pattern", "body"] = "subject"


def _refused(reading: "Reading | Refusal | None") -> Refusal | None:
    return reading if isinstance(reading, Refusal) else None


class _Scan:
    """One pass over the text. `found` holds what is known of each hole; commands are judged at the end.

    A hole is judged by its command as a whole, which is complete only later: `| sh` follows what it executes.
    """

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text = text
        self.dialect = dialect
        self.found: dict[int, Reading | Refusal] = {}
        self._owners: dict[int, list[_Command]] = {}
        self._all: list[_Command] = []
        self._pending: list[_Body] = []
        self._at = 0
        self._depth = 0
        self._forbidden: str | None = None
        self._document_within = False
        """A here-document stands in the substitution that is open."""
        if _DYNAMIC in text or "\0" in text:
            raise ValueError("the text holds characters that stand for something else here")

    # --- what may stand where ---------------------------------------------------------------------------------------

    def verdict(self, hole: int) -> Reading | Refusal:
        reading = self.found.get(hole)
        if reading is None:
            return Refusal("stands where it could not be followed")
        if isinstance(reading, Refusal):
            return reading
        for command in self._owners.get(hole, []):
            reason = _evaluates(command, hole) or self._assigns(command, hole) or self._feeds(command, hole)
            if reason is not None:
                return Refusal(reason)
        return reading

    def _feeds(self, command: _Command, hole: int) -> str | None:
        if self._reads_commands and (hole in command.body_holes or self._has_pipes):
            return "stands in a script where a shell or interpreter may read its commands from standard input"
        return None

    @cached_property
    def _reads_commands(self) -> bool:
        return any(_reads_standard_input(command) for command in self._all)

    @cached_property
    def _has_pipes(self) -> bool:
        return any(command.piped for command in self._all)

    @cached_property
    def _has_attributes(self) -> bool:
        return any(_computes(command) for command in self._all)

    def _assigns(self, command: _Command, hole: int) -> str | None:
        word = next((word for word in command.words if hole in word.holes), None)
        if word is None or not _ASSIGNMENT.match(word.text):
            return None
        if self._has_attributes:
            return "is assigned in a script that declares integer, array or reference variables, which bash evaluates"
        return None

    # --- characters -------------------------------------------------------------------------------------------------

    def _peek(self, length: int = 1) -> str:
        return self.text[self._at : self._at + length]

    def _ended(self) -> bool:
        return self._at >= len(self.text)

    def _take(self, text: str) -> bool:
        if self.text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _until(self, mark: str, what: str) -> str:
        end = self.text.find(mark, self._at)
        if end < 0:
            raise _Unsure(f"{what} does not end")
        passed = self.text[self._at : end]
        self._at = end + len(mark)
        return passed

    def _refuse_within(self, start: int, end: int, reason: str) -> None:
        for offset in range(start, end):
            if self.text[offset] == HOLE:
                self.found[offset] = Refusal(reason)

    def _hole(self, reading: Reading, word: _Word | None) -> None:
        before = self.text[self._at - 1] if self._at else ""
        if self._forbidden is not None:
            self.found[self._at] = Refusal(self._forbidden)
        elif before == "$":
            self.found[self._at] = Refusal("follows a '$'")
        else:
            self.found[self._at] = reading
        if word is not None:
            word.holes.append(self._at)
            word.text += _DYNAMIC
        self._at += 1

    # --- commands ---------------------------------------------------------------------------------------------------

    def commands(self, close: str | None) -> None:
        """A list of commands, up to the end or to the `)` of a substitution that opened before."""
        self._enter()
        frames: list[_Case | str] = []
        command = self._fresh()
        waiting = len(self._pending)
        while not self._ended():
            if self._take("\\\n"):
                continue
            char = self._peek()
            if char in _SPACE:
                self._at += 1
            elif char == "#":
                self._comment()
            elif char == "\n":
                self._at += 1
                self._bodies()
                command = self._next(command, frames)
            elif char == ")" and not frames and close:
                if len(self._pending) != waiting:
                    raise _Unsure("a here-document begins after the end of its substitution")
                self._at += 1
                self._finish(command)
                self._depth -= 1
                return
            elif char in "()" or (char in ";&|<>" and not command.conditional):
                command = self._operator(command, frames)
            elif command.conditional and char in "&|<>":
                self._at += 1
            else:
                command = self._worded(command, frames)
        self._finish(command)
        if close or frames:
            raise _Unsure("a bracket or 'case' does not end")
        self._depth -= 1

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _Unsure("its substitutions nest too deep")

    def bodies_ended(self) -> None:
        if self._pending:
            raise _Unsure("a here-document does not begin")

    def _fresh(self) -> _Command:
        command = _Command()
        self._all.append(command)
        return command

    def _finish(self, command: _Command) -> None:
        if command.conditional:
            raise _Unsure("'[[' does not end")
        if command.name() == "alias":
            raise _Unsure("it defines an alias")
        for word in (*command.words, *command.redirected):
            for hole in word.holes:
                self._owners.setdefault(hole, []).append(command)

    def _next(self, command: _Command, frames: list[_Case | str]) -> _Command:
        if command.conditional:
            return command
        if not command.words and not command.redirected and not command.compound:
            return command
        if frames and isinstance(frames[-1], _Case) and frames[-1].state == "subject" and command.name() == "case":
            raise _Unsure("'case' is spread over lines")
        self._finish(command)
        return self._fresh()

    def _comment(self) -> None:
        end = self.text.find("\n", self._at)
        end = len(self.text) if end < 0 else end
        for offset in range(self._at, end):
            if self.text[offset] == HOLE:
                self.found[offset] = Refusal(self._forbidden) if self._forbidden else "comment"
        self._at = end

    def _operator(self, command: _Command, frames: list[_Case | str]) -> _Command:
        case = frames[-1] if frames and isinstance(frames[-1], _Case) else None
        if self._peek() == "(":
            return self._open(command, frames, case)
        if self._peek() == ")":
            return self._close(command, frames, case)
        if self._peek() in "<>" or self._peek(2) == "&>":
            self._redirect(command)
            return command
        if case and case.state == "pattern":
            if self._take("|") and self._peek() != "|":
                return command
            raise _Unsure("a pattern of 'case' is not one")
        if self._take(";;&") or self._take(";;") or self._take(";&"):
            if case is None or case.state != "body":
                raise _Unsure("';;' stands outside 'case'")
            case.state = "pattern"
        elif self._take("&&") or self._take("||") or self._take("&"):
            pass
        elif self._take(";"):
            if self._document_within:
                # bash 5.2 loses it: `$(cat <<E ... echo a; echo b)` runs `echo a echo b`.
                raise _Unsure("';' follows a here-document within a substitution; begin a new line instead")
        elif self._take("|&") or self._take("|"):
            command.piped = True
        self._finish(command)
        return self._fresh()

    def _open(self, command: _Command, frames: list[_Case | str], case: _Case | None) -> _Command:
        if case and case.state == "pattern" and not command.words:
            self._at += 1
            return command
        if command.conditional:
            self._at += 1
            return command
        if self._peek(2) == "((":
            if command.words and command.literal() != ["for"]:
                raise _Unsure("'((' stands within a command")
            self._at += 2
            self._arithmetic()
            command.compound = True
            return command
        if not command.words and not command.compound:
            self._at += 1
            frames.append("(")
            return command
        raise _Unsure("'(' stands within a command")

    def _close(self, command: _Command, frames: list[_Case | str], case: _Case | None) -> _Command:
        self._at += 1
        if command.conditional:
            return command
        if case and case.state == "pattern":
            case.state = "body"
            command.pattern = True
        elif case is None and frames:
            frames.pop()
            self._finish(command)
            command = self._fresh()
            command.compound = True
            return command
        else:
            raise _Unsure("')' closes nothing")
        self._finish(command)
        return self._fresh()

    def _worded(self, command: _Command, frames: list[_Case | str]) -> _Command:
        word = self._word()
        if command.words and self._take_array(word):
            return command
        case = frames[-1] if frames and isinstance(frames[-1], _Case) else None
        if case and case.state == "pattern":
            if word.text == "esac" and not word.quoted and not command.words:
                frames.pop()
                self._finish(command)
                command = self._fresh()
                command.compound = True
                return command
            command.words.append(word)
            return command
        if case and case.state == "subject":
            command.words.append(word)
            if word.text == "in" and not word.quoted and len(command.words) == 3:
                case.state = "pattern"
                self._finish(command)
                return self._fresh()
            if len(command.words) > 3:
                raise _Unsure("'case' is followed by more than one word")
            return command
        if command.conditional:
            command.words.append(word)
            command.conditional = word.quoted or word.text != "]]"
            return command
        if not command.words and not word.quoted and not word.holes:
            if word.text == "esac" and case:
                frames.pop()
            if word.text in _CLOSING:
                command.compound = True
                return command
            if word.text in _LEADING and not command.compound:
                return command
            if word.text == "case":
                frames.append(_Case())
            if word.text == "[[":
                command.conditional = True
        if not command.words and self._take_array(word):
            command.words.append(word)
            return command
        named = len(command.words) == 1 and command.words[0].text == "function" and not command.words[0].quoted
        if self._peek() == "(" and not named and self._defines(word, command):
            return command
        command.words.append(word)
        if named:
            self._skip_space()
            if self._take("("):
                self._skip_space()
                self._take(")")
            command.words.clear()
        return command

    def _defines(self, word: _Word, command: _Command) -> bool:
        if command.words or word.quoted or word.holes or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]*", word.text):
            raise _Unsure("'(' stands within a word")
        self._at += 1
        self._skip_space()
        if not self._take(")"):
            raise _Unsure("'(' stands within a word")
        return True

    def _take_array(self, word: _Word) -> bool:
        """Whether `name=` is followed by `( ... )`, which is then read as words of the assignment."""
        if self._peek() != "(" or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\+?=", word.text) or word.quoted:
            return False
        if self.dialect != "bash":
            raise _Unsure("arrays are bash's; say 'shell: bash'")
        self._at += 1
        while not self._take(")"):
            if self._ended():
                raise _Unsure("an array does not end")
            if self._take("\\\n"):
                continue
            if self._peek() in " \t\n":
                self._at += 1
            elif self._peek() == "#":
                self._comment()
            elif self._peek() in _BREAKS:
                raise _Unsure("an array holds an operator")
            else:
                item = self._word()
                if item.text.startswith("["):
                    for hole in item.holes:
                        self.found[hole] = Refusal("stands in an array element that begins with '['")
                word.holes.extend(item.holes)
        if self._peek() and self._peek() not in _BREAKS:
            raise _Unsure("an array goes on after its ')'")
        return True

    def _skip_space(self) -> None:
        while self._peek() and self._peek() in _SPACE:
            self._at += 1

    # --- words ------------------------------------------------------------------------------------------------------

    def _word(self) -> _Word:
        word = _Word()
        start = self._at
        while not self._ended():
            char = self._peek()
            if char in _BREAKS:
                break
            if char == HOLE:
                if _SUBSCRIPT.match(word.text):
                    self.found[self._at] = Refusal("may be an array subscript, which bash evaluates")
                    word.holes.append(self._at)
                    word.text += _DYNAMIC
                    self._at += 1
                else:
                    self._hole("bare", word)
            elif self._take("\\\n"):
                continue
            elif char == "\\":
                self._escaped(word)
            elif char == "'":
                self._at += 1
                self._single(word)
            elif char == '"':
                self._at += 1
                self._double(word)
            elif char in "$`":
                self._expansion(word, quoted=False)
            else:
                word.text += char
                self._at += 1
        if self._at == start:
            raise _Unsure("a word is expected")
        if self._peek(1) in ("<", ">") and self._peek() and word.text.isdigit() and not word.quoted:
            return word  # a file descriptor; it does no harm among the words
        return word

    def _escaped(self, word: _Word) -> None:
        self._at += 1
        if self._ended():
            raise _Unsure("it ends in a backslash")
        if self._peek() == HOLE:
            self.found[self._at] = Refusal("follows a backslash")
        word.text += self._peek()
        word.quoted = True
        self._at += 1

    def _single(self, word: _Word) -> None:
        start = self._at
        body = self._until("'", "a single-quoted text")
        self._refuse_within(start, self._at, self._forbidden or "stands in single quotes")
        self._check_lines(body)
        word.text += body.replace(HOLE, _DYNAMIC)
        word.quoted = True

    def _check_lines(self, body: str) -> None:
        if "\n" in body and self._pending:
            raise _Unsure("a quoted text spans the line where a here-document should begin")

    def _double(self, word: _Word) -> None:
        word.quoted = True
        start = self._at
        while not self._take('"'):
            if self._ended():
                raise _Unsure("a double-quoted text does not end")
            char = self._peek()
            if char == HOLE:
                self._hole("quoted", word)
            elif char == "\\":
                self._at += 1
                if self._peek() == HOLE:
                    self.found[self._at] = Refusal("follows a backslash")
                word.text += "" if self._peek() == "\n" else self._peek()
                self._at += 1
            elif char in "$`":
                self._expansion(word, quoted=True)
            else:
                word.text += char
                self._at += 1
        self._check_lines(self.text[start : self._at])

    def _expansion(self, word: _Word, *, quoted: bool) -> None:
        word.text += _DYNAMIC
        if self._take("`"):
            self._backquoted()
        elif self._take("$(("):
            self._arithmetic()
        elif self._take("$("):
            self._substituted(word)
        elif self._take("${"):
            self._parameter(quoted=quoted)
        elif self._take("$["):
            raise _Unsure("'$[' is an old form of arithmetic")
        elif not quoted and self._take("$'"):
            self._ansi(word)
        elif not quoted and self._take('$"'):
            self._translated(word)
        else:
            self._at += 1
            if match := _NAME_AFTER_DOLLAR.match(self.text, self._at):
                self._at = match.end()
            else:
                word.text = word.text[:-1] + "$"

    def _substituted(self, word: _Word) -> None:
        """A command within a word. What it prints becomes part of the word: its values count for both commands."""
        start = self._at
        subscript = _SUBSCRIPT.match(word.text) is not None and "]" not in word.text
        before = self._forbid("may be an array subscript, which bash evaluates") if subscript else self._forbidden
        self.commands(close=")")
        self._document_within = self._document_within and self._depth > 1
        self._forbidden = before
        word.holes.extend(at for at in range(start, self._at) if self.text[at] == HOLE)

    def _forbid(self, reason: str) -> str | None:
        before = self._forbidden
        self._forbidden = before or reason
        return before

    def _backquoted(self) -> None:
        start = self._at
        while not self._take("`"):
            if self._ended():
                raise _Unsure("a backquoted command does not end")
            self._at += 2 if self._peek() == "\\" else 1
        self._refuse_within(start, min(self._at, len(self.text)), "stands in backquotes")
        self._check_lines(self.text[start : self._at])
        if "<<" in self.text[start : self._at]:
            raise _Unsure("a here-document stands in backquotes")

    def _arithmetic(self) -> None:
        start = self._at
        depth = 2
        while depth:
            if self._ended():
                raise _Unsure("an arithmetic expression does not end")
            char = self._peek()
            if char in "'\"\\`":
                raise _Unsure("an arithmetic expression holds quotes")
            depth += {"(": 1, ")": -1}.get(char, 0)
            if not depth and self.text[self._at - 1] != ")":
                raise _Unsure("'((' may be two brackets or arithmetic")
            self._at += 1
        self._refuse_within(start, self._at, "stands in arithmetic, which evaluates it")

    def _parameter(self, *, quoted: bool) -> None:
        start = self._at
        self._enter()
        while not self._take("}"):
            if self._ended():
                raise _Unsure("'${' does not end")
            char = self._peek()
            if char == "\\":
                self._at += 1
                if self._peek() in ("\n", ""):
                    raise _Unsure("'${' holds a line continuation")
                self._at += 1
            elif self._take("${"):
                self._parameter(quoted=quoted)
            elif char == "$" and self._peek(2) not in ("$(", "$'", '$"', "$["):
                self._at += 1
            elif char in "\"'`\n" or char == "$":
                if char != '"' or quoted:
                    raise _Unsure("'${' holds quotes or a substitution")
                self._at += 1
                before = self._forbid("stands in '${...}'")
                self._double(_Word())
                self._forbidden = before
            else:
                self._at += 1
        self._depth -= 1
        self._refuse_within(start, self._at, "stands in '${...}'")

    def _ansi(self, word: _Word) -> None:
        start = self._at
        while not self._take("'"):
            if self._ended():
                raise _Unsure('"$\'" does not end')
            if self._peek(2) == "\\'" and self.dialect == "sh":
                raise _Unsure('"$\'" is read in different ways by different shells')
            self._at += 2 if self._peek() == "\\" and self.dialect == "bash" else 1
        self._refuse_within(start, min(self._at, len(self.text)), "stands in $'...'")
        self._check_lines(self.text[start : self._at])
        word.text += _DYNAMIC
        word.quoted = True

    def _translated(self, word: _Word) -> None:
        before = self._forbid('stands in $"..."')
        self._double(word)
        self._forbidden = before

    # --- redirections and here-documents ----------------------------------------------------------------------------

    def _redirect(self, command: _Command) -> None:
        if command.words and command.words[-1].text.isdigit() and self.text[self._at - 1].isdigit():
            command.words.pop()
        if self._take("<<<"):
            if self.dialect != "bash":
                raise _Unsure("'<<<' is bash's; say 'shell: bash'")
            self._skip_space()
            word = self._word()
            command.redirected.append(word)
            command.body_holes.extend(word.holes)
        elif self._peek(2) == "<<":
            self._at += 2
            self._announce(command, tabs=self._take("-"))
        elif self._peek(2) in ("<(", ">("):
            if self.dialect != "bash":
                raise _Unsure("'<(' is bash's; say 'shell: bash'")
            self._at += 2
            word = _Word(_DYNAMIC, quoted=True)
            self._substituted(word)
            command.words.append(word)
        else:
            self._redirect_to(command)

    def _redirect_to(self, command: _Command) -> None:
        operator = next(op for op in _REDIRECTIONS if self._take(op))
        self._skip_space()
        if self._peek(2) in ("<(", ">("):
            self._redirect(command)
            return
        word = self._word()
        command.redirected.append(word)
        if operator in ("<&", ">&"):
            for hole in word.holes:
                self.found[hole] = Refusal(f"follows '{operator}'")

    def _announce(self, command: _Command, *, tabs: bool) -> None:
        self._skip_space()
        start = self._at
        word = self._word()
        raw = self.text[start : self._at]
        if word.holes or _DYNAMIC in word.text or HOLE in raw or "\n" in raw:
            raise _Unsure("the end mark of a here-document is no plain word")
        self._document_within = self._depth > 1
        self._pending.append(_Body(word.text, literal=word.quoted, tabs=tabs, owner=command))

    def _bodies(self) -> None:
        bodies, self._pending = self._pending, []
        for body in bodies:
            self._body(body)

    def _body(self, body: _Body) -> None:
        start = self._at
        while True:
            if self._ended():
                raise _Unsure(f"the here-document does not end with '{body.delimiter}'")
            line_start = self._at
            end = self.text.find("\n", self._at)
            end = len(self.text) if end < 0 else end
            line = self.text[line_start:end]
            self._at = min(end + 1, len(self.text))
            if (line.lstrip("\t") if body.tabs else line) == body.delimiter:
                break
        if body.literal:
            self._refuse_within(
                start, line_start, self._forbidden or "stands in a here-document with a quoted end mark"
            )
        else:
            self._expanded(start, line_start, body)

    def _expanded(self, start: int, end: int, body: _Body) -> None:
        """The text of an unquoted here-document, read like a double-quoted text."""
        after, whole = self._at, self.text
        if re.search(r"\\\n[^\n]*\Z", whole[start:end].rstrip("\n") + "\n") and whole[start:end].endswith("\\\n"):
            raise _Unsure("a here-document's last line is continued")
        self.text, self._at = whole[:end], start
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
                self._expansion(_Word(), quoted=True)
            else:
                self._at += 1
        self.text, self._at = whole, after


_NAME_AFTER_DOLLAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]", re.ASCII)
_REDIRECTIONS = ("&>>", "&>", "<>", "<&", ">&", ">>", ">|", "<", ">")


def _evaluates(command: _Command, hole: int) -> str | None:
    """Why a value in this command would be evaluated, or None."""
    if command.pattern:
        return None
    names = command.names()
    first = next((at for at, word in enumerate(command.words) if not _vanishes(word)), None)
    place = next((at for at, word in enumerate(command.words) if hole in word.holes), None)
    if first is None or (place is not None and place < first):
        return None
    if names[first] in _TAKING_DATA and command.words[first].text == names[first] and place != first:
        return None if place is None else _evaluates_builtin(names[first:])
    found = next((name for name in names if name in _EVALUATING), None)
    if found is None and any(_COMMAND_OPTION.fullmatch(text) for text in command.literal()):
        found = next((name for name in names if name in _SHELLS), None)
    if found is not None:
        return f"stands in a command with '{found}', which may evaluate it"
    if place is None:
        return _evaluates_input(names)
    return _evaluates_word(command, names, first, place)


def _vanishes(word: _Word) -> bool:
    """Whether the command may be the word after this one: an assignment, or `$x`, which may be empty."""
    empty = not word.quoted and not word.holes and not word.text.replace(_DYNAMIC, "")
    return empty or _ASSIGNMENT.match(word.text) is not None


def _evaluates_builtin(names: list[str]) -> str | None:
    if names[0] == "[[" and _COMPUTING & set(names):
        return "stands in '[[ ]]' with an operator that computes, which evaluates it; use '[ ]'"
    if names[0] in ("test", "[") and "-v" in names:
        return "stands in a test with '-v', which may evaluate it"
    if names[0] == "printf" and any(name.startswith("-v") for name in names):
        return "stands in a command with 'printf -v', which may evaluate it"
    return None


def _evaluates_input(names: list[str]) -> str | None:
    found = next((name for name in names if _interprets(name) or name in _AWKS), None)
    return f"stands in the input of '{found}', which may evaluate it" if found else None


def _interprets(name: str) -> bool:
    return name in _SHELLS or _INTERPRETERS.fullmatch(name) is not None


def _evaluates_word(command: _Command, names: list[str], first: int, place: int) -> str | None:
    text = command.words[place].text
    if place == first:
        return "stands in the place of the command"
    if any(name in _DECLARING for name in names[:place]):
        return None if _ASSIGNMENT.match(text) else "stands in the name of a variable"
    if command.words[0].text.startswith(_DYNAMIC) and any(_COMMAND_OPTION.fullmatch(name) for name in names):
        return "stands in a command that is not known here"
    for at, name in enumerate(names[:place]):
        # printf, test and [[ may stand after `command` or `builtin`.
        reason = _evaluates_builtin(names[at:]) or _evaluates_code(name, names[at + 1 :], place - at - 1, text)
        if reason is not None:
            return reason
    return None


def _evaluates_code(name: str, after: list[str], place: int, text: str) -> str | None:
    """Whether the word at `place` of those after a command, written as `text`, may be code for it."""
    before = after[:place]
    if name in _RUNNERS and not any(_plain(one) for one in before):
        return f"stands in the place of the command after '{name}'"
    if name in _AWKS:
        programs = [one for at, one in enumerate(before) if _operand(one, before[at - 1] if at else "")]
        in_option = bool(before) and before[-1] in ("-v", "-F", "--assign")
        if not (in_option or programs) or "-f" in before:
            return f"stands in the program of '{name}', which evaluates it"
    elif _interprets(name):
        if _INTERPRETERS.fullmatch(name) and any(_CODE_OPTION.match(one) for one in after[: place + 1]):
            return f"stands in a command with '{name}' and its code, which may evaluate it"
        if not any(_plain(one) for one in before) or name in _CLIENTS:
            in_option = bool(before) and before[-1].startswith("-") and name in _CLIENTS
            if text.startswith(_DYNAMIC) and not in_option:
                return f"stands where '{name}' takes an option or a script"
    elif name == "env" and any(one.startswith(("-S", "--split")) for one in after):
        return "stands in a command with 'env -S', which splits it"
    elif name == "find" and any(one.startswith(("-exec", "-ok")) for one in before):
        return "stands in the command that 'find' runs"
    return None


_RUNNERS = frozenset(
    {
        "sudo", "doas", "env", "nohup", "nice", "ionice", "timeout", "exec", "command", "builtin", "time", "setsid",
        "stdbuf", "chroot", "xargs", "flock", "chrt", "taskset", "unshare", "nsenter", "systemd-run", "strace",
    }
)  # fmt: skip
"""Commands whose first operand is a command."""


def _plain(name: str) -> bool:
    """Whether a word may well be the command after a runner: no option, no number, no assignment."""
    return bool(name) and not name.startswith("-") and not name[:1].isdigit() and not _ASSIGNMENT.match(name)


def _operand(text: str, before: str) -> bool:
    return not text.startswith("-") and before not in ("-v", "-F", "--assign")


def _reads_standard_input(command: _Command) -> bool:
    """Whether a shell, an interpreter or a runner of shells could take its commands from standard input here."""
    names = command.names()
    for at, name in enumerate(names):
        rest = names[at + 1 :]
        operands = [text for text in rest if not text.startswith("-") or text == "-"]
        if name in ("at", "batch", "crontab"):
            return True
        if name in ("source", ".") and any(_is_input(text) for text in operands):
            return True
        if name in ("xargs", "parallel") and (_SHELLS | _EVALUATING) & set(rest):
            return True
        if name in ("ssh", "rsh") and len(operands) < 2:
            return True
        if _interprets(name) and _from_input(rest, operands):
            return True
        if name in _AWKS and any(text.startswith("-f") and _is_input(text[2:]) for text in rest):
            return True
    return False


def _from_input(rest: list[str], operands: list[str]) -> bool:
    return (
        not operands
        or any(_is_input(text) for text in operands)
        or any(re.fullmatch(r"-[a-z]*s[a-z]*", t) for t in rest)
    )


def _is_input(text: str) -> bool:
    return text in ("", "-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "stdin", "0")


def _computes(command: _Command) -> bool:
    """Whether variables get attributes that make bash evaluate what is assigned to them."""
    names = command.literal()
    return bool(names) and names[0] in _DECLARING and any(re.match(r"[-+][A-Za-z]*[aAin]", name) for name in names)
