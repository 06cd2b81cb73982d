"""From the journal to the status branch: what the outbox names is read, drawn and committed; then the cursor moves.

Doing it again is harmless: the same facts draw the same files, and the same files make no commit.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog
from sqlalchemy import Connection

from engine.identity import RunId
from engine.status import readmodel, statuspage
from engine.status.views import (
    EventView,
    JobView,
    OverviewView,
    RequestView,
    ScheduleView,
    SyncView,
    TargetStatusView,
    TriggerView,
)
from journal import acts, census, discoveries, events, facts, graphs, history, letters, outbox, runs, schedules
from journal.databases.portions import portions
from journal.store import Journal
from reconciler.publication.publish import BranchGone, Publisher

log = structlog.get_logger(__name__)

CONSUMER = "status"
AGAIN = "status.again"
"""Reads the outbox a second time where everything is drawn anew, so that what is new need not wait for what is old."""

SYNC_KEY = "sync"
_UNTIL = "status.again"
"""The fact that says how far AGAIN has to go; null where nothing is drawn anew."""

_DRAWN_ON = "status.branch"
"""The fact that names the branch which the two cursors are about."""

_ENTRIES = 20_000
# What bounds the memory, and the size of a commit: a portion is at most so much of each cursor, but for one huge run.
_OBJECTS = 4_000
_STEPS = 10_000
_STAMP = re.compile(r"-(\d{8}T\d{6}Z)-[0-9a-f]{10}$")

Writes = dict[str, bytes | None]
Schedule = Callable[[str, schedules.ClockRow], ScheduleView | None]
"""Completes a stored clock with what the definitions say of the schedule; None where it is not defined any more."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The files to write, and a line for the commit."""

    writes: Writes
    message: str


@dataclass(frozen=True, slots=True)
class _Portion:
    """What is drawn next: of what has changed (`news`), and of everything where it is drawn anew (`again`)."""

    news: outbox.Batch
    again: outbox.Batch | None
    until: int | None
    more: bool

    @property
    def objects(self) -> tuple[tuple[str, str], ...]:
        again = self.again.objects if self.again else ()
        return tuple(dict.fromkeys((*self.news.objects, *again)))


def drawn_on(conn: Connection) -> str | None:
    """The full name of the branch that this store was published on last; None before the first time."""
    found = facts.get(conn, _DRAWN_ON)
    return found if isinstance(found, str) else None


class Projection:
    """Publishes what has changed, a portion at a time; one per status branch. Its calls take turns."""

    def __init__(
        self, journal: Journal, publisher: Publisher, *, schedule: Schedule, sync: Callable[[], SyncView]
    ) -> None:
        self._journal = journal
        self._publisher = publisher
        self._schedule = schedule
        self._sync = sync
        self._jobs: dict[str, JobView] | None = None
        self._workflows: dict[str, JobView] = {}
        self._targets: dict[str, TargetStatusView] = {}
        self._begun = False
        self._gone = False
        self.more = False
        """Whether `publish` left something for its next call."""

    async def begin(self) -> None:
        """Called once the branch is claimed, or by the first `publish`. Where the branch lacks what the store has,
        everything is to be drawn: it is new, was deleted, or is not the one that was drawn on last."""
        before = await self._journal.read(drawn_on)
        # A claim writes no page: an engine may have been killed between its claim and the first portion.
        if before != self._publisher.ref or self._publisher.read(readmodel.README) is None:
            await self.redraw()
        self._begun = True

    async def redraw(self) -> None:
        """Have everything drawn anew: the branch is gone or new. The next calls of `publish` do it."""
        self._gone = True  # should the store be away just now, `publish` must not begin a branch that lacks the rest
        await self._journal.write(self._again)
        self._begun, self._gone = True, False

    async def rewrite(self) -> None:
        """Draw everything anew, and publish it all."""
        await self.redraw()
        while await self.publish():
            pass

    async def publish(self) -> bool:
        """Publish a portion of what has changed since the last time; False where nothing had. Raises what the publisher
        raises, apart from BranchGone: then everything is drawn anew."""
        if self._gone:
            await self.redraw()
        elif not self._begun:
            await self.begin()
        portion = await self._journal.read(_portion)
        if not portion.objects:
            self.more = False
            return False
        drawn = await self._journal.read(lambda conn: self._draw(conn, portion.objects))
        try:
            await self._publisher.publish(drawn.writes, drawn.message)
        except BranchGone:
            log.warning("the status branch was deleted; it is written again from the store")
            await self.redraw()
            return await self.publish()
        await self._journal.write(lambda tx: _dealt_with(tx, portion))
        self.more = portion.more
        return True

    def _again(self, tx: Connection) -> None:
        outbox.advance(tx, AGAIN, outbox.position(tx, CONSUMER))
        census.announce(tx)
        outbox.add(tx, "sync", SYNC_KEY)
        until = outbox.last(tx)
        outbox.advance(tx, CONSUMER, until)
        facts.put(tx, _UNTIL, until)
        facts.put(tx, _DRAWN_ON, self._publisher.ref)

    def _draw(self, conn: Connection, objects: Iterable[tuple[str, str]]) -> Drawn:
        by_topic: dict[str, list[str]] = {}
        for topic, key in objects:
            by_topic.setdefault(topic, []).append(key)
        writes: Writes = {}
        writes |= self._runs(conn, by_topic.get("run", ()))
        writes |= _days(conn, by_topic.get("decision", ()))
        jobs, targets = self._known(conn, by_topic)
        for name in by_topic.get("workflow", ()):
            led = self._workflows.get(name)
            writes |= _file(readmodel.workflow_path(name), readmodel.workflow_status(led) if led else None)
        for digest in by_topic.get("gate", ()):
            gate = graphs.open_gate(conn, digest)
            shown = None if gate is None else readmodel.gate_file(gate, advisory=not self._sync().signed)
            writes |= _file(readmodel.gate_path(digest), shown)
        for name in by_topic.get("job", ()):
            past = jobs.get(name)
            writes |= _file(readmodel.job_path(name), readmodel.job_status(past) if past else None)
        for name in by_topic.get("target", ()):
            writes |= _file(readmodel.target_path(name), readmodel.target_status(targets[name]))
        for name, row in acts.seen(conn, by_topic.get("request", ())).items():
            writes |= _file(readmodel.request_path(name), readmodel.request_status(_request(row)))
        for name in by_topic.get("trigger", ()):
            writes |= _file(readmodel.trigger_path(name), _trigger(conn, name))
        for name in by_topic.get("channel", ()):
            seen = letters.view(conn, name)
            writes |= _file(readmodel.channel_path(name), None if seen is None else readmodel.channel_status(seen))
        for name in by_topic.get(discoveries.TOPIC, ()):
            last = discoveries.get(conn, name)
            report = None if last is None else last.report
            if last is None or report is not None:  # what is not settled yet stays as it is
                shown = None if report is None else readmodel.discovery_report(name, report)
                writes |= _file(readmodel.discovery_path(name), shown)
        clocks = schedules.clocks(conn)
        for name in by_topic.get("schedule", ()):
            view = self._schedule(name, clocks[name]) if name in clocks else None
            writes |= _file(readmodel.schedule_path(name), readmodel.schedule_status(view) if view else None)
        writes |= _file(readmodel.SYNC, readmodel.sync_file(self._sync()))
        writes[readmodel.README] = statuspage.page(self._overview(conn, clocks)).encode()
        return Drawn(writes, _message(by_topic))

    def _runs(self, conn: Connection, names: Collection[str]) -> Writes:
        writes: Writes = {}
        for part in portions([RunId(name) for name in names]):  # a view is several times its file: few at once
            found = runs.get_all(conn, part)
            for name in part:
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
            self._workflows = {name: history.workflow(conn, name) for name in history.workflows(conn)}
            self._targets = {name: history.target(conn, name) for name in history.targets(conn)}
        for name in by_topic.get("job", ()):
            self._jobs.pop(name, None)  # a former name has no runs of its own any more
            if history.has_runs(conn, name, workflow=False):
                self._jobs[name] = history.job(conn, name)
        for name in by_topic.get("workflow", ()):
            self._workflows.pop(name, None)
            if history.has_runs(conn, name, workflow=True):
                self._workflows[name] = history.workflow(conn, name)
        self._targets |= {name: history.target(conn, name) for name in by_topic.get("target", ())}
        return self._jobs, self._targets

    def _overview(self, conn: Connection, clocks: Mapping[str, schedules.ClockRow]) -> OverviewView:
        views = (self._schedule(name, clock) for name, clock in clocks.items())
        return OverviewView(
            sync=self._sync(),
            jobs=tuple(view for _, view in sorted((self._jobs or {}).items())),
            open=(*history.running(conn), *history.waiting(conn)),
            recent=history.ended(conn, limit=20),
            workflows=tuple(view for _, view in sorted(self._workflows.items())),
            gates=graphs.open_gates(conn),
            dead_letters=letters.dead_by_channel(conn),
            channels=letters.failing(conn),
            schedules=tuple(view for view in views if view is not None),
            targets=tuple(view for _, view in sorted(self._targets.items())),
        )


def unpublished(conn: Connection) -> bool:
    """Whether something is in the store that the branch does not show yet."""
    return bool(_portion(conn).objects)


def _portion(conn: Connection) -> _Portion:
    news = outbox.pending(conn, CONSUMER, _ENTRIES)
    news = news.head(_fitting(conn, news))
    more = news.last_seq < outbox.last(conn)
    until: int | None = facts.get(conn, _UNTIL)
    if until is None:
        return _Portion(news, None, None, more)
    again = outbox.pending(conn, AGAIN, _ENTRIES, until=until)
    again = again.head(_fitting(conn, again))
    return _Portion(news, again, until, more or again.last_seq < until)


def _fitting(conn: Connection, batch: outbox.Batch) -> int:
    """How many objects of the batch make a portion; at least one."""
    objects = batch.objects[:_OBJECTS]
    steps = runs.step_counts(conn, [RunId(key) for topic, key in objects if topic == "run"])
    total = 0
    for count, (topic, key) in enumerate(objects):
        total += steps.get(RunId(key), 0) if topic == "run" else 0
        if total > _STEPS and count:
            return count
    return max(1, len(objects))


def _dealt_with(tx: Connection, portion: _Portion) -> None:
    outbox.advance(tx, CONSUMER, portion.news.last_seq)
    if portion.again is not None and portion.until is not None:
        if portion.again.last_seq < portion.until:
            outbox.advance(tx, AGAIN, portion.again.last_seq)
        else:
            outbox.forget(tx, AGAIN)
            facts.put(tx, _UNTIL, None)
    outbox.trim(tx)


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


def _trigger(conn: Connection, name: str) -> Mapping[str, object] | None:
    found = events.recent(conn, name)
    if not found:
        return None
    shown = (
        EventView(
            one.key,
            one.arrived_at,
            one.state,
            type=one.type,
            delivery=one.delivery,
            reason=one.reason,
            message=one.message,
            run=one.run,
            times=one.times,
        )
        for one in found
    )
    return readmodel.trigger_status(TriggerView(name, tuple(shown), events.counts(conn, name)))


def _days(conn: Connection, keys: Iterable[str]) -> Writes:
    writes: Writes = {}
    for key in keys:
        day = date.fromisoformat(key)
        files = readmodel.decision_files(day, schedules.day(conn, day))
        if not files:  # a clock that was ahead may have made it, and been set back
            writes[f"{readmodel.decisions_folder(day)}/{day:%d}.yaml"] = None
        writes |= {path: text.encode() for path, text in files.items()}
    return writes


def _message(by_topic: Mapping[str, list[str]]) -> str:
    """What people see in `git log`: the run where it is one, else how many."""
    names = by_topic.get("run", [])
    if len(names) == 1:
        return f"status: {names[0]}"
    if names:
        return f"status: {len(names)} runs"
    return f"status: {', '.join(sorted(by_topic))}"
