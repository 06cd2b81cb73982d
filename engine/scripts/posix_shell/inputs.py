"""What a command makes of its standard input: commands, which it runs, or data.

Who reads commands there is listed, and who takes data is. A value goes to the second only: of a program in neither
list nobody knows what it does with a line of its input.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import zip_longest

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.files import runs_file
from engine.scripts.posix_shell.heads import after_options, heads
from engine.scripts.posix_shell.pieces import DYNAMIC, Command, Refusal
from engine.scripts.posix_shell.places import last_of
from engine.scripts.posix_shell.prints import SILENT
from engine.scripts.posix_shell.programs import (
    OWN_SCRIPT,
    interprets,
    is_awk,
    is_input,
    is_shell,
    program,
    takes_file,
)
from engine.scripts.posix_shell.table import PROGRAMS, Input, Program, name_of
from engine.scripts.posix_shell.wrappers import array_of, is_all

_HINT = "write the value to a file, or give it as an argument, to a program that takes it as data"
NAME_HINT = "write the name of the command in the script, or set the variable to nothing but such names: SUDO=sudo"
_MAILS = frozenset({"'mail'", "'mailx'", "'Mail'", "'s-nail'"})
_MAIL_HINT = (
    "some versions run lines of a message that begin with '~!' (CVE-2021-32749); sendmail runs none: "
    "printf 'To: %s\\nSubject: %s\\n\\n%s\\n' ops@example.org subject VALUE | sendmail -t"
)
_UNNAMED = "a command whose name is not known here"
_SHELL_READING_INPUT = re.compile(r"-(?=[a-z]*s)[a-z]+")
_ASKS_FOR_SHELL = {
    "sudo": re.compile(r"-[A-Za-z]*[si][A-Za-z]*|--shell|--login"),
    "doas": re.compile(r"-[A-Za-z]*s[A-Za-z]*"),
    "systemd-run": re.compile(r"-[A-Za-z]*S[A-Za-z]*|--shell"),
}
"""Runners that start a shell in place of a command only where they are asked to."""
_SSHS = frozenset({"ssh", "autossh", "rsh"})
_SSH_VALUED = "BbcDEeFIiJLlmOopPQRSWwM"
_SPLITTING = re.compile(r"-[A-Za-z]*S|--split")
_REPLACING = re.compile(r"-[0-9A-Za-z]*?[Ii](.*)|--replace(?:=(.*))?", re.DOTALL)
"""Options of xargs that say in the place of which text it puts what it reads."""
_FILE_OF_XARGS = re.compile(r"-[A-Za-z0-9]*a|--a[a-z-]*=?")
_ATTACHING = frozenset({"run", "exec", "attach", "debug", "start", "shell", "rsh", "console", "explore", "x", "dlx"})
"""Words of docker, kubectl and the like after which a program unknown here reads the input."""
_CODE = (
    (frozenset(name for name, one in PROGRAMS.items() if one.language == "shell"), re.compile(r"-[eluxfv]*c")),
    (frozenset({"perl", "ruby"}), re.compile(r"-[nplaw0]*[eE]")),
    (frozenset({"node", "nodejs"}), re.compile(r"-[ep]|--eval|--print")),
    (frozenset({"php"}), re.compile(r"-r")),
    (frozenset({"psql"}), re.compile(r"-c|--command(=.*)?", re.DOTALL)),
    (frozenset({"mysql", "mariadb"}), re.compile(r"-[Ns]*e|--execute(=.*)?", re.DOTALL)),
)
"""Options after which an interpreter has its code, and leaves the input to it."""
_PYTHON_CODE = re.compile(r"-[bBdEIOPqsSuvx]*c")
_PYTHON_FLAGS = re.compile(r"-[bBdEIOPqsSuvx]+")
_FILTERING = frozenset({"split", "sort", "tar"})
"""Programs with an option after which a command stands that gets what they read."""
_TAKING_FILES = frozenset({"sed", "make", "curl"})
_MAY_READ = frozenset({"at", "batch", "crontab", "source", ".", "xargs", "parallel", "ssh", "rsh"})
"""Programs that read commands from their input in some cases, beside awk, shells and interpreters."""
_SED_RUNS = re.compile(
    r"(?:^|[;{}\n!])[ \t]*+[0-9$,]*+[ \t]*+e(?:[ ;\n]|$)|[^A-Za-z0-9\s-][gpiImM0-9]*e[gpiImM0-9]*[ \t]*(?:$|[;}\n])"
)
"""The command `e` of sed, and the flag of its `s`: they run what is in the input."""
_SEPARATORS = re.compile(r"[;&|()\n]+")


class Inputs:
    """What goes to the input of the commands of one script."""

    def __init__(
        self,
        text: str,
        commands: Sequence[tuple[Command, Arguments]],
        functions: frozenset[str],
        alternatives: Callable[[Arguments], Sequence[Arguments] | None],
    ) -> None:
        """`alternatives`: what a command may be that has variables before its name, or that a function runs."""
        self._text = text
        self._commands = commands
        self._functions = functions
        self._alternatives = alternatives

    def refusal(self, command: Command, *, within: bool, compound: bool) -> Refusal | None:
        """Why a value of this command does not go where its output goes, nor, `within` its input, to itself.

        `compound`: more goes through a pipe than the output of single commands.
        """
        reader = self._readers.get(id(command)) if within else None
        if reader is None and command.feeds is not None:
            reader = self._readers.get(id(command.feeds))
        if reader is None and compound:
            reader = self._fed_reader
        if reader is None and self._by_processes:
            reader = self._by_processes.get(id(command)) or (self._of_all if self.prints(command) else None)
        if reader is None:
            return None
        hint = NAME_HINT if reader == _UNNAMED else _MAIL_HINT if reader in _MAILS else _HINT
        return Refusal(f"goes to the input of {reader}, which may run it", hint=hint)

    def runs_input(self, arguments: Arguments) -> bool:
        """Whether it certainly takes its input for commands, or passes it on to one that does."""
        return id(arguments.command) in self._running

    def runs_own_input(self, arguments: Arguments) -> bool:
        """The same of what the script itself has there."""
        if any(arguments.names[at] in ("source", ".") for at in arguments.heads):
            return any(is_input(text) for text in arguments.texts[arguments.heads[-1] + 1 :][:1])
        made = self.made(arguments)
        interpreted = any(interprets(name) and name != "bc" for name in arguments.names) and reads_commands(arguments)
        return made == "commands" or (made == "unknown" and interpreted)

    @cached_property
    def _running(self) -> frozenset[int]:
        found: set[int] = set()
        for command, arguments in reversed(self._commands):  # what it feeds stands after it
            passes = command.feeds is not None and id(command.feeds) in found and self.made(arguments) == "data"
            if passes or self._runs(arguments):
                found.add(id(command))
        return frozenset(found)

    def _runs(self, arguments: Arguments) -> bool:
        made = self.made(arguments)
        return made == "commands" or (made == "unknown" and any(map(interprets, arguments.names)))

    def goes_to_process(self, command: Command) -> bool:
        """Whether what it prints goes to a command in `>( ... )` that may run it."""
        return id(command) in self._by_processes or (self._of_all is not None and self.prints(command))

    def prints(self, command: Command) -> bool:
        arguments = self._arguments[id(command)]
        return bool(arguments.heads) and arguments.called[-1] not in SILENT

    @cached_property
    def _arguments(self) -> dict[int, Arguments]:
        return {id(command): arguments for command, arguments in self._commands}

    @cached_property
    def _by_processes(self) -> dict[int, str]:
        """By command: who of those in its `>( ... )` may run what it prints."""
        found: dict[int, str] = {}
        for command, _ in self._commands:
            for first, *others in command.processes:
                reader = self._readers.get(id(first)) or self._reader_in_functions([first, *others])
                runs = (one for one in others if self._runs(self._arguments[id(one)]))
                if reader is not None or (one := next(runs, None)) is not None:
                    found[id(command)] = reader or self._readers[id(one)]
        return found

    def _reader_in_functions(self, commands: Sequence[Command]) -> str | None:
        """The same of those that stand in functions, where one of the commands calls such."""
        if not any(name in self._functions for one in commands for name in self._arguments[id(one)].called):
            return None
        return self._readers_in_functions[0] if self._readers_in_functions else None

    @cached_property
    def _readers_in_functions(self) -> list[str]:
        return [self._readers[id(one)] for one, _ in self._commands if one.function and id(one) in self._readers]

    @cached_property
    def _of_all(self) -> str | None:
        """The same where the output of more than one command goes there: `exec > >(sh)`, `{ ...; } > >(sh)`."""
        for command, arguments in self._commands:
            called = arguments.called[-1] if arguments.called else "exec"
            if id(command) in self._by_processes and (
                command.compound or called == "exec" or called in self._functions
            ):
                return self._by_processes[id(command)]
        return None

    def of_words(self, arguments: Arguments, place: int) -> Refusal | None:
        """Why no value goes to this word, if `xargs` reads it in place of its input: `xargs -a <(echo x) sh -c`."""
        if runs_file(arguments, place):
            return Refusal(f"stands in a file that {_shown(arguments)} runs", hint=_HINT)
        if not arguments.command.words[place].process or "xargs" not in arguments.called:
            return None
        if not _FILE_OF_XARGS.fullmatch(arguments.texts[place - 1]) or self.made(arguments) == "data":
            return None
        return Refusal(f"goes to the input of {_shown(arguments)}, which may run it", hint=_HINT)

    @cached_property
    def reads_commands(self) -> bool:
        """Whether any command may read commands from its input, whoever it has that from."""
        return any(self.may_read(command) for command, _ in self._commands)

    def may_read(self, command: Command) -> bool:
        """The same of one command."""
        arguments = self._arguments[id(command)]
        return reads_commands(arguments) or self._is_some_shell(arguments)

    def made(self, arguments: Arguments) -> Input:
        """What the command does with its input, whatever its first words are."""
        if arguments.perhaps and not arguments.command.pattern:
            ones = self._alternatives(arguments)
            if ones is None:
                return "unknown"
        elif arguments.heads and arguments.called[-1] in self._functions:
            ones = self._alternatives(arguments) or ()
        else:
            ones = (arguments,)
        made = {made_of_input(one, self._functions) for one in ones} - {"data"}
        return "commands" if "commands" in made else "unknown" if made else "data"

    def _is_some_shell(self, arguments: Arguments) -> bool:
        """Whether it is a command without operands of which nobody knows what it is: `$SHELL -s`."""
        words = arguments.command.words
        at = arguments.perhaps[-1] if arguments.perhaps else 0
        if arguments.command.pattern or not words or DYNAMIC not in words[at].text or arguments.assigns(at):
            return False
        raw = self._text[words[at].start : words[at].end]
        if is_all(raw) or array_of(raw) is not None:
            return False  # what runs its arguments is asked where they are given
        return all(text[:1] == "-" for text in arguments.texts[at + 1 :]) and self.made(arguments) != "data"

    @cached_property
    def _readers(self) -> dict[int, str]:
        """By command: who of it and of those that its output goes to may run what is in their input."""
        found: dict[int, str] = {}
        for command, arguments in reversed(self._commands):  # what it feeds stands after it
            if self.made(arguments) != "data":
                found[id(command)] = _shown(arguments)
            elif command.feeds is not None and id(command.feeds) in found:
                found[id(command)] = found[id(command.feeds)]
            elif (inner := next((those[0] for those in command.processes if id(those[0]) in found), None)) is not None:
                found[id(command)] = found[id(inner)]
        return found

    @cached_property
    def _fed_reader(self) -> str | None:
        fed = (self._readers.get(id(command.feeds)) for command, _ in self._commands if command.feeds is not None)
        return next((reader for reader in fed if reader is not None), None)


def made_of_input(arguments: Arguments, functions: frozenset[str]) -> Input:
    """What the command does with its input. Functions, and the commands within `{ }`, are judged by themselves."""
    if not arguments.heads:
        return "unknown" if arguments.perhaps and not arguments.command.pattern else "data"
    if _only_sends_output(arguments):
        return "data"
    if arguments.names[arguments.heads[-1]] in functions:
        return "data"
    if arguments.starting is not None:
        return "commands"
    if "xargs" in arguments.called or "parallel" in arguments.called:
        return _made_of_words(arguments)
    return _made(arguments.names, arguments.texts, arguments.heads, within=False)


def _only_sends_output(arguments: Arguments) -> bool:
    """`exec > >(tee log) 2>&1` starts nothing, and reads nothing."""
    command = arguments.command
    sends = command.redirected and not (command.taken or command.fed or command.scripts)
    return bool(sends) and arguments.texts == ["exec"]


def _shown(arguments: Arguments) -> str:
    """A command that may run its input, as it is called in a reason."""
    name = "" if arguments.perhaps or not arguments.called else arguments.called[-1]
    return f"'{name}'" if name else _UNNAMED


def reads_commands(arguments: Arguments) -> bool:
    """Whether a shell, an interpreter or a runner of shells could take its commands from standard input here."""
    if _only_sends_output(arguments):
        return False
    if arguments.heads and _made(arguments.names, arguments.texts, arguments.heads, within=False) == "commands":
        return True
    names = arguments.names
    if not any(name in _MAY_READ or is_awk(name) or interprets(name) for name in names) or arguments.only_takes_data:
        return False
    inputs = last_of(arguments.where(is_input))
    options = last_of(arguments.where(lambda name: _SHELL_READING_INPUT.fullmatch(name) is not None))
    files = last_of(arguments.where(lambda name: name.startswith("-f") and is_input(name[2:])))
    return (
        any(name in ("at", "batch") for name in arguments.called)
        or ("crontab" in arguments.called and not {"-l", "-r"}.intersection(names))
        or any(at < inputs and names[at] in ("source", ".") for at in arguments.heads)
        or arguments.follows(lambda name: name in ("xargs", "parallel"), last_of(arguments.evaluating))
        or arguments.lacks_operands(lambda name: name in ("ssh", "rsh"), 2)
        or arguments.lacks_operands(interprets, 1)
        or arguments.follows(interprets, max(inputs, options))
        or arguments.follows(is_awk, files)
    )


def _made(names: Sequence[str], texts: Sequence[str], places: Sequence[int], *, within: bool) -> Input:
    """`within`: of a command that another machine runs, whose own code is not looked into."""
    head = places[-1]
    name, rest = names[head], texts[head + 1 :]
    if DYNAMIC in texts[head] or _starts_more(names, texts, places):
        return "unknown"
    known = program(name)
    if any(program(names[at]).executes is not None and "run" in texts[at : head + 1] for at in places[:-1]):
        return "commands" if known.input == "commands" else "unknown"  # the image may say what is run
    if known.runs is not None:
        return _made_by_runner(name, rest)
    if name in _SSHS:
        return "unknown" if within else _made_elsewhere(texts, after_options(texts, head + 1, 1, _SSH_VALUED))
    if known.language == "sed" and any(map(_SED_RUNS.search, rest)):
        return "commands"
    if name in _TAKING_FILES and takes_file(rest):
        return "commands"
    if name in _FILTERING and _filters_by_shell(name, rest):
        return "unknown"
    if name in ("su", "runuser", "sg", "script"):
        return "unknown" if any(text.startswith(("-c", "--command")) for text in rest) else "commands"
    if known.input == "commands":
        return "commands"
    if known.executes is not None:
        return "unknown" if _ATTACHING.intersection(rest) else "data"
    if known.language == "awk":
        return "unknown" if takes_file(rest) else "data"
    if known.interprets:
        return _made_by_interpreter(name, rest, within=within)
    return "data" if known.input == "data" or OWN_SCRIPT.fullmatch(texts[head]) else "unknown"


def _filters_by_shell(name: str, rest: Sequence[str]) -> bool:
    """Whether an option names a shell or the like that gets its input: `split --filter=sh`."""
    options = program(name).code_options
    for option, word in zip_longest(rest, rest[1:], fillvalue=""):
        before, given, attached = option.partition("=")
        if options is None or not (before.startswith("--") and options.fullmatch(before)):
            continue
        code = attached if given else word
        if DYNAMIC in code or _made_elsewhere([code], 0) == "commands":
            return True
        if any(interprets(name_of(one.strip("'\""))) for one in _SEPARATORS.sub(" ", code).split()):
            return True
    return False


def _starts_more(names: Sequence[str], texts: Sequence[str], places: Sequence[int]) -> bool:
    """Whether a program that reads commands may be started beside the last of the commands that are known."""
    head, called = places[-1], [names[at] for at in places]
    if "find" in called and any(_starts_or_reads(program(name)) for name in called[1:]):
        return True
    if "env" in called and any(_SPLITTING.match(text) for text in texts):
        return True
    # An option of a runner that is not known here may have taken the word that seems to be the command.
    return len(places) > 1 and not interprets(names[head]) and any(map(is_shell, names[head + 1 :]))


def _starts_or_reads(known: Program) -> bool:
    return known.runs is not None or known.interprets or known.input == "commands"


def _made_by_runner(name: str, options: Sequence[str]) -> Input:
    """Of a runner after which no command stands: `chroot /mnt`, `sudo -s` and `unshare -r` start a shell."""
    if (asks := _ASKS_FOR_SHELL.get(name)) is not None:
        return "commands" if any(asks.fullmatch(option) for option in options) else "unknown"
    return program(name).input


def _made_by_interpreter(name: str, rest: Sequence[str], *, within: bool) -> Input:
    if rest and OWN_SCRIPT.fullmatch(rest[0]) and DYNAMIC not in rest[0]:
        return "data"
    if name.startswith(("python", "pypy")):
        code = next((at for at, text in enumerate(rest) if not _PYTHON_FLAGS.fullmatch(text)), len(rest))
        has_code = any(map(_PYTHON_CODE.fullmatch, rest[code : code + 1])) or rest[code : code + 2] == [
            "-m",
            "json.tool",
        ]
        return "data" if has_code else "unknown"
    at = next(
        (at for at, text in enumerate(rest) for called, code in _CODE if name in called and code.fullmatch(text)), None
    )
    if at is None or within:
        return "unknown"
    return _made_elsewhere(rest[: at + 2], at + 1) if is_shell(name) else "data"


def _made_elsewhere(texts: Sequence[str], begin: int) -> Input:
    """Of the commands that another shell reads from these words on; where there are none, it reads the input."""
    if begin >= len(texts):
        return "commands"
    for text in _SEPARATORS.split(" ".join(texts[begin:])):
        words = [word.strip("'\"") for word in text.split()]
        names = [name_of(word.replace(DYNAMIC, "")) for word in words]
        if words and _made(names, words, heads(names, words, 0), within=True) != "data":
            return "unknown"
    return "data"


def _replaced(texts: Sequence[str]) -> Iterator[str]:
    """What `xargs` puts a line of its input in the place of: `{}` in `xargs -I{} sudo {}`."""
    for option, word in zip_longest(texts, texts[1:], fillvalue=""):
        if (match := _REPLACING.fullmatch(option)) is not None:
            yield match[1] or match[2] or (word if option.endswith("I") else "{}")


def _made_of_words(arguments: Arguments) -> Input:
    """`xargs`: what stands in its input becomes words of the command, or the command itself."""
    head = arguments.texts[arguments.heads[-1]]
    if DYNAMIC in head or any(mark in head for mark in _replaced(arguments.texts[: arguments.heads[-1]])):
        return "unknown"
    last = arguments.names[arguments.heads[-1]]
    known = program(last)
    runs = known.runs is not None and last != "xargs"
    executes = known.executes is not None and "exec" in arguments.texts
    interpreted = (known.interprets and arguments.script is None) or known.language == "awk"
    reads = bool(arguments.evaluating) or interpreted or (known.input == "commands" and known.runs is None)
    return "unknown" if runs or executes or reads else "data"
