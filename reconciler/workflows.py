"""Leads workflows' runs: what `engine.workflows` decides is written, one transaction a decision, until it waits."""

import asyncio
from datetime import datetime

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.identity import Cause, RunId
from engine.runs.concurrency import renamed_groups
from engine.runs.pinned import PinnedSpec
from engine.schedules.standing import is_requested, opens
from engine.schedules.windows import Windows, subjects_of
from engine.workflows import gates
from engine.workflows.graphfacts import Facts, OpenGate
from engine.workflows.moves import Ask
from engine.workflows.workflow import wakes_at
from engine.workflows.workflowplan import PinnedWorkflow
from journal import workflows
from journal.errors import LeadershipLost, Refused, Unavailable
from journal.store import Journal

log = structlog.get_logger(__name__)


class Workflows:
    """One per engine; `lead` may be called by several tasks, and as often as one likes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.next_wake: datetime | None = None
        """When `lead` has something to do that no commit of the journal announces."""
        self.turn = asyncio.Lock()
        """Held while runs are led, and by whoever puts other definitions in force: a node that begins in between would
        get names that are former ones by then, which nobody follows any more."""
        self._seen: int | None = None
        self._due: set[RunId] = set()
        """Those that are to be led: something of them has changed."""
        self._wakes: dict[RunId, datetime | None] = {}
        """When each of those that were led goes on by itself."""
        self.heeded: tuple[Catalog, Windows] | None = None
        """The windows in force, and the definitions that they belong to."""
        self._today: tuple[Catalog | None, dict[int | None, workflows.Today]] = (None, {})
        """The names of today, by the generation of names that plans are written in, and the definitions they are of."""

    async def lead(self, now: datetime) -> None:
        """Take every workflow's run as far as it goes by itself. One of which nothing has changed is not looked at."""
        async with self.turn:
            await self._lead(now)

    async def _lead(self, now: datetime) -> None:
        seen = self._seen
        found = await self._journal.read(lambda conn: workflows.led(conn, seen))
        self._seen = found.seen
        self._due |= found.touched
        for run in found.runs:
            wake = self._wakes.get(run)
            if run in self._due or run not in self._wakes or (wake is not None and wake <= now):
                await self._lead_due(run, now)
        for gone in self._wakes.keys() - set(found.runs):
            del self._wakes[gone]
        self._due &= set(found.runs)
        self.next_wake = min((wake for wake in self._wakes.values() if wake is not None), default=None)

    async def _lead_due(self, run: RunId, now: datetime) -> None:
        self._due.discard(run)  # before it is looked at: what changes meanwhile is looked at again
        try:
            self._wakes[run] = await self._lead_one(run, now)
        except BaseException:
            self._due.add(run)
            raise

    def _step(self, tx: Connection, run: RunId, now: datetime) -> bool:
        gate, starts = _opened(now), _starts(self.heeded, now)
        return workflows.step(tx, run, now, gate=gate, starts=starts, names=self._names)

    def _names(self, naming: int | None) -> workflows.Today:
        if self.heeded is None:
            return workflows.Today()
        catalog = self.heeded[0]
        if self._today[0] is not catalog:
            self._today = (catalog, {})
        known = self._today[1]
        if naming not in known:
            known[naming] = workflows.Today(catalog.names_then("Job", naming), renamed_groups(catalog, naming))
        return known[naming]

    async def _lead_one(self, run: RunId, now: datetime) -> datetime | None:
        try:
            while await self._journal.read(lambda conn: workflows.has_news(conn, run, now)):
                if not await self._journal.write(lambda tx: self._step(tx, run, now)):
                    break
            found = await self._journal.read(lambda conn: workflows.known(conn, run, now))
            return wakes_at(*found) if found is not None else None
        except (Unavailable, Refused, LeadershipLost):
            raise
        except Exception as error:  # one run must not keep the others from going on
            log.exception("a bug of ours: a workflow cannot go on", run=run)
            reason = f"an error of ours: {type(error).__name__}"
            await self._journal.write(lambda tx: workflows.give_up(tx, run, reason, now))
            return None


def _starts(heeded: tuple[Catalog, Windows] | None, now: datetime) -> workflows.StartOf:
    def starts(plan: PinnedSpec, cause: Cause, naming: int | None) -> datetime | None:
        if heeded is None or not heeded[0].windows:
            return None
        catalog, windows = heeded
        subjects = subjects_of(plan, catalog, requested=is_requested(cause), naming=naming)
        return opens(windows.of_all(subjects), now)

    return starts


def _opened(now: datetime) -> workflows.OpenGateOf:
    def gate(plan: PinnedWorkflow, facts: Facts, ask: Ask) -> OpenGate:
        return gates.opened(plan, facts, ask, now)

    return gate
