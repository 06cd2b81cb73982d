"""What the programs that a script for Python starts make of their words and of their input."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from engine.scripts.posix_shell.heads import after_options
from engine.scripts.posix_shell.options import CODE_OPTIONS
from engine.scripts.posix_shell.pieces import DYNAMIC, HOLE
from engine.scripts.posix_shell.programs import program
from engine.scripts.posix_shell.started import evaluates, heads, takes_data
from engine.scripts.posix_shell.table import PROGRAMS, name_of
from engine.scripts.python_words import Line, Several, Spoken, holds

_MANY = 4
"""Words that several may be, at least as many as stand before a command in `docker exec -i NAME`."""
_OPTIONS = 32
"""Options with code that a script may name: where there are more, nothing is said of lists that are not known."""
_NAMING = frozenset({"exec", "run", "attach", "start", "debug", "shell"})
"""Words of docker and the like after which a command stands."""
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash"})
_HANDING_ON = frozenset(
    {"sudo", "doas", "env", "nice", "ionice", "nohup", "timeout", "setsid", "stdbuf", "chroot", "docker", "podman",
     "kubectl", "nerdctl", "command", "busybox"}
)  # fmt: skip
"""Programs that give the words of a command to it as they are."""
_CODE_OPTION = re.compile(r"-[A-Za-z]*c")
_OPTION = re.compile(r"[-+][A-Za-z]+")
_ASKING_FOR_SHELL = re.compile(r"-[A-Za-z]*[isS][A-Za-z]*|--(?:login|shell|split.*)")
_FINISHED = re.compile(r"[\w./:=,@%+ -]*")
_SUDO = re.compile(r"(?:sudo (?:-[nEH] |-u [\w.-]+ )*)?")
_SEPARATOR = re.compile(r" *(?:&&|\|\||;) *")


class Lines:
    """Of one script."""

    def __init__(self, evaluating: str | None, texts: Iterable[str]) -> None:
        """`evaluating`: a program that the script names and that evaluates some of its words; `texts`: all that it
        says."""
        self._evaluating = evaluating
        named = [] if evaluating is None else [evaluating]
        self._options = [*dict.fromkeys((*(text for text in texts if _is_option(text)), *named))]
        self._asked: dict[tuple[Line, bool], str | None] = {}
        self._fed: dict[Line, bool] = {}

    def refusal(self, line: Line, *, started: bool) -> str | None:
        """Why a command takes no value where it has one in its words; `started`: if it certainly is a command."""
        if not any(map(holds, line)):
            return None
        key = (line, started)
        if key not in self._asked:
            self._asked[key] = self._refusal(line, started=started)
        return self._asked[key]

    def takes_input(self, line: Line) -> bool:
        """Whether a command is known to take what is in its input for data."""
        if line not in self._fed:
            self._fed[line] = bool(line) and all(takes_data([*_named(words)]) for words in self._candidates(line))
        return self._fed[line]

    def _refusal(self, line: Line, *, started: bool) -> str | None:
        if any(isinstance(part, Several) for part in line) and len(self._options) > _OPTIONS:
            return "stands in a command whose words are not all known here"
        for words in self._candidates(line):
            if (reason := self._of_words([*_named(words)], line, started=started)) is not None:
                return reason
        return None

    def _of_words(self, words: Sequence[str], line: Line, *, started: bool) -> str | None:
        refusals = evaluates(words)
        if refusals and (place := _script(words, line)) is not None:
            refusals = evaluates([*words[:place], DYNAMIC, *words[place + 1 :]])
            return next((one.reason for one in refusals.values()), None)
        if refusals:
            return next(iter(refusals.values())).reason
        if started and self._evaluating is not None and _has_unknown_head(words):
            return f"stands in a command whose program is not known here, in a script that names '{self._evaluating}'"
        return None

    def _candidates(self, line: Line) -> Iterator[list[str]]:
        """What the words may be, with one of each kind for those that are not known."""
        severals = [part for part in line if isinstance(part, Several)]
        yield [*_words(line, lambda mark: [])]
        if severals:
            yield [*_words(line, lambda mark: [mark] * _MANY)]
        if severals and self._options:
            yield [*_words(line, lambda mark: [*(word for one in self._options for word in (one, mark)), mark, mark])]


def _words(line: Line, several: Callable[[str], list[str]]) -> Iterator[str]:
    for at, part in enumerate(line):
        match part:
            case Several(holds=found):
                mark = HOLE if found else DYNAMIC
                yield from several(mark) or ([] if at else [mark])
            case Spoken():
                yield HOLE
            case text:
                yield text


def _named(words: Iterable[str]) -> Iterator[str]:
    """A program in a folder that is not known, by its name."""
    for word in words:
        folder, slash, name = word.rpartition("/")
        is_known = slash and name and DYNAMIC in folder and HOLE not in word and DYNAMIC not in name
        yield f"./{name}" if is_known else word


def _has_unknown_head(words: Sequence[str]) -> bool:
    last = max((at for at, word in enumerate(words) if HOLE in word), default=0)
    return any(DYNAMIC in words[at] for at in heads(words) if at < last)


def _script(words: Sequence[str], line: Line) -> int | None:
    """The word that one shell reads as a whole, if it is a text for sh in which all values are quoted."""
    spoken = [part for part in line if isinstance(part, Spoken)]
    if len(spoken) != 1 or not _is_finished(spoken[0].before) or any(isinstance(one, Several) for one in line):
        return None
    place = line.index(spoken[0])
    found = heads(words)
    if not found or found[-1] >= place or not {words[at] for at in found[:-1]} <= _HANDING_ON:
        return None
    head, between = found[-1], words[found[-1] + 1 : place]
    if any(_ASKING_FOR_SHELL.fullmatch(word) for word in words[: max(head, 0)]):
        return None
    name = name_of(words[head])
    if name in _SHELLS:
        is_code = bool(between) and _CODE_OPTION.fullmatch(between[-1]) is not None
        options = (one == "pipefail" or _OPTION.fullmatch(one) for one in between)
        return place if is_code and all(options) else None
    if name in ("su", "runuser"):
        is_code = between[-1:] in (["-c"], ["--command"])
        return place if is_code and {"-s", "--shell"}.isdisjoint(between) else None
    if name == "ssh":
        begin = after_options(words, head + 1, 1, program(name).valued_before_host)
        return place if begin == place == len(words) - 1 else None
    return None


def _is_finished(before: str) -> bool:
    """Whether a command may begin after this begin of a text for sh: `cd /srv && `, `sudo -u app `."""
    *commands, last = _SEPARATOR.split(before)
    return all(map(_FINISHED.fullmatch, commands)) and _SUDO.fullmatch(last) is not None


def _is_option(text: str) -> bool:
    """Whether a word decides what a program makes of those after it."""
    if text in _NAMING:
        return True
    if not text.startswith("-") or text in ("-", "--") or len(text) > 40:
        return False
    return CODE_OPTIONS.fullmatch(text) is not None or any(pattern.fullmatch(text) for pattern in _CODED)


_CODED = [
    *{one.code_options for one in PROGRAMS.values() if one.code_options is not None},
    re.compile("-exec(dir)?|-ok(dir)?|-o"),
]
