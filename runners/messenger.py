"""The messenger of a runner: claims messages of its pools, and tries each until it is there, or dead.

It holds no message of its own: what it works on is in the journal, and when it dies another sends it again, under the
same id. How its channels do it knows for itself: a new messenger asks each anew.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, assert_never

import structlog
from sqlalchemy import Connection

from engine.expiry import has_expired
from engine.notifications.channels import LATEST_ONLY, OF_PROJECT, PinnedChannel
from engine.notifications.delivery import Circuit, pause
from journal import deadletters, deliveries, uses
from journal.clock import Clock
from journal.deliveries import LEASE, Claimed
from journal.errors import Refused, Unavailable
from journal.store import Journal
from runners.deliveries import Delivered, Delivery, Later, Message, Never
from runners.pool import Pools
from runners.repository import NoRepository, Repository
from runners.secrets import Secrets
from runners.sending import LONGEST, sent
from runners.wording import Wording, event_of, worded

log = structlog.get_logger(__name__)

T = TypeVar("T")

AT_ONCE = 16
"""Messages of one messenger that are under way."""
OF_A_CHANNEL = 4
"""Of them, by one channel."""
AT_MOST = 64
"""Under way with those that have taken longer than others may: a slow mail server is waited for, and keeps nobody's
place."""
_RENEWED_EVERY = LEASE.total_seconds() / 4
"""Seconds."""
_RENDERED_AT_ONCE = 2
_POLL = 5.0
"""Seconds after which the journal is asked even where nothing told us to."""
_TRIMMED_EVERY = timedelta(hours=1)
_BREATH = 0.05
"""Seconds between two looks, unless an attempt has ended meanwhile: then another message may leave."""
_ENOUGH = timedelta(hours=1)
_ENOUGH_TRIES = 20
"""So long a channel has failed for us, or so often a message, before its time may be over: nobody may have tried it
while the engine did not run, and a clock may be set forward by years."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a channel, as its document was then: a corrected one is asked anew."""

    pinned: Mapping[str, Any] | None
    circuit: Circuit
    since: float
    """When the first of its failures in a row was, by the clock that never jumps."""


class Messenger:
    """`run` works until `drain` has finished, or until it is cancelled: what was under way then is sent again."""

    def __init__(
        self,
        journal: Journal,
        *,
        name: str,
        pools: Pools | None,
        clock: Clock,
        secrets: Secrets,
        restricted: bool = False,
        may_claim: Callable[[], bool] = lambda: True,
        repository: Repository | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`name`, `pools`, `may_claim` and `repository` as of a Runner. `chance` gives numbers from 0 to 1."""
        self._journal = journal
        self._name = name
        self._pools = pools
        self._clock = clock
        self._secrets = secrets
        self._restricted = restricted
        self._may_claim = may_claim
        self._repository = repository or NoRepository()
        self._chance = chance
        self._known: dict[str, _Known] = {}
        self._trimmed: datetime | None = None
        self._active: dict[asyncio.Task[None], Claimed] = {}
        self._begun: dict[asyncio.Task[None], float] = {}
        """When each of them began, by the clock that never jumps."""
        self._rendering = asyncio.Semaphore(_RENDERED_AT_ONCE)
        self._news = asyncio.Event()
        self._freed = asyncio.Event()
        """Set when an attempt has ended since the last look."""
        self._draining = asyncio.Event()
        self._claiming = asyncio.Lock()

    def poke(self) -> None:
        """Look at once."""
        self._news.set()

    async def run(self) -> None:
        """Deliver what is due, as it becomes due. Raises Refused where the journal cannot be used."""
        watch = self._journal.watch(work=True)
        drained = asyncio.ensure_future(self._draining.wait())
        renewing = asyncio.create_task(self._renew())
        try:
            while not self._draining.is_set():
                self._news.clear()
                self._freed.clear()
                rest = await self._looked()
                changed = asyncio.ensure_future(watch.changed(rest))
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({changed, news, drained}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                news.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BREATH):
                        await self._freed.wait()
            while self._active:
                await asyncio.wait(tuple(self._active))
        finally:
            drained.cancel()
            renewing.cancel()
            watch.close()
            await self._stop()

    async def drain(self, grace: timedelta) -> None:
        """Claim nothing more; attempts have `grace` to end, and are given back then."""
        self._draining.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                async with self._claiming:  # what is being claimed is an attempt too
                    pass
                if self._active:
                    await asyncio.wait(tuple(self._active))
        left = tuple(self._active.values())
        await self._stop()
        for claimed in left:
            with contextlib.suppress(Unavailable):
                await self._journal.write(partial(deliveries.give_back, hold=claimed.hold))

    async def _stop(self) -> None:
        tasks = tuple(self._active)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _looked(self) -> float:
        """Claim what is due; gives how many seconds it may take until the next look."""
        try:
            async with self._claiming:
                await self._look()
            await self._trim()
            return await self._rest()
        except Unavailable as error:
            log.warning("messages wait", error=error.message)
            return min(_POLL, error.retry_after.total_seconds())

    async def _renew(self) -> None:
        """What is under way stays ours, however long it may take. Where the journal is away the lease decides."""
        while True:
            await asyncio.sleep(_RENEWED_EVERY)
            if holds := [claimed.hold for claimed in self._active.values()]:
                with contextlib.suppress(Unavailable, Refused):
                    await self._journal.write(partial(deliveries.renew, holds=holds))

    async def _trim(self) -> None:
        now = self._clock.now()
        if self._trimmed is None or now - self._trimmed >= _TRIMMED_EVERY:
            await self._journal.write(lambda tx: deadletters.trim(tx, now))
            self._trimmed = now

    async def _look(self) -> None:
        pools = self._pools() if self._pools is not None else None
        await self._ask_anew()
        now, free = self._clock.now(), self._free()
        room = self._room()
        if free <= 0 or not self._may_claim():
            return
        shut = [name for name, left in room.items() if left <= 0]
        found = await self._journal.read(
            lambda conn: (
                deliveries.claimable(conn, pools, shut, now),
                deliveries.lost(conn),
            )
        )
        if any(found):
            for claimed in await self._journal.write(lambda tx: self._claimed(tx, pools, room, free)):
                task = asyncio.create_task(self._attempt(claimed), name=f"message {claimed.id}")
                self._active[task], self._begun[task] = claimed, self._clock.monotonic()
                task.add_done_callback(self._ended)

    def _free(self) -> int:
        """How many more may be under way."""
        since = self._clock.monotonic() - LONGEST
        return min(AT_ONCE - sum(begun >= since for begun in self._begun.values()), AT_MOST - len(self._active))

    def _claimed(
        self, tx: Connection, pools: frozenset[str] | None, room: Mapping[str, int], free: int
    ) -> tuple[Claimed, ...]:
        deliveries.reclaim(tx)
        return deliveries.claim(tx, self._name, pools, room, free, self._clock.now(), each=OF_A_CHANNEL)

    def _room(self) -> dict[str, int]:
        now = self._clock.now()
        under_way = Counter(claimed.channel for claimed in self._active.values())
        names = {*under_way, *self._known}
        return {name: self._circuit(name).room(now, under_way[name], OF_A_CHANNEL) for name in names}

    def _circuit(self, name: str) -> Circuit:
        return self._known[name].circuit if name in self._known else Circuit()

    async def _ask_anew(self) -> None:
        """Forget how those channels did whose documents have changed; what waits for them need not wait any longer."""
        if not self._known:
            return
        names = sorted(self._known)
        pinned = await self._journal.read(lambda conn: deliveries.pinned(conn, names))
        # an attempt that succeeded meanwhile has made one forgotten
        changed = [name for name in names if name in self._known and pinned.get(name) != self._known[name].pinned]
        if changed:
            await self._journal.write(lambda tx: deliveries.hasten(tx, changed))
            for name in changed:
                self._known.pop(name, None)

    async def _rest(self) -> float:
        now = self._clock.now()
        due = await self._journal.read(lambda conn: deliveries.next_due(conn, now))
        waits = [due, *(known.circuit.until for known in self._known.values())]
        seconds = [(at - now).total_seconds() for at in waits if at is not None and at > now]
        return max(min([_POLL, *seconds]), _BREATH)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._active[task], self._begun[task]
        self._freed.set()
        self._news.set()

    # --- one attempt -----------------------------------------------------------------------------------------------

    async def _attempt(self, claimed: Claimed) -> None:
        used: set[str] = set()
        try:
            delivery = await self._delivery(claimed, used)
            if delivery is not None:
                await self._record(claimed, delivery, used)
        except Refused as error:
            log.error("a message is left as it is", id=claimed.id, error=error.message)
        except Exception as error:  # a bug of ours loses no message, and ends no messenger
            log.exception("a bug of ours: a message waits", id=claimed.id)
            await self._record(claimed, Later(f"a bug of ours: {type(error).__name__}", fate="unknown"), used)

    async def _delivery(self, claimed: Claimed, used: set[str]) -> Delivery | None:
        """What became of it; None where another has it meanwhile."""
        if claimed.pinned is None or claimed.commit is None:
            return Never(_gone(claimed.channel))
        pinned = PinnedChannel.of_json(claimed.pinned)
        wording = await self._wording(claimed, str(pinned.spec["type"]))
        if wording is None:
            return None
        event = event_of(claimed.context, claimed.rule, claimed.user)
        message = Message(claimed.id, wording.subject, wording.text, wording.format, event, claimed.reached)
        read = partial(self._repository.read, claimed.commit)
        delivery = await sent(message, pinned, self._secrets, read, restricted=self._restricted, used=used.add)
        for name in sorted(used):
            if has_expired(pinned.credentials[name], self._clock.now()):
                log.warning("an expired credential is used", credential=name, channel=claimed.channel)
        return delivery

    async def _wording(self, claimed: Claimed, channel: str) -> Wording | None:
        """The words: those of the first attempt, kept before they are sent. None where another has the message."""
        if claimed.text is not None:
            return Wording(claimed.subject or "", claimed.text, claimed.format or "text")  # type: ignore[arg-type]
        async with self._rendering:
            made = await worded(claimed.context, claimed.template, channel)
        kept = await self._written(
            lambda tx: deliveries.rendered(tx, claimed.hold, made.subject, made.text, made.format)
        )
        return made if kept else None

    async def _record(self, claimed: Claimed, delivery: Delivery, used: Collection[str]) -> None:
        now, name, told = self._clock.now(), claimed.channel, _about(claimed)
        by = "Project" if name in OF_PROJECT else f"NotificationChannel/{name}"

        def noting(change: Callable[[Connection], T]) -> Callable[[Connection], T]:
            def both(tx: Connection) -> T:
                # with what came of it: a commit of their own would cost as much again
                uses.note_steady(tx, by, sorted(used), self._name, now)
                return change(tx)

            return both

        match delivery:
            case Delivered():
                self._known.pop(name, None)
                log.info("message delivered", **told)
                await self._written(noting(lambda tx: deliveries.delivered(tx, claimed.hold, name, now)))
            case Never(error=error, reached=reached):
                if reached - claimed.reached:  # it took it for others, so it works
                    self._known.pop(name, None)
                log.warning("message not delivered", **told, error=error)
                await self._written(noting(lambda tx: _never(tx, claimed, error, now, reached)))
            case Later(error=error, after=after, reached=reached):
                next_at = now + pause(claimed.attempts, self._chance(), after)
                since, away = self._noted(claimed, after, now, works=bool(reached - claimed.reached))
                log.warning("message not delivered yet", **told, error=error, next=str(next_at))
                failure = _Failure(error, now, next_at, self._clock.monotonic() - since, reached)
                await self._written(noting(lambda tx: _failed(tx, claimed, failure, away=away)))
            case _:
                assert_never(delivery)

    def _noted(self, claimed: Claimed, after: timedelta | None, now: datetime, *, works: bool) -> tuple[float, bool]:
        """Note how the channel did: since when it fails, by the clock that never jumps, and whether it is left alone.

        One that took the message for some of its recipients works, and one that is asked again for the others says
        nothing of itself: a mailbox that is full holds up nobody else.
        """
        name, since = claimed.channel, self._since(claimed.channel)
        if works:
            self._known.pop(name, None)
        if works or claimed.reached:
            return since, False
        circuit = self._circuit(name).failed(now, self._chance(), after)
        self._known[name] = _Known(claimed.pinned, circuit, since)
        return since, circuit.until is not None

    def _since(self, channel: str) -> float:
        return self._known[channel].since if channel in self._known else self._clock.monotonic()

    async def _written(self, change: Callable[[Connection], T]) -> T:
        """Outlast a journal that is away for a while; after that the lease decides."""
        while True:
            try:
                return await self._journal.write(change)
            except Unavailable as error:
                log.warning("journal cannot be written", error=error.message)
                await asyncio.sleep(error.retry_after.total_seconds())


def _about(claimed: Claimed) -> dict[str, str]:
    """What a line of the log names of a message: what it tells of, where that is one thing."""
    event, run = claimed.context.get("event") or {}, claimed.context.get("run") or {}
    facts = {"event_type": event.get("type"), "run": run.get("id"), "job": run.get("job"), "commit": run.get("commit")}
    if event.get("kind") == "Target":
        facts["target"] = event.get("name")
    found = {"id": claimed.id, "channel": claimed.channel, "rule": claimed.rule, "attempt": str(claimed.attempts)}
    return found | {name: str(value) for name, value in facts.items() if value}


def _gone(channel: str) -> str:
    if channel in OF_PROJECT:
        return "the Project has no 'commitStatus' any more"
    return f"there is no NotificationChannel '{channel}' any more"


def _never(tx: Connection, claimed: Claimed, error: str, now: datetime, reached: Collection[str]) -> None:
    if claimed.channel not in LATEST_ONLY or not deliveries.outdated(tx, claimed):
        deliveries.dead(tx, claimed, error, now, reached=reached)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt in vain. `lasting` are the seconds for which the channel has failed us."""

    error: str
    at: datetime
    next_at: datetime
    lasting: float
    reached: Collection[str] = ()


def _failed(tx: Connection, claimed: Claimed, failure: _Failure, *, away: bool) -> None:
    briefly = failure.lasting < _ENOUGH.total_seconds()
    if claimed.channel not in LATEST_ONLY or not deliveries.outdated(tx, claimed):
        spare = briefly and claimed.attempts < _ENOUGH_TRIES
        deliveries.later(tx, claimed, failure.error, failure.at, failure.next_at, spare=spare, reached=failure.reached)
    if away:
        deliveries.away(tx, claimed.channel, failure.error, failure.at, spare=briefly)
