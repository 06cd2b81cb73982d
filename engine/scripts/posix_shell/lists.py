"""Lists of commands, and the compound commands in them: quotes and expansions are read a layer below."""

import re

from engine.scripts.posix_shell.documents import Documents
from engine.scripts.posix_shell.pieces import HOLE, Case, Command, Dialect, Refusal, Substitution, Unsure, Word
from engine.scripts.posix_shell.source import BREAKS, SPACE
from engine.scripts.posix_shell.table import GNU, PROGRAMS

_LEADING = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{", "time"})
"""Words after which a command follows."""
_OF_TIME = re.compile(r"(?:(?:[ \t]|\\\n)+-p)?(?:(?:[ \t]|\\\n)+--)?(?:[ \t]|\\\n)+(?P<other>-)?")
"""Options of the shell's own `time`; with others it is a program, which runs its words, too."""
_OPENING = frozenset({"if", "while", "until", "case", "for", "select"})
_CLOSING = frozenset({"fi", "done", "esac", "}"})


_NEVER = -1
_LOUD = frozenset(
    {
        "case",
        "curl",
        "exit",
        "false",
        "for",
        "jobs",
        "printf",
        "return",
        "select",
        "set",
        "shift",
        "test",
        "true",
        "wait",
    }
)
"""Programs that take data, and may do more."""
_QUIET = sorted(
    name
    for name, known in PROGRAMS.items()
    if known.words == known.input == "data" and name.isalnum() and name not in _LOUD and name not in GNU
)
_READ = r"\$[A-Za-z][A-Za-z0-9_]*+"
_DATA = rf"""[A-Za-z0-9_./:@%+,-]++|{_READ}|'[^'\n{HOLE}]*+'|"(?:[^"\\$`\n{HOLE}]++|{_READ})*+\""""
_DATA_LINES = re.compile(
    rf"(?:[ \t]*+(?:(?:{'|'.join(_QUIET)})(?:[ \t]++(?:{_DATA})++)*+[ \t]*+|#[^\n{HOLE}]*+)?+\n)++"
)
"""Lines of one command that sets nothing and goes nowhere."""


class Lists(Documents):
    """Reads the commands of a script, in one pass."""

    def __init__(self, text: str, dialect: Dialect, *, passes: bool = False) -> None:
        super().__init__(text, dialect)
        self._passes = passes
        self.passed: list[str] = []
        """Lines that were passed over."""
        self.functions: set[str] = set()
        self._scopes: list[tuple[str, int]] = [("", 0)]
        """Functions, and brackets in them, that are open, and how many compound commands were open when they began."""
        self._defined: str | None = None
        """The function whose body comes next."""
        self._nesting = 0
        self.marks: list[tuple[int, str]] = []
        """Words and operators that give a script its structure, and where they stand; in order."""

    def _mark(self, kind: str, at: int | None = None) -> None:
        self.marks.append((self._at if at is None else at, kind))

    def commands(self, close: str | None) -> None:
        self._enter()
        if close:
            self._mark("$(")
        start, first = self._at, len(self._all)
        frames: list[Case | str] = []
        command = self._fresh()
        waiting = len(self._pending)
        while not self._ended():
            if self._take("\\\n"):
                continue
            char = self._peek()
            if char in SPACE:
                self._at += 1
            elif char == "#":
                self._comment()
            elif char == "\n":
                self._at += 1
                self._bodies()
                following = self._next(command, frames)
                if following is not command and close is None and not frames and len(self._scopes) == 1:
                    self._pass_over()
                command = following
            elif char == ")" and not frames and close:
                if len(self._pending) != waiting:
                    raise Unsure("a here-document begins after the end of its substitution")
                self._at += 1
                self._mark(")$")
                self._finish(command)
                self._depth -= 1
                self.substitutions.append(Substitution(start, self._at, first, len(self._all)))
                return
            elif char in "()" or (char in ";&|<>" and not command.conditional):
                command = self._operator(command, frames)
            elif command.conditional and char in "&|<>":
                self._at += 1
            else:
                command = self._worded(command, frames)
        self._finish(command)
        if close or frames:
            raise Unsure("a bracket or 'case' does not end")
        self._depth -= 1

    def _pass_over(self) -> None:
        """Lines that need not be followed, where a command begins: nothing but programs that take data."""
        if self._passes and (passed := _DATA_LINES.match(self._text, self._at, self._end)) is not None:
            self.passed.append(passed[0])
            self._at = passed.end()

    def bodies_ended(self) -> None:
        if self._pending:
            raise Unsure("a here-document does not begin")

    def _fresh(self, *, chained: bool = False) -> Command:
        command = Command()
        self._all.append(command)
        self._place(command)
        command.certain = command.certain and not chained
        return command

    def _place(self, command: Command) -> None:
        command.function, nesting = self._scopes[-1]
        command.certain = self._nesting == nesting

    def _open_scope(self, *, certain: bool) -> None:
        """Brackets open; `certain`: what is in them runs whenever what is around them does, and in the same shell."""
        if self._defined is not None:
            self._scopes.append((self._defined, self._nesting))
        else:
            name, nesting = self._scopes[-1]
            self._scopes.append((name, nesting if certain else _NEVER))
        self._defined = None

    def _close_scope(self) -> None:
        if len(self._scopes) > 1:
            self._scopes.pop()

    def _finish(self, command: Command) -> None:
        if command.conditional:
            raise Unsure("'[[' does not end")
        if command.name() == "alias":
            raise Unsure("it defines an alias")
        for word in (*command.words, *command.redirected):
            for hole in word.holes:
                self._owners.setdefault(hole, []).append(command)

    def _next(self, command: Command, frames: list[Case | str]) -> Command:
        if command.conditional:
            return command
        if not command.words and not command.redirected and not command.compound:
            return command
        if frames and isinstance(frames[-1], Case) and frames[-1].state == "subject" and command.name() == "case":
            raise Unsure("'case' is spread over lines")
        self._mark("\n")
        self._finish(command)
        return self._fresh()

    def _comment(self) -> None:
        end = self._text.find("\n", self._at, self._end)
        end = self._end if end < 0 else end
        for hole in self._holes(self._at, end):
            self.found[hole] = Refusal(self._forbidden) if self._forbidden else "comment"
        self._at = end

    def _operator(self, command: Command, frames: list[Case | str]) -> Command:
        case = frames[-1] if frames and isinstance(frames[-1], Case) else None
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
            raise Unsure("a pattern of 'case' is not one")
        chained = joined = False
        if self._take(";;&") or self._take(";;") or self._take(";&"):
            if case is None or case.state != "body":
                raise Unsure("';;' stands outside 'case'")
            case.state = "pattern"
            self._mark(";;")
        elif self._take("&&") or self._take("||"):
            chained = True
            self._mark("&&")
        elif self._take("&"):
            self._mark("&")
        elif self._take(";"):
            self._mark(";")
            if self._document_within:
                # bash 5.2 loses it: `$(cat <<E ... echo a; echo b)` runs `echo a echo b`.
                raise Unsure("';' follows a here-document within a substitution; begin a new line instead")
        elif self._take("|&") or self._take("|"):
            command.piped = joined = True
            self._mark("|")
        self._finish(command)
        following = self._fresh(chained=chained)
        if joined:
            command.feeds, following.feeder = following, command
        return following

    def _open(self, command: Command, frames: list[Case | str], case: Case | None) -> Command:
        if case and case.state == "pattern" and not command.words:
            self._at += 1
            return command
        if command.conditional:
            self._at += 1
            return command
        if self._peek(2) == "((":
            if command.words and command.literal() != ["for"]:
                raise Unsure("'((' stands within a command")
            self._at += 2
            self._arithmetic()
            command.compound = True
            return command
        if not command.words and not command.compound:
            self._at += 1
            frames.append("(")
            self._mark("(" if self._defined is None else "f(")
            self._open_scope(certain=False)
            self._place(command)
            return command
        raise Unsure("'(' stands within a command")

    def _close(self, command: Command, frames: list[Case | str], case: Case | None) -> Command:
        self._at += 1
        if command.conditional:
            return command
        if case and case.state == "pattern":
            case.state = "body"
            command.pattern = True
            self._mark("arm")
        elif case is None and frames:
            frames.pop()
            self._mark(")")
            self._finish(command)
            self._close_scope()
            command = self._fresh()
            command.compound = True
            return command
        else:
            raise Unsure("')' closes nothing")
        self._finish(command)
        return self._fresh()

    def _worded(self, command: Command, frames: list[Case | str]) -> Command:
        word = self._word()
        if self._defined is not None and word.text != "{":
            raise Unsure("the body of a function stands in no brackets")
        if command.words and self._take_array(word):
            command.words.append(word)
            return command
        case = frames[-1] if frames and isinstance(frames[-1], Case) else None
        if case and case.state != "body":
            return self._in_case(word, command, frames, case)
        if command.conditional:
            command.words.append(word)
            command.conditional = word.quoted or word.text != "]]"
            return command
        if not command.words and not word.quoted and not word.holes:
            if word.text == "esac" and case:
                frames.pop()
            self._nesting += word.text in _OPENING
            if word.text in _OPENING:
                self._mark(word.text, word.start)
            if word.text in _CLOSING:
                self._mark(word.text)
                command.compound = True
                if word.text == "}":
                    self._close_scope()
                else:
                    self._nesting -= 1
                return command
            if word.text in _LEADING and not command.compound and (word.text != "time" or self._is_timed()):
                if word.text not in _OPENING:
                    self._mark("f{" if word.text == "{" and self._defined is not None else word.text)
                if word.text == "{":
                    self._open_scope(certain=command.certain)
                self._place(command)
                return command
            if word.text == "case":
                frames.append(Case())
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
            self._define(command.words[-1].text)
            command.words.clear()
        return command

    def _is_timed(self) -> bool:
        """Whether a command follows the word `time` and those of its options that the shell knows."""
        options = _OF_TIME.match(self._text, self._at, self._end)
        if options is None or options["other"]:
            return options is None
        self._at = options.end()
        return True

    def _in_case(self, word: Word, command: Command, frames: list[Case | str], case: Case) -> Command:
        """A word of a pattern, or of what stands before `in`."""
        if case.state == "pattern":
            if word.text == "esac" and not word.quoted and not command.words:
                frames.pop()
                self._mark("esac")
                self._nesting -= 1
                self._finish(command)
                command = self._fresh()
                command.compound = True
                return command
            command.words.append(word)
            return command
        command.words.append(word)
        if word.text == "in" and not word.quoted and len(command.words) == 3:
            case.state = "pattern"
            self._finish(command)
            return self._fresh()
        if len(command.words) > 3:
            raise Unsure("'case' is followed by more than one word")
        return command

    def _defines(self, word: Word, command: Command) -> bool:
        if command.words or word.quoted or word.holes or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]*", word.text):
            raise Unsure("'(' stands within a word")
        self._at += 1
        self._skip_space()
        if not self._take(")"):
            raise Unsure("'(' stands within a word")
        self._define(word.text)
        return True

    def _define(self, name: str) -> None:
        if name == "command_not_found_handle":
            raise Unsure("it defines what runs for commands that are not found")
        self.functions.add(name)
        self._defined = name

    def _take_array(self, word: Word) -> bool:
        """Whether `name=` is followed by `( ... )`, which is then read as words of the assignment."""
        if self._peek() != "(" or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\+?=", word.text) or word.quoted:
            return False
        if self.dialect != "bash":
            raise Unsure("arrays are bash's; say 'shell: bash'")
        self._at += 1
        while not self._take(")"):
            if self._ended():
                raise Unsure("an array does not end")
            if self._take("\\\n"):
                continue
            if self._peek() in " \t\n":
                self._at += 1
            elif self._peek() == "#":
                self._comment()
            elif self._peek() in BREAKS:
                raise Unsure("an array holds an operator")
            else:
                item = self._word()
                if item.text.startswith("["):
                    for hole in item.holes:
                        self.found[hole] = Refusal("stands in an array element that begins with '['")
                word.holes.extend(item.holes)
                word.items.append(item)
        if self._peek() and self._peek() not in BREAKS:
            raise Unsure("an array goes on after its ')'")
        word.array, word.end = True, self._at
        return True
