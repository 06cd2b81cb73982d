"""The door for acts: what the requests branch holds that may not be answered yet."""

import asyncio
import re
from dataclasses import dataclass

from engine.trust import Mode
from journal import facts
from journal.store import Journal
from reconciler.brought import Brought, TooMuch, Version
from reconciler.differences import TooManyFiles
from reconciler.history import History
from reconciler.objects import Objects
from schemas.reader import Authored, ParsedFile, read

_ANSWERED = "requestsAnswered"
"""The fact that holds the head of the requests branch up to which every act is answered."""
_NOTHING = ""
"""In its place: there was no such branch, so all that is on it has come since."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """An act and where it was read: the head of the branch and the path in it."""

    authored: Authored
    head: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A file that is no valid act; it is refused under its file's name."""

    name: str
    message: str


@dataclass(frozen=True, slots=True)
class News:
    """What the branch holds that may not be answered yet. `versions` are what each signed commit made of acts, oldest
    first, where several came at once and acts must be signed."""

    found: tuple[Found, ...] = ()
    malformed: tuple[Malformed, ...] = ()
    versions: tuple[Version, ...] = ()


class RequestsDoor:
    """Reads the requests branch: what changed since the head up to which everything is answered."""

    def __init__(self, journal: Journal, objects: Objects, history: History) -> None:
        self._journal = journal
        self._objects = objects
        self._brought = Brought(history, objects)
        self._answered: str | None = None
        self._known = False
        self.trouble: str | None = None
        """Why the branch was not read when it was looked at last; nothing on it counts as answered then."""
        self._unread: str | None = None

    async def news(self, head: str | None, mode: Mode = "none") -> News:
        """What the branch holds that may not be answered yet. `mode` says whether acts must be signed."""
        if not self._known:
            self._answered = await self._journal.read(lambda conn: facts.get(conn, _ANSWERED, None))
            self._known = True
        if head is not None and head == self._unread:
            return News()
        self.trouble = self._unread = None
        if head is None or head == self._answered:
            return News()
        return await asyncio.to_thread(self._between, self._answered, head, mode)

    async def all(self, head: str | None) -> tuple[Found, ...]:
        """Every act on the branch; none, and `trouble` says why, where it cannot be read."""
        self.trouble = self._unread = None
        return (await asyncio.to_thread(self._between, None, head)).found if head else ()

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

    def _between(self, before: str | None, head: str, mode: Mode = "none") -> News:
        found: list[Found] = []
        malformed: list[Malformed] = []
        known = before if before and self._objects.has(before) else None
        versions: tuple[Version, ...] = ()
        try:
            paths = self._objects.changed(known, head)
            if mode != "none" and (known is not None or before == _NOTHING):
                versions = self._brought.since(known, head)
        except TooManyFiles as error:
            self.trouble, self._unread = f"no act on it is read: {error}; take away what is no act", head
            return News()
        except TooMuch as error:
            self.trouble, self._unread = f"no act on it is read: {error}", head
            return News()
        for path in paths:
            data = self._objects.file(head, path) if path.endswith(".yaml") else None
            if data is None:
                continue
            parsed = read(data, path)
            found += [Found(authored, head) for authored in parsed.documents if authored.is_act]
            malformed += _malformed(parsed)
        return News(tuple(found), tuple(malformed), versions)


def _malformed(parsed: ParsedFile) -> list[Malformed]:
    errors = [finding for finding in parsed.findings if finding.severity == "error"]
    name = parsed.file.rpartition("/")[2].removesuffix(".yaml")
    if not errors or not _NAME.fullmatch(name) or len(name) > 63:
        return []
    return [Malformed(name, f"{errors[0].span}: {errors[0].message}")]
