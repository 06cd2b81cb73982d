"""Lists of commands, and the verdict on each hole."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

from engine.posix_shell.arguments import Arguments
from engine.posix_shell.documents import Documents
from engine.posix_shell.flows import POSITIONAL, Followed, computed_at_least, computed_names, targets
from engine.posix_shell.given import Given, as_values
from engine.posix_shell.inputs import Inputs
from engine.posix_shell.pieces import Case, Command, Dialect, Reading, Refusal, Unsure, Word
from engine.posix_shell.programs import CLOSING, LEADING
from engine.posix_shell.source import BREAKS, SPACE


def readings(text: str, holes: Sequence[int], dialect: Dialect) -> dict[int, Reading | Refusal]:
    """For each hole, an offset in `text` where HOLE stands in its place, how the value is read there."""
    scan = Scan(text, dialect)
    try:
        scan.commands(close=None)
        scan.bodies_ended()
    except Unsure as unsure:
        reason = f"stands in a script that cannot be followed for certain: {unsure.reason}"
        known = {hole: scan.found.get(hole) for hole in holes}
        return {hole: found if isinstance(found, Refusal) else Refusal(reason) for hole, found in known.items()}
    return {hole: scan.verdict(hole) for hole in holes}


def computed(text: str, dialect: Dialect) -> frozenset[str]:
    """The variables whose value the script computes, as `n` in `$((n + 1))`: their values may run commands in bash."""
    scan = Scan(text, dialect)
    try:
        scan.commands(close=None)
        scan.bodies_ended()
    except Unsure:
        return computed_at_least(text)
    return scan.computed_names


_SINGLE_QUOTED = re.compile(r"'[^']*'")


def _is_harmless(code: str, dialect: Dialect) -> bool:
    """Whether a script evaluates none of its arguments: as if values stood in it where it reads them."""
    marked = as_values(code)
    if marked is None or POSITIONAL in computed(code, dialect):
        return False
    found = readings(*marked, dialect)
    return not any(isinstance(reading, Refusal) for reading in found.values())


class Scan(Documents):
    """One pass over the text; commands are judged at its end.

    A hole is judged by its command as a whole, which is complete only later: `| sh` follows what it executes.
    """

    def __init__(self, text: str, dialect: Dialect) -> None:
        super().__init__(text, dialect)
        self._all: list[Command] = []
        self._judged: dict[int, Arguments] = {}
        self._given: dict[int, bool] = {}
        self.functions: set[str] = set()

    def verdict(self, hole: int) -> Reading | Refusal:
        reading = self.found.get(hole)
        if reading is None:
            return Refusal("stands where it could not be followed")
        if isinstance(reading, Refusal):
            return reading
        for command in self._owners.get(hole, []):
            if (refusal := self._refusal(command, hole, reading)) is not None:
                return refusal
        return reading

    def _refusal(self, command: Command, hole: int, reading: Reading) -> Refusal | None:
        arguments = self._arguments(command)
        evaluated = arguments.evaluate(hole)
        if evaluated is not None and arguments.called == ("let",) and hole in command.places:
            return replace(evaluated, of_number=reading)  # as in `$(( ))`
        return evaluated or self._flows(arguments, hole, reading) or self._feeds(command, hole)

    def _arguments(self, command: Command) -> Arguments:
        if id(command) not in self._judged:
            self._judged[id(command)] = Arguments(command)
        return self._judged[id(command)]

    def _flows(self, arguments: Arguments, hole: int, reading: Reading) -> Refusal | None:
        command, place = arguments.command, arguments.command.places.get(hole)
        if place is not None and arguments.declares and self._has_arrays and not command.words[place].array:
            return Refusal("is declared in a script with arrays, for which bash may read it again")
        given = arguments.gives(place)
        if given is not None and given.by_shell and not self._takes_data(arguments, given):
            return Refusal(f"is given to a script of '{arguments.called[-1]}' that may evaluate it")
        for name in targets(self.followed, arguments, hole):
            if name in self.computed_names:
                where = f"becomes '{name}'" if name.isidentifier() else "becomes a variable"
                return Refusal(f"{where}, with which the script computes: bash runs commands in such a value", reading)
        return None

    def _takes_data(self, arguments: Arguments, given: Given) -> bool:
        """Whether a script within the script surely takes its arguments as data."""
        key = id(arguments)
        if key not in self._given:
            codes = [*self._codes(arguments, given)]
            dialect = self.dialect if arguments.called[-1] in ("sh", "dash", "ash") else "bash"
            self._given[key] = bool(codes) and all(_is_harmless(code, dialect) for code in codes)
        return self._given[key]

    def _codes(self, arguments: Arguments, given: Given) -> Iterator[str]:
        """What it may read as its script; nothing where that is not written out."""
        if given.code is None:
            yield from (self._text[start:end] for start, end in (*self.bodies, *self.others))
            return
        word = arguments.command.words[given.code]
        raw = self._text[word.start : word.end]
        if _SINGLE_QUOTED.fullmatch(raw):
            yield raw[1:-1]

    def _feeds(self, command: Command, hole: int) -> Refusal | None:
        if self._inputs.reads_commands and (hole in command.body_holes or self._has_pipes):
            return Refusal("stands in a script where a shell or interpreter may read its commands from standard input")
        compound = self._has_pipes and self.followed.pipes_all
        return self._inputs.refusal(command, within=hole in command.body_holes, compound=compound)

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs([(one, self._arguments(one)) for one in self._all], frozenset(self.functions))

    @cached_property
    def _has_pipes(self) -> bool:
        return any(command.piped for command in self._all)

    @cached_property
    def _has_arrays(self) -> bool:
        return any(
            word.text[:1] in "-+" and ("a" in word.text or "A" in word.text)
            for command in self._all
            if self._arguments(command).declares
            for word in command.words
        )

    @cached_property
    def computed_names(self) -> frozenset[str]:
        """Variables with which the script computes, and those that flow into them."""
        return computed_names(self.followed)

    @cached_property
    def followed(self) -> Followed:
        """What is known when all of it is read."""
        return Followed(
            text=self._text,
            commands=tuple(self._arguments(command) for command in self._all),
            functions=frozenset(self.functions),
            arithmetic=self.computed,
            parameters=self.parameters,
            others=self.others,
            bodies=self.bodies,
        )

    # --- commands -----------------------------------------------------------------------------------------------------

    def commands(self, close: str | None) -> None:
        self._enter()
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
                command = self._next(command, frames)
            elif char == ")" and not frames and close:
                if len(self._pending) != waiting:
                    raise Unsure("a here-document begins after the end of its substitution")
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
            raise Unsure("a bracket or 'case' does not end")
        self._depth -= 1

    def bodies_ended(self) -> None:
        if self._pending:
            raise Unsure("a here-document does not begin")

    def _fresh(self) -> Command:
        command = Command()
        self._all.append(command)
        return command

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
        if self._take(";;&") or self._take(";;") or self._take(";&"):
            if case is None or case.state != "body":
                raise Unsure("';;' stands outside 'case'")
            case.state = "pattern"
        elif self._take("&&") or self._take("||") or self._take("&"):
            pass
        elif self._take(";"):
            if self._document_within:
                # bash 5.2 loses it: `$(cat <<E ... echo a; echo b)` runs `echo a echo b`.
                raise Unsure("';' follows a here-document within a substitution; begin a new line instead")
        elif self._take("|&") or self._take("|"):
            command.piped = True
        self._finish(command)
        following = self._fresh()
        if command.piped:
            command.feeds = following
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
            return command
        raise Unsure("'(' stands within a command")

    def _close(self, command: Command, frames: list[Case | str], case: Case | None) -> Command:
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
            raise Unsure("')' closes nothing")
        self._finish(command)
        return self._fresh()

    def _worded(self, command: Command, frames: list[Case | str]) -> Command:
        word = self._word()
        if command.words and self._take_array(word):
            return command
        case = frames[-1] if frames and isinstance(frames[-1], Case) else None
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
                raise Unsure("'case' is followed by more than one word")
            return command
        if command.conditional:
            command.words.append(word)
            command.conditional = word.quoted or word.text != "]]"
            return command
        if not command.words and not word.quoted and not word.holes:
            if word.text == "esac" and case:
                frames.pop()
            if word.text in CLOSING:
                command.compound = True
                return command
            if word.text in LEADING and not command.compound:
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
            self.functions.add(command.words[-1].text)
            command.words.clear()
        return command

    def _defines(self, word: Word, command: Command) -> bool:
        if command.words or word.quoted or word.holes or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]*", word.text):
            raise Unsure("'(' stands within a word")
        self._at += 1
        self._skip_space()
        if not self._take(")"):
            raise Unsure("'(' stands within a word")
        self.functions.add(word.text)
        return True

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
        if self._peek() and self._peek() not in BREAKS:
            raise Unsure("an array goes on after its ')'")
        word.array, word.end = True, self._at
        return True
