"""Rules applied: each notice is decided once, in the order of the journal, and its messages are written with that.

The cursor, what the rules remember and the messages are one transaction: whoever is killed over it decides again what
it had not recorded, and comes to the same messages.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from engine.catalog import Catalog
from engine.identity import RunId, scan_name
from engine.notifications import noticecontext
from engine.notifications import notices as rules
from engine.notifications.channels import pinned, pool_of
from engine.notifications.notices import Draft, Event, Memory, Subject
from engine.status.views import RunView
from journal import facts, happenings, messages, notices, runs, tallies
from journal.messages import Channel, NewMessage
from journal.notices import NoticeRow
from journal.store import Journal
from journal.tallies import Key, Tally
from schemas.notification import NotificationRuleSpec

log = structlog.get_logger(__name__)

_PORTION = 100
CROWD = 20
"""So many messages a minute a rule sends by a channel; what comes beyond them is told together."""
_CROWD_WAIT = timedelta(minutes=1)
_TRIM_EVERY = 500
KEEP = 10_000
KEEP_FOR = timedelta(days=30)
"""Notices that are kept: the newest, and none that is older."""


_RULES = "notices.rules"
"""The fact that says whether the definitions in force have rules; an earlier version did not write it."""
_LOOK_AGAIN = timedelta(minutes=1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Notices:
    """Decides the notices that the journal holds, under the definitions in force. `pages`: the dashboard's address."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._turn = asyncio.Lock()
        self._late: set[RunId] = set()
        self._next_late: datetime | None = None
        self._seen_late = _LONG_AGO
        self.active: Catalog | None = None
        """The definitions in force."""
        self.pages: str | None = None
        """The dashboard's address, where others than who sits at this machine can open it."""

    @property
    def any(self) -> bool:
        """Whether there are rules at all."""
        return self.active is not None and bool(self.active.rules)

    def adopt(self, tx: Connection, catalog: Catalog, more: Iterable[Channel] = ()) -> None:
        """In the transaction that puts a commit in force: where messages go from now on, and what is forgotten.

        `more`: channels that no document of their own defines.
        """
        messages.set_channels(tx, (*_channels(catalog), *more))
        if not facts.get(tx, _RULES, True):
            notices.advance(tx, notices.last(tx))  # what happened before a rule was in force is not told by it
        facts.put(tx, _RULES, bool(catalog.rules))
        messages.follow(tx, catalog.renamed.get("NotificationChannel", {}))
        tallies.follow(tx, catalog.name_now)
        named = {(kind, name) for kind, known in catalog.by_kind.items() for name in known}
        named |= {("Job", scan_name(name)) for name in catalog.discoveries}
        named |= {("Project", catalog.project.metadata.name), ("RunnerPool", catalog.default_pool)}
        tallies.keep_only(tx, catalog.rules, named)

    async def decide(self, now: datetime) -> int:
        """Decide all that waits; gives the number of messages that were written or grew."""
        written = 0
        async with self._turn:
            while (catalog := self.active) is not None:
                found = await self._journal.read(lambda conn: self._judged(conn, catalog, now))
                if found is None:
                    break
                written += await self._journal.write(partial(_record, found=found, now=now))
        return written

    async def see_late(self, now: datetime) -> datetime | None:
        """Notice the runs that have not begun in time; when to look again.

        Of ten thousand that wait all are looked at when one of them becomes late, and else once a minute.
        """
        became = self._next_late is not None and now >= self._next_late
        if became or not self._seen_late <= now < self._seen_late + _LOOK_AGAIN:
            await self._note_late(now)
            self._seen_late = now
        self._next_late = await self._journal.read(lambda conn: happenings.next_late(conn, now))
        return self._next_late

    async def _note_late(self, now: datetime) -> None:
        while found := await self._journal.read(lambda conn: happenings.late(conn, now, self._late)):
            await self._journal.write(lambda tx, found=found: notices.happened_all(tx, found))  # type: ignore[misc]
            self._late |= {notice.run for notice in found if notice.run is not None}
        if len(self._late) > KEEP:
            self._late &= set(await self._journal.read(runs.open_runs))

    def _judged(self, conn: Connection, catalog: Catalog, now: datetime) -> "_Judged | None":
        found = notices.pending(conn, _PORTION)
        if not found or (not catalog.rules and len(found) < _PORTION):
            return None
        judging = _Judging(conn, catalog, now, self.pages)
        for row in found:
            judging.judge(row)
        return _Judged(notices.decided(conn), found[-1].seq, tuple(judging.written), judging.memories)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was made of the notices after `before`, up to `upto`."""

    before: int
    upto: int
    messages: tuple[NewMessage, ...]
    memories: Mapping[Key, Memory]


class _Judging:
    """A portion of notices under the rules of one commit, read in one snapshot of the journal."""

    def __init__(self, conn: Connection, catalog: Catalog, now: datetime, pages: str | None) -> None:
        self._conn = conn
        self._catalog = catalog
        self._now = now
        self._pages = pages
        self._views: dict[str, RunView | None] = {}
        self._lately: dict[tuple[str, str], int] = {}
        self.written: list[NewMessage] = []
        self.memories: dict[Key, Memory] = {}

    def judge(self, row: NoticeRow) -> None:
        event = Event(row.id, row.type, row.at, row.kind, row.name, row.run, row.data, row.known_as, row.naming)
        about = rules.subjects(event, self._catalog)
        for name, rule in self._catalog.rules.items():
            try:
                self._apply(name, rule.spec, event, about)
            except SQLAlchemyError:  # the journal could not be asked: all of it is decided again
                raise
            except Exception:  # one that trips over a bug of ours keeps no other from being told
                log.exception("a bug of ours: a rule does not tell an event", rule=name, event=event.type, id=event.id)

    def _apply(self, name: str, rule: NotificationRuleSpec, event: Event, about: tuple[Subject, ...]) -> None:
        if not rules.selects(rule.select, about):
            return
        key = Key(name, about[0].kind, about[0].name)
        memory = self._memory(key)
        tells, remembered = rules.told(rule, event, memory)
        if remembered != memory:
            self.memories[key] = remembered
        if tells:
            context = noticecontext.context_of(event, about, self._view(event), self._catalog, self._pages)
            for draft in rules.drafts(name, rule, event, about, self._catalog, self._now):
                self.written.append(self._message(self._uncrowded(draft), rule, context, event))

    def _memory(self, key: Key) -> Memory:
        if key not in self.memories:
            known = tallies.get(self._conn, key)
            return Memory(known.matched, known.told)
        return self.memories[key]

    def _view(self, event: Event) -> RunView | None:
        if event.run is None:
            return None
        if event.run not in self._views:
            self._views[event.run] = runs.get(self._conn, RunId(event.run))
        return self._views[event.run]

    def _uncrowded(self, draft: Draft) -> Draft:
        if draft.group is not None:
            return draft
        place, crowd = (draft.channel, draft.rule), rules.crowded(draft, self._now, _CROWD_WAIT)
        if place not in self._lately:
            self._lately[place] = messages.lately(self._conn, *place, self._now - _CROWD_WAIT)
        self._lately[place] += 1
        if self._lately[place] > CROWD or messages.is_gathering(self._conn, str(crowd.group), self._now):
            return crowd
        # What tells several things may tell of this object: that it works again never overtakes that it failed.
        waits = messages.is_in_line(self._conn, draft.channel, crowd.order_key, self._now)
        return replace(draft, order_key=crowd.order_key) if waits else draft

    def _message(self, draft: Draft, rule: NotificationRuleSpec, context: dict[str, Any], event: Event) -> NewMessage:
        template = rule.template.model_dump(mode="json", exclude_none=True)
        return NewMessage(
            id=draft.id,
            channel=draft.channel,
            pool=pool_of(self._catalog, draft.channel),
            rule=draft.rule,
            user=draft.user,
            order_key=draft.order_key,
            context=context,
            notices=(event.id,),
            created_at=self._now,
            template=template if {"subject", "body"} & template.keys() else None,
            group_key=draft.group,
            hold_until=draft.hold_until,
        )


def _record(tx: Connection, found: _Judged, now: datetime) -> int:
    """Write what was judged. Nothing, where another process has decided these notices meanwhile."""
    if notices.decided(tx) != found.before:
        return 0
    written = sum(_write(tx, message) for message in found.messages)
    tallies.put_all(tx, {key: Tally(memory.matched, memory.told) for key, memory in found.memories.items()})
    notices.advance(tx, found.upto)
    if found.upto // _TRIM_EVERY != found.before // _TRIM_EVERY:
        notices.trim(tx, KEEP, now - KEEP_FOR)
    return written


def _write(tx: Connection, message: NewMessage) -> bool:
    def grown(before: Mapping[str, Any], count: int) -> dict[str, Any]:
        return noticecontext.added(before, message.context, count)

    if message.group_key is not None and message.hold_until is not None and messages.gather(tx, message, grown):
        return True
    if message.order_key == rules.line_of(message.rule, message.user):
        messages.line_up(tx, message)
    return messages.write(tx, message)


def _channels(catalog: Catalog) -> Iterator[Channel]:
    for name in catalog.channels:
        yield Channel(name, pool_of(catalog, name), pinned(catalog, name).to_json(), catalog.commit)


__all__ = ["CROWD", "KEEP", "KEEP_FOR", "Notices"]
