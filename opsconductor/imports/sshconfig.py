"""ssh_config(5): its lines, and what they say about one host. The first value counts, as ssh has it; nothing is run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from opsconductor.imports.bounds import Work
from opsconductor.imports.drafts import Place, Remark, one_line
from opsconductor.imports.sshpatterns import is_wild, matches

_LINE = re.compile(r"([A-Za-z0-9]+)\s*(?:=|\s)\s*(.*)", re.DOTALL)
_DEEPEST = 16
_MOST = 10_000
"""Lines, those of included files too."""
_SEVERAL = ("identityfile", "certificatefile", "localforward", "remoteforward", "dynamicforward", "sendenv", "setenv")
_COUNTED = ("all", "host", "originalhost", "user")


@dataclass(frozen=True, slots=True)
class Option:
    place: Place
    key: str
    """In small letters."""
    written: str
    words: tuple[str, ...]

    @property
    def value(self) -> str:
        return " ".join(self.words)


@dataclass
class Block:
    """Lines below one Host or Match; those before the first are for all hosts."""

    place: Place
    kind: str = "host"
    patterns: tuple[str, ...] = ("*",)
    criteria: tuple[tuple[bool, str, str], ...] = ()
    """Of Match: whether it must not hold, the criterion, and its argument."""
    within: "Block | None" = None
    """Where the file is included: what holds below, holds only where this one does."""
    options: list[Option] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        wild = any(is_wild(pattern) for pattern in self.patterns)
        self.plain = None if wild or self.kind != "host" else frozenset(self.patterns)
        """The patterns, where each is a single name: most are, and there may be thousands."""
        self.characters = sum(map(len, self.patterns)) + sum(len(argument) for _, _, argument in self.criteria)

    @property
    def title(self) -> str:
        """Its first line."""
        if self.kind == "host":
            return f"Host {' '.join(self.patterns)}"
        words = (f"{'!' if negated else ''}{name} {argument}".strip() for negated, name, argument in self.criteria)
        return f"Match {' '.join(words)}"

    @property
    def is_understood(self) -> bool:
        return all(criterion in _COUNTED for _, criterion, _ in self.criteria)


@dataclass(frozen=True, slots=True)
class Resolved:
    """All that the files say about a host."""

    name: str
    options: Mapping[str, tuple[Option, ...]]

    def first(self, key: str) -> Option | None:
        found = self.options.get(key, ())
        return found[0] if found else None

    def text(self, key: str) -> str | None:
        option = self.first(key)
        return option.value if option is not None else None

    @property
    def host(self) -> str:
        return _host(self.text("hostname"), self.name).lower()

    @property
    def port(self) -> int | None:
        text = self.text("port") or "22"
        return int(text) if text.isdecimal() and 0 < int(text[:6]) < 65536 else None


@dataclass(frozen=True, slots=True)
class Config:
    blocks: tuple[Block, ...]
    remarks: tuple[Remark, ...]
    comments: tuple[str, ...] = ()
    work: Work = field(default_factory=Work)
    held: set[int] = field(default_factory=set)
    """The numbers of the blocks that held for a host that was asked for."""

    def names(self) -> dict[str, Block]:
        """The hosts that are named, and where."""
        found: dict[str, Block] = {}
        for block in self.blocks:
            for pattern in block.patterns:
                if block.kind == "host" and not is_wild(pattern):
                    found.setdefault(pattern, block)
        return found

    def resolve(self, name: str) -> Resolved:
        """What `ssh NAME` would go by, where it asks no program and knows nothing of who calls it.

        Raises UsageError where that is more work than one import does.
        """
        self.work.spend(len(self.blocks))
        found: dict[str, list[Option]] = {}
        for number, block in enumerate(self.blocks):
            if not self._holds(block, name, found):
                continue
            self.held.add(number)
            self.work.spend(len(block.options))
            for option in block.options:
                if _is_barred(option.key, found):
                    continue
                if option.key in _SEVERAL:
                    found.setdefault(option.key, []).append(option)
                else:
                    found.setdefault(option.key, [option])
        return Resolved(name, {key: tuple(options) for key, options in found.items()})

    def _holds(self, block: Block, name: str, found: Mapping[str, Sequence[Option]]) -> bool:
        if block.within is not None and not self._holds(block.within, name, found):
            return False
        if block.kind == "host" and block.plain is not None:
            return name in block.plain
        self.work.match(block.characters, len(name))
        if block.kind == "host":
            return matches(block.patterns, name)
        if not block.is_understood:
            return False
        hostname = found["hostname"][0].value if "hostname" in found else None
        user = found["user"][0].value if "user" in found else ""
        subjects = {"host": _host(hostname, name), "originalhost": name, "user": user}
        for negated, criterion, argument in block.criteria:
            held = criterion == "all" or matches(argument.split(","), subjects[criterion])
            if held == negated:
                return False
        return True


def read(files: Mapping[str, bytes]) -> Config:
    """Files by what to call them; those that another includes are read where it does so."""
    reader = _Reader(files)
    included = {name for one in files for name in reader.included_by(one)}
    roots = [name for name in files if name not in included] or list(files)
    for name in roots:
        reader.block = reader.opened(Block(Place(name, 1)))
        reader.file(name, 0)
    return Config(tuple(reader.blocks), tuple(reader.remarks), tuple(reader.comments))


class _Reader:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.blocks: list[Block] = []
        self.remarks: list[Remark] = []
        self.comments: list[str] = []
        self.block = Block(Place("", 1))
        self.within: Block | None = None
        self.lines = 0

    def opened(self, block: Block) -> Block:
        self.blocks.append(block)
        block.comments += self.comments
        self.comments = []
        return block

    def lose(self, place: Place, what: str, hint: str) -> None:
        self.remarks.append(Remark(place, what, hint))

    def included_by(self, name: str) -> Iterator[str]:
        for raw in self.files[name].split(b"\n"):
            found = _LINE.fullmatch(raw.decode(errors="replace").strip())
            if found is not None and found[1].lower() == "include":
                for pattern in _words(found[2]) or ():
                    yield from self._named(pattern, name)

    def _named(self, pattern: str, by: str) -> list[str]:
        """The files that were given and are meant: folders differ where they were copied, ends of paths do not."""
        tail = re.sub(r"^(~/\.ssh/|~/|/)", "", pattern)
        return sorted(name for name in self.files if name != by and fnmatchcase(f"/{name}", f"*/{tail}"))

    def file(self, name: str, depth: int) -> None:
        for number, raw in enumerate(self.files[name].split(b"\n"), 1):
            place = Place(name, number)
            self.lines += 1
            if self.lines > _MOST:
                self.lose(place, f"more than {_MOST:,} lines, with those of included files", "divide the files")
                return
            try:
                self._line(place, raw.decode().strip(), depth)
            except UnicodeDecodeError:
                self.lose(place, "the line is not UTF-8", "write it again by hand, or save the file as UTF-8")

    def _line(self, place: Place, said: str, depth: int) -> None:
        if not said or said.startswith("#"):
            if text := said.lstrip("#").strip():
                self.comments.append(text)
            return
        found = _LINE.fullmatch(said)
        words = _words(found[2]) if found is not None else None
        if found is None or not words:
            self.lose(place, f"{one_line(said, 80)}: ssh does not understand this line", "write KEYWORD VALUE")
            if said.split(None, 1)[0].rstrip("=").lower() in ("host", "match"):
                # of whom the lines below it speak is not known: not of those before
                self.block = self.opened(Block(place, patterns=(), within=self.within))
            return
        key = found[1].lower()
        match key:
            case "host":
                self.block = self.opened(Block(place, patterns=tuple(words), within=self.within))
            case "match":
                self._match(place, said, words)
            case "include":
                self._include(place, words, depth)
            case _:
                self.block.options.append(Option(place, key, found[1], tuple(words)))

    def _match(self, place: Place, said: str, words: Sequence[str]) -> None:
        criteria = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            criterion, equals, argument = word.partition("=")
            criterion = criterion.removeprefix("!").lower()
            if criterion not in ("all", "canonical", "final") and not equals:
                argument = rest.pop(0) if rest else ""
            criteria.append((word.startswith("!"), criterion, argument))
        self.block = self.opened(Block(place, "match", (), tuple(criteria), self.within))
        if not self.block.is_understood:
            what = f"{one_line(said, 80)}: it depends on where ssh runs; nothing below it is carried"
            self.lose(place, what, "write what it comes to into the Targets that are meant")

    def _include(self, place: Place, patterns: Sequence[str], depth: int) -> None:
        for pattern in patterns:
            found = self._named(pattern, place.file)
            if not found or depth >= _DEEPEST:
                what = f"Include {one_line(pattern, 60)}: no such file was given"
                self.lose(place, what, "name these files too, behind this one")
                continue
            before, around = self.block, self.within
            self.within = before
            for name in found:
                self.block = self.opened(Block(Place(name, 1), within=before))
                self.file(name, depth + 1)
            # what stands after the line belongs to the block that stood before it
            self.within = around
            self.block = self.opened(Block(place, before.kind, before.patterns, before.criteria, around))


def _is_barred(key: str, found: dict[str, list[Option]]) -> bool:
    """Whichever of the two ways to a host comes first bars the other; `ProxyJump none` bars no ProxyCommand."""
    if key == "proxycommand" and "proxyjump" in found:
        if found["proxyjump"][0].value.lower() != "none":
            return True
        del found["proxyjump"]
    return key == "proxyjump" and "proxycommand" in found


def _host(hostname: str | None, name: str) -> str:
    """The name with what `%h` stands for."""
    if hostname is None:
        return name
    return re.sub(r"%([%h])", lambda found: "%" if found[1] == "%" else name, hostname)


def _words(text: str) -> list[str] | None:
    """Arguments, with their quotes taken off; None where one is not closed. A `#` begins a comment."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if not quote and char == "#" and word is None:
            break
        if not quote and char.isspace():
            words += ["".join(word)] if word is not None else []
            word = None
        else:
            word = [] if word is None else word
            if char == "\\" and text[at + 1 : at + 2] in ("'", '"', "\\", "" if quote else " ") and at + 1 < len(text):
                at += 1
                word.append(text[at])
            elif char == quote:
                quote = ""
            elif not quote and char in "\"'":
                quote = char
            else:
                word.append(char)
        at += 1
    if quote:
        return None
    return words + (["".join(word)] if word is not None else [])
