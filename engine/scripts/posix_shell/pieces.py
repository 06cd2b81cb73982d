"""Words and commands of a script, as far as they are known before it runs."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from engine.scripts.posix_shell.table import name_of

Dialect = Literal["sh", "bash"]


def dialect_of(shell: str, ours: Dialect) -> Dialect:
    """How a shell of this name reads its script; `ours`: sh itself."""
    return ours if shell in ("sh", "dash", "ash") else "bash"


Reading = Literal["bare", "quoted", "comment"]
"""`bare`: put the variable in double quotes; `quoted`: it stands in double quotes or a here-document already."""

HOLE = "\ue000"
"""Stands for one hole while scanning: a private-use character, which a script may not hold itself."""
DYNAMIC = "\ue001"
"""Stands in a word for an expansion, whose text is not known here."""

ENV_HINT = "set it with 'env:' and read the variable in the script"

ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_NAME = re.compile(r"[A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a value may not stand here: `${{ }}` <reason>."""

    reason: str
    of_number: "Reading | None" = None
    """How it is read if it certainly is a number, which is no danger here; None where that helps nothing."""
    hint: str = ""
    """What to do, where `env:` is no answer."""


class Unsure(Exception):  # noqa: N818 -- says where the scan gave up, and becomes a Refusal
    """The script cannot be followed for certain."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Word:
    """A word while it is read, and afterwards. Its pieces are joined when its text is asked for, not one by one."""

    quoted: bool = False
    """Any part of it: a quoted word is no keyword."""
    holes: list[int] = field(default_factory=list)
    start: int = -1
    end: int = -1
    """Where it stands in the script, once it is read whole."""
    split: list[tuple[int, int]] = field(default_factory=list)
    """Where expansions stand without quotes, which may become several words."""
    process: bool = False
    """It is `<( ... )`."""
    array: bool = False
    """It is `name=( ... )`."""
    items: "list[Word]" = field(default_factory=list)
    """What stands in its brackets then."""
    subscript: bool = False
    """It begins like an array's element: `name[`."""
    subscript_ended: bool = False
    _pieces: list[str] = field(default_factory=list)
    _length: int = 0
    _is_name: bool = True
    """All of it so far, or it is empty."""

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def add(self, piece: str) -> None:
        if not piece:
            return
        if self._is_name:
            self._go_on(piece)
        if self.subscript and "]" in piece:
            self.subscript_ended = True
        self._pieces.append(piece)
        self._length += len(piece)

    def _go_on(self, piece: str) -> None:
        match = _NAME.match(piece)
        named = match.end() if match else 0
        if not self._length and piece[0] in "0123456789":
            self._is_name = False
        elif named < len(piece):
            self._is_name = False
            self.subscript = piece[named] == "[" and self._length + named > 0


@dataclass
class Command:
    words: list[Word] = field(default_factory=list)
    redirected: list[Word] = field(default_factory=list)
    body_holes: list[int] = field(default_factory=list)
    fed: list[tuple[int, int]] = field(default_factory=list)
    """Places in the text of what is expanded into its input: here-documents, `<<< word`, `< <(...)`."""
    scripts: list[tuple[int, int]] = field(default_factory=list)
    """Places of its here-documents that are not expanded."""
    documents: list[str] = field(default_factory=list)
    """What its here-documents say, and its here-string."""
    written: list[Word] = field(default_factory=list)
    """The names of files that its output goes to."""
    taken: list[Word] = field(default_factory=list)
    """The names of files that its input comes from."""
    processes: "list[list[Command]]" = field(default_factory=list, repr=False, compare=False)
    """The commands in each `>( ... )`, which its output goes to."""
    piped: bool = False
    """Whether its output goes to another command."""
    feeds: "Command | None" = field(default=None, repr=False, compare=False)
    """The command, or the first of those, that its output goes to."""
    feeder: "Command | None" = field(default=None, repr=False, compare=False)
    """The command, or the last of those, whose output goes to it."""
    conditional: bool = False
    """Within [[ ]]."""
    compound: bool = False
    pattern: bool = False
    """Patterns of 'case', which are no command."""
    function: str = ""
    """The function that it stands in; empty outside of all."""
    certain: bool = True
    """Whether it runs whenever that is called, and once."""

    def literal(self) -> list[str]:
        return [word.text for word in self.words]

    def names(self) -> list[str]:
        """Words as commands and options are looked for: as `name_of`, and without what is not known here.

        `${x}eval` is taken for eval, since x may be empty.
        """
        return [name_of(text.replace(DYNAMIC, "")) for text in self.literal()]

    def name(self) -> str:
        return next((word.text for word in self.words if not ASSIGNMENT.match(word.text)), "")

    @cached_property
    def holes_taken(self) -> frozenset[int]:
        """Holes in the names of the files that its input comes from; to be asked when the command is read whole."""
        return frozenset(hole for word in self.taken for hole in word.holes)

    @cached_property
    def holes_written(self) -> frozenset[int]:
        """The same of those that its output goes to, and that it does not read."""
        return frozenset(hole for word in self.written for hole in word.holes) - self.holes_taken

    @cached_property
    def places(self) -> dict[int, int]:
        """The word of each hole; to be asked when the command is read whole."""
        return {hole: at for at, word in reversed([*enumerate(self.words)]) for hole in word.holes}

    @cached_property
    def in_input(self) -> frozenset[int]:
        """Its `body_holes`; to be asked when the command is read whole."""
        return frozenset(self.body_holes)


@dataclass(frozen=True, slots=True)
class Substitution:
    """What stands in `$( ... )` or the like, up to its end, and its commands: those from `first` on, before `after`."""

    start: int
    end: int
    first: int
    after: int


@dataclass(slots=True)
class Body:
    """A here-document that begins after this line."""

    delimiter: str
    literal: bool
    tabs: bool
    owner: Command


@dataclass(slots=True)
class Case:
    """A `case` that is open, and what of it is read next."""

    state: Literal["subject", "pattern", "body"] = "subject"
