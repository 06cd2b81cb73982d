"""Whether a signed commit that brings an act was made for this repository, and lately (ADR 0059).

The same people sign in many repositories with the same keys, and whoever may push the requests branch may push there
what they signed elsewhere, or long ago. So a commit counts only where it says itself that it was made for this engine,
or says nothing and builds on what is known as ours; and only for a week.
"""

import asyncio
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection

from engine.authority.trust import MADE_FOR, Untrusted
from journal import facts
from journal.store import Journal
from reconciler.acts import actgate
from reconciler.authority.signingprograms import TrustUnavailable
from reconciler.publication import rebuild
from reconciler.repository.history import History
from reconciler.repository.objects import CommitInfo, Objects
from schemas.quantities import format_instant

LONGEST = timedelta(days=7)
"""How old a commit may be when it arrives: longer than an engine stands still, shorter than anybody forgets."""
_TRAILER = re.compile(rf"^{MADE_FOR}:[ \t]*(\S+)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_REQUESTS = "requestsAnchors"
"""The fact that holds the first commits of the requests branch that was there when this rule came."""
_DEFINITIONS = "definitionsAnchor"


class Belonging:
    """Knows what is ours. One caller at a time; `begin` before commits are judged."""

    def __init__(self, journal: Journal, objects: Objects, history: History, engine: str = "") -> None:
        """`engine` is the id of this one, "" where it has none."""
        self._journal = journal
        self._objects = objects
        self._history = history
        self._engine = engine
        self._engines: frozenset[str] = frozenset()
        self._before: frozenset[str] = frozenset()
        self._anchors: tuple[str, ...] = ()
        self._looked = False
        """It is known which branch was there when this rule came."""
        self._seen: tuple[str | None, str, bool] | None = None
        self._newest: str | None = None
        """The newest commit that was found to build on what is ours: most build on it."""

    async def begin(self, head: str | None, answered: str | None, definitions: str, *, fetched: bool = True) -> None:
        """Find out what is ours, where something is new.

        `head` is the requests branch, which was seen where it was `fetched`; `answered` the last head of it all of
        which has its answers: "" where the branch was not there when it was looked for, None where nobody has looked.
        `definitions` is the commit in force.
        """
        if self._seen == (head, definitions, fetched):
            return
        known = await self._journal.read(_known)
        requests, of_definitions = known
        self._engines = frozenset(filter(None, (self._engine, *await self._journal.read(rebuild.engines))))
        self._before = frozenset(await self._journal.read(rebuild.took_over))
        if of_definitions is None or not await self._contains(definitions, of_definitions):
            of_definitions = await asyncio.to_thread(self._history.root, definitions)
        if requests is None:
            waiting = [one.commit for one in (await self._journal.read(actgate.kept)).values()]
            requests = await asyncio.to_thread(self._found, head, answered, waiting, fetched)
        if (requests, of_definitions) != known:
            await self._journal.write(lambda tx: _put(tx, requests, of_definitions))
        self._looked = requests is not None
        self._anchors, self._newest = (*(requests or ()), of_definitions), None
        self._seen = (head, definitions, fetched)

    def refused(self, commit: CommitInfo, arrived: datetime) -> Untrusted | None:
        """Why its signature counts for nothing here; None: it counts. Of a merge all that it merges must be ours.

        Raises TrustUnavailable where the branch that was there when this rule came was not seen yet.
        """
        for one in (commit, *map(self._objects.commit_info, commit.parents[1:])):
            if arrived - one.committed_at > LONGEST:
                when = format_instant(one.committed_at)
                return Untrusted("stale", f"it is of {when}, and counts for {LONGEST.days} days; sign it anew")
            if (others := self._named(one) - self._engines - self._before) and self._engines:
                others_named = ", ".join(sorted(others)[:3])
                why = f"it says that it was made for the engine {others_named}, and this one is {self._engine}"
                return Untrusted("foreign", f"{why}; ask again here, by the 'sync.yaml' of this one")
            if not self._is_ours(one):
                if not self._looked:
                    raise TrustUnavailable("the requests branch was not seen yet")
                named = f"'{MADE_FOR}: {self._engine}'" if self._engine else f"'{MADE_FOR}: ' and the id in sync.yaml"
                return Untrusted(
                    "foreign",
                    "nothing says that it was made for this repository: it builds on no commit that is known here; "
                    f"begin the branch with a commit whose message has the line {named}, as 'opsconductor run' does",
                )
        return None

    def _is_ours(self, commit: CommitInfo) -> bool:
        if self._is_for_us(commit):
            return True
        if self._newest is not None and self._objects.is_ancestor(self._newest, commit.id):
            self._newest = commit.id
            return True
        ours = any(self._objects.is_ancestor(anchor, commit.id) for anchor in self._anchors) or self._begins(commit.id)
        if ours and self._newest is None:
            self._newest = commit.id
        return ours

    def _begins(self, commit: str) -> bool:
        """Whether it builds on a first commit that was made for us."""
        # Looked for each time: whoever may push can begin the branch as often as he likes, and none of it is kept.
        return any(self._is_for_us(self._objects.commit_info(root)) for root in self._history.roots(commit))

    def _is_for_us(self, commit: CommitInfo) -> bool:
        named = self._named(commit)
        return bool(named) and named <= self._engines

    def _named(self, commit: CommitInfo) -> frozenset[str]:
        """The engines that it says it was made for."""
        return frozenset(_TRAILER.findall(commit.message))

    def _found(
        self, head: str | None, answered: str | None, waiting: Iterable[str], fetched: bool
    ) -> tuple[str, ...] | None:
        """The first commits of what an engine finds that is new, or older than this rule: it takes that for its own.

        None where it is not known yet what is there."""
        origin = None if answered == "" else self._here(answered) or head
        if origin is None and answered != "" and not fetched:
            return None
        begins = filter(None, (origin, *map(self._here, waiting)))
        return tuple(dict.fromkeys(self._history.root(one) for one in begins))

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
