"""Which words make a program print nothing but numbers, whatever values are among them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from engine.scripts.posix_shell.pieces import DYNAMIC, Word

Says = frozenset[str]
"""Names that a program may print beside numbers, such as those in its help: no value is in them."""

_QUOTED = re.compile(r"'[^']*+'|\"(?:[^\"\\]|\\.)*+\"", re.DOTALL)
_ALL_QUOTED = re.compile(r"\"[^\"']*+\"")
_SEVERAL = re.compile(r"\$\{?[@*]|\[[@*]\]|\$\{!")
_UNQUOTED = re.compile(r"[*?\[{`\\$]")
_FORMAT_OF_STAT = re.compile(r"(?:%[abBghiosuWXYZ]|[ 0-9]|\\n)+")
_FORMAT_OF_DATE = re.compile(r"\+(?:%[CdeGgHIjmMnsSuUVwWyYt]|[-0-9.:, ])+")
_SUM_OF_AWK = re.compile(
    r"(?:NR ?[>=]{1,2} ?[0-9]+ ?)?\{ ?([a-z]\w*) ?\+= ?\$[0-9]+ ?;? ?\} ?;? ?END ?\{"
    r" ?(?:print|printf ?\"%d(?:\\n)?\" ?,) ?(?:\1|int\( ?\1 ?(?:/ ?[0-9]+ ?)*\))(?: ?[-+*/] ?[0-9]+)* ?;? ?\}",
    re.ASCII,
)
_COUNT_OF_JQ = re.compile(rf"(?:[^#{DYNAMIC}]*\|\s*)?length\s*")
_FIELD_OF_PS = re.compile(r"(?:rss|vsz|etimes|pid|ppid|nlwp|uid|gid)=")
_NONE = re.compile(r"(?!)")
_NOTHING: Says = frozenset()


@dataclass(frozen=True, slots=True)
class Parsed:
    """The words of a program: its flags, its options with the value of each, and its operands."""

    flags: tuple[str, ...]
    values: tuple[tuple[str, str], ...]
    operands: tuple[Word, ...]
    sure: bool
    """No operand is an option, whatever its value is."""


class Operands:
    """The words after the name of a program."""

    def __init__(self, text: str, words: Sequence[Word]) -> None:
        self._text = text
        self._words = words

    @cached_property
    def texts(self) -> list[str]:
        return [word.text for word in self._words]

    @cached_property
    def are_single(self) -> bool:
        """Whether each certainly is one word, whatever its variables and the names of files are."""
        return all(map(self._is_single, self._words))

    def parsed(self, flags: re.Pattern[str], valued: re.Pattern[str] = _NONE) -> Parsed | None:
        """None where a word is an option that is neither one of the flags nor `valued` by the next word."""
        said: list[str] = []
        values: list[tuple[str, str]] = []
        operands: list[Word] = []
        sure = True
        rest = iter(self._words)
        for word in rest:
            text = word.text
            if text == "--":
                operands += rest
            elif flags.fullmatch(text):
                said.append(text)
            elif valued.fullmatch(text):
                if (value := next(rest, None)) is None:
                    return None
                values.append((text, value.text))
            elif text[:1] in ("-", "+"):
                return None
            else:
                sure = sure and text[:1] != DYNAMIC
                operands.append(word)
        return Parsed(tuple(said), tuple(values), tuple(operands), sure)

    def _is_single(self, word: Word) -> bool:
        raw = self._text[word.start : word.end]
        if word.split or word.process or word.array or word.subscript or _SEVERAL.search(raw):
            return False
        if "$(" in raw or "`" in raw:
            return _ALL_QUOTED.fullmatch(raw) is not None  # what is quoted in it is not looked into
        return _UNQUOTED.search(_QUOTED.sub("", raw)) is None


def _wc(words: Operands) -> Says | None:
    """Of a file whose name it is given it prints that, too."""
    found = words.parsed(re.compile(r"-[clmwL]+|--(?:lines|bytes|words|chars)"))
    return _NOTHING if found is not None and not found.operands else None


def _grep(words: Operands) -> Says | None:
    """Of more than one file it prints the names."""
    flags = re.compile(r"-[acEFGhiPsvwxy]+|--(?:count|ignore-case|invert-match|fixed-strings|extended-regexp|text)")
    found = words.parsed(flags, re.compile(r"-e|--regexp|-m"))
    if found is None or not any(flag == "--count" or (flag[1] != "-" and "c" in flag) for flag in found.flags):
        return None
    has_pattern = any(option != "-m" for option, _ in found.values)
    return _NOTHING if found.sure and len(found.operands) <= (1 if has_pattern else 2) else None


def _stat(words: Operands) -> Says | None:
    """Where its only operand is an option in truth, none is left: it prints nothing, or its help."""
    attached = re.compile(rf"--(?:format|printf)={_FORMAT_OF_STAT.pattern}")
    found = words.parsed(re.compile(rf"-L|--dereference|{attached.pattern}"), re.compile(r"-L?c|--format"))
    if found is None or not all(_FORMAT_OF_STAT.fullmatch(value) for _, value in found.values):
        return None
    if len(found.values) + len([flag for flag in found.flags if "=" in flag]) != 1:
        return None
    if found.sure:
        return _NOTHING
    return frozenset({"stat", "Usage", "BusyBox"}) if len(found.operands) == 1 else None


def _date(words: Operands) -> Says | None:
    flags = re.compile(rf"-u|--utc|--(?:date|reference)=.*|{_FORMAT_OF_DATE.pattern}", re.DOTALL)
    found = words.parsed(flags, re.compile(r"-u?[dr]|--date|--reference"))
    if found is None or found.operands or not any(flag[0] == "+" for flag in found.flags):
        return None
    return _NOTHING


def _id(words: Operands) -> Says | None:
    found = words.parsed(re.compile(r"-[ug]r?"))
    return _NOTHING if found is not None and found.flags and found.sure else None


def _pgrep(words: Operands) -> Says | None:
    """It prints numbers of processes, or how many there are."""
    found = words.parsed(re.compile(r"-[cfxnov]+"), re.compile(r"-[cfxnov]*[uUPgGt]"))
    return _NOTHING if found is not None and found.sure else None


def _ps(words: Operands) -> Says | None:
    found = words.parsed(_NONE, re.compile(r"-[op]|--pid"))
    if found is None or found.operands:
        return None
    fields = [value for option, value in found.values if option == "-o"]
    return _NOTHING if len(fields) == 1 and _FIELD_OF_PS.fullmatch(fields[0]) else None


def _awk(words: Operands) -> Says | None:
    """It knows numbers that have names."""
    programs = [" ".join(text.split()) for text in words.texts]
    if len(programs) != 1 or not _SUM_OF_AWK.fullmatch(programs[0]):
        return None
    return frozenset({"nan", "inf", "NaN", "NAN", "INF", "infinity"})


def _jq(words: Operands) -> Says | None:
    programs = [text for text in words.texts if not re.fullmatch(r"-[rcMSse]+", text)]
    return frozenset({"null"}) if len(programs) == 1 and _COUNT_OF_JQ.fullmatch(programs[0]) else None


PROGRAMS = MappingProxyType[str, Callable[[Operands], Says | None]](
    {
        "wc": _wc, "grep": _grep, "egrep": _grep, "fgrep": _grep, "stat": _stat, "date": _date, "id": _id,
        "pgrep": _pgrep, "ps": _ps, "awk": _awk, "gawk": _awk, "mawk": _awk, "jq": _jq,
    }
)  # fmt: skip
