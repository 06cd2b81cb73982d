"""The door for acts: what the requests branch holds that may not be answered yet."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from engine.authority.trust import Mode
from engine.entries import MAX_FILES, MAX_TOTAL
from journal import acts, facts
from journal.store import Journal
from reconciler.acts.brought import Brought, TooMuch, Version
from reconciler.repository.differences import TooManyFiles
from reconciler.repository.history import History
from reconciler.repository.objects import BlobRef, Objects
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored, read

log = structlog.get_logger(__name__)

_ANSWERED = "requestsAnswered"
"""The fact that holds the head of the requests branch up to which every act is answered."""
_NOTHING = ""
"""In its place: there was no such branch, so all that is on it has come since."""
MOST_ACTS = MAX_FILES
"""Acts without an answer that are taken in at once."""
MOST_IN_ALL = 50_000
"""Files of a branch, and acts, where none is known to be answered: one act takes some 4 KiB of memory."""
_PORTION = 256 * 1024
"""Bytes that are read at once."""
_MOST_READ = 100
"""Files that are read at once."""
_MEND = "remove files that are answered, or no requests, with another commit on it: the rest is read then"
_REWIND = "take away by force what should not be there, back to"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_LONGEST_NAME = 63


@dataclass(frozen=True, slots=True)
class Found:
    """An act and where it was read: the head of the branch and the path in it."""

    authored: Authored
    head: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """What is no valid act: it is refused under its name, or under its file's where it gives none."""

    name: str
    message: str


def malformed(invalid: Iterable[tuple[str, Diagnostic]]) -> tuple[Malformed, ...]:
    """Those acts at fault whose names can be answered: a file of the status branch is called by the name."""
    names = ((name, error) for name, error in invalid if _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME)
    return tuple(Malformed(name, f"{error.span}: {error.message}") for name, error in names)


@dataclass(frozen=True, slots=True)
class News:
    """What the branch holds that may not be answered yet. `versions` are what each signed commit made of acts, oldest
    first, where several came at once and acts must be signed."""

    found: tuple[Found, ...] = ()
    malformed: tuple[Malformed, ...] = ()
    versions: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """What a content holds, wherever it stands: its acts, and the first error."""

    blob: str
    acts: tuple[Authored, ...]
    invalid: tuple[tuple[str, Diagnostic], ...]
    error: Diagnostic | None

    def malformed(self, path: str) -> tuple[Malformed, ...]:
        if self.error is None:
            return ()
        named = malformed((name, error.within(path)) for name, error in self.invalid)
        return named or malformed([(path.rpartition("/")[2].removesuffix(".yaml"), self.error.within(path))])


class RequestsDoor:
    """Reads the requests branch: what changed since the head up to which everything is answered.

    Whoever may push there may push anything. So the sizes are looked at before anything is read, what is in many
    places is read once, and of what has its answer nothing is kept.
    """

    def __init__(self, journal: Journal, objects: Objects, history: History) -> None:
        self._journal = journal
        self._objects = objects
        self._brought = Brought(history, objects)
        self._answered: str | None = None
        self._known = False
        self.trouble: str | None = None
        """Why the branch was not read when it was looked at last; nothing on it counts as answered then."""
        self._unread: str | None = None

    @property
    def upto(self) -> str | None:
        """The head up to which all has its answer; "" where there was no branch, None where nobody has looked."""
        return self._answered

    async def news(
        self, head: str | None, mode: Mode = "none", between: Callable[[], Awaitable[object]] | None = None
    ) -> News:
        """What the branch holds that may not be answered yet. `mode` says whether acts must be signed, `between` is
        called while much is read."""
        if not self._known:
            self._answered = await self._journal.read(lambda conn: facts.get(conn, _ANSWERED, None))
            self._known = True
        if head is not None and head == self._unread:
            return News()
        self.trouble = self._unread = None
        if head is None or head == self._answered:
            return News()
        before = self._answered
        known = before
        if not before or not await asyncio.to_thread(self._objects.has, before):
            known = None
        limits = _UNANSWERED if known is None else _SINCE_ANSWERED
        try:
            found, malformed = await self._read(known, head, limits, between)
            versions: tuple[Version, ...] = ()
            if mode != "none" and (known is not None or before == _NOTHING):
                versions = await asyncio.to_thread(self._brought.since, known, head)
        except TooManyFiles as error:
            self._unread = head
            self._say(head, f"{error}; {_MEND}")
            return News()
        except TooMuch as error:
            self._unread = head
            self._say(head, f"{error}; {_REWIND} {known or 'its start'}")
            return News()
        return News(found, malformed, versions)

    async def all(self, head: str | None) -> tuple[Found, ...]:
        """Every act on the branch; none, and `trouble` says why, where it cannot be read."""
        self.trouble = self._unread = None
        if head is None:
            return ()
        try:
            return (await self._read(None, head, _EVERYTHING, None))[0]
        except TooManyFiles as error:
            self._say(head, f"{error}; {_MEND}")
            return ()

    async def answered(self, head: str | None) -> None:
        """Everything up to this head has its answer in the journal."""
        if head is not None and head != self._answered and self.trouble is None:
            await self._journal.write(lambda tx: facts.put(tx, _ANSWERED, head))
            self._answered = head

    async def absent(self) -> None:
        """There is no such branch. Where none was looked at before, its commits are known from the first one on."""
        if self._known and self._answered is None:
            await self._journal.write(lambda tx: facts.put(tx, _ANSWERED, _NOTHING))
            self._answered = _NOTHING

    def _say(self, head: str, why: str) -> None:
        self.trouble = f"no act on it is read: {why}"
        log.warning("the requests branch is not read", commit=head, error=why)

    async def _read(
        self, before: str | None, head: str, limits: "_Limits", between: Callable[[], Awaitable[object]] | None
    ) -> tuple[tuple[Found, ...], tuple[Malformed, ...]]:
        """Raises TooManyFiles where there is more than the limits allow: before it is read, where sizes tell."""
        found: list[Found] = []
        malformed: list[Malformed] = []
        files = await asyncio.to_thread(self._objects.differing, before, head, ".yaml")
        limits.hold(files)
        for number, portion in enumerate(_portions(files)):
            if number and between is not None:
                await between()
            parsed = await asyncio.to_thread(self._parsed, portion)
            if not limits.answered:
                parsed = await self._without_answered(parsed)
            for file in parsed:
                paths = portion[file.blob]
                if len(found) + len(file.acts) * len(paths) > limits.acts:
                    raise TooManyFiles(f"it has more than {limits.acts:,} requests {limits.which}")
                found += [Found(one.within(path), head) for path in paths for one in file.acts]
                malformed += [one for path in paths for one in file.malformed(path)]
        return tuple(sorted(found, key=_place)), tuple(malformed)

    def _parsed(self, portion: Mapping[str, Sequence[str]]) -> list[_Read]:
        files = []
        for blob, paths in portion.items():
            parsed = read(self._objects.blob(blob), paths[0])
            error = next((finding for finding in parsed.findings if finding.severity == "error"), None)
            files.append(_Read(blob, tuple(one for one in parsed.documents if one.is_act), parsed.invalid_acts, error))
        return files

    async def _without_answered(self, files: Sequence[_Read]) -> list[_Read]:
        names = {one.document.name for file in files for one in file.acts}
        seen = await self._journal.read(lambda conn: acts.seen(conn, names))
        return [replace(file, acts=tuple(one for one in file.acts if one.document.name not in seen)) for file in files]


@dataclass(frozen=True, slots=True)
class _Limits:
    """What is read at most. `which` files are meant, in words; `answered`: those with an answer are wanted, too."""

    files: int
    acts: int
    which: str
    answered: bool = False

    def hold(self, files: Mapping[str, BlobRef]) -> None:
        """Raises TooManyFiles where there is more."""
        if len(files) > self.files:
            raise TooManyFiles(f"it has more than {self.files:,} files {self.which}")
        if sum(file.size for file in files.values()) > MAX_TOTAL:
            raise TooManyFiles(f"its files {self.which} have more than {MAX_TOTAL // 1024**2} MiB together")


_SINCE_ANSWERED = _Limits(MAX_FILES, MOST_ACTS, "that changed since all was answered")
_UNANSWERED = _Limits(MOST_IN_ALL, MOST_ACTS, "without an answer")
_EVERYTHING = _Limits(MOST_IN_ALL, MOST_IN_ALL, "in all", answered=True)


def _portions(files: Mapping[str, BlobRef]) -> Iterator[Mapping[str, Sequence[str]]]:
    """The paths of each content, a portion of them after another."""
    sizes = {blob.id: blob.size for blob in files.values()}
    paths: dict[str, list[str]] = {}
    for path, blob in files.items():
        paths.setdefault(blob.id, []).append(path)
    portion: dict[str, Sequence[str]] = {}
    size = count = 0
    for blob_id, ones in paths.items():
        portion[blob_id] = ones
        size, count = size + sizes[blob_id], count + 1
        if size >= _PORTION or count >= _MOST_READ:
            yield portion
            portion, size, count = {}, 0, 0
    if portion:
        yield portion


def _place(found: Found) -> tuple[str, int]:
    return found.authored.file, found.authored.index
