"""Several runners on one run, in any order of starts, ends, deaths, freezes, hand-overs and reaps, against plain sets.

What the model says with `engine.runs.strategy` must be what the journal gives out: never more than the places, no
target before its batch, none after the failure that is one too many, each once, and in the end each with its end.
"""

import asyncio
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select, update

from engine.identity import Cause, run_id
from engine.runs import strategy
from engine.runs.pinned import PinnedSpec, PinnedTarget, PlannedStep, Script
from engine.runs.progress import StepRecord
from engine.states import RunState, StepState, run_state
from journal import evidence, happenings, leases, runs, shares, slices, spreads, steps, tallies, uses
from journal.databases.tables import run_targets
from journal.databases.tables import runs as table
from journal.databases.tables import steps as steps_table
from journal.errors import FenceLost
from journal.leases import LEASE, MOST_LOST, Claim
from journal.runs import NewRun
from journal.slicetables import slice_targets
from journal.slicetables import slices as slice_table
from journal.slicetables import spreads as spread_table
from journal.spreads import Asks, Share
from journal.store import Journal
from journal.targetends import TargetEnd
from tests.contract.conftest import Desk, opened
from tests.postgresql import a_journal

NAMES = tuple(f"web-{number}" for number in range(8))
RUNNERS = ("default/ann", "default/bob", "default/cid")
BAD = (StepState.FAILED, StepState.UNREACHABLE, StepState.UNKNOWN)
END = st.sampled_from([None, StepState.SUCCEEDED, StepState.SUCCEEDED, *BAD])
STEP = PlannedStep(id="only", phase="steps", action=Script("sh", "true"))


def many(
    *, batches: tuple[int | str, ...] = ("100%",), parallel: int = 3, most: int | str | None = None, pause: int = 0
) -> NewRun:
    cause = Cause("request", "wide", datetime(2026, 11, 21, tzinfo=UTC))
    spec = PinnedSpec(
        job="wide",
        commit="1f0c" * 10,
        steps=(STEP,),
        targets=tuple(PinnedTarget(name) for name in NAMES),
        on_targets=True,
        max_parallel=parallel,
        batches=batches,
        max_failures=most,
        pause_between=timedelta(seconds=pause),
    )
    return NewRun(id=run_id("wide", cause), cause=cause, spec=spec, params={}, pool="default")


@dataclass
class Holder:
    """A runner that works on the run, as it sees itself."""

    claim: Claim
    have: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    alive: bool = True


class Together(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 21, tzinfo=UTC)
        self.seconds = 50.0
        self.before = strategy.SLICED_ABOVE
        strategy.SLICED_ABOVE = 3
        self.place = ExitStack()
        self.url = self.place.enter_context(self.empty())
        self.loop = asyncio.Runner()
        self.journal = self.loop.run(self.opened())
        self.holders: dict[str, Holder] = {}
        self.stale: list[Holder] = []
        self.ended: dict[str, StepState] = {}
        self.begun: set[str] = set()
        self.failing: set[str] = set()
        self.closed_at: dict[int, float] = {}
        self.wish = False
        self.halted = False
        self.state: RunState | None = None

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
        strategy.SLICED_ABOVE = self.before
        self.loop.run(self.journal.close())
        self.loop.close()
        self.place.close()

    def do(self, function, *args, **more):
        return self.loop.run(self.journal.write(lambda tx: function(tx, *args, **more)))

    def see(self, function):
        return self.loop.run(self.journal.read(function))

    @initialize(
        batches=st.sampled_from([("100%",), (1, "25%", "100%"), (2,), (3, 5)]),
        parallel=st.integers(2, 4),
        most=st.sampled_from([None, 0, 1, "25%"]),
        pause=st.sampled_from([0, 30]),
    )
    def begin(self, batches, parallel, most, pause):
        self.new = many(batches=batches, parallel=parallel, most=most, pause=pause)
        self.spec = self.new.spec
        self.batches = strategy.batches_of(NAMES, batches)
        self.do(runs.enqueue, self.new, self.now)
        self.claims(RUNNERS[0])

    # --- the model ----------------------------------------------------------------------------------------------------

    @property
    def held(self) -> list[str]:
        return [name for one in (*self.holders.values(), *self.mute()) for name in one.have]

    def mute(self) -> list[Holder]:
        return [one for one in self.stale if one.alive]

    def open_batch(self) -> int:
        return next(
            (n for n, batch in enumerate(self.batches) if any(name not in self.ended for name in batch)),
            len(self.batches) - 1,
        )

    def why(self) -> str | None:
        known = {**dict.fromkeys(self.failing, StepState.FAILED), **self.ended}
        found = strategy.halts(known, (), self.spec.max_failures, len(NAMES))
        for batch in self.batches:
            if found is None and all(name in self.ended for name in batch):
                found = strategy.halts(self.ended, batch, None, len(NAMES))
        return found

    def may_begin(self, name: str) -> bool:
        batch = self.open_batch()
        return name in self.batches[batch] and self.is_open(batch)

    def is_open(self, batch: int) -> bool:
        pause = self.spec.pause_between.total_seconds()
        return (
            batch == 0
            or self.seconds >= self.closed_at.get(batch - 1, 0.0) + pause
            or bool(self.begun & set(self.batches[batch]))
        )

    def note_end(self, name: str, state: StepState) -> None:
        assert name not in self.ended
        self.ended[name] = state
        for number, batch in enumerate(self.batches):
            if name in batch and all(one in self.ended for one in batch):
                self.closed_at[number] = self.seconds
        self.halted = self.halted or (not self.wish and self.why() is not None)

    def note_skips(self) -> None:
        """What a halted run leaves out has ended: only what had never begun, and was in nobody's hands."""
        query = select(run_targets.c.target, run_targets.c.state, run_targets.c.reason).join(
            table, table.c.seq == run_targets.c.run
        )
        for row in self.see(lambda conn: conn.execute(query).all()):
            if row.target not in self.ended:
                assert self.halted and row.state == "skipped" and row.reason in ("maxFailures", "batchFailed")
                assert row.target not in self.begun and row.target not in self.held
                self.note_end(row.target, StepState.SKIPPED)

    def is_open_run(self) -> bool:
        return self.state is None

    # --- what happens -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_open_run() and len(self.holders) < len(RUNNERS))
    @rule(runner=st.sampled_from(RUNNERS))
    def looks(self, runner):
        self.claims(runner)

    def claims(self, runner: str) -> None:
        """A runner looks for work, and works on the run alone or beside others."""
        if runner in self.holders or any(one.claim.runner == runner for one in self.mute()):
            return
        others = self.see(lambda conn: slices.joinable(conn, runner, ("default",), None))
        found = self.do(leases.claim, runner, ("default",), 1, self.now, sliced=not self.wish)
        if not found and others:
            found = self.do(leases.join, runner, others)
            assert found
        for claim in found:
            if not claim.sliced:  # it is to end, and one does that: as any run, which others test
                self.state = RunState.CANCELLED
                return
            self.holders[runner] = Holder(claim)

    def told(self, one: Holder, asks: Asks) -> Share:
        return self.do(spreads.take, one.claim.fence, asks, self.now, runner=one.claim.runner)

    def take(self, one: Holder, *ends: TargetEnd, answered: bool = True) -> None:
        """Say what has ended, and ask for more targets; where the answer to the commit is lost, do it again."""
        self.note_skips()
        foretold = self.see(lambda conn: spreads.share(conn, one.claim.fence, ending=None))
        self.note_ends(one, ends)
        asks = Asks(frozenset(one.have), ends)
        share = self.told(one, asks)
        if not answered:
            again = self.told(one, asks)
            assert {found.target for found in share.targets} <= {found.target for found in again.targets}
            share = again
        self.judge(one, share)
        if share.targets and not ends:
            assert foretold.again
        one.have |= {found.target for found in share.targets}
        self.note_skips()
        assert share.over == (len(self.ended) == len(NAMES) and not share.targets) or self.halted

    def judge(self, one: Holder, share: Share) -> None:
        names = [found.target for found in share.targets]
        assert len(set(names)) == len(names)
        assert not set(names) & set(self.held)
        assert not set(names) & set(self.ended)
        for found in share.targets:
            assert bool(found.records) == (found.target in self.begun)
            if not self.wish and found.target not in self.begun:
                assert not self.halted
                assert self.may_begin(found.target)
        waiting = set(NAMES) - set(self.ended) - set(self.held)
        free = self.spec.max_parallel - len(self.held)
        alone = len(self.holders) == 1 and not self.mute()
        if not names and alone and free > 0:
            begin = {name for name in waiting if self.wish or (not self.halted and self.may_begin(name))}
            assert not begin, "a lone runner gets what there is"

    def worked(
        self, which: int, states: list[StepState | None], *, answered: bool = True, at_once: bool = True
    ) -> None:
        one = self.holders[sorted(self.holders)[which % len(self.holders)]]
        self.take(one, answered=answered)
        ends = [self.work_on(one, name, state) for state, name in zip(states, sorted(one.have), strict=False)]
        found = tuple(end for end in ends if end is not None)
        if at_once:
            self.take(one, *found, answered=answered)
            return
        for end in found:
            self.note_ends(one, (end,))
            for _ in range(2):  # again is harmless
                self.told(one, Asks(ended=(end,), more=False))

    @precondition(lambda self: self.is_open_run() and self.holders)
    @rule(which=st.integers(0, 2), states=st.lists(END, max_size=4), answered=st.booleans(), at_once=st.booleans())
    def work(self, which, states, answered, at_once):
        """Take targets, begin on them, or end them."""
        self.worked(which, states, answered=answered, at_once=at_once)

    @precondition(lambda self: self.is_open_run() and self.holders)
    @rule(which=st.integers(0, 2), states=st.lists(END, min_size=1, max_size=4))
    def go_on(self, which, states):
        self.worked(which, states)

    @precondition(lambda self: self.is_open_run() and self.holders)
    @rule(which=st.integers(0, 2), count=st.integers(1, 3))
    def succeed(self, which, count):
        self.worked(which, [StepState.SUCCEEDED] * count)

    def work_on(self, one: Holder, name: str, state: StepState | None) -> TargetEnd | None:
        if name not in one.begun:
            attempt = 1 + self.see(lambda conn: _attempts(conn, name))
            self.do(steps.start, one.claim.fence, name, "steps", "only", attempt, self.now)
            one.begun.add(name)
            self.begun.add(name)
        if state is None:
            return None
        if name in self.failing and state is StepState.SUCCEEDED:
            state = StepState.FAILED
        return TargetEnd(name, state, {})

    def note_ends(self, one: Holder, ends: Iterable[TargetEnd]) -> None:
        for end in ends:
            one.have.discard(end.target)
            one.begun.discard(end.target)
            self.note_end(end.target, end.state)

    @precondition(lambda self: self.is_open_run() and any(one.begun for one in self.holders.values()))
    @rule(data=st.data(), more=st.booleans())
    def fail(self, data, more):
        """A target will not succeed any more, long before it ends."""
        one = self.holders[data.draw(st.sampled_from(sorted(n for n, h in self.holders.items() if h.begun)))]
        name = data.draw(st.sampled_from(sorted(one.begun)))
        self.failing.add(name)
        self.halted = self.halted or (not self.wish and self.why() is not None)
        self.note_skips()
        share = self.told(one, Asks(frozenset(one.have), failing=(name, name), more=more))
        if more:
            self.judge(one, share)
        else:
            assert not share.targets
        one.have |= {found.target for found in share.targets}
        self.note_skips()

    @precondition(lambda self: self.is_open_run() and self.holders)
    @rule(data=st.data())
    def leave(self, data):
        name = data.draw(st.sampled_from(sorted(self.holders)))
        one = self.holders.pop(name)
        self.do(leases.release, one.claim.fence, self.now)
        one.alive = False
        self.stale.append(one)

    @precondition(lambda self: self.is_open_run() and self.holders)
    @rule(data=st.data())
    def freeze(self, data):
        """Nobody hears of it any more; it may come back."""
        self.stale.append(self.holders.pop(data.draw(st.sampled_from(sorted(self.holders)))))

    @rule(seconds=st.sampled_from([1, 9, 31]))
    def time_passes(self, seconds):
        if self.state is not None:
            return
        for runner in self.holders:
            assert self.do(leases.renew, runner).held == {self.new.id}
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds
        for runner in self.holders:
            assert self.do(leases.renew, runner).held == {self.new.id}

    @precondition(lambda self: self.is_open_run() and self.mute())
    @rule()
    def reap(self):
        """The frozen ones are taken for lost, and what they held waits again."""
        frozen = self.mute()
        self.now += LEASE
        for runner in self.holders:
            self.do(leases.renew, runner)
        self.seconds += LEASE.total_seconds() + 1
        for runner in self.holders:
            self.do(leases.renew, runner)
        reaped = self.do(leases.reap, self.now)
        assert {found.run for found in reaped} == {self.new.id}
        for one in frozen:
            one.alive = False
        if reaped[-1].to is RunState.UNKNOWN:
            self.state = RunState.UNKNOWN
            self.holders.clear()
        else:
            assert reaped[-1].to is (RunState.RUNNING if self.holders else RunState.QUEUED)
        self.stale = [one for one in self.stale if not one.alive][-3:]

    @precondition(lambda self: any(not one.alive for one in self.stale))
    @rule(name=st.sampled_from(NAMES))
    def come_back(self, name):
        """A runner that was taken for lost changes nothing any more."""
        one = [one for one in self.stale if not one.alive][-1]
        fence, runner = one.claim.fence, one.claim.runner
        with pytest.raises(FenceLost):
            self.do(steps.start, fence, name, "steps", "late", 1, self.now)
        with pytest.raises(FenceLost):
            self.told(one, Asks(ended=(TargetEnd(name, StepState.FAILED, {}),)))
        assert self.do(leases.finish_together, fence, runner=runner, now=self.now) is None
        if self.state is None:
            with pytest.raises(FenceLost):
                self.told(one, Asks(frozenset(one.have)))

    @precondition(lambda self: self.is_open_run())
    @rule(chance=st.integers(0, 19))
    def cancel(self, chance):
        if chance != 7 or not self.begun:
            return
        assert self.do(runs.cancel, self.new.id, reason=None, by="ann", now=self.now) == "asked"
        self.wish = True
        self.halted = False

    @precondition(lambda self: self.is_open_run() and self.holders and len(self.ended) > len(NAMES) - 2)
    @rule(data=st.data())
    def finish(self, data):
        one = self.holders[data.draw(st.sampled_from(sorted(self.holders)))]
        self.note_skips()
        share = self.see(lambda conn: spreads.share(conn, one.claim.fence, ending=None))
        assert share.over == (len(self.ended) == len(NAMES))
        if not share.over:
            return
        state = self.do(leases.finish_together, one.claim.fence, runner=one.claim.runner, now=self.now)
        assert state is run_state(self.ended.values())
        for other in self.holders.values():
            assert self.do(leases.finish_together, other.claim.fence, runner="x", now=self.now) is None
            assert self.told(other, Asks(frozenset(other.have))).over
        self.state = state

    # --- what must always hold ----------------------------------------------------------------------------------------

    @invariant()
    def the_journal_is_as_the_model(self):
        """In one look, since there are many of them."""
        if hasattr(self, "spec"):
            self.see(self.compare)

    def compare(self, conn) -> None:
        ends = conn.execute(select(run_targets.c.target, run_targets.c.state)).all()
        if self.state is not RunState.UNKNOWN:
            found = {row.target: row.state for row in ends}
            assert {name: str(state) for name, state in self.ended.items()}.items() <= found.items()
        if self.state is None:
            assert len(self.held) == len(set(self.held)) <= self.spec.max_parallel
            query = select(slice_targets.c.target).where(slice_targets.c.token.is_not(None))
            assert set(conn.execute(query).scalars()) == set(self.held)
        elif conn.execute(select(table.c.finished_at)).scalar() is not None:
            for of in (slice_targets, slice_table, spread_table):
                assert conn.execute(select(of)).all() == [], "an ended run leaves nothing"


def _attempts(conn, name: str) -> int:
    query = select(steps_table.c.attempt).where(steps_table.c.target == name, steps_table.c.step == "only")
    return max(conn.execute(query).scalars(), default=0)


Together.TestCase.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_several_runners_keep_batches_places_and_budget_in_any_order = pytest.mark.slow(Together.TestCase)


class OnPostgresql(Together):
    empty = staticmethod(a_journal)


OnPostgresql.TestCase.settings = Together.TestCase.settings
test_they_keep_them_on_postgresql = pytest.mark.slow(OnPostgresql.TestCase)


# --- one by one -------------------------------------------------------------------------------------------------------


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on more than three targets is large."""
    monkeypatch.setattr(strategy, "SLICED_ABOVE", 3)


async def two(desk: Desk, **more: Any) -> tuple[Claim, Claim]:
    """A large run on which two work."""
    new = many(**more)
    await desk.enqueue(new)
    (ann,) = await desk.do(leases.claim, "default/ann", ("default",), 5, desk.clock.now(), sliced=True)
    assert await desk.see(slices.joinable, "default/ann", ("default",), None) == ()
    assert await desk.see(slices.joinable, "default/bob", ("dmz",), None) == ()
    which = await desk.see(slices.joinable, "default/bob", ("default",), {"site": "eu"})
    (bob,) = await desk.do(leases.join, "default/bob", which)
    assert (ann.sliced, bob.sliced, ann.attempt, bob.attempt) == (True, True, 1, 1)
    return ann, bob


async def taken(desk: Desk, claim: Claim, **asks: Any) -> tuple[str, ...]:
    share = await told(desk, claim, Asks(**asks))
    return tuple(found.target for found in share.targets)


async def told(desk: Desk, claim: Claim, asks: Asks) -> Share:
    return await desk.do(spreads.take, claim.fence, asks, desk.clock.now(), runner=claim.runner)


async def end(desk: Desk, claim: Claim, *names: str, state: StepState = StepState.SUCCEEDED, **asks: Any) -> None:
    """Say that nothing is left to do on these targets, and ask for nothing."""
    await told(desk, claim, Asks(ended=tuple(TargetEnd(name, state, {}) for name in names), more=False, **asks))


async def start(desk: Desk, claim: Claim, *names: str, attempt: int = 1) -> None:
    for name in names:
        await desk.do(steps.start, claim.fence, name, "steps", "only", attempt, desk.clock.now())


async def test_places_are_shared_as_soon_as_another_joins_in(desk, large):
    ann, bob = await two(desk, parallel=4)
    first = await taken(desk, ann)
    assert (first, await taken(desk, bob)) == (NAMES[:2], NAMES[2:4])
    assert await taken(desk, ann, have=frozenset(first)) == ()
    await start(desk, ann, *first)
    await end(desk, ann, *first)
    assert await taken(desk, ann) == NAMES[4:6]


async def test_one_that_claims_alone_is_not_cut_down_and_gives_way_later(desk, large):
    await desk.enqueue(many(parallel=4))
    (ann,) = await desk.do(leases.claim, "default/ann", None, 5, desk.clock.now(), sliced=True)
    assert await taken(desk, ann) == NAMES[:4]
    (bob,) = await desk.do(leases.join, "default/bob", await desk.see(slices.joinable, "default/bob", None, None))
    assert await taken(desk, bob) == ()
    await end(desk, ann, NAMES[0])
    assert await taken(desk, ann, have=frozenset(NAMES[1:4])) == ()
    assert await taken(desk, bob) == (NAMES[4],)


async def test_nobody_joins_in_to_wait_for_the_next_batch(desk, large):
    """A place for another run would be held by nothing; they are woken when there is something to do."""
    await desk.enqueue(many(parallel=4, batches=(1, "100%"), pause=30))
    (ann,) = await desk.do(leases.claim, "default/ann", None, 5, desk.clock.now(), sliced=True)

    async def joinable() -> bool:
        return await desk.see(slices.joinable, "default/bob", None, None) == (ann.fence.run,)

    assert await joinable()
    assert await taken(desk, ann) == NAMES[:1]
    assert not await joinable()
    watch = desk.journal.watch(work=True)
    heard = asyncio.ensure_future(watch.changed(20))
    await end(desk, ann, NAMES[0])
    assert await heard
    watch.close()
    assert not await joinable()
    await desk.do(_open_now)
    assert await joinable()


def _open_now(tx) -> None:
    tx.execute(update(spread_table).values(opens_at=spread_table.c.opens_at - 31))


async def test_a_view_says_who_has_which_target(desk, large):
    ann, bob = await two(desk, parallel=4)
    for claim in (ann, bob):
        await start(desk, claim, *await taken(desk, claim))
    await end(desk, bob, NAMES[2])
    view = await desk.see(runs.get, ann.fence.run)
    assert (view.state, view.runner) == (RunState.RUNNING, "default/ann")
    assert {found.name: found.runner for found in view.results} == {
        NAMES[0]: "default/ann", NAMES[1]: "default/ann", NAMES[2]: "default/bob", NAMES[3]: "default/bob",
    }  # fmt: skip


async def test_a_wish_reaches_all_of_them_and_so_does_the_end_of_its_time(desk, large):
    ann, bob = await two(desk, parallel=4, batches=(3, "100%"))
    first = await taken(desk, ann)
    assert await taken(desk, bob, ending="timedOut") == NAMES[2:4], "whatever its batch: it only ends there"
    assert await desk.see(leases.wishes, "default/ann") == {ann.fence.run: "timedOut"}
    assert (await desk.do(leases.renew, "default/ann")).wishes == {ann.fence.run: "timedOut"}
    for claim, names in ((ann, first), (bob, NAMES[2:4])):
        await end(desk, claim, *names, state=StepState.TIMED_OUT, ending="timedOut")
    assert await taken(desk, ann) == NAMES[4:6], "nothing is left out for failures then"
    assert await desk.see(slices.joinable, "default/cid", None, None) == ()


async def test_a_slice_that_nobody_works_on_is_given_back(desk, large):
    """Where nothing had begun it does not count as lost."""
    ann, bob = await two(desk, parallel=4)
    await taken(desk, ann)
    await start(desk, bob, *await taken(desk, bob))
    run = ann.fence.run
    for name in ("default/ann", "default/bob"):
        (given,) = await desk.do(leases.give_back, name, (run,), desk.clock.now())
        assert given.run == run
    assert given.to is RunState.QUEUED
    query = select(slice_targets.c.target, slice_targets.c.lost, slice_targets.c.begun).where(slice_targets.c.begun)
    rows = await desk.see(lambda conn: conn.execute(query).all())
    assert {tuple(row) for row in rows} == {(NAMES[2], 1, True), (NAMES[3], 1, True)}


async def test_one_that_no_other_works_on_is_queued_again_after_a_release(desk, large):
    ann, bob = await two(desk)
    await taken(desk, ann)
    await desk.do(leases.release, ann.fence, desk.clock.now())
    assert await desk.state(ann.fence.run) == "running"
    assert await taken(desk, bob) == NAMES[:3]
    await desk.do(leases.release, bob.fence, desk.clock.now())
    assert await desk.state(ann.fence.run) == "queued"
    (again,) = await desk.do(leases.claim, "default/ann", None, 5, desk.clock.now(), sliced=True)
    assert (again.attempt, again.fence.token > bob.fence.token) == (2, True)
    assert await taken(desk, again) == NAMES[:3]


async def test_the_last_token_given_does_not_outlive_its_slice(desk, large):
    """The run has that token itself; others go on with it."""
    ann, bob = await two(desk)
    await desk.do(leases.release, bob.fence, desk.clock.now())
    assert await desk.state(ann.fence.run) == "running"
    with pytest.raises(FenceLost):
        await start(desk, bob, NAMES[0])
    await start(desk, ann, *await taken(desk, ann))


async def test_a_failure_that_nothing_mends_counts_once_and_at_once(desk, large):
    ann, bob = await two(desk, parallel=4, most=1)
    first = await taken(desk, ann)
    await start(desk, ann, *first)
    assert await taken(desk, ann, have=frozenset(first), failing=first[:1], more=False) == ()
    assert await taken(desk, ann, have=frozenset(first), failing=first[:1], more=False) == ()
    await end(desk, ann, first[0], state=StepState.FAILED)
    assert len(await taken(desk, bob)) == 2, "one may fail, and one has"
    assert await taken(desk, ann, have=frozenset(first[1:]), failing=first[1:]) == ()
    rows = await desk.see(lambda conn: conn.execute(select(spread_table)).all())
    assert [(row.failed, row.halt) for row in rows] == [(2, "maxFailures")]


async def test_a_batch_waits_for_its_time_and_for_nobody_who_failed_in_the_one_before(desk, large):
    ann, bob = await two(desk, batches=(1, "100%"), pause=30)
    (canary,) = await taken(desk, ann)
    await start(desk, ann, canary)
    await end(desk, ann, canary)
    share = await told(desk, bob, Asks())
    assert (share.targets, share.opens_in) == ((), 30)
    desk.clock.advance(31)
    assert await taken(desk, bob) == NAMES[1:3]


async def test_at_the_start_of_the_one_process_of_a_journal_all_slices_are_void(desk, large):
    ann, _ = await two(desk)
    assert {found.to for found in await desk.do(leases.void, desk.clock.now())} == {RunState.QUEUED}
    (alone,) = await desk.do(leases.claim, "default/one", None, 5, desk.clock.now())
    assert not alone.sliced
    with pytest.raises(FenceLost):
        await taken(desk, ann)
    for of in (slice_targets, slice_table, spread_table):
        assert await desk.see(lambda conn, of=of: conn.execute(select(of)).all()) == []


async def test_a_target_that_was_lost_three_times_makes_the_run_unknown(desk, large):
    """It may be what kills its runners; the others that were lost beside it would go on."""
    _, bob = await two(desk)
    for nth in range(MOST_LOST):
        (doomed,) = await desk.do(leases.join, f"default/{nth}", (bob.fence.run,))
        await start(desk, doomed, *await taken(desk, doomed), attempt=nth + 1)
        await desk.do(leases.renew, "default/ann")
        await desk.do(leases.renew, "default/bob")
        desk.clock.advance(LEASE.total_seconds() - 1)
        await desk.do(leases.renew, "default/ann")
        await desk.do(leases.renew, "default/bob")
        desk.clock.advance(2)
        (reaped,) = await desk.reap()
        assert reaped.to is (RunState.RUNNING if nth + 1 < MOST_LOST else RunState.UNKNOWN)
    view = await desk.see(runs.get, bob.fence.run)
    assert (view.state, view.reason) == (RunState.UNKNOWN, "lostTooOften")
    assert {found.state for found in view.results} == {StepState.UNKNOWN}
    last = f"default/{MOST_LOST - 1}"
    assert {found.runner for found in view.results} == {last}, "who was lost with it"
    said = f"its runner {last} was lost while it ran; nothing proves an end"
    assert {one.error for found in view.results for one in found.steps} == {said}
    with pytest.raises(FenceLost):
        await start(desk, bob, NAMES[5])


async def test_what_was_taken_over_from_another_run_comes_with_the_target(desk, large):
    done = StepRecord("steps", "only", StepState.SUCCEEDED, exit_code=0)
    await desk.enqueue(replace(many(), carried={NAMES[1]: (done,)}, rerun_of="wide-before"))
    (ann,) = await desk.do(leases.claim, "default/ann", None, 5, desk.clock.now(), sliced=True)
    share = await told(desk, ann, Asks())
    assert [[one.inherited for one in found.records] for found in share.targets] == [[], [True], []]


async def test_a_credential_is_used_by_who_has_the_slice(desk, large):
    _, bob = await two(desk)
    for _ in range(2):
        await desk.do(uses.note, bob.fence, [(NAMES[0], "key")], desk.clock.now())
    assert [(one.target, one.runner) for one in await desk.see(uses.of_run, bob.fence.run)] == [(NAMES[0], bob.runner)]


async def test_an_error_in_one_of_them_ends_the_run_for_all(desk, large):
    ann, bob = await two(desk)
    await start(desk, ann, *await taken(desk, ann))
    assert (await desk.do(leases.renew, "default/bob")).fences == {bob.fence}
    await desk.do(leases.give_up, bob.fence, reason="internalError", now=desk.clock.now())
    view = await desk.see(runs.get, ann.fence.run)
    assert (view.state, view.reason) == (RunState.UNKNOWN, "internalError")
    assert (await desk.do(leases.renew, "default/ann")).fences == frozenset()
    with pytest.raises(FenceLost):
        await start(desk, ann, NAMES[7])


async def test_one_who_holds_a_slice_counts_as_holding_a_run(desk, large):
    await two(desk)
    assert await desk.see(shares._held) == {"default/ann": 1, "default/bob": 1}


# --- exactly ----------------------------------------------------------------------------------------------------------


async def stands(desk: Desk) -> tuple[int, int, str | None]:
    """The open batch, how many have failed, and why no other target begins."""
    (row,) = await desk.see(lambda conn: conn.execute(select(spread_table)).all())
    return row.batch, row.failed, row.halt


async def lose(desk: Desk, lost: Claim, *others: Claim) -> None:
    """The runner is silent for a lease, in which the others are not."""
    for _ in range(2):
        for claim in others:
            await desk.do(leases.renew, claim.runner)
        desk.clock.advance(LEASE.total_seconds() / 2 + 1)
    await desk.do(leases.reap, desk.clock.now())
    with pytest.raises(FenceLost):
        await taken(desk, lost)


async def test_a_failure_counts_once_however_many_runners_had_the_target(desk, large):
    """It counted when it was certain; the runner was lost before the target ended, which another did."""
    ann, bob = await two(desk, parallel=4, most=1)
    first, second = await taken(desk, ann), await taken(desk, bob)
    await start(desk, ann, *first)
    await taken(desk, ann, have=frozenset(first), failing=first[:1], more=False)
    await lose(desk, ann, bob)
    again = await taken(desk, bob, have=frozenset(second))
    assert again == first, "what was lost comes first"
    assert await taken(desk, bob, have=frozenset((*first, *second)), failing=first[:1], more=False) == ()
    assert await stands(desk) == (0, 1, None)
    await end(desk, bob, first[0], state=StepState.FAILED)
    assert await stands(desk) == (0, 1, None)
    await end(desk, bob, first[1], state=StepState.UNREACHABLE)
    assert await stands(desk) == (0, 2, "maxFailures")


async def test_a_failure_counts_once_also_where_all_were_lost_before_its_end(desk, large):
    ann, bob = await two(desk, parallel=4, most=1)
    first = await taken(desk, ann)
    await start(desk, ann, *first)
    await taken(desk, ann, have=frozenset(first), failing=first[:1], more=False)
    await lose(desk, ann)
    (cid,) = await desk.do(leases.claim, "default/cid", None, 5, desk.clock.now(), sliced=True)
    assert await stands(desk) == (0, 1, None)
    assert await taken(desk, cid) == NAMES[:4]
    await end(desk, cid, first[0], state=StepState.FAILED)
    assert await stands(desk) == (0, 1, None)
    await end(desk, cid, first[1], state=StepState.FAILED)
    assert await stands(desk) == (0, 2, "maxFailures")
    with pytest.raises(FenceLost):
        await taken(desk, bob)


async def test_failures_of_several_runners_are_one_count(desk, large):
    ann, bob = await two(desk, parallel=4, most=2)
    first, second = await taken(desk, ann), await taken(desk, bob)
    await end(desk, ann, *first, state=StepState.FAILED)
    assert await stands(desk) == (0, 2, None)
    await end(desk, bob, second[0])
    assert await stands(desk) == (0, 2, None)
    await end(desk, bob, second[1], state=StepState.UNKNOWN)
    assert await stands(desk) == (0, 3, "maxFailures")
    assert await taken(desk, ann) == ()
    view = await desk.see(runs.get, ann.fence.run)
    assert {found.name: found.reason for found in view.results if found.reason} == dict.fromkeys(
        NAMES[4:], "maxFailures"
    )


async def test_a_batch_of_which_none_succeeded_stops_all_whoever_had_them(desk, large):
    ann, bob = await two(desk, parallel=2, batches=(2, "100%"))
    (mine,), (yours,) = await taken(desk, ann), await taken(desk, bob)
    await end(desk, ann, mine, state=StepState.FAILED)
    assert await stands(desk) == (0, 1, None)
    assert await taken(desk, ann) == (), "the batch has not ended: another has some of it"
    await end(desk, bob, yours, state=StepState.UNREACHABLE)
    assert await stands(desk) == (0, 2, "batchFailed")
    assert await taken(desk, ann) == ()
    view = await desk.see(runs.get, ann.fence.run)
    assert {found.name: found.reason for found in view.results if found.reason} == dict.fromkeys(
        NAMES[2:], "batchFailed"
    )


async def test_each_batch_needs_a_success_of_its_own(desk, large):
    """One of the batch before does not count for the next."""
    ann, bob = await two(desk, parallel=2, batches=(2,))
    for _ in range(2):
        names = (*await taken(desk, ann), *await taken(desk, bob))
        await end(desk, ann, names[0])
        assert await taken(desk, ann) == ()
        await end(desk, bob, names[1], state=StepState.FAILED)
    assert await stands(desk) == (2, 2, None)
    names = (*await taken(desk, ann), *await taken(desk, bob))
    assert names == NAMES[4:6]
    await end(desk, ann, names[0], state=StepState.FAILED)
    await end(desk, bob, names[1], state=StepState.FAILED)
    assert await stands(desk) == (2, 4, "batchFailed")


async def test_what_had_begun_with_a_lost_runner_goes_on_in_a_run_that_is_halted(desk, large):
    """And what it had in its hands and had not begun is left out with the rest."""
    ann, bob = await two(desk, parallel=4, most=0)
    begun, unbegun = await taken(desk, ann)
    second = await taken(desk, bob)
    await start(desk, ann, begun)
    await end(desk, bob, second[0], state=StepState.FAILED)
    assert await taken(desk, bob, have=frozenset(second[1:])) == ()
    await lose(desk, ann, bob)
    share = await told(desk, bob, Asks(frozenset(second[1:])))
    assert [(found.target, len(found.records)) for found in share.targets] == [(begun, 1)]
    await end(desk, bob, begun, second[1])
    assert (await told(desk, bob, Asks())).over
    view = await desk.see(runs.get, bob.fence.run)
    states = {found.name: found.state for found in view.results}
    assert states.pop(unbegun) is StepState.SKIPPED
    assert {states[name] for name in NAMES[4:]} == {StepState.SKIPPED}
    assert await desk.do(leases.finish_together, bob.fence, runner=bob.runner, now=desk.clock.now()) is RunState.FAILED


async def test_there_are_never_more_at_work_than_the_run_has_places(desk, large):
    """Also where its runners cannot have equally many, and where one is lost: its places are free then, not before."""
    ann, bob = await two(desk, parallel=3)
    first, second = await taken(desk, ann), await taken(desk, bob)
    assert (first, second) == (NAMES[:2], NAMES[2:3])
    (cid,) = await desk.do(leases.join, "default/cid", (ann.fence.run,))
    assert await taken(desk, cid) == await taken(desk, bob, have=frozenset(second)) == ()
    await end(desk, bob, *second)
    assert (await taken(desk, bob), await taken(desk, cid)) == (NAMES[3:4], ())
    await lose(desk, ann, bob, cid)
    assert (await taken(desk, cid), await taken(desk, bob, have=frozenset(NAMES[3:4]))) == (first, ())


async def test_what_ended_in_a_slice_that_was_lost_is_kept_as_evidence_and_changes_nothing(desk, large):
    ann, bob = await two(desk, parallel=4, most=0)
    first = await taken(desk, ann)
    await start(desk, ann, *first)
    await lose(desk, ann, bob)
    with pytest.raises(FenceLost):
        await end(desk, ann, *first, state=StepState.FAILED)
    kept = await desk.see(evidence.of, ann.fence.run)
    assert [(one.what, one.target, one.state) for one in kept] == [("target", name, "failed") for name in first]
    assert await stands(desk) == (0, 0, None)


async def test_an_end_that_was_recorded_before_the_run_ended_is_no_evidence(desk, large):
    """The answer to its commit was lost, and another has ended the run meanwhile."""
    ann, bob = await two(desk, parallel=8)
    first, second = await taken(desk, ann), await taken(desk, bob)
    await end(desk, bob, *second)
    await end(desk, ann, *first)
    assert await desk.do(leases.finish_together, bob.fence, runner=bob.runner, now=desk.clock.now()) is not None
    with pytest.raises(FenceLost):
        await end(desk, ann, *first)
    assert await desk.see(evidence.of, ann.fence.run) == ()


async def test_a_target_that_recovers_in_a_large_run_is_told_of_as_in_any(desk, large):
    ann, bob = await two(desk, parallel=4)
    first, second = await taken(desk, ann), await taken(desk, bob)
    await end(desk, ann, *first, state=StepState.UNREACHABLE)
    await end(desk, bob, *second)
    assert await desk.see(lambda conn: [tallies.failures(conn, "Target", name) for name in NAMES[:4]]) == [1, 1, 0, 0]
    assert await desk.see(tallies.unwell, "Target", NAMES) == set(first)
    await desk.do(happenings.targets_ended, dict.fromkeys(NAMES, StepState.SUCCEEDED), ann.fence.run, desk.clock.now())
    assert await desk.see(tallies.unwell, "Target", NAMES) == frozenset()


async def test_who_ended_a_run_that_nothing_proves_is_on_record(desk, large):
    _, bob = await two(desk)
    await desk.do(leases.give_up, bob.fence, reason="internalError", now=desk.clock.now())
    assert (await desk.see(runs.get, bob.fence.run)).runner == bob.runner


async def test_what_was_given_and_not_heard_of_is_given_again(desk, large):
    """The answer to a commit may be lost: who says that it has none of them gets the same. A look foretells both."""
    ann, bob = await two(desk, parallel=4)
    assert (await desk.see(spreads.share, ann.fence, ending=None)).again
    first = await taken(desk, ann)
    assert (sorted(await taken(desk, ann)), first) == (list(first), NAMES[:2])
    assert not (await desk.see(spreads.share, ann.fence, ending=None)).again, "its places are taken"
    assert (await desk.see(spreads.share, bob.fence, ending=None)).again
