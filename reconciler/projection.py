"""From the journal to the status branch: what the outbox names is read, drawn and committed; then the cursor moves.

Doing it again is harmless: the same facts draw the same files, and the same files make no commit.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog
from sqlalchemy import Connection

from engine import readmodel, statuspage
from engine.identity import RunId
from engine.views import JobView, OverviewView, RequestView, ScheduleView, SyncView, TargetStatusView
from journal import acts, history, outbox, runs, schedules
from journal.store import Journal
from reconciler.publish import BranchGone, Publisher

log = structlog.get_logger(__name__)

CONSUMER = "status"
SYNC_KEY = "sync"
_MOST = 20_000
_STAMP = re.compile(r"-(\d{8}T\d{6}Z)-[0-9a-f]{10}$")

Writes = dict[str, bytes | None]
Schedule = Callable[[str, schedules.ClockRow], ScheduleView | None]
"""Completes a stored clock with what the definitions say of the schedule; None where it is not defined any more."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The files to write, how far the outbox is dealt with, and a line for the commit."""

    writes: Writes
    last_seq: int
    message: str


class Projection:
    """Publishes batches of changes; one per status branch."""

    def __init__(
        self, journal: Journal, publisher: Publisher, *, schedule: Schedule, sync: Callable[[], SyncView]
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._schedule = schedule
        self._sync = sync
        self._jobs: dict[str, JobView] | None = None
        self._targets: dict[str, TargetStatusView] = {}

    async def publish(self) -> bool:
        """Publish what has changed since the last time; False where nothing had. Raises what the publisher raises,
        apart from BranchGone: then everything is written again."""
        batch = await self._journal.read(lambda conn: outbox.pending(conn, CONSUMER, _MOST))
        if not batch.objects:
            return False
        drawn = await self._journal.read(lambda conn: self._draw(conn, batch))
        try:
            await self._publisher.publish(drawn.writes, drawn.message)
        except BranchGone:
            log.warning("the status branch was deleted; it is written again from the store")
            await self.rewrite()
            return True
        await self._journal.write(lambda tx: self._dealt_with(tx, drawn.last_seq))
        return True

    async def rewrite(self) -> None:
        """Write every file from the store onto a branch that is gone or new."""

        def everything(tx: Connection) -> None:
            outbox.add_all(tx, tuple(_everything(tx)))

        await self._journal.write(everything)
        batch = await self._journal.read(lambda conn: outbox.pending(conn, CONSUMER, _MOST * 50))
        drawn = await self._journal.read(lambda conn: self._draw(conn, batch))
        await self._publisher.publish(drawn.writes, "status: everything, from the store")
        await self._journal.write(lambda tx: self._dealt_with(tx, drawn.last_seq))

    def _dealt_with(self, tx: Connection, seq: int) -> None:
        outbox.advance(tx, CONSUMER, seq)
        outbox.trim(tx)

    def _draw(self, conn: Connection, batch: outbox.Batch) -> Drawn:
        by_topic: dict[str, list[str]] = {}
        for topic, key in batch.objects:
            by_topic.setdefault(topic, []).append(key)
        writes: Writes = {}
        writes |= self._runs(conn, by_topic.get("run", ()))
        writes |= _days(conn, by_topic.get("decision", ()))
        jobs, targets = self._known(conn, by_topic)
        for name in by_topic.get("job", ()):
            writes |= _file(readmodel.job_path(name), readmodel.job_status(jobs[name]))
        for name in by_topic.get("target", ()):
            writes |= _file(readmodel.target_path(name), readmodel.target_status(targets[name]))
        for name, row in acts.seen(conn, by_topic.get("request", ())).items():
            writes |= _file(readmodel.request_path(name), readmodel.request_status(_request(row)))
        clocks = schedules.clocks(conn)
        for name in by_topic.get("schedule", ()):
            view = self._schedule(name, clocks[name]) if name in clocks else None
            writes |= _file(readmodel.schedule_path(name), readmodel.schedule_status(view) if view else None)
        writes |= _file(readmodel.SYNC, readmodel.sync_file(self._sync()))
        writes[readmodel.README] = statuspage.page(self._overview(conn, clocks)).encode()
        return Drawn(writes, batch.last_seq, _message(by_topic))

    def _runs(self, conn: Connection, names: Iterable[str]) -> Writes:
        wanted = [RunId(name) for name in names]
        found = runs.get_all(conn, wanted)
        writes: Writes = {}
        for name in wanted:
            if name in found:
                writes |= {path: text.encode() for path, text in readmodel.run_files(found[name]).items()}
            elif stamp := _STAMP.search(name):
                writes |= self._removed(name, datetime.strptime(stamp[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
        return writes

    def _removed(self, run: RunId, instant: datetime) -> Writes:
        """The files of a run that retention took: the run file and its slices."""
        whole = readmodel.run_path(run, instant)
        folder, _, stem = whole.removesuffix(".yaml").rpartition("/")
        return {path: None for path in self._publisher.list(folder) if path.startswith(f"{folder}/{stem}.")}

    def _known(
        self, conn: Connection, by_topic: Mapping[str, list[str]]
    ) -> tuple[dict[str, JobView], dict[str, TargetStatusView]]:
        """Every job and target, of which only those that changed are read again."""
        if self._jobs is None:
            self._jobs = {name: history.job(conn, name) for name in history.jobs(conn)}
            self._targets = {name: history.target(conn, name) for name in history.targets(conn)}
        self._jobs |= {name: history.job(conn, name) for name in by_topic.get("job", ())}
        self._targets |= {name: history.target(conn, name) for name in by_topic.get("target", ())}
        return self._jobs, self._targets

    def _overview(self, conn: Connection, clocks: Mapping[str, schedules.ClockRow]) -> OverviewView:
        views = (self._schedule(name, clock) for name, clock in clocks.items())
        return OverviewView(
            sync=self._sync(),
            jobs=tuple(view for _, view in sorted((self._jobs or {}).items())),
            open=(*history.running(conn), *history.waiting(conn)),
            recent=history.ended(conn, limit=20),
            schedules=tuple(view for view in views if view is not None),
            targets=tuple(view for _, view in sorted(self._targets.items())),
        )


def _file(path: str, document: Mapping[str, object] | None) -> Writes:
    return {path: readmodel.to_yaml(document).encode() if document is not None else None}


def _request(row: acts.ActRow) -> RequestView:
    return RequestView(
        row.name,
        row.state,
        reason=row.reason,
        run=row.run,
        at=row.settled_at,
        message=row.message,
        action=row.action,
        requested_by=row.requested_by,
    )


def _days(conn: Connection, keys: Iterable[str]) -> Writes:
    writes: Writes = {}
    for key in keys:
        day = date.fromisoformat(key)
        files = readmodel.decision_files(day, schedules.day(conn, day))
        writes |= {path: text.encode() for path, text in files.items()}
    return writes


def _everything(conn: Connection) -> Iterable[tuple[str, str]]:
    yield from (("run", brief.id) for brief in history.briefs(conn, limit=1_000_000))
    yield from (("job", name) for name in history.jobs(conn))
    yield from (("target", name) for name in history.targets(conn))
    yield from (("schedule", name) for name in schedules.clocks(conn))
    yield from (("request", row.name) for row in acts.recent(conn, limit=1_000_000))
    yield from (("decision", day.isoformat()) for day in schedules.days(conn))
    yield ("sync", SYNC_KEY)


def _message(by_topic: Mapping[str, list[str]]) -> str:
    """What people see in `git log`: the run where it is one, else how many."""
    names = by_topic.get("run", [])
    if len(names) == 1:
        return f"status: {names[0]}"
    if names:
        return f"status: {len(names)} runs"
    return f"status: {', '.join(sorted(by_topic))}"
