"""Whether a command evaluates the value in one of its words, or may read its commands from standard input.

A command may have a hundred thousand words and hundreds of values. So its words are walked once for each kind of word
that matters, and a question about a value looks only at the nearest word of a kind.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest

from engine.scripts.posix_shell.given import Given, given
from engine.scripts.posix_shell.heads import after_options, entrypoint
from engine.scripts.posix_shell.inlineprograms import environment_of, started_by
from engine.scripts.posix_shell.options import (
    APT_SETTING,
    AWK_OPTIONS,
    CODE_IN_LONG_OPTION,
    CODE_OPTIONS,
    COMMAND_OPTION,
    COMPUTING,
    DPKG_HOOK,
    GIT_COMMANDS,
    GIT_KEY,
    POWERSHELL_COMMAND,
    POWERSHELL_FILE,
    SED_OPTIONS,
    SQL_OPTIONS,
)
from engine.scripts.posix_shell.pieces import ASSIGNMENT, DYNAMIC, Command, Refusal, Word
from engine.scripts.posix_shell.places import NOWHERE, Places, git_command, last_before
from engine.scripts.posix_shell.programs import interprets, is_awk, program
from engine.scripts.posix_shell.variables import EVALUATED_NAMES, EXECUTED_NAMES

AS_COMMAND = "stands in the place of the command"
_COMMAND_HINT = "write the commands in the script, and let the value choose: case VALUE in a) x ;; b) y ;; esac"
_TAKING_CODE = frozenset({"eval", "trap", "su", "sg", "runuser", "watch", "flock"})
_SPLITTING = frozenset({"[", "test", "find", "tar"})
_ADDRESSING = frozenset({"-p", "-l", "-i"})
"""Options of ssh whose value is no command, nor an option."""
_EVALUATED_HINT = "write the whole of it in the script, and give the value to the program in another way"
_AS_OPTION = "stands where"
_AS_DATABASE = {
    "mariadb": "write -D before it: what begins with '-' would be an option, and -e runs commands",
    "mysql": "write -D before it: what begins with '-' would be an option, and -e runs commands",
    "psql": "write -d before it: what begins with '-' would be an option, and -c runs commands",
    "sqlite3": "write its folder before it, as in ./VALUE: what begins with '-' would be an option that runs commands",
}
_POWERSHELLS = frozenset({"powershell", "powershell.exe", "pwsh", "pwsh.exe"})
_BRACED = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_MODULE = re.compile(r"-[bBdEIOPqsSuvx]*m(\w*)")
_OPTION_OF_APT = re.compile(r"-[a-zA-Z]*o=?|--option=?")
_RUNNING_MODULES = frozenset({"timeit"})
"""Modules of python that run their arguments."""
_ENTRIES = re.compile(r"""[^\s\[\],"']+""")
"""Words of an entry point, which may be a list in JSON."""
_SETS = re.compile(r"-[A-Za-z]*[eE]|--env|--setenv|--environment")
_SETTING = re.compile(r"(?:-[A-Za-z]*?[eE]|--(?:env|setenv|environment)=)([A-Za-z_][A-Za-z0-9_]*)=")
"""Options by which a variable is set of a program in a container."""
_MAYBE_V = frozenset({"", "-", "v", "-v"})


def assigned_name(text: str) -> str | None:
    """The variable that a word of this text assigns."""
    match = ASSIGNMENT.match(text)
    return match[0].rstrip("+=") if match else None


_INLINE = "let the script start the command, with the value as one of its arguments"


class Arguments(Places):
    """The words of one command that is read whole."""

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self._operands_of_ssh: dict[int, int] = {}
        self._commands_of_git: dict[int, int] = {}
        self._ends_of_options: dict[int, int] = {}

    def evaluate(self, hole: int) -> Refusal | None:
        """Why a value in this command would be evaluated, or None."""
        place = self.command.places.get(hole)
        if place is not None:
            return self.judged(place)
        if self.command.pattern or self.first is None or hole in self.command.in_input:
            return None  # who reads its input is asked of all commands together
        if self._head_of(None) in self._taking_data:
            return None
        if hole in self.command.holes_written:
            return None
        reader = next((name for name in self.names if interprets(name) or is_awk(name)), None)
        return Refusal(f"stands in the input of '{reader}', which may evaluate it") if reader else None

    def judged(self, place: int) -> Refusal | None:
        """Why a value in the word at this place would be evaluated, or None: an expression's, or a variable's."""
        if self.command.pattern:
            return None
        if self.starting is not None:
            return Refusal(
                f"is given to a program of '{self.starting}' in the script that starts commands", hint=_INLINE
            )
        if self.assigns(place):
            name = assigned_name(self.texts[place]) or ""
            if EVALUATED_NAMES.fullmatch(name):
                return Refusal(f"is assigned to '{name}', which programs evaluate", hint=_EVALUATED_HINT)
            if self.environment is not None and name in self.environment[1]:
                return self.of_environment()
        if EXECUTED_NAMES.fullmatch(name := self.set_by_option(place) or ""):
            return Refusal(f"is given as '{name}', which programs execute", hint=_EVALUATED_HINT)
        if self.first is None or place < self.first:
            # A variable without quotes, which is the command unless it is empty.
            return None if ASSIGNMENT.match(self.texts[place]) else Refusal(AS_COMMAND, hint=_COMMAND_HINT)
        head = self._head_of(place)
        if head in self._taking_data and place != head:
            return self._computed(head, place)
        return self._reason(place)

    @cached_property
    def starting(self) -> str | None:
        """Whose program stands in the script and starts commands: with a value, for all that anybody knows."""
        started = started_by(self.command, self.names, self.texts)
        return None if started is None else started[0]

    @cached_property
    def environment(self) -> tuple[str, frozenset[str]] | None:
        """The variables of its environment with which a program here may start a command, and whose it is."""
        return environment_of(self.command, self.names, self.texts)

    def of_environment(self) -> Refusal | None:
        """Why no value may be in those variables."""
        if self.environment is None:
            return None
        return Refusal(
            f"is read by a program of '{self.environment[0]}' in the script that starts commands", hint=_INLINE
        )

    def _reason(self, place: int) -> Refusal | None:
        if any(_BRACED.search(self.texts[at]) and not self.command.words[at].quoted for at in self.heads):
            return Refusal("is given to a command whose name is in braces", hint="write the command without braces")
        if place in self._head_places:
            index = bisect_left(self.heads, place)
            after = f" after '{self.names[self.heads[index - 1]]}'" if index else ""
            return Refusal(f"{AS_COMMAND}{after}", hint=_COMMAND_HINT)
        if self._assigned_before_command(place):
            return None
        if self.declares and self.heads[-1] < place:
            if ASSIGNMENT.match(self.texts[place]):
                return None
            return Refusal("stands in the name of a variable", hint="write the name in the script")
        if self._unknown:
            return Refusal("stands in a command that is not known here", hint="write the command in the script")
        found = min(self._reasons(place), key=lambda found: found[0], default=None)
        if found is None:
            return self._by_entrypoint(place)
        return Refusal(found[1], hint=self._instead(*found, place))

    def _by_entrypoint(self, place: int) -> Refusal | None:
        """The same for the command in a container, where `--entrypoint` says what it is."""
        if self._entrypoint is None or place < self._entrypoint[1]:
            return None
        inner, within = self._entrypoint[0], place - self._moved
        if self.given is None and (given := inner.gives(within)) is not None and given.by_shell:
            return Refusal(f"is given to a script of '{given.reader}' that may evaluate it", hint=_EVALUATED_HINT)
        return inner.judged(within)

    @cached_property
    def _entrypoint(self) -> "tuple[Arguments, int] | None":
        """That command, and the word of this one with which its arguments begin."""
        found = entrypoint(self.names, self.texts, self.heads[-1]) if self.heads else None
        if found is None:
            return None
        entry, begin = found
        words = [Word(quoted=True) for _ in _ENTRIES.findall(entry)]
        for word, text in zip(words, _ENTRIES.findall(entry), strict=True):
            word.add(text)
        return Arguments(Command(words=[*words, *self.command.words[begin:]])), begin

    @property
    def _moved(self) -> int:
        """How much further a word stands here than in that command."""
        return 0 if self._entrypoint is None else len(self.texts) - len(self._entrypoint[0].texts)

    def _instead(self, at: int, reason: str, place: int) -> str:
        """What to write where the program at this place evaluates the value at `place`."""
        known = program(self.names[at])
        if known.language == "sed" and self._is_after_script_of_sed(at, place):
            return "write -- before it: what begins with '-' would be an option"
        if known.valued_before_host and self._is_operand_of(at, place):
            return f"write {self.names[at]} -- before it: what begins with '-' would be an option"
        statement = self.names[at].startswith("sqlite") and last_before(self._operands, place) > at
        if reason.startswith(_AS_OPTION) and not statement:
            return _AS_DATABASE.get(self.names[at], known.instead)
        return known.instead

    def assigns(self, place: int) -> bool:
        """Whether the word at this place sets a variable: here, or of the program that `env` or `sudo` starts."""
        if not ASSIGNMENT.match(self.texts[place]):
            return False
        return self.first is None or place < self.first or self.declares or self._assigned_before_command(place)

    def set_by_option(self, place: int) -> str | None:
        """The variable that an option sets of what `docker exec` or the like starts: `-e A=x`, `--env=A=x`."""
        after = bisect_left(self.heads, place)
        name = self.names[self.heads[after - 1]] if after else ""
        if name != "systemd-run" and program(name).executes is None:
            return None
        if (attached := _SETTING.match(self.texts[place])) is not None:
            return attached[1]
        return assigned_name(self.texts[place]) if _SETS.fullmatch(self.texts[place - 1]) else None

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
    def starts_shell(self) -> bool:
        """Whether a shell may read a script among the words: `bash -c '...'`."""
        within = self._entrypoint is not None and self._entrypoint[0].starts_shell
        return within or (bool(self._shells) and bool(self._commanded))

    @cached_property
    def takes_code(self) -> bool:
        """Whether one of its words may be a script for a shell here, which has the variables of this one."""
        return self.starts_shell or self._may_be_shell or not _TAKING_CODE.isdisjoint(self.called)

    @property
    def _may_be_shell(self) -> bool:
        """Whether a variable or the like stands where the command does, and an option after which code may stand."""
        if not self.heads or not self._commanded:
            return False
        head = self.texts[self.heads[-1]]
        return DYNAMIC in head or head.startswith("-")

    @cached_property
    def splits(self) -> str | None:
        """A program here that evaluates some of its operators and options, which a value without quotes may become."""
        return next((name for name in reversed(self.called) if name in _SPLITTING), None)

    @cached_property
    def given(self) -> Given | None:
        """What it gives to the code of a shell or an interpreter as arguments: itself, or by an entry point."""
        if self._entrypoint is None:
            return given(self.names, self.texts, self.heads[-1]) if self.heads else None
        inner, begin = self._entrypoint
        found = inner.given
        if found is None or (found.code is not None and found.code + self._moved < begin):
            return None
        code = None if found.code is None else found.code + self._moved
        return replace(found, begin=found.begin + self._moved, code=code)

    def gives(self, place: int | None) -> Given | None:
        """The same, where the word at this place is given."""
        return self.given if place is not None and self.given is not None and place >= self.given.begin else None

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
            case "dpkg" if DPKG_HOOK.match(self.texts[place]) or DPKG_HOOK.fullmatch(self.texts[place - 1]):
                return Refusal("stands in an option of 'dpkg' that runs it", hint=_EVALUATED_HINT)
            case "apt" | "apt-get" | "aptitude" | "apt-cache" | "apt-mark" as name if self._sets_apt(place):
                return Refusal(f"stands in a setting of '{name}', which may be a command", hint=_EVALUATED_HINT)
            case "wait" | "jobs" as name if self.names[at] == "jobs" or not self._has_dashes(at, place):
                reason = f"stands in a command with '{name}', which evaluates it after some of its options"
                return Refusal(
                    reason, "bare", f"write {name} without it" if name == "jobs" else "write wait -- before it"
                )
        return None

    def _sets_apt(self, place: int) -> bool:
        """Whether it may be a setting of apt that holds a command."""
        option = _OPTION_OF_APT.match(self.texts[place])
        after = _OPTION_OF_APT.fullmatch(self.texts[place - 1]) is not None
        setting = self.texts[place] if after else self.texts[place][option.end() :] if option is not None else None
        return setting is not None and APT_SETTING.match(setting) is not None

    def _has_dashes(self, at: int, place: int) -> bool:
        """Whether `--` stands between the two."""
        return at < last_before(self._dashes, place)

    def _may_be_v(self, place: int) -> bool:
        text = self.texts[place]
        if DYNAMIC not in text:
            return False
        return text.replace(DYNAMIC, "") in _MAYBE_V or not self.command.words[place].quoted

    # --- what holds for one value -------------------------------------------------------------------------------------

    def _reasons(self, place: int) -> Iterator[tuple[int, str]]:
        """Each word before the one at `place` that makes this one code, and why. Of one kind only the first such."""
        evaluator = self._evaluators[0] if self._evaluators else place
        if evaluator < place and not (self._is_file_of_sed(evaluator, place) or self._is_address(evaluator, place)):
            yield evaluator, f"stands in a command with '{self.names[evaluator]}', which may evaluate it"
        yield from self._awk(place)
        if self.gives(place) is None:
            yield from self._interpreted(place)
        if self._env is not None and self._env < place:
            yield self._env, "stands in a command with 'env -S', which splits it"
        yield from self._in_option(place)

    def _interpreted(self, place: int) -> Iterator[tuple[int, str]]:
        text = self.texts[place]
        yield from self._by_powershell(place)
        yield from self._by_module(place)
        shell = self._shells[0] if self._shells else place
        if shell < last_before(self._commanded, place + 1):
            yield shell, f"stands in a command with '{self.names[shell]}', which may evaluate it"
        yield from self._coded_by_interpreter(place)
        before = last_before(self._plain, place)
        for at in {before, self._clients[0] if self._clients else NOWHERE}:
            if self._entrypoint is not None and self.names[at - 1] == "--entrypoint" and place < self._entrypoint[1]:
                continue  # its words begin after the image
            if 0 <= at < place and interprets(self.names[at]) and text.startswith(DYNAMIC) and self._is_bare(at, place):
                yield at, f"{_AS_OPTION} '{self.names[at]}' takes an option or a script"

    def _is_bare(self, at: int, place: int) -> bool:
        """Whether the program at `at` may take the word at `place` for an option: it is no value of one."""
        if program(self.names[at]).language != "sql":
            return True
        valued = SQL_OPTIONS.get(self.names[at])
        if valued is None:
            return not self.names[place - 1].startswith("-")
        return self._end_of_options(at, valued) > place and valued.fullmatch(self.texts[place - 1]) is None

    def _end_of_options(self, at: int, valued: re.Pattern[str]) -> int:
        """Where `--` ends those of the program at this word: as the value of an option it ends none."""
        if at not in self._ends_of_options:
            ends = (one for one in self._dashes if one > at and not valued.fullmatch(self.texts[one - 1]))
            self._ends_of_options[at] = next(ends, len(self.texts))
        return self._ends_of_options[at]

    def _by_powershell(self, place: int) -> Iterator[tuple[int, str]]:
        """Its options are read in any case, and shortened; what follows them is joined to one script."""
        if self._powershell is None or self._powershell[0] >= place:
            return
        at, file, command = self._powershell
        joins = self.names[at].startswith("powershell") and file > place  # of 5.1 all words are one command
        if joins or command < min(file, place + 1):
            yield at, f"stands in a command with '{self.names[at]}', which may evaluate it"

    @cached_property
    def _powershell(self) -> tuple[int, int, int] | None:
        """Where it stands, and the first of its options after which a file stands, and a command."""
        at = next((at for at in self._shells if self.names[at] in _POWERSHELLS), None)
        if at is None:
            return None
        options = [*enumerate((text.split(DYNAMIC, 1)[0] for text in self.texts[at + 1 :]), start=at + 1)]
        file, command = (
            next((place for place, text in options if pattern.fullmatch(text)), len(self.texts))
            for pattern in (POWERSHELL_FILE, POWERSHELL_COMMAND)
        )
        return at, file, command

    def _by_module(self, place: int) -> Iterator[tuple[int, str]]:
        """`python3 -m timeit x` runs x."""
        at = next((at for at in self._coded if self.names[at].startswith(("python", "pypy"))), place)
        before = self.names[at + 1 : place]
        for option, word in zip_longest(before, before[1:], fillvalue=""):
            module = _MODULE.fullmatch(option)
            if module is not None and (module[1] or word) in _RUNNING_MODULES:
                yield at, f"stands in a command with '{self.names[at]}' and its code, which may evaluate it"
                return

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
                of = f"'{name}'" if name else "a program that is not known here"
                yield head, f"stands after an option of {of} that may take a command"
        if self.script is None and (CODE_IN_LONG_OPTION.match(text) or CODE_IN_LONG_OPTION.fullmatch(f"{option}=")):
            yield head, "stands in an option that may take a command"
        if name == "git" and text.startswith(DYNAMIC) and place == self._command_of_git(head):
            yield head, "stands in the place of the command after 'git'"
        if name == "git" and self._runs_by_git(head, option, attached):
            yield head, "stands where git takes a command"
        if name == "git" and self._sets_git:
            yield from self._in_setting(head, text, self.texts[place - 1])
        if known.remote and ":" in text.split(DYNAMIC, 1)[0]:
            yield head, "stands in a path on another machine, whose shell may read it"
        if name.startswith("sqlite") and not text.startswith("-") and last_before(self._operands, place) > head:
            yield head, f"stands in what '{name}' evaluates"

    def _is_file_of_sed(self, sed: int, place: int) -> bool:
        """Whether it is a file that sed edits: after its script, and no option for sure."""
        if len(self._evaluators) > 1 or not self._is_after_script_of_sed(sed, place):
            return False
        return self.texts[place][0] not in ("-", DYNAMIC) or self._has_dashes(sed, place)

    def _is_after_script_of_sed(self, sed: int, place: int) -> bool:
        if program(self.names[sed]).language != "sed" or self.names[place - 1] in SED_OPTIONS:
            return False
        return sed < last_before(self._scripts_of_sed, place)

    def _is_address(self, ssh: int, place: int) -> bool:
        """Whether it is the machine that ssh goes to, and no option for sure; or its port, a user or a key."""
        if len(self._evaluators) > 1 or not program(self.names[ssh]).valued_before_host:
            return False
        if self.texts[place - 1] in _ADDRESSING and place < self._operand_of(ssh):
            return True
        surely = self.texts[place][:1] not in ("-", DYNAMIC) or self._has_dashes(ssh, place)
        return surely and self._is_operand_of(ssh, place)

    def _is_operand_of(self, ssh: int, place: int) -> bool:
        return self._operand_of(ssh) == place

    def _operand_of(self, ssh: int) -> int:
        """The first operand."""
        if ssh not in self._operands_of_ssh:
            valued = program(self.names[ssh]).valued_before_host
            self._operands_of_ssh[ssh] = after_options(self.texts, ssh + 1, 0, valued)
        return self._operands_of_ssh[ssh]

    def _command_of_git(self, head: int) -> int:
        if head not in self._commands_of_git:
            self._commands_of_git[head] = git_command(self.texts, head)
        return self._commands_of_git[head]

    def _runs_by_git(self, head: int, option: str, attached: str) -> bool:
        at = self._command_of_git(head)
        words = self.texts[at : at + 2]
        known = GIT_COMMANDS.get(words[0] if words else "")
        if known is None:
            return False
        return words[1:] == [known] or any(re.fullmatch(known, one) is not None for one in (option, attached))

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
            index = bisect_left(self._awks, operand)
            at = self._awks[index] if index < len(self._awks) else None
        if at is not None and at < place:
            yield at, f"stands in the program of '{self.names[at]}', which evaluates it"
