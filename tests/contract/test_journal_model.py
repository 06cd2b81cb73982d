"""Any order of enqueue, admit, claim, renew, pause, reap, release, cancel, expire and finish, against a plain model.

What the model says in thirty lines of lists must be what the journal says in SQL: who holds which slot, who waits,
which token a run has, and that what has ended stays as it is.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import PinnedSpec
from engine.states import RunState
from journal import leases, runs
from journal.databases.tables import runs as table
from journal.errors import FenceLost
from journal.fence import Fence
from journal.leases import LEASE, MOST_LOST
from journal.runs import AlreadyThere, Enqueued, NewRun, Overlap
from journal.store import Journal
from tests.contract.conftest import opened
from tests.postgresql import a_journal

WAIT = timedelta(minutes=2)
LIMITS = {"solo": 1, "pair": 2}
ENDS = (RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT, RunState.UNKNOWN)


@dataclass
class Model:
    """A run as the promises say it must be."""

    id: RunId
    seq: int
    group: str | None
    priority: int
    state: RunState
    due: datetime
    deadline: datetime | None
    attempt: int = 0
    lost: int = 0
    token: int = 0
    runner: str | None = None
    lease: float = 0.0
    wish: bool = False
    name: int = 0
    conflict: str = "queue"
    most: int | None = None
    come: bool = True
    """Its time has come, and somebody has looked since."""

    @property
    def order(self) -> tuple[int, int]:
        return (-self.priority, self.seq)

    @property
    def holds(self) -> bool:
        return self.state in (RunState.QUEUED, RunState.RUNNING) and self.group is not None


class JournalAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        self.seconds = 50.0
        self.model: dict[RunId, Model] = {}
        self.stale: list[Fence] = []
        self.place = ExitStack()
        self.url = self.place.enter_context(self.empty())
        self.loop = asyncio.Runner()
        self.journal = self.loop.run(self.opened())

    async def opened(self) -> Journal:
        return opened(self.url, self)

    @staticmethod
    @contextmanager
    def empty() -> Iterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/journal.db"

    def monotonic(self) -> float:
        return self.seconds

    def teardown(self) -> None:
        self.loop.run(self.journal.close())
        self.loop.close()
        self.place.close()

    def do(self, function, *args, **more):
        return self.loop.run(self.journal.write(lambda tx: function(tx, *args, **more)))

    # --- the model ----------------------------------------------------------------------------------------------

    def held(self, group: str | None) -> list[Model]:
        return [run for run in self.model.values() if run.holds and run.group == group and run.conflict != "allow"]

    def queue(self, group: str | None) -> list[Model]:
        waiting = [run for run in self.of_state(RunState.WAITING) if run.come and run.group == group]
        return sorted(waiting, key=lambda run: run.order)

    def free(self, group: str | None) -> bool:
        return group is None or len(self.held(group)) < LIMITS[group]

    def admitted(self, group: str | None = None, *, all_groups: bool = False) -> list[RunId]:
        found = []
        for one in [*LIMITS, None] if all_groups else [group] if group else []:
            for run in self.queue(one):
                if self.free(one):
                    run.state = RunState.QUEUED
                    found.append(run.id)
        return found

    def judged(self, group: str | None, conflict: str, most: int | None, priority: int) -> str:
        """What becomes of a run whose time has come: go, wait, out."""
        if group is None or conflict == "allow":
            return "go"
        if conflict == "cancelRunning":
            wanted = sorted(
                [run for run in self.held(group) if not run.wish] + self.queue(group), key=lambda run: run.seq
            )
            for run in wanted[: max(0, len(wanted) + 1 - LIMITS[group])]:
                self.cancelled(run)
        waiting = self.queue(group)
        if self.free(group) and all(run.priority < priority for run in waiting):
            return "go"
        if conflict in ("skip", "fail") or (conflict == "queueOne" and waiting):
            return "out"
        return "out" if conflict == "queue" and most is not None and len(waiting) >= most else "wait"

    def arrived(self, group: str | None = None) -> list[RunId]:
        """The runs whose time has come, in the order in which it came."""
        late = [run for run in self.of_state(RunState.WAITING) if not run.come and run.due <= self.now]
        found = []
        for run in sorted(late, key=lambda run: (run.due, *run.order)):
            if group is not None and run.group != group:
                continue
            match self.judged(run.group, run.conflict, run.most, run.priority):
                case "go":
                    run.state = RunState.QUEUED
                    found.append(run.id)
                case "out":
                    run.state = RunState.FAILED if run.conflict == "fail" else RunState.CANCELLED
                case "wait":
                    run.come = True
        return found

    def cancelled(self, run: Model) -> None:
        if run.attempt:
            run.wish = True
        else:
            self.ended(run, RunState.CANCELLED)

    def ended(self, run: Model, state: RunState) -> None:
        run.state = state
        self.admitted(run.group)

    def lose(self, run: Model) -> None:
        run.lost += 1
        self.stale.append(Fence(run.id, run.token))
        if run.lost >= MOST_LOST:
            self.ended(run, RunState.UNKNOWN)
        else:
            run.state, run.runner = RunState.QUEUED, None

    def of_state(self, *states: RunState) -> list[Model]:
        return [run for run in self.model.values() if run.state in states]

    # --- what may happen ------------------------------------------------------------------------------------------

    @rule(
        name=st.integers(0, 12),
        group=st.sampled_from(["solo", "pair", None]),
        conflict=st.sampled_from(["skip", "queueOne", "queue", "cancelRunning", "fail", "allow"]),
        most=st.sampled_from([None, 1, 2]),
        priority=st.integers(-1, 1),
        delay=st.sampled_from([0, 0, 30]),
    )
    def enqueue(self, name, group, conflict, most, priority, delay):
        cause = Cause("request", f"n{name}", self.now.replace(microsecond=0))
        known = next((run for run in self.model.values() if run.name == name), None)
        starts = self.now + timedelta(seconds=delay)
        new = NewRun(
            id=known.id if known else run_id("job", cause),
            cause=cause,
            spec=PinnedSpec(job="job", commit="c", steps=()),
            params={},
            pool="default",
            priority=priority,
            group=group,
            limit=LIMITS.get(group or "", 1),
            on_conflict=conflict,
            max_queue=most,
            queue_timeout=WAIT,
            starts_at=starts if delay else None,
        )
        answer = self.do(runs.enqueue, new, self.now)
        if known is not None:
            assert answer == AlreadyThere(known.id, known.state)
            return
        state = RunState.WAITING
        if delay == 0:
            if group is not None and conflict != "allow":  # who takes no place looks at nobody
                self.arrived(group)
            match self.judged(group, conflict, most, priority):
                case "go":
                    state = RunState.QUEUED
                case "out" if conflict == "fail":
                    state = RunState.FAILED
                case "out":
                    assert isinstance(answer, Overlap)
                    assert self.model[answer.blocking].group == group
                    return
        assert answer == Enqueued(new.id, state)
        run = Model(new.id, len(self.model), group, priority, state, starts, starts + WAIT)
        run.name, run.conflict, run.most, run.come = name, conflict, most, delay == 0
        self.model[new.id] = run

    @rule(seconds=st.sampled_from([1, 5, 20, 60]))
    def time_passes(self, seconds):
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds

    @rule()
    def admit(self):
        found = self.do(runs.admit, self.now)
        assert sorted(found) == sorted(self.arrived() + self.admitted(all_groups=True))

    @rule()
    def expire(self):
        late = [
            run
            for run in self.of_state(RunState.WAITING, RunState.QUEUED)
            if run.attempt == 0 and run.deadline is not None and run.deadline <= self.now
        ]
        assert sorted(self.do(runs.expire, self.now)) == sorted(run.id for run in late)
        for run in late:
            run.state = RunState.TIMED_OUT
        for run in late:
            self.admitted(run.group)

    @rule(runner=st.sampled_from(["a", "b"]), limit=st.integers(1, 3))
    def claim(self, runner, limit):
        claims = self.do(leases.claim, runner, ("default",), limit, self.now)
        expected = sorted(self.of_state(RunState.QUEUED), key=lambda run: run.order)[:limit]
        assert [claim.fence.run for claim in claims] == [run.id for run in expected]
        for run, claim in zip(expected, claims, strict=True):
            assert claim.fence.token > run.token, "a token is never used twice"
            run.state, run.runner, run.token = RunState.RUNNING, runner, claim.fence.token
            run.attempt, run.lease = run.attempt + 1, self.seconds + LEASE.total_seconds()
            assert (claim.attempt, claim.ending) == (run.attempt, "cancelled" if run.wish else None)

    @rule(runner=st.sampled_from(["a", "b"]))
    def renew(self, runner):
        mine = [run for run in self.of_state(RunState.RUNNING) if run.runner == runner]
        renewed = self.do(leases.renew, runner)
        assert renewed.held == {run.id for run in mine}
        assert set(renewed.wishes) == {run.id for run in mine if run.wish}
        for run in mine:
            run.lease = self.seconds + LEASE.total_seconds()

    @rule()
    def reap(self):
        lost = [run for run in self.of_state(RunState.RUNNING) if run.lease < self.seconds]
        found = {reaped.run: reaped.to for reaped in self.do(leases.reap, self.now)}
        for run in sorted(lost, key=lambda run: run.seq):
            self.lose(run)
        assert found == {run.id: run.state for run in lost}

    @rule()
    def restart(self):
        self.loop.run(self.journal.close())
        self.journal = self.loop.run(self.opened())
        lost = self.of_state(RunState.RUNNING)
        assert {reaped.run for reaped in self.do(leases.void, self.now)} == {run.id for run in lost}
        for run in lost:
            self.lose(run)

    @precondition(lambda self: self.of_state(RunState.RUNNING))
    @rule(data=st.data(), state=st.sampled_from(ENDS))
    def finish(self, data, state):
        run = data.draw(st.sampled_from(self.of_state(RunState.RUNNING)))
        self.do(leases.finish, Fence(run.id, run.token), state, now=self.now)
        self.stale.append(Fence(run.id, run.token))
        self.ended(run, state)

    @precondition(lambda self: self.of_state(RunState.RUNNING))
    @rule(data=st.data())
    def release(self, data):
        run = data.draw(st.sampled_from(self.of_state(RunState.RUNNING)))
        self.do(leases.release, Fence(run.id, run.token), self.now)
        self.stale.append(Fence(run.id, run.token))
        run.state, run.runner = RunState.QUEUED, None

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), state=st.sampled_from(ENDS))
    def a_late_writer_comes(self, data, state):
        fence = data.draw(st.sampled_from(self.stale))
        later = self.now + timedelta(microseconds=1)  # at the same instant it would be the same write, made again
        with pytest.raises(FenceLost):
            self.do(leases.finish, fence, state, now=later)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def cancel(self, data):
        run = data.draw(st.sampled_from(list(self.model.values())))
        answer = self.do(runs.cancel, run.id, reason=None, by="ann", now=self.now)
        if run.state in ENDS:
            assert answer == "ended"
        elif run.attempt:
            assert answer == "asked"
            run.wish = True
        else:
            assert answer == "cancelled"
            self.ended(run, RunState.CANCELLED)

    # --- what must always hold ------------------------------------------------------------------------------------

    @invariant()
    def the_journal_is_as_the_model(self):
        columns = (table.c.id, table.c.state, table.c.token, table.c.attempt, table.c.lost, table.c.runner)
        rows = self.loop.run(self.journal.read(lambda conn: conn.execute(select(*columns)).all()))
        found = {row.id: (row.state, row.token, row.attempt, row.lost) for row in rows}
        assert found == {run.id: (str(run.state), run.token, run.attempt, run.lost) for run in self.model.values()}

    @invariant()
    def no_slot_has_two_holders_and_none_is_lost(self):
        columns = (table.c.concurrency, table.c.slot, table.c.state)
        rows = self.loop.run(self.journal.read(lambda conn: conn.execute(select(*columns)).all()))
        held = [(row.concurrency, row.slot) for row in rows if row.slot is not None]
        assert len(held) == len(set(held))
        for group, slot in held:
            assert 0 <= slot < LIMITS[group]
        admitted = [run for group in LIMITS for run in self.held(group)]
        assert len(admitted) == len(held)


JournalAgainstModel.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_the_journal_keeps_its_promises_in_any_order = JournalAgainstModel.TestCase


class OnPostgresql(JournalAgainstModel):
    empty = staticmethod(a_journal)


OnPostgresql.TestCase.settings = settings(JournalAgainstModel.TestCase.settings, max_examples=20)
test_the_journal_keeps_them_on_postgresql = pytest.mark.slow(OnPostgresql.TestCase)
