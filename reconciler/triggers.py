"""Triggers: each event is decided once, and what it starts is enqueued in the transaction that says so."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection

from engine import payload, triggers
from engine.catalog import Catalog
from engine.identity import RunId, compact
from engine.judge import Refuse, held_back
from engine.schedules.windows import Windows
from engine.status.views import EventState
from engine.triggers import Fire, Happened, Ignore, Verdict
from journal import events, runs
from journal.errors import LeadershipLost, Refused, Unavailable
from journal.events import EventRow, NewEvent, Watch
from journal.store import Journal
from reconciler.launches import new_run
from reconciler.repository.differences import TooManyFiles
from reconciler.repository.objects import Objects

log = structlog.get_logger(__name__)

_PORTION = 50
_LONGEST = 0.25
"""Seconds after which a portion ends, how many events soever are left of it."""
IN_A_ROW = 20
"""So many commits set one trigger off, each while the run of the one before was open or right after it."""
Between = Callable[[], Awaitable[object]]
_BUG = "a bug of ours: the event is refused"


async def _nothing() -> None:
    return None


class Triggers:
    """Decides the events that the journal holds, under the definitions in force. `decide` may be called at any time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.turn = asyncio.Lock()
        """Held by who decides and by who puts definitions in force: a commit's own events are decided under it."""
        self._windows: tuple[Catalog, Windows] | None = None
        self.active: Catalog | None = None
        """The definitions in force."""

    @property
    def any(self) -> bool:
        """Whether there are triggers at all."""
        return self.active is not None and bool(self.active.triggers)

    def adopt(self, tx: Connection, catalog: Catalog, heard: Iterable[NewEvent], now: datetime) -> None:
        """In the transaction that puts a commit in force: whose ends are watched from now on, and its own events."""
        events.watch(tx, (Watch(*one) for one in triggers.watched(catalog)))
        events.rename(tx, catalog.renamed.get("Trigger", {}))
        events.forget(tx, catalog.triggers)
        for event in heard:
            events.happened(tx, event)

    async def decide(self, moment: Callable[[], datetime], *, between: Between = _nothing) -> int:
        """Decide what waits when this is called; gives the number of runs that were enqueued.

        `moment` is asked for each event, since a thousand of them take a while in which windows open and close.
        `between` is called after every portion: what else is due must not wait for all of them. What comes meanwhile
        is left for the next call: who sends without a pause must not keep a commit from coming into force.
        """
        started, left = 0, await self._journal.read(events.waiting)
        while left > 0:
            some, decided = await self.portion(moment)
            started, left = started + some, left - decided if decided else 0
            await between()
        return started

    async def portion(self, moment: Callable[[], datetime]) -> tuple[int, int]:
        """Decide some of what waits, for a quarter of a second; the runs enqueued, and the events decided."""
        started, decided, clock = 0, 0, asyncio.get_running_loop()
        async with self.turn:
            if (catalog := self.active) is None:
                return 0, 0
            found = await self._waiting(catalog)
            until = clock.time() + _LONGEST
            while decided < len(found) and (not decided or clock.time() < until):
                started += await self._decide_one(found[decided], catalog, moment())
                decided += 1
        return started, decided

    async def _waiting(self, catalog: Catalog) -> tuple[EventRow, ...]:
        """What came while a commit that renames its trigger came into force is known by the former name."""
        found = await self._journal.read(lambda conn: events.pending(conn, _PORTION))
        today = {event.trigger: catalog.name_now("Trigger", event.trigger) for event in found}
        former = {old: name for old, name in today.items() if old != name}
        if not former:
            return found
        await self._journal.write(lambda tx: events.rename(tx, former))
        return await self._journal.read(lambda conn: events.pending(conn, _PORTION))

    async def _decide_one(self, event: EventRow, catalog: Catalog, now: datetime) -> bool:
        happened = await self._happened(event, catalog)
        verdict = (
            happened if isinstance(happened, Refuse) else await asyncio.to_thread(self._judged, happened, catalog, now)
        )
        try:
            settled = await self._journal.write(lambda tx: _settle(tx, event, verdict, catalog, now))
        except (Unavailable, Refused, LeadershipLost):
            raise
        except Exception as error:
            log.exception(_BUG, trigger=event.trigger, key=event.key)
            verdict = _refused_for(error)
            settled = await self._journal.write(lambda tx: _settle(tx, event, verdict, catalog, now))
        if settled is None:
            return False
        facts = {"decision": settled.state, "reason": settled.reason, "run": settled.run, "commit": catalog.commit}
        log.info("event decided", trigger=event.trigger, key=event.key, **facts)
        return settled.state == "started"

    def _judged(self, happened: Happened, catalog: Catalog, now: datetime) -> Verdict:
        """An event that trips over a bug of ours is refused: it must not keep all later ones from being decided."""
        try:
            verdict = triggers.verdict(catalog, happened)
            return self._heeding(verdict, catalog, now) if isinstance(verdict, Fire) else verdict
        except Exception as error:
            log.exception(_BUG, trigger=happened.trigger, key=happened.key)
            return _refused_for(error)

    def _heeding(self, fire: Fire, catalog: Catalog, now: datetime) -> Verdict:
        """A trigger is no person: every window holds what it starts."""
        if self._windows is None or self._windows[0] is not catalog:
            self._windows = (catalog, Windows(catalog))
        match held_back(fire.launch, self._windows[1], catalog, now):
            case Refuse() as refused:
                return refused
            case launch:
                return replace(fire, launch=launch)

    async def _happened(self, event: EventRow, catalog: Catalog) -> Happened | Refuse:
        if event.kind == "run":
            run = RunId(event.key.removeprefix("run/"))
            view = await self._journal.read(lambda conn: runs.get(conn, run))
            if view is None:
                return Refuse("runGone", "the run that ended is not kept any more")
            data: Any = triggers.of_run(view, catalog)
            chain, naming = view.cause.triggers, view.naming
            return Happened(event.trigger, event.key, event.arrived_at, data, chain=chain, naming=naming)
        body = await self._journal.read(lambda conn: events.payload(conn, event.seq))
        try:
            data = await asyncio.to_thread(payload.read, body or b"null")
        except payload.NotJson as error:
            return Refuse("badPayload", str(error))
        return Happened(event.trigger, event.key, event.arrived_at, data, type=event.type)


def heard_of(before: Catalog | None, after: Catalog, objects: Objects, now: datetime) -> tuple[NewEvent, ...]:
    """The events of a commit that takes the place of another one, for each trigger that it sets off."""
    if before is None or before.commit == after.commit:
        return ()
    if not objects.has(before.commit):  # swept from the mirror after its history was rewritten
        log.warning("what the commit changes is not known: it sets no trigger off", commit=after.commit)
        return ()
    try:
        paths = objects.changed(before.commit, after.commit)
    except TooManyFiles as error:
        log.warning("the commit changes too much: it sets no trigger off", commit=after.commit, error=str(error))
        return ()
    key = f"commit/{after.commit}/{compact(now)}"
    return tuple(
        NewEvent(
            name,
            key,
            "definitions",
            now,
            payload=json.dumps(triggers.of_commit(after.commit, before.commit, asked)).encode(),
        )
        for name, asked in triggers.set_off(before, after, paths).items()
    )


def _refused_for(error: Exception) -> Refuse:
    return Refuse("error", f"a bug of ours: {type(error).__name__}; please send us the engine's log")


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of an event; `run` is what it started, or what another one like it had started."""

    state: EventState
    reason: str | None = None
    message: str | None = None
    run: RunId | None = None
    dedupe: str | None = None


def _settle(tx: Connection, event: EventRow, verdict: Verdict, catalog: Catalog, now: datetime) -> _Settled | None:
    """Do what was judged and record it. None, and nothing happens, where another process has done so meanwhile."""
    if not events.is_pending(tx, event.seq):
        return None
    match verdict:
        case Fire():
            settled = _started(tx, event, verdict, catalog, now)
        case Ignore(reason=reason, message=message):
            settled = _Settled("ignored", reason, message)
        case Refuse(reason=reason, message=message):
            settled = _Settled("refused", reason, message)
    told = {field.name: getattr(settled, field.name) for field in fields(settled) if field.name != "state"}
    events.settle(tx, event, settled.state, now, **told)
    return settled


def _started(tx: Connection, event: EventRow, fire: Fire, catalog: Catalog, now: datetime) -> _Settled:
    """Start the run, unless something that only the journal knows is in its way."""
    trigger = catalog.triggers[event.trigger]
    for old in catalog.former_names("Trigger", trigger.name):
        # The cause of a run is kept for ever, by the name that the trigger had then.
        if (known := runs.there(tx, replace(fire.launch.cause, name=old))) is not None:
            return _Settled("started", run=known.run, dedupe=fire.dedupe)
    dedupe = trigger.spec.dedupe
    if fire.dedupe is not None and dedupe is not None:
        other = events.same_before(tx, event, fire.dedupe, dedupe.window)
        if other is not None:
            message = "an event with the same key came within the window before"
            return _Settled("ignored", "duplicate", message, run=other)
    if event.kind == "definitions" and events.in_a_row(tx, event.trigger, event.arrived_at, IN_A_ROW) >= IN_A_ROW:
        message = (
            f"{IN_A_ROW} commits in a row came while the run of the one before was open, or right after it: if the job"
            " commits to the paths of its own trigger it would run for ever; the next commit that comes later starts it"
        )
        return _Settled("refused", "inARow", message)
    result = runs.enqueue(tx, new_run(fire.launch, catalog), now)
    if isinstance(result, runs.Overlap):
        return _Settled("refused", "overlap", f"run {result.blocking} of the same group is in its way")
    return _Settled("started", run=result.run, dedupe=fire.dedupe)
