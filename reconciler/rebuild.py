"""Taking in the status branch: into a new store, or after another engine wrote it (CONTRACT 4, "Rebuilding").

What the branch cannot prove is said: unknown runs, instants and requests that are storeLost.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from engine import readback, readmodel
from engine.identity import RunId
from engine.views import EngineView, RunView, ScheduleView
from journal import acts, facts, runs, schedules
from journal.store import Journal
from reconciler.publish import Publisher

log = structlog.get_logger(__name__)

_HEAD = re.compile(r"/[^/]+-\d{8}T\d{6}Z-[0-9a-f]{10}\.yaml$")
REBUILT = "rebuilt"
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was taken in. `lost`: the engine before had not drained, so what it did last may be missing."""

    runs: int
    requests: int
    schedules: int
    lost: bool


async def needed(journal: Journal) -> bool:
    """Whether this store has never been filled: neither by work nor from a branch."""
    return await journal.read(lambda conn: facts.get(conn, REBUILT) is None)


async def from_branch(
    journal: Journal, publisher: Publisher, *, before: EngineView | None, present: frozenset[str], now: datetime
) -> Rebuilt:
    """Fill a new store, or take in what another engine did. One transaction: after a crash it is done again.

    `before` is the claim that stood on the branch before ours. After a drained stop every schedule goes on from then.
    Else instants between its published mark and now are storeLost, open runs are unknown, and those of the requests
    `present` now that the branch has no answer to are remembered as lost, so that the loop refuses them.
    """
    runs_found = list(_runs(publisher))
    clocks = _each(publisher, "schedules", readback.parse_schedule_status)
    answers = _each(publisher, "requests", readback.parse_request_status)
    days = _each(publisher, "decisions", readback.parse_decisions)
    sync = _read(publisher, readmodel.SYNC, readback.parse_sync_file)
    closed = before.closed if before else None
    drained = before is None or closed is not None

    def change(tx: Connection) -> None:
        for view in sorted(runs_found, key=lambda view: view.queued_at):
            runs.import_run(tx, view, now)
        for skips in days:
            schedules.import_skips(tx, skips, now)
        for clock in clocks:
            _import_clock(tx, clock, closed, None if drained else now)
        for answer in answers:
            acts.settle(
                tx,
                answer.name,
                state=answer.state,
                reason=answer.reason,
                message=answer.message,
                action=answer.action,
                requested_by=answer.requested_by,
                run=RunId(answer.run) if answer.run else None,
                now=answer.at or now,
            )
        if sync and sync.last_good and facts.get(tx, "accepted") is None:
            facts.put(tx, "accepted", {"applied": sync.last_good, "trusted": sync.last_good})
        unanswered = present - {answer.name for answer in answers} - set(acts.seen(tx, present))
        before = facts.get(tx, REBUILT, {}).get("lostRequests", [])
        lost = sorted({*before, *(() if drained else unanswered)})
        facts.put(tx, REBUILT, {"at": now.isoformat(), "lostRequests": lost})

    await journal.write(change)
    done = Rebuilt(len(runs_found), len(answers), len(clocks), lost=not drained)
    if sync is not None and sync.observed is not None:
        log.warning("the store was new: filled from the status branch", runs=done.runs, requests=done.requests)
    return done


def _import_clock(tx: Connection, view: ScheduleView, closed: datetime | None, lost_until: datetime | None) -> None:
    mark = readmodel.considered_until(view)
    if closed is not None:
        # Everything up to the drained stop was decided, whether or not anything was due.
        mark = max(mark, closed)
    own = schedules.clocks(tx).get(view.name)
    if own is not None and own.considered_until >= mark:
        return
    schedules.put_clock(
        tx,
        view.name,
        fingerprint=view.fingerprint,
        considered_from=view.considered_from,
        considered_until=mark,
        lost_until=lost_until,
    )
    if view.last is not None:
        schedules.import_last(tx, view.last, view.last.instant)


def _runs(publisher: Publisher) -> Iterator[RunView]:
    for path in publisher.list("runs"):
        if not _HEAD.search(path) or (text := publisher.read(path)) is None:
            continue
        stem = path.removesuffix(".yaml")
        try:
            slices = [publisher.read(f"{stem}.{n}.yaml") or b"" for n in range(1, readback.slices_of(text) + 1)]
            yield readback.parse_run_file(text, slices)
        except readback.Unreadable as error:
            log.warning("a run file on the status branch cannot be read", path=path, error=str(error))


def _each(publisher: Publisher, folder: str, parse: Callable[[bytes], V]) -> list[V]:
    found = (_read(publisher, path, parse) for path in publisher.list(folder))
    return [value for value in found if value is not None]


def _read(publisher: Publisher, path: str, parse: Callable[[bytes], V]) -> V | None:
    text = publisher.read(path)
    if text is None:
        return None
    try:
        return parse(text)
    except readback.Unreadable as error:
        log.warning("a file on the status branch cannot be read", path=path, error=str(error))
        return None
