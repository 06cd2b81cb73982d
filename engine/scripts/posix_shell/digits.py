"""Where the value of a variable surely consists of digits, as the script has asked for that.

A test counts in the block in which it stands, from its end on, and until the variable is set anew: a test that may not
have run, or after which the script goes on all the same, says nothing. Which forms count is written out below; any
other form is no test.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from engine.scripts.posix_shell.arguments import Arguments
from engine.scripts.posix_shell.blocks import Block
from engine.scripts.posix_shell.followed import ELEMENT, Followed, assigned
from engine.scripts.posix_shell.pieces import DYNAMIC, Word

_VARIABLE = r'"?\$\{?(?P<name>[A-Za-z_]\w*)\}?"?'
_DIGITS = r"\^(?:-\?)?(?:\[0-9\]|\[\[:digit:\]\])\+\$"
_WORD = r"""(?:"(?:[^"`\\$]|\\.|\$\{?[\w@*#?])*+"|'[^']*+'|\$\{?[\w@*#?]+\}?|[\w.,:!=%/+-])++"""
_SAID = rf"(?:1?>&2[ \t]+)?(?:(?:echo|printf|logger)\b(?:[ \t]++{_WORD})*+|local \w+={_WORD})[ \t]*+(?:1?>[ \t]?&2)?"
"""Words to whoever reads the output, in an arm: nothing that could leave it by another way."""
_THEN = r"[ \t]*+(?:;(?!;)|\n)\s*+"
_LEAVE = (
    r"(?:(?P<exit>exit(?:[ \t]+(?:[0-9]{1,3}|\$\?))?|return(?:[ \t]+[0-9]{1,3})?|continue|break)"
    r"|(?P<set>[A-Za-z_]\w*)=[\"']?-?[0-9]+[\"']?"
    rf"|(?P<call>[A-Za-z_]\w*)(?:[ \t]++{_WORD})*+)(?=[ \t\n;]|>&2|$)[ \t]*+(?:1?>[ \t]?&2)?"
)
_ARM = rf"(?:{_SAID}{_THEN})*+{_LEAVE}(?:[ \t]*;(?!;))?\s*"
_ENDED = r"[ \t]*+(?:;|\n|$|#)"
_CASE = re.compile(
    rf"case[ \t]+{_VARIABLE}[ \t]+in\s+\(?(?:(?:''|\"\")[ \t]*\|[ \t]*)?\*\[[!^]0-9\]\*"
    r"(?:[ \t]*\|[ \t]*(?:''|\"\"))?[ \t]*\)",
    re.ASCII,
)
_OF_CASE = re.compile(rf"\s*{_ARM}(?:;;|\besac\b)", re.ASCII | re.DOTALL)
_ELSE = tuple(
    re.compile(
        rf"\[\[[ \t]+{_VARIABLE}[ \t]+=~[ \t]+{_DIGITS}[ \t]+\]\][ \t]*\|\|\s*{leaves}(?={_ENDED})",
        re.ASCII | re.DOTALL,
    )
    for leaves in (_LEAVE, rf"\{{\s+{_ARM}\}}")
)
_POSITIVE = re.compile(rf"\[\[[ \t]+{_VARIABLE}[ \t]+=~[ \t]+{_DIGITS}[ \t]+\]\][ \t]*[;\n]\s*then\b", re.ASCII)
_NEGATIVE = re.compile(
    rf"\[\[[ \t]+(?P<not>![ \t]+)?{_VARIABLE}[ \t]+=~[ \t]+{_DIGITS}[ \t]+\]\][ \t]*[;\n]\s*then\s+{_ARM}\bfi\b",
    re.ASCII | re.DOTALL,
)
_FOLLOWS = re.compile(_ENDED)
_EXITING = re.compile(
    rf"(?:^|[;\n])[ \t]*(?:function[ \t]+)?(\w+)[ \t]*\(\)[ \t]*\{{\s+(?:{_SAID}{_THEN})*+exit(?:[ \t]+[0-9]{{1,3}})?"
    r"(?:[ \t]*;)?\s*\}",
    re.ASCII | re.DOTALL,
)
_DEFINED = re.compile(r"(?<!\w)(\w++)[ \t]*\(\)|\bfunction[ \t]+(\w++)", re.ASCII)
_STRAIGHT = frozenset({"", ";", "\n", "&", "then", "else", "do", "{", "f{", "(", "f(", "$(", "arm"})
"""Marks after which a command surely runs where its block does."""
_TOLD = frozenset({"echo", "printf", "logger", "exit", "return", "continue", "break", "local", "case"})
_UNTOLD = frozenset({"coproc", "enable"})
"""After `enable -n exit` that leaves nothing; within `coproc { }` it leaves that alone."""
_NAMING = frozenset({"read", "mapfile", "readarray", "getopts", "printf", "wait", "eval", "trap", ".", "source"})
"""They set variables that their words name."""
_FILLS_ARRAY = re.compile(r"-[a-z]*a[a-z]*")
"""Of `read`."""
_DECLARING = frozenset({"declare", "local", "export", "readonly", "typeset"})
_TOKEN = re.compile(r"(?<![\w$])(?<!\$\{)[A-Za-z_]\w*", re.ASCII)
_DEFAULT = re.compile(r"(?<!\w)([A-Za-z_]\w*+):?=", re.ASCII)
_NUMBER = re.compile(r"\w+=[\"']?(?:-?[0-9]+|\$\(\([^()]*\)\))[\"']?", re.ASCII)
_DEEPEST = 40
"""Blocks that are looked through."""
_MOST = 200
"""Tests that are looked at."""
ANY_NAME = "*"
_SOMETIME = -1


@dataclass(frozen=True, slots=True)
class _Region:
    """Here a variable holds digits only."""

    begin: int
    end: int
    block: Block
    whole: bool
    """From the test to the end of the script: a function that is defined here is called here."""


class Digits:
    """What the tests of one script say of its variables."""

    def __init__(self, script: Followed) -> None:
        self._script = script
        self._regions: defaultdict[str, list[_Region]] = defaultdict(list)
        if not script.functions.isdisjoint(_TOLD) or any(not _UNTOLD.isdisjoint(one.called) for one in script.commands):
            return
        tests = [*islice(self._tests(), _MOST)]
        if not tests:
            return
        self._assigned = _assignments(script)
        arrays = _arrays(script)
        tests = [test for test in tests if test[0] not in arrays]
        for name, asked, begin, end, block in tests:
            if (region := self._region(name, asked, begin, end, block)) is not None:
                self._regions[name].append(region)

    def hold(self, name: str, at: int) -> bool:
        """Whether the variable surely holds digits only, or nothing, where this place is run."""
        regions = self._regions.get(name, ())
        return any(one.begin <= at < one.end and self._is_run_within(one, at) for one in regions)

    def _is_run_within(self, region: _Region, at: int) -> bool:
        if region.whole:
            return True
        return self._script.blocks.at(at).function is region.block.function

    def _region(self, name: str, asked: int, begin: int, end: int, block: Block) -> _Region | None:
        """From `begin` on, unless the variable may be set anew without a test."""
        whole = block.outer is None
        for at in (*self._assigned.get(name, ()), *self._assigned.get(ANY_NAME, ())):
            if at == _SOMETIME:
                return None
            place = self._script.blocks.at(at)
            if place.function is not None and (place.function is not block.function or at > asked):
                return None
            if asked < at < end:
                end, whole = min(end, _outermost_below(place, block, at)), False
        return _Region(begin, end, block, whole) if begin < end else None

    # --- tests --------------------------------------------------------------------------------------------------------

    def _tests(self) -> Iterator[tuple[str, int, int, int, Block]]:
        """The name, where it is asked for, from where to where it holds digits, and the block."""
        text = self._script.text
        self._exiting = _exiting(text)
        for one in self._script.commands:
            if not one.heads or one.called[-1] not in ("case", "[[") or one.heads[-1] != 0:
                continue
            at = one.command.words[0].start
            yield from self._case(at) if text.startswith("case", at) else self._condition(at)

    def _case(self, at: int) -> Iterator[tuple[str, int, int, int, Block]]:
        text, blocks = self._script.text, self._script.blocks
        asked = _CASE.match(text, at)
        block = blocks.at(at)
        if asked is None or block.kind != "case" or block.outer is None:
            return
        arm = blocks.at(asked.end())
        if arm.outer is not block:
            return
        if text.startswith(";;", arm.end - 2):
            yield asked["name"], at, arm.end, block.end, block
        left = _OF_CASE.match(text, asked.end(), min(arm.end + 4, len(text)))
        straight = blocks.before(at) in _STRAIGHT and _FOLLOWS.match(text, block.end) is not None
        if left is not None and straight and self._leaves(left, asked["name"], block.outer):
            yield asked["name"], at, block.end, block.outer.end, block.outer

    def _condition(self, at: int) -> Iterator[tuple[str, int, int, int, Block]]:
        text, blocks = self._script.text, self._script.blocks
        block, before = blocks.at(at), blocks.before(at)
        if before in _STRAIGHT:
            found = next((match for one in _ELSE if (match := one.match(text, at, at + 2_000))), None)
            if found is not None and self._leaves(found, found["name"], block):
                yield found["name"], at, found.end(), block.end, block
        elif before in ("if", "elif") and (found := _POSITIVE.match(text, at, at + 500)) is not None:
            then = blocks.at(found.end())
            if then.kind == "then":
                yield found["name"], at, then.start, then.end, then
        if block.kind != "if" or block.outer is None or blocks.before(block.start) not in _STRAIGHT:
            return
        found = _NEGATIVE.match(text, at, at + 2_000)
        if found is None or found.end() != block.end or _FOLLOWS.match(text, block.end) is None:
            return
        negated = before == "if" if found["not"] else before == "!" and blocks.before(at, 2) == "if"
        if negated and self._leaves(found, found["name"], block.outer):
            yield found["name"], at, block.end, block.outer.end, block.outer

    def _leaves(self, found: re.Match[str], name: str, block: Block) -> bool:
        """Whether what the script does with other characters ends the block, or sets the variable to a number."""
        groups = found.groupdict()
        if groups["set"]:
            return groups["set"] == name
        if groups["call"]:
            return groups["call"] in self._exiting
        match groups["exit"].split()[0]:
            case "exit":
                return True
            case "return":
                # What called the function must not go on with the variable, so that is the function's own.
                return _within(block, ("f{",)) and self._is_local(name, block)
            case _:
                return _within(block, ("do",))

    def _is_local(self, name: str, block: Block) -> bool:
        local = re.compile(rf"\blocal[ \t]+(?:-r[ \t]+)?{name}=")
        return (
            block.function is not None and local.search(self._script.text, block.function.start, block.end) is not None
        )


def _within(block: Block, kinds: tuple[str, ...]) -> bool:
    """Whether the nearest loop, or function, is left by a word that stands in this block."""
    passed = ("then", "else", "if", "arm", "case", "{", *(("do", "for", "while", "until") if "f{" in kinds else ()))
    nearest = next((one for one in islice(block.chain(), _DEEPEST) if one.kind not in passed), None)
    return nearest is not None and nearest.kind in kinds


def _outermost_below(place: Block, block: Block, at: int) -> int:
    """Where the largest part of the block begins in which the place stands: a loop may run what is before it again."""
    start = at
    for one in islice(place.chain(), _DEEPEST):
        if one is block:
            return start
        start = one.start
    return 0


def _exiting(text: str) -> frozenset[str]:
    """Functions that only say something and exit, and are defined once."""
    defined = Counter(match[1] or match[2] for match in _DEFINED.finditer(text))
    return frozenset(match[1] for match in _EXITING.finditer(text) if defined[match[1]] == 1)


def _assignments(script: Followed) -> dict[str, list[int]]:
    """By name, where a variable is set to what may be no number; `ANY_NAME`: to any variable."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for one in script.commands:
        for name, at, word in set_by(script, one):
            if word is None or not _NUMBER.fullmatch(script.text, word.start, word.end):
                found[name].append(at)
    for start, end in script.parameters:
        if (match := _DEFAULT.match(script.text, start, end)) is not None:
            found[match[1]].append(start)
    return found


def _arrays(script: Followed) -> frozenset[str]:
    """Variables of which `$n` is but one of several items."""
    found: set[str] = set()
    for one in script.commands:
        for place, word in enumerate(one.command.words):
            name = assigned(one, place, word)
            if name is not None and (word.array or ELEMENT.match(word.text)):
                found.add(name)
        called = one.called[-1] if one.called else ""
        if called in ("mapfile", "readarray") or (called == "read" and any(map(_FILLS_ARRAY.fullmatch, one.texts))):
            found.update(one.texts)
    return frozenset(found)


def set_by(script: Followed, one: Arguments) -> Iterator[tuple[str, int, Word | None]]:
    """The variables that a command sets, `ANY_NAME`: it may be any; where; and the word, if it is an assignment."""
    words = one.command.words
    for place, word in enumerate(words):
        name = assigned(one, place, word)
        if name is not None:
            yield name, word.start, word
    if not one.heads or one.command.pattern:
        return
    called, rest = one.called[-1], words[one.heads[-1] + 1 :]
    yield from ((name, words[0].start, None) for name in script.files.sets(one))
    if called in ("for", "select") and rest:
        yield rest[0].text, rest[0].start, None
    elif called in _NAMING or called in _DECLARING:
        if called == "printf" and not (rest and rest[0].text.startswith(("-", DYNAMIC))):
            return
        for word in rest:
            if called not in _DECLARING:
                at = _SOMETIME if called == "trap" else word.start
                yield from ((name, at, None) for name in _TOKEN.findall(script.text[word.start : word.end]))
            if word.text.startswith(DYNAMIC) and called not in ("trap", ".", "source", "printf"):
                yield ANY_NAME, word.start, None
