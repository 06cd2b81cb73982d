"""Whether a signed commit that brings an act was made for this repository, and lately (ADR 0059).

The same people sign in many repositories with the same keys, and whoever may push the requests branch may push there
what they signed elsewhere, or long ago. So a commit counts only where it builds on what is known as ours, which nobody
else's history holds, or says itself for which engine it was made; and only for a week.
"""

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine.trust import MADE_FOR, Untrusted
from journal import facts
from journal.store import Journal
from reconciler import rebuild
from reconciler.history import History
from reconciler.objects import CommitInfo, Objects
from schemas.quantities import format_instant

LONGEST = timedelta(days=7)
"""How old a commit may be when it arrives: longer than an engine stands still, shorter than anybody forgets."""
_TRAILER = re.compile(rf"^{MADE_FOR}:[ \t]*(\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_REQUESTS = "requestsAnchors"
"""The fact that holds first commits of the requests branch that are ours, the newest last."""
_DEFINITIONS = "definitionsAnchor"
_MOST = 8


class Belonging:
    """Knows what is ours. One caller at a time; `begin` before commits are judged."""

    def __init__(self, journal: Journal, objects: Objects, history: History, engine: str = "") -> None:
        """`engine` is the id of this one, "" where it has none."""
        self._journal = journal
        self._objects = objects
        self._history = history
        self._engine = engine
        self._engines: frozenset[str] = frozenset()
        self._anchors: tuple[str, ...] = ()
        self._seen: tuple[str | None, str] | None = None
        self._newest: str | None = None
        """The newest commit that was found to be ours: most build on it."""

    async def begin(self, head: str | None, answered: str | None, definitions: str) -> None:
        """Find out what is ours, where something is new.

        `head` is the requests branch, `answered` the last head of it all of which has its answers: "" where the branch
        was not there when it was looked for, None where nobody has looked. `definitions` is the commit in force.
        """
        if self._seen == (head, definitions):
            return
        known = await self._journal.read(_known)
        requests, of_definitions = known
        self._engines = frozenset(filter(None, (self._engine, *await self._journal.read(rebuild.engines))))
        if of_definitions is None or not await self._contains(definitions, of_definitions):
            of_definitions = await asyncio.to_thread(self._history.root, definitions)
        if head is not None:
            requests = await asyncio.to_thread(self._of_requests, requests, head, answered)
        if (requests, of_definitions) != known:
            await self._journal.write(lambda tx: _put(tx, requests, of_definitions))
        self._anchors, self._newest = (*(requests or ()), of_definitions), None
        self._seen = (head, definitions)

    def refused(self, commit: CommitInfo, arrived: datetime) -> Untrusted | None:
        """Why its signature counts for nothing here; None: it counts. Of a merge all that it merges must be ours."""
        for one in (commit, *map(self._objects.commit_info, commit.parents[1:])):
            if arrived - one.committed_at > LONGEST:
                when = format_instant(one.committed_at)
                return Untrusted("stale", f"it is of {when}, and counts for {LONGEST.days} days; sign it anew")
            if not self._is_ours(one):
                named = f"'{MADE_FOR}: {self._engine}'" if self._engine else f"'{MADE_FOR}: ' and the id in sync.yaml"
                return Untrusted(
                    "foreign",
                    "nothing says that it was made for this repository: it builds on no commit that is known here; "
                    f"begin the branch with a commit whose message has the line {named}, as 'opsconductor run' does",
                )
        return None

    def _is_ours(self, commit: CommitInfo) -> bool:
        if self._is_for_us(commit.message):
            return True
        if self._newest is not None and self._objects.is_ancestor(self._newest, commit.id):
            self._newest = commit.id
            return True
        ours = any(self._objects.is_ancestor(anchor, commit.id) for anchor in self._anchors)
        if ours and self._newest is None:
            self._newest = commit.id
        return ours

    def _is_for_us(self, message: str) -> bool:
        return not self._engines.isdisjoint(_TRAILER.findall(message))

    def _of_requests(self, known: tuple[str, ...] | None, head: str, answered: str | None) -> tuple[str, ...]:
        """The first commits of the branch that are ours."""
        if known is None:
            # An engine that is new, or older than this rule, takes the branch that it finds for its own.
            known = () if answered == "" else (self._history.root(self._here(answered) or head),)
        if not any(self._objects.is_ancestor(anchor, head) for anchor in known):
            first = self._history.root(head)
            if self._is_for_us(self._objects.commit_info(first).message):
                return (*known, first)[-_MOST:]
        return known

    def _here(self, commit: str | None) -> str | None:
        return commit if commit and self._objects.has(commit) else None

    async def _contains(self, newer: str, older: str) -> bool:
        return await asyncio.to_thread(self._objects.is_ancestor, older, newer)


def _known(conn: Connection) -> tuple[tuple[str, ...] | None, str | None]:
    requests: Iterable[str] | None = facts.get(conn, _REQUESTS)
    return None if requests is None else tuple(requests), facts.get(conn, _DEFINITIONS)


def _put(tx: Connection, requests: tuple[str, ...] | None, definitions: str) -> None:
    if requests is not None:
        facts.put(tx, _REQUESTS, list(requests))
    facts.put(tx, _DEFINITIONS, definitions)
