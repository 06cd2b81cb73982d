"""The door for acts: what the requests branch holds that may not be answered yet."""

import asyncio
import re
from dataclasses import dataclass

from journal import facts
from journal.store import Journal
from reconciler.differences import TooManyFiles
from reconciler.objects import Objects
from schemas.reader import Authored, ParsedFile, read

_ANSWERED = "requestsAnswered"
"""The fact that holds the head of the requests branch up to which every act is answered."""
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


class RequestsDoor:
    """Reads the requests branch: what changed since the head up to which everything is answered."""

    def __init__(self, journal: Journal, objects: Objects) -> None:
        self._journal = journal
        self._objects = objects
        self._answered: str | None = None
        self._known = False
        self.trouble: str | None = None
        """Why the branch was not read when it was looked at last; nothing on it counts as answered then."""
        self._unread: str | None = None

    async def news(self, head: str | None) -> tuple[tuple[Found, ...], tuple[Malformed, ...]]:
        """What the branch holds that may not be answered yet."""
        if not self._known:
            self._answered = await self._journal.read(lambda conn: facts.get(conn, _ANSWERED, None))
            self._known = True
        if head is not None and head == self._unread:
            return (), ()
        self.trouble = self._unread = None
        if head is None or head == self._answered:
            return (), ()
        return await asyncio.to_thread(self._between, self._answered, head)

    async def all(self, head: str | None) -> tuple[Found, ...]:
        """Every act on the branch; none, and `trouble` says why, where it cannot be read."""
        self.trouble = self._unread = None
        return (await asyncio.to_thread(self._between, None, head))[0] if head else ()

    async def answered(self, head: str | None) -> None:
        """Everything up to this head has its answer in the journal."""
        if head is not None and head != self._answered and self.trouble is None:
            await self._journal.write(lambda tx: facts.put(tx, _ANSWERED, head))
            self._answered = head

    def _between(self, before: str | None, head: str) -> tuple[tuple[Found, ...], tuple[Malformed, ...]]:
        found: list[Found] = []
        malformed: list[Malformed] = []
        known = before if before is not None and self._objects.has(before) else None
        try:
            paths = self._objects.changed(known, head)
        except TooManyFiles as error:
            self.trouble, self._unread = f"no act on it is read: {error}; take away what is no act", head
            return (), ()
        for path in paths:
            data = self._objects.file(head, path) if path.endswith(".yaml") else None
            if data is None:
                continue
            parsed = read(data, path)
            found += [Found(authored, head) for authored in parsed.documents if authored.is_act]
            malformed += _malformed(parsed)
        return tuple(found), tuple(malformed)


def _malformed(parsed: ParsedFile) -> list[Malformed]:
    errors = [finding for finding in parsed.findings if finding.severity == "error"]
    name = parsed.file.rpartition("/")[2].removesuffix(".yaml")
    if not errors or not _NAME.fullmatch(name) or len(name) > 63:
        return []
    return [Malformed(name, f"{errors[0].span}: {errors[0].message}")]
