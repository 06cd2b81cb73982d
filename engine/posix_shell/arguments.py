"""Whether a command evaluates the value in one of its words, or may read its commands from standard input.

A command may have a hundred thousand words and hundreds of values. So its words are walked once for each kind of word
that matters, and a question about a value looks only at the nearest word of a kind.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property

from engine.posix_shell.given import Given, given
from engine.posix_shell.heads import heads
from engine.posix_shell.options import (
    AWK_OPTIONS,
    CODE_IN_LONG_OPTION,
    CODE_OPTION,
    CODE_OPTIONS,
    COMMAND_OPTION,
    COMPUTING,
    GIT_KEY,
    SED_OPTIONS,
)
from engine.posix_shell.pieces import ASSIGNMENT, DYNAMIC, Command, Refusal
from engine.posix_shell.places import NOWHERE, git_command, last_before, last_of, vanishes
from engine.posix_shell.programs import OWN_SCRIPT, interprets, is_awk, is_shell, plain, program
from engine.posix_shell.variables import EVALUATED_NAMES

_EVALUATED_HINT = "write the whole of it in the script, and give the value to the program in another way"
_MAYBE_V = frozenset({"", "-", "v", "-v"})


def assigned_name(text: str) -> str | None:
    """The variable that a word of this text assigns."""
    match = ASSIGNMENT.match(text)
    return match[0].rstrip("+=") if match else None


class Arguments:
    """The words of one command that is read whole."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.texts = command.literal()
        self.names = command.names()

    def evaluate(self, hole: int) -> Refusal | None:
        """Why a value in this command would be evaluated, or None."""
        place, first = self.command.places.get(hole), self.first
        if self.command.pattern:
            return None
        if place is not None and self.assigns(place) and EVALUATED_NAMES.fullmatch(name := self._assigned(place)):
            return Refusal(f"is assigned to '{name}', which programs evaluate", hint=_EVALUATED_HINT)
        if first is None or (place is not None and place < first):
            return None
        head = self._head_of(place)
        if head in self._taking_data and place != head:
            return None if place is None else self._computed(head, place)
        if place is None and hole in self.command.body_holes:
            return None  # who reads that is asked of all commands together
        reason = self._reason(place)
        return None if reason is None else Refusal(reason)

    def _reason(self, place: int | None) -> str | None:
        if place is None:
            found = next((name for name in self.names if _reads(name)), None)
            return f"stands in the input of '{found}', which may evaluate it" if found else None
        if place in self._head_places:
            index = bisect_left(self.heads, place)
            after = f" after '{self.names[self.heads[index - 1]]}'" if index else ""
            return f"stands in the place of the command{after}"
        if self._assigned_before_command(place):
            return None
        if self.declares and self.heads[-1] < place:
            return None if ASSIGNMENT.match(self.texts[place]) else "stands in the name of a variable"
        if self._unknown:
            return "stands in a command that is not known here"
        return min(self._reasons(place), key=lambda found: found[0], default=(0, None))[1]

    def assigns(self, place: int) -> bool:
        """Whether the word at this place sets a variable: here, or of the program that `env` or `sudo` starts."""
        if not ASSIGNMENT.match(self.texts[place]):
            return False
        return self.first is None or place < self.first or self.declares or self._assigned_before_command(place)

    def _assigned(self, place: int) -> str:
        return assigned_name(self.texts[place]) or ""

    def _assigned_before_command(self, place: int) -> bool:
        """`env A=x cmd`."""
        after = bisect_left(self.heads, place)
        runs = after > 0 and self.names[self.heads[after - 1]] in ("env", "sudo", "doas")
        return runs and ASSIGNMENT.match(self.texts[place]) is not None

    @cached_property
    def declares(self) -> bool:
        """Whether its words declare variables."""
        return bool(self.heads) and program(self.names[self.heads[-1]]).words == "names"

    # --- what holds for every value in the command --------------------------------------------------------------------

    @cached_property
    def first(self) -> int | None:
        """The word that is the command, after assignments and what may be empty."""
        return next((at for at, word in enumerate(self.command.words) if not vanishes(word)), None)

    @cached_property
    def heads(self) -> tuple[int, ...]:
        """The words where a command stands, in order: `sudo`, `timeout` and `cp` in `sudo timeout 5 cp a b`."""
        return () if self.first is None else heads(self.names, self.texts, self.first)

    @cached_property
    def starts_shell(self) -> bool:
        """Whether a shell may read a script among the words: `bash -c '...'`."""
        return bool(self._shells) and bool(self._commanded)

    @cached_property
    def given(self) -> Given | None:
        """What it gives to the code of a shell or an interpreter as arguments."""
        return given(self.names, self.texts, self.heads[-1]) if self.heads else None

    def gives(self, place: int | None) -> Given | None:
        """The same, where the word at this place is given."""
        return self.given if place is not None and self.given is not None and place >= self.given.begin else None

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The commands themselves."""
        return tuple(self.names[at] for at in self.heads)

    @cached_property
    def _head_places(self) -> frozenset[int]:
        return frozenset(self.heads)

    def _head_of(self, place: int | None) -> int:
        """The command that the word is an argument of."""
        index = len(self.heads) if place is None else bisect_right(self.heads, place)
        return self.heads[max(index - 1, 0)]

    @cached_property
    def _taking_data(self) -> frozenset[int]:
        """Commands that start nothing, provided that each before them is known to start what follows."""
        return frozenset(
            at
            for at in self.heads
            if program(self.names[at]).words == "data" and DYNAMIC not in self.texts[at] and self._env is None
        )

    @cached_property
    def only_takes_data(self) -> bool:
        """Whether nothing is started here but commands none of whose words are commands."""
        return bool(self.heads) and all(
            program(self.names[at]).runs is not None or at in self._taking_data for at in self.heads
        )

    @cached_property
    def script(self) -> int | None:
        """The author's own script that is run, as in `./x.sh` and `python3 x.py`: what follows are its options."""
        if not self.heads or self.heads[-1] + 1 >= len(self.texts):
            return None
        head = self.heads[-1]
        for at in (head, head + 1) if interprets(self.names[head]) else (head,):
            if OWN_SCRIPT.fullmatch(self.texts[at]) and DYNAMIC not in self.texts[at]:
                return at
        return None

    @cached_property
    def _unknown(self) -> bool:
        return self.texts[0].startswith(DYNAMIC) and any(COMMAND_OPTION.fullmatch(name) for name in self.names)

    def _computed(self, at: int, place: int) -> Refusal | None:
        """Why the command that begins at this word evaluates the value at `place`."""
        match self.names[at]:
            case "[[" if COMPUTING.intersection(self.names[place - 1 : place + 2 : 2]):
                reason = "stands in '[[ ]]' with an operator that computes, which evaluates it; use '[ ]'"
                return Refusal(reason, "bare")
            case "test" | "[" if self._last_v > at:
                return Refusal("stands in a test with '-v', which may evaluate it")
            case "test" | "[" if place - 1 > at and self._may_be_v(place - 1):
                return Refusal("stands in a test after a word that is not known here, which may be '-v'")
            case "printf" if self._last_v_with_name > at:
                return Refusal("stands in a command with 'printf -v', which may evaluate it")
            case "printf" if place == at + 1 and self.texts[place].startswith(DYNAMIC):
                reason = "is the first word after 'printf', which evaluates it if it begins with -v"
                return Refusal(reason, "bare", "write printf '%s\\n' before it, or printf -- ")
            case "wait" | "jobs" as name if self.names[at] == "jobs" or "--" not in self.texts[at:place]:
                reason = f"stands in a command with '{name}', which evaluates it after some of its options"
                return Refusal(
                    reason, "bare", f"write {name} without it" if name == "jobs" else "write wait -- before it"
                )
        return None

    def _may_be_v(self, place: int) -> bool:
        text = self.texts[place]
        if DYNAMIC not in text:
            return False
        return text.replace(DYNAMIC, "") in _MAYBE_V or not self.command.words[place].quoted

    # --- what holds for one value -------------------------------------------------------------------------------------

    def _reasons(self, place: int) -> Iterator[tuple[int, str]]:
        """Each word before the one at `place` that makes this one code, and why. Of one kind only the first such."""
        evaluator = self._evaluators[0] if self._evaluators else place
        if evaluator < place and not self._is_file_of_sed(evaluator, place):
            yield evaluator, f"stands in a command with '{self.names[evaluator]}', which may evaluate it"
        yield from self._awk(place)
        if self.gives(place) is None:
            yield from self._interpreted(place)
        if self._env is not None and self._env < place:
            yield self._env, "stands in a command with 'env -S', which splits it"
        yield from self._in_option(place)

    def _interpreted(self, place: int) -> Iterator[tuple[int, str]]:
        text = self.texts[place]
        shell = self._shells[0] if self._shells else place
        if shell < last_before(self._commanded, place + 1):
            yield shell, f"stands in a command with '{self.names[shell]}', which may evaluate it"
        yield from self._coded_by_interpreter(place)
        before = last_before(self._plain, place)
        for at in {before, self._clients[0] if self._clients else NOWHERE}:
            in_option = program(self.names[at]).language == "sql" and self.names[place - 1].startswith("-")
            if 0 <= at < place and interprets(self.names[at]) and text.startswith(DYNAMIC) and not in_option:
                yield at, f"stands where '{self.names[at]}' takes an option or a script"

    def _coded_by_interpreter(self, place: int) -> Iterator[tuple[int, str]]:
        first = self._coded[0] if self._coded else place
        code = last_before(self._codes, place + 1)
        if first >= code or (program(self.names[first]).language == "sql" and code < place - 1):
            return
        yield first, f"stands in a command with '{self.names[first]}' and its code, which may evaluate it"

    def _in_option(self, place: int) -> Iterator[tuple[int, str]]:
        """Options whose value is code, by the command that takes them."""
        head, text, option = self._head_of(place), self.texts[place], self.texts[place - 1]
        name = self.names[head]
        known = program(name)
        attached = text.split(DYNAMIC, 1)[0].rstrip("=")
        takes_data = known.words == "options" or name == "git" or self.script is not None
        for pattern in (known.code_options, None if takes_data else CODE_OPTIONS):
            if pattern is not None and place > head and (pattern.fullmatch(option) or pattern.fullmatch(attached)):
                yield head, f"stands after an option of '{name}' that may take a command"
        if self.script is None and (CODE_IN_LONG_OPTION.match(text) or CODE_IN_LONG_OPTION.fullmatch(f"{option}=")):
            yield head, "stands in an option that may take a command"
        if name == "git" and text.startswith(DYNAMIC) and place == git_command(self.texts, head):
            yield head, "stands in the place of the command after 'git'"
        if name == "git" and self._sets_git:
            yield from self._in_setting(head, text, self.texts[place - 1])
        if known.remote and ":" in text.split(DYNAMIC, 1)[0]:
            yield head, "stands in a path on another machine, whose shell may read it"
        if name.startswith("sqlite") and not text.startswith("-") and last_before(self._operands, place) > head:
            yield head, f"stands in what '{name}' evaluates"

    def _is_file_of_sed(self, sed: int, place: int) -> bool:
        """Whether it is a file that sed edits: after its script, and no option for sure."""
        if (
            program(self.names[sed]).language != "sed"
            or self.names[place - 1] in SED_OPTIONS
            or len(self._evaluators) > 1
        ):
            return False
        literal = self.texts[place][0] not in ("-", DYNAMIC) or "--" in self.texts[sed + 1 : place]
        # `-i .bak` and `-i ''` take a value elsewhere than on Linux.
        return literal and any(
            self.texts[at][:1] not in ("", "-", ".") and self.texts[at - 1] not in ("-l", "--line-length")
            for at in range(sed + 1, place)
        )

    def _in_setting(self, head: int, text: str, before: str) -> Iterator[tuple[int, str]]:
        if text.startswith(DYNAMIC) and (before in ("config", "set") or before.startswith("-")):
            yield head, "stands in the name of a setting of git"
        elif GIT_KEY.match(text) or GIT_KEY.match(before) or before.startswith(DYNAMIC):
            yield head, "is given to a setting of git that may be a command"

    def _awk(self, place: int) -> Iterator[tuple[int, str]]:
        if not self._awks:
            return
        at: int | None = None
        if self._awks[0] < last_before(self._awk_files, place):
            at = self._awks[0]
        elif self.names[place - 1] not in AWK_OPTIONS:
            operand = last_before(self._operands, place)
            at = next(iter(self._awks[bisect_left(self._awks, operand) :][:1]), None)
        if at is not None and at < place:
            yield at, f"stands in the program of '{self.names[at]}', which evaluates it"

    # --- places of words ----------------------------------------------------------------------------------------------

    def where(self, test: Callable[[str], bool]) -> list[int]:
        """Places of words whose name passes the test."""
        return [at for at, name in enumerate(self.names) if test(name)]

    def _of_others(self, test: Callable[[str], bool]) -> list[int]:
        """The same, without a shell or an interpreter whose options ended with a script."""
        begin = 0 if self.script is None else self.script + 1
        return [at for at in self.where(test) if at >= begin]

    def follows(self, test: Callable[[str], bool], last: int) -> bool:
        """Whether a word that passes the test stands before the place `last`."""
        return any(test(name) for name in self.names[: max(last, 0)])

    def lacks_operands(self, test: Callable[[str], bool], wanted: int) -> bool:
        """Whether fewer than `wanted` operands follow a word that passes the test; the fewest follow the last."""
        last = last_of(self.where(test))
        rest = self.names[last + 1 :]
        return last >= 0 and sum(not name.startswith("-") or name == "-" for name in rest) < wanted

    @cached_property
    def _plain(self) -> list[int]:
        return self.where(plain)

    @cached_property
    def _last_v(self) -> int:
        return last_of(self.where(lambda name: name == "-v"))

    @cached_property
    def _last_v_with_name(self) -> int:
        return last_of(self.where(lambda name: name.startswith("-v")))

    @cached_property
    def _awks(self) -> list[int]:
        return self.where(is_awk)

    @cached_property
    def _awk_files(self) -> list[int]:
        return self.where(lambda name: name == "-f")

    @cached_property
    def _operands(self) -> list[int]:
        before = ["", *self.names]
        return [at for at, name in enumerate(self.names) if not name.startswith("-") and before[at] not in AWK_OPTIONS]

    @cached_property
    def _coded(self) -> list[int]:
        return self._of_others(lambda name: program(name).language in ("sql", "code"))

    @cached_property
    def _codes(self) -> list[int]:
        return self.where(lambda name: CODE_OPTION.match(name) is not None)

    @cached_property
    def _evaluators(self) -> list[int]:
        """Words after which everything may be evaluated."""
        return [
            at
            for at, name in enumerate(self.names)
            if (words := program(name).words) == "carried" or (words == "evaluated" and at in self._head_places)
        ]

    @cached_property
    def _shells(self) -> list[int]:
        return self._of_others(is_shell)

    @cached_property
    def evaluating(self) -> list[int]:
        """Words that are shells, or after which everything may be evaluated."""
        return sorted({*self._shells, *self._evaluators})

    @cached_property
    def _commanded(self) -> list[int]:
        return [at for at, text in enumerate(self.texts) if COMMAND_OPTION.fullmatch(text)]

    @cached_property
    def _sets_git(self) -> bool:
        return any(text in ("config", "-c") or text.startswith("--config") for text in self.texts)

    @cached_property
    def _clients(self) -> list[int]:
        return self.where(lambda name: program(name).language == "sql")

    @cached_property
    def _env(self) -> int | None:
        splits = last_of(self.where(lambda name: name.startswith(("-S", "--split"))))
        found = next((at for at, name in enumerate(self.names) if name == "env"), None)
        return found if found is not None and found < splits else None


def _reads(name: str) -> bool:
    return interprets(name) or is_awk(name)
