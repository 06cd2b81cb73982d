"""Scripts of plain commands, which most are: that no value is evaluated in one is seen without following it.

One regular expression reads a command. Where a script is lists and pipes of commands, with quotes, variables and
substitutions in their words, a value can be evaluated only by the command in which it stands: nothing here computes,
defines a function or reads a script. So each command is asked by itself, and one that only takes data is not asked at
all. Of a script that holds anything else, or in which a command would evaluate a value, nothing is said: it has to be
followed (`scan`), which comes to the same verdicts and gives the reasons.

What is repeated is never given back, so each character is read a fixed number of times. Of lines that are alike but for
their numbers, as long scripts have them, one is read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE, Command, Reading, Word
from engine.scripts.posix_shell.programs import interprets, is_awk, is_interpreter
from engine.scripts.posix_shell.table import PROGRAMS, name_of
from engine.scripts.posix_shell.variables import COMPUTED_NAMES, EVALUATED_NAMES, PROMPTS

if TYPE_CHECKING:
    from engine.scripts.posix_shell.arguments import Arguments

_INNER = "\ue002"
"""Stands for a substitution, whose commands are read by themselves."""
_DEEPEST = 10
"""Substitutions within substitutions that are read."""
_NAME = r"[A-Za-z_][A-Za-z0-9_]*+"
_MARKS = HOLE + _INNER
_PARAMETER = rf"\$(?:{_NAME}|[0-9?]|\{{{_NAME}(?:(?::?[-+?]|%%?|##?)[A-Za-z0-9_./*@,-]*+)?\}})|{_INNER}"
_IN_QUOTES = _PARAMETER.replace("*@,-]", "*@, -]")
_WORD = (
    rf"(?!\#)(?:[^ \t\n;&|<>()\\'\"$`{_MARKS}]++|'[^'{_MARKS}]*+'|{_PARAMETER}|{HOLE}|\\[^\n{_MARKS}]"
    rf'|"(?:[^"\\$`{_MARKS}]++|\\[^{_MARKS}]|{_IN_QUOTES}|{HOLE})*+")++'
)
_BLANK = r"[ \t](?:[ \t]|\\\n)*+"
_GAP = r"(?:[ \t\n]|\\\n|\#[^\n]*+)*+"
_COMMAND = re.compile(
    rf"(?P<before>{_GAP}(?:(?:if|then|elif|else|while|until|do|time(?!{_GAP}-)|!)(?=[ \t\n]){_GAP})*+)"
    rf"(?P<body>(?:(?:(?:[0-9]*+(?:>>|>\||<>|>(?![>&|(])|<(?![<&>(]))|&>>?)[ \t]*+)?+{_WORD}"
    rf"|[0-9]*+[<>]&[0-9-](?![^ \t\n;&|<>])|{_BLANK})++)(?P<comment>(?<=[ \t\n])\#[^\n]*+)?"
    r"(?P<operator>&&|\|\||;(?![;&])|\|(?![|&])|&(?![&>])|\n|\Z)",
    re.DOTALL,
)
_REST = re.compile(rf"{_GAP}\Z")
_NUMBER = re.compile(r"[1-9](?<![A-Za-z0-9_$].)[0-9]*+(?![A-Za-z0-9_])")
"""Which one it is says nothing: none is the name of a program. 0 may be the name of the input."""
_SUBSTITUTION = re.compile(rf"\$\((?!\()([^()`#\n{HOLE}]++)\)")
# Of a command that was read as above.
_DOUBLE = r'"(?:[^"\\]|\\.)*+"'
_PIECES = rf"(?:[^ \t\n;&|<>\\'\"]++|'[^']*+'|{_DOUBLE}|\\.)"
_TOLD = re.compile(rf"{_IN_QUOTES}|{HOLE}")
_TOKEN = re.compile(
    rf"(?P<redirected>[0-9]*+[<>]&[0-9-]|(?:[0-9]*+[<>][<>|]?|&>>?)[ \t]*+{_PIECES}++)|(?P<word>{_PIECES}++)|{_BLANK}",
    re.DOTALL,
)
_PIECE = re.compile(rf"[^\\'\"${_MARKS}]++|'[^']*+'|{_DOUBLE}|\\.|{_PARAMETER}|{HOLE}", re.DOTALL)
_IN_DOUBLE = re.compile(rf"{_TOLD.pattern}|\\(?:\n|(?P<escaped>.))", re.DOTALL)
_VALUE = re.compile(rf"'[^']*+'|(?P<double>{_DOUBLE})|\\.|{HOLE}", re.DOTALL)
_QUOTING = re.compile(r"['\"\\]")
_NAMES = re.compile(r"[^ \t\n;&|<>/=+]+")
_HEAD = re.compile(r"([A-Za-z0-9_./:-]++|\[)(?=[ \t]|\Z)")
_ASSIGNED = re.compile(rf"({_NAME})\+?={_PIECES}*+(?:{_BLANK}|\Z)", re.DOTALL)
_OPERAND = rf"(?:[A-Za-z0-9_./]++|{_DOUBLE})"
_TEST = re.compile(
    rf"(?:\[|test)[ \t]++(?:![ \t]++)?(?:(?:-[a-zA-Z][ \t]++)?{_OPERAND}"
    rf"|{_OPERAND}[ \t]++(?:=|==|!=|-(?:eq|ne|lt|le|gt|ge))[ \t]++{_OPERAND})[ \t]*+(?:\][ \t]*+)?",
    re.DOTALL,
)
_PRINTED = re.compile(rf"printf[ \t]++(?![0-9]++[<>])(?:'(?!')|\"[^\"\\${_MARKS}]|[A-Za-z0-9%])")
"""Of a test and of `printf` those that may take any value in its place."""
_NOTHING = ":"
"""A command after lines that may end in `then`."""
_CODE_OPTION = re.compile(
    r"(?:^|\s)(?:-[ce]|/[ckCK]|--[a-z-]*?(?:command|cmd|exec|eval|rsh|rsync-path|run|script|program|hook|checkpoint))"
)
"""Options after which a program that is not known may take a command."""
_UNREAD = re.compile(
    # Backquotes, a backslash before the end of a line, a value after a `$`, an odd descriptor, an element of an array.
    rf"`|\\\\\n|\${HOLE}|[^\x00-\x7f][<>]|(?:^|(?<=[ \t\n;&|<>]))[\"'\\]*+[A-Za-z_][A-Za-z0-9_\"'\\]*+\["
)
_WRITTEN = re.compile(
    r"(?:(?<![0-9])1?>[>|]?|&>>?)[ \t]*+(?P<file>[^\s;&|<>()]++)|\btee\b(?P<files>(?:[ \t]++[^\s;&|<>()]++)++)"
)
_WRITES = re.compile(r"\bof=|/dev/(?:stdin|fd/)|/proc/self/fd/|\b(?:envsubst|filter|sponge)\b")
"""What may write a file without a redirection, or stand for the input: it is looked into."""
_WRITES_BY_SED = re.compile(r"(?:(?<![A-Za-z-])[0-9,$]{0,9}|/[A-Za-z0-9]{0,9})w[ \t]")
_WRITES_BY_AWK = re.compile(r">[ \t]{0,9}[\"']")
_VARIABLE = re.compile(r"\$\{?(\w+)")
_MOST_FILES = 50
"""Names that are looked for."""
_SHORT = 500
"""Characters of a command or a script whose answer is remembered: there are the same ones again and again."""
_ASKED = frozenset(
    {"[", "test", "printf", "wait", "jobs", "apt", "apt-cache", "apt-get", "apt-mark", "aptitude", "dpkg"}
)
"""Programs that take data, but not in each of their words."""
_STRUCTURING = frozenset(
    {"[[", "alias", "case", "coproc", "esac", "function", "getopts", "let", "mapfile", "readarray", "select"}
)
"""Where one of them stands as a command, the script has to be followed."""
_NAMING = frozenset({"[", "printf", "read", "test", "unset"})
"""Programs that set or ask for variables which their words name."""
_SIMPLE = (
    frozenset(name for name, known in PROGRAMS.items() if known.words == known.input == "data")
    - _ASKED
    - _STRUCTURING
    - {"curl"}  # a file with its options may be its input
)
"""Programs that evaluate none of their words, and take their input as data."""
_WATCHED = (PROGRAMS.keys() - _SIMPLE - _ASKED) | _STRUCTURING | {"crontab"}
"""Words with which a command may be more than it seems."""
_JOINING = frozenset({"|", "||", "&&"})
"""Operators after which there must be another command, in the same line or a later one."""
_CLOSING = frozenset({"fi", "done"})
_LOOP = re.compile(r"[ \t]++([A-Za-z_][A-Za-z0-9_]*+)")
_STATEFUL = COMPUTED_NAMES | PROMPTS


@dataclass(frozen=True, slots=True)
class _Plain:
    """A command as it is written."""

    text: str
    is_told: bool
    """Whether it holds values or variables."""
    is_fed: bool
    """Whether such may go to its input, from the commands before it."""
    is_piped: bool
    joins: bool
    """Whether it takes more than one line, or ends what a line before it has begun."""


def readings(text: str) -> Sequence[Reading] | None:
    """How each value is read, a HOLE in the text, in their order; None: the script has to be followed.

    If it need not be, it evaluates no variable, and computes with none but those that are numbers of bash.
    """
    if _INNER in text or DYNAMIC in text:
        return None
    alike = _NUMBER.sub("1", text)
    if _names_again(alike):
        return None
    if len(alike) <= _SHORT:
        return _of_short(alike)
    by_line = _of_lines(alike)
    return by_line if by_line is not None else _of_all(alike)


def _names_again(text: str) -> bool:
    """Whether a file that commands write is named once more: the script may run it."""
    if _WRITES.search(text) is not None or ("sed" in text and _WRITES_BY_SED.search(text) is not None):
        return True
    if "awk" in text and _WRITES_BY_AWK.search(text) is not None:
        return True
    if ">" not in text and "tee" not in text:
        return False
    unquoted = _QUOTING.sub("", text)
    words = (word for match in _WRITTEN.finditer(unquoted) for word in (match["file"] or match["files"]).split())
    written = {word.rpartition("/")[2] for word in words if not word.startswith(("/dev/", "-"))}
    written = {name for name in written if name and HOLE not in name and "`" not in name}
    variables = {variable for name in written for variable in _VARIABLE.findall(name)}
    written = {name for name in written if "$" not in name}
    if len(written) + len(variables) > _MOST_FILES:
        return True
    # a variable that names one is used again, or is set to a name that may be written, too
    again = (re.finditer(rf"\$\{{?{one}(?!\w)|(?<!\w){one}=(?![$\s])", unquoted) for one in variables)
    if any(len([*islice(places, 2)]) == 2 for places in again):
        return True
    named = (re.finditer(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", unquoted) for name in written)
    return any(len([*islice(places, 2)]) == 2 for places in named)


def _of_all(text: str) -> tuple[Reading, ...] | None:
    if _UNREAD.search(text) is not None or (parts := _parts(text)) is None:
        return None
    found: list[Reading] = []
    commands: list[_Plain] = []
    if not all(_read(part, found, commands) for part in parts) or not _take_data(commands):
        return None
    return tuple(found)


_of_short = lru_cache(maxsize=1_024)(_of_all)
"""Scripts of a few words are often alike but for their values and numbers."""


def _of_lines(text: str) -> tuple[Reading, ...] | None:
    """The same of a script whose lines are whole commands: of lines that are alike only the first is read.

    None is no answer here: quotes, here-documents, backslashes and operators may join lines.
    """
    lines = text.split("\n")
    different = "\n".join((*dict.fromkeys(lines), _NOTHING, ""))
    if "\\\n" in different or _UNREAD.search(different) is not None or (parts := _parts(different)) is None:
        return None
    *inner, whole = parts
    commands: list[_Plain] = []
    if not all(_read(part, [], commands) for part in inner) or not _read(whole, [], commands, "\n"):
        return None
    if any(command.joins for command in commands) or not _take_data(commands):
        return None
    found: list[Reading] = []
    for line in lines:
        if HOLE in line:
            _read((_parts(line) or [line])[-1], found, [], "\n")
    return tuple(found) if len(found) == text.count(HOLE) else None


def taking_data(text: str) -> frozenset[str] | None:
    """The programs that lines without values call, each of them a whole command; None where one of them may evaluate
    a variable, or where a program of such a name may be something else."""
    different = "\n".join((*dict.fromkeys(_NUMBER.sub("1", text).split("\n")), ""))
    commands: list[_Plain] = []
    if _UNREAD.search(different) is not None or not _read(different, [], commands, "\n"):
        return None
    if any(command.joins for command in commands) or not _take_data(commands, piped=True):
        return None
    return frozenset(command.text.split(None, 1)[0] for command in commands)


def _take_data(commands: Sequence[_Plain], *, piped: bool = False) -> bool:
    piped = piped or any(command.is_piped for command in commands)
    return all(_takes_data(command, piped=piped) for command in commands)


def _parts(text: str) -> list[str] | None:
    """The commands of each substitution, and the script without those; None where they nest too deep."""
    found: list[str] = []

    def taken(match: re.Match[str]) -> str:
        found.append(match[1])
        return _INNER

    for _ in range(_DEEPEST):
        if "$(" not in text:
            return [*found, text]
        text = _SUBSTITUTION.sub(taken, text)
    return None


def _read(text: str, found: list[Reading], commands: list[_Plain], operator: str = "|") -> bool:
    """Reads the commands of one part, and the values in it; whether there are commands, and nothing else.

    `operator` stands before them: after some there must be commands.
    """
    at, fed = 0, False
    while (match := _COMMAND.match(text, at)) is not None:
        at = match.end()
        before, body, comment, after = match.groups()
        told = "$" in body or HOLE in body or _INNER in body
        if told or comment or "#" in before:
            found += ["comment"] * before.count(HOLE)
            found += _values(body)
            found += ["comment"] * (comment or "").count(HOLE)
        joins = "\n" in body or (operator in _JOINING and "\n" in before)
        commands.append(_Plain(body, told, fed, after == "|", joins))
        fed, operator = after == "|" and (fed or told), after
    rest = _REST.match(text, at)
    found += ["comment"] * text.count(HOLE, at)
    return rest is not None and operator not in _JOINING


def _values(body: str) -> Iterator[Reading]:
    if HOLE not in body:
        return
    for match in _VALUE.finditer(body):
        if match["double"]:
            for _ in range(match[0].count(HOLE)):
                yield "quoted"
        elif match[0] == HOLE:
            yield "bare"


def _takes_data(command: _Plain, *, piped: bool) -> bool:
    """Whether the command surely evaluates none of its values, and changes nothing that matters to others."""
    text, at = command.text, 0
    while (assigned := _ASSIGNED.match(text, at)) is not None:
        if assigned[1] in _STATEFUL or (command.is_told and EVALUATED_NAMES.fullmatch(assigned[1])):
            return False
        at = assigned.end()
    if at == len(text):
        return True
    if (head := _HEAD.match(text, at)) is None:
        return False
    name = name_of(head[1])
    if name in _CLOSING and not at:
        return not command.is_piped and all(match["word"] is None for match in _TOKEN.finditer(text, head.end()))
    simple = name in _SIMPLE
    if simple and not command.is_told and not piped and name != "for":
        return True
    if name == "for" and (loop := _LOOP.match(text, head.end())) is not None and EVALUATED_NAMES.fullmatch(loop[1]):
        return False
    unquoted = _unquoted(command)
    names = _NAMES.findall(unquoted)
    if not _STATEFUL.isdisjoint(names):
        return False
    watched = not _WATCHED.isdisjoint(names) or any(map(is_interpreter, names))
    known = simple or not (command.is_told or command.is_fed) or _is_harmless(command, name, unquoted)
    return (known and not watched) or _judged(command, piped=piped)


def _unquoted(command: _Plain) -> str:
    """Its words without quotes, and as if all variables were empty."""
    text = command.text
    if "\\" in text:
        text = text.replace("\\\n", "")
    return _QUOTING.sub("", _TOLD.sub("", text) if command.is_told else text)


def _is_harmless(command: _Plain, name: str, unquoted: str) -> bool:
    """The same of the most frequent commands, without a look at each word."""
    if name in ("[", "test"):
        return _TEST.fullmatch(command.text) is not None and "-v" not in unquoted
    if name == "printf":
        return _PRINTED.match(command.text) is not None and "-v" not in unquoted
    return name not in PROGRAMS and not command.is_fed and _CODE_OPTION.search(unquoted) is None


def _judged(command: _Plain, *, piped: bool) -> bool:
    """The same, by all that is known of its words."""
    tokens = [*_TOKEN.finditer(command.text)]
    redirects = any(token["redirected"] and _TOLD.search(token["redirected"]) for token in tokens)
    words = tuple(token["word"] for token in tokens if token["word"])
    judge = _remembered if len(command.text) <= _SHORT else _of_words
    return judge(words, told=command.is_told, fed=command.is_fed, piped=piped, redirects=redirects)


def _of_words(raw: tuple[str, ...], *, told: bool, fed: bool, piped: bool, redirects: bool) -> bool:
    from engine.scripts.posix_shell.arguments import Arguments
    from engine.scripts.posix_shell.inputs import made_of_input, reads_commands

    words = [_word(one) for one in raw]
    arguments = Arguments(Command(words=words))
    if arguments.takes_code or arguments.environment is not None or not _STRUCTURING.isdisjoint(arguments.names):
        return False
    if told and any(DYNAMIC in arguments.texts[at] for at in arguments.heads):
        return False  # what the script sets the variable to is asked
    if told and not _NAMING.isdisjoint(arguments.called) and _names_variables(arguments):
        return False
    if arguments.declares and any(text.startswith(("-", "+")) for text in arguments.texts):
        return False
    if redirects and any(interprets(name) or is_awk(name) for name in arguments.names):
        return False
    if (piped and reads_commands(arguments)) or (fed and made_of_input(arguments, frozenset()) != "data"):
        return False
    return all(_is_data(arguments, place, word) for place, word in enumerate(words) if DYNAMIC in word.text)


_remembered = lru_cache(maxsize=1_024)(_of_words)


def _names_variables(arguments: "Arguments") -> bool:
    """`read x`, `printf -v x`."""
    asks = any(name in ("read", "unset") for name in arguments.called)
    return asks or any(text.startswith("-v") for text in arguments.texts)


def _is_data(arguments: "Arguments", place: int, word: Word) -> bool:
    given = arguments.gives(place)
    return (
        (given is None or not given.by_shell)
        and (not word.split or arguments.splits is None)
        and arguments.judged(place) is None
    )


def _in_double(match: re.Match[str]) -> str:
    return match["escaped"] or "" if match[0][0] == "\\" else DYNAMIC


def _word(raw: str) -> Word:
    """A word as `scan` reads it; places count from its start."""
    word = Word(start=0, end=len(raw))
    for match in _PIECE.finditer(raw):
        piece = match[0]
        match piece[0]:
            case "'":
                word.add(piece[1:-1])
                word.quoted = True
            case '"':
                word.add(_IN_DOUBLE.sub(_in_double, piece[1:-1]))
                word.quoted = True
                if HOLE in piece:
                    word.holes.append(match.start())
            case "\\":
                word.add(piece[1])
                word.quoted = True
            case _ if _TOLD.match(piece):
                word.add(DYNAMIC)
                if piece == HOLE:
                    word.holes.append(match.start())
                else:
                    word.split.append(match.span())
            case _:
                word.add(piece)
    return word
