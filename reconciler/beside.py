"""What goes on beside the passes: workflows, triggers, and what is due soon. Each part runs until it is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from journal.clock import Clock
from journal.errors import Unavailable
from journal.store import Journal
from reconciler.discovery.proposals import Proposals
from reconciler.notices import Notices
from reconciler.schedules import Schedules
from reconciler.triggers import Triggers
from reconciler.workflows import Workflows

log = structlog.get_logger(__name__)

_BREATH = 0.2
"""Seconds."""
Moment = Callable[[], datetime]
"""Now, as a time up to which may be decided; raises Unavailable."""


async def lead_workflows(workflows: Workflows, journal: Journal, clock: Clock, moment: Moment) -> None:
    """Where a run has ended, or somebody has said yes, the next node need not wait for a pass."""
    watch = journal.watch(objects=True)
    while True:
        wake = workflows.next_wake
        wait = None if wake is None else max((wake - clock.now()).total_seconds(), 0.05)
        await watch.changed(timeout=wait)
        await _outlasting("workflows wait", workflows.lead, moment)


async def hear_events(triggers: Triggers, journal: Journal, moment: Moment) -> None:
    """Where a run has ended, or a webhook has come, its triggers need not wait for a pass."""
    watch = journal.watch(objects=True)
    while True:
        await watch.changed()
        while triggers.any and not await _outlasting("triggers wait", lambda _: triggers.decide(moment), moment):
            pass


async def tell(notices: Notices, journal: Journal, moment: Moment) -> None:
    """Where something has happened, whoever is to be told need not wait for a pass; what comes together is one look."""
    watch = journal.watch(objects=True)
    while True:
        await watch.changed()
        if notices.any:
            await _outlasting("notifications wait", notices.decide, moment)
            await asyncio.sleep(_BREATH)


async def propose(proposals: Proposals, journal: Journal, moment: Moment) -> None:
    """Where a scan has ended, what it found is proposed; git may be slow, and nobody waits for it here."""
    watch = journal.watch(objects=True)
    while True:
        await _outlasting("proposals wait", proposals.work, moment)
        await watch.changed()


async def work_ahead(schedules: Schedules, clock: Clock) -> None:
    """What is due soon is worked out in small portions while there is time."""
    while True:
        pause = schedules.work_ahead(clock.now())
        await asyncio.sleep(pause)


async def _outlasting(waiting: str, do: Callable[[datetime], Awaitable[object]], moment: Moment) -> bool:
    """Whether it was done; else the time has passed after which it may be tried again."""
    try:
        await do(moment())
        return True
    except Unavailable as error:
        log.warning(waiting, error=str(error), seconds=error.retry_after.total_seconds())
        await asyncio.sleep(error.retry_after.total_seconds())
        return False
