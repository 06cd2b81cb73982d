"""Runs that windows hold: put off, judged again when their time comes, let go, cancelled. On a real journal."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from engine.catalog import Catalog
from engine.identity import Cause, RunId, run_id
from engine.judge import ActFacts, Launch, heeding, judge
from engine.runs.planning import plan_run
from engine.runs.refused import PlanRefused
from engine.states import RunState
from engine.status.views import RunView
from journal import leases, names, renames, runs, schedules
from journal.clock import SystemClock
from journal.databases import tables
from journal.store import Journal
from reconciler.closures import Closures
from reconciler.launches import new_run
from reconciler.schedules import Schedules
from reconciler.workflows import Workflows
from schemas.act import RunRequest
from schemas.quantities import format_instant
from tests.catalogs import catalog, job, local_target

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Bench:
    """Schedules and closures on a journal, told the time in minutes after T0."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.schedules = Schedules(journal)
        self.closures = Closures(journal)
        self.workflows = Workflows(journal)
        self.catalog: Catalog | None = None

    async def adopt(self, at: float, *documents: str) -> None:
        self.catalog = known = catalog(*documents).after(await self.journal.read(names.known))
        await self.schedules.adopt(known, T0 + at * MINUTE, also=lambda tx: renames.follow(tx, known))

    async def look(self, at: float) -> None:
        """One pass: what is due is decided, what windows say is heeded, what waits is admitted."""
        now = T0 + at * MINUTE
        await self.schedules.decide(now)
        assert self.catalog is not None
        assert self.schedules.admissions is not None
        await self.closures.heed(self.catalog, self.schedules.admissions, now)
        await self.journal.write(lambda tx: runs.admit(tx, now))
        self.workflows.heeded = (self.catalog, self.schedules.admissions.windows)
        await self.workflows.lead(now)

    async def seen(self) -> list[RunView]:
        ids: tuple[RunId, ...] = tuple(run.id for run in await self.journal.read(runs.recent))
        found = await self.journal.read(lambda conn: runs.get_all(conn, ids))
        return sorted(found.values(), key=lambda run: run.cause.instant)

    async def told(self) -> list[str]:
        """`1 queued`, `2 waiting until 10`, `3 cancelled`: by minutes."""
        return [
            f"{(run.cause.instant - T0) / MINUTE:g} {run.state}"
            + (f" until {(run.starts_at - T0) / MINUTE:g}" if run.starts_at and run.state is RunState.WAITING else "")
            for run in await self.seen()
        ]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Bench(journal)
    await journal.close()


def window(name: str, begin: float, end: float, rest: str = "blocked: defer") -> str:
    times = f"from: {format_instant(T0 + begin * MINUTE)}, until: {format_instant(T0 + end * MINUTE)}"
    return f"kind: Window\nmetadata: {{name: {name}}}\nspec: {{effect: deny, {times}, {rest}}}\n"


def work(on_conflict: str = "queueOne", every: str = "1m") -> tuple[str, str, str]:
    concurrency = f"  targets: {{names: [here]}}\n  concurrency: {{onConflict: {on_conflict}}}\n"
    schedule = f"kind: Schedule\nmetadata: {{name: often}}\nspec: {{jobRef: greet, every: {every}}}\n"
    return local_target("here"), job("greet", spec=concurrency), schedule


async def test_of_all_that_a_window_puts_off_only_so_many_are_there_as_can_start_or_wait(bench: Bench) -> None:
    """A hundred instants in a window are two runs and one record, and not a storm at its end."""
    await bench.adopt(0, *work(), window("w", 0.5, 100.5))
    for minute in range(1, 101):
        await bench.look(minute)

    assert await bench.told() == ["1 waiting until 100.5", "2 waiting until 100.5"]
    (skips,) = await bench.journal.read(lambda conn: schedules.day(conn, T0.date()))
    assert (skips.reason, skips.count, skips.first) == ("overlap", 98, T0 + 3 * MINUTE)

    await bench.look(100.5)
    assert await bench.told() == ["1 queued", "2 waiting until 100.5"]


@pytest.mark.parametrize(("on_conflict", "left"), [("skip", 1), ("allow", 5), ("queue", 5)])
async def test_how_many_are_put_off_is_for_the_job_to_say(bench: Bench, on_conflict: str, left: int) -> None:
    await bench.adopt(0, *work(on_conflict), window("w", 0.5, 5.5))
    for minute in range(1, 6):
        await bench.look(minute)
    assert len(await bench.seen()) == left


async def test_another_window_that_has_come_meanwhile_holds_it_further(bench: Bench) -> None:
    await bench.adopt(0, *work(every="10m"), window("w", 5, 15))
    await bench.look(10)
    assert await bench.told() == ["10 waiting until 15"]
    await bench.adopt(12, *work(every="10m"), window("w", 5, 15), window("v", 14, 18))
    await bench.look(12)
    await bench.look(15)
    assert await bench.told() == ["10 waiting until 18"]
    await bench.look(18)
    assert await bench.told() == ["10 queued"]


async def test_one_that_skips_ends_it(bench: Bench) -> None:
    await bench.adopt(0, *work(every="10m"), window("w", 5, 15))
    await bench.look(10)
    await bench.adopt(12, *work(every="10m"), window("w", 5, 15), window("v", 14, 18, "blocked: skip"))
    await bench.look(15)
    (run,) = await bench.seen()
    assert (run.state, run.reason) == (RunState.CANCELLED, "window: Window/v")


async def test_it_starts_as_soon_as_nothing_holds_it_any_more(bench: Bench) -> None:
    await bench.adopt(0, *work(every="10m"), window("w", 5, 60))
    await bench.look(10)
    await bench.adopt(12, *work(every="10m"), window("w", 5, 13))
    await bench.look(12)
    assert await bench.told() == ["10 waiting until 13"]
    await bench.adopt(12.5, *work(every="10m"))
    await bench.look(12.5)
    await bench.look(12.6)
    assert await bench.told() == ["10 queued"]


async def test_what_waits_for_its_place_is_held_by_a_window_that_begins(bench: Bench) -> None:
    """The first has the only place; the second must not begin when that is free, in the window."""
    await bench.adopt(0, *work(), window("w", 2.5, 5.5))
    await bench.look(1)
    await bench.look(2)
    assert await bench.told() == ["1 queued", "2 waiting"]
    await bench.look(2.5)
    first, _ = await bench.seen()
    now = T0 + 2.6 * MINUTE
    await bench.journal.write(lambda tx: runs.cancel(tx, first.id, reason=None, by=None, now=now))
    await bench.look(2.6)
    assert await bench.told() == ["1 cancelled", "2 waiting until 5.5"]
    await bench.look(5.5)
    assert (await bench.told())[:2] == ["1 cancelled", "2 queued"]


async def test_its_queue_timeout_counts_from_when_it_may_start(bench: Bench) -> None:
    await bench.adopt(0, *work(every="10m"), window("w", 5, 300))
    await bench.look(10)
    await bench.journal.write(lambda tx: runs.expire(tx, T0 + 299 * MINUTE))
    assert await bench.told() == ["10 waiting until 300"]


FLOW = (
    "kind: Workflow\nmetadata: {name: flow}\n"
    "spec: {jobs: {first: {wait: 5m}, then: {jobRef: greet, needs: [first]}}}\n",
    "kind: Schedule\nmetadata: {name: flowing}\nspec: {workflowRef: flow, every: 1h}\n",
)


async def nodes(bench: Bench) -> list[tuple[str, float | None]]:
    """The states of the runs of nodes, and the minutes at which those start that wait for their time."""
    found = [run for run in await bench.seen() if run.cause.kind == "workflow"]
    return [(str(run.state), (run.starts_at - T0) / MINUTE if run.starts_at else None) for run in found]


@pytest.mark.parametrize("blocked", ["skip", "defer"])
async def test_a_node_of_a_workflow_that_has_begun_waits_for_the_end_of_a_window(bench: Bench, blocked: str) -> None:
    """A deployment that was approved at night does not happen in the window that has begun since."""
    documents = (*work(every="10h")[:2], *FLOW, window("w", 62, 80, f"blocked: {blocked}, jobs: {{names: [greet]}}"))
    await bench.adopt(0, *documents)
    await bench.look(60)
    await bench.look(65)
    assert await nodes(bench) == [("waiting", 80)]
    await bench.look(80)
    assert await nodes(bench) == [("queued", 80)]


async def test_a_node_that_waits_is_let_go_where_its_window_is_taken_away(bench: Bench) -> None:
    documents = (*work(every="10h")[:2], *FLOW)
    await bench.adopt(0, *documents, window("w", 62, 80))
    await bench.look(60)
    await bench.look(65)
    await bench.adopt(66, *documents)
    await bench.look(66)
    await bench.look(66.1)
    assert await nodes(bench) == [("queued", 66)]


async def claimed(bench: Bench, at: float) -> list[RunId]:
    """What a runner takes at a minute."""
    now = T0 + at * MINUTE
    await bench.journal.write(lambda tx: leases.register(tx, "default/r", "default", "h", now))
    got = await bench.journal.write(lambda tx: leases.claim(tx, "default/r", None, 8, now))
    return [claim.fence.run for claim in got]


async def asked(bench: Bench, at: float, name: str = "ask", **spec: Any) -> RunId:
    """A person's request, judged and recorded at a minute."""
    envelope = {"apiVersion": "opsconductor/v1", "kind": "RunRequest", "metadata": {"name": name, "labels": {"a": "b"}}}
    request, now = RunRequest.model_validate({**envelope, "spec": spec}), T0 + at * MINUTE
    assert bench.catalog is not None
    assert bench.schedules.admissions is not None
    judgement = judge(request, ActFacts(now, now, "a@b"), bench.catalog, now)
    launch = heeding(judgement, request, bench.schedules.admissions.windows, bench.catalog, now)
    assert isinstance(launch, Launch)
    new = new_run(launch, bench.catalog)
    await bench.journal.write(lambda tx: runs.enqueue(tx, new, now))
    return launch.run


async def wished(bench: Bench) -> list[str | None]:
    def read(conn: Connection) -> list[str | None]:
        return list(conn.execute(select(tables.runs.c.wish_reason).where(tables.runs.c.wish.is_not(None))).scalars())

    return await bench.journal.read(read)


async def test_what_is_queued_and_nobody_has_begun_is_put_off_by_a_window_that_begins(bench: Bench) -> None:
    """A backlog must not drain into a freeze; at its end they begin in the order in which they were."""
    await bench.adopt(0, *work("allow", "10m"), window("w", 25, 35))
    await bench.look(10)
    await bench.look(20)
    await bench.look(25)
    assert await bench.told() == ["10 waiting until 35", "20 waiting until 35"]
    assert await claimed(bench, 26) == []
    await bench.look(35)
    first, second = (await bench.seen())[:2]
    assert (await claimed(bench, 36))[:2] == [first.id, second.id]


async def test_what_is_queued_gives_its_place_back_and_gets_it_again(bench: Bench) -> None:
    """Its queueTimeout does not run in the window; what came behind it comes after it."""
    await bench.adopt(0, *work(), window("w", 2.5, 300))
    await bench.look(1)
    await bench.look(2)
    await bench.look(2.5)
    assert await bench.told() == ["1 waiting until 300", "2 waiting until 300"]
    assert all(run.held is None for run in await bench.seen())
    await bench.journal.write(lambda tx: runs.expire(tx, T0 + 299 * MINUTE))
    await bench.look(300)
    assert (await bench.told())[:2] == ["1 queued", "2 waiting until 300"]


async def test_what_is_queued_ends_where_the_window_skips(bench: Bench) -> None:
    await bench.adopt(0, *work(every="10m"), window("w", 15, 600, "blocked: skip"))
    await bench.look(10)
    await bench.look(15)
    (run,) = await bench.seen()
    assert (run.state, run.reason) == (RunState.CANCELLED, "window: Window/w")


async def test_a_request_that_may_start_in_the_window_keeps_its_place(bench: Bench) -> None:
    await bench.adopt(0, *work(every="10h")[:2], window("w", 5, 600, "running: cancel"))
    run = await asked(bench, 4, jobRef="greet")
    await bench.look(5)
    assert await claimed(bench, 6) == [run]
    await bench.look(7)
    assert await wished(bench) == []


async def test_what_has_begun_since_the_last_look_is_told_to_end_where_no_run_may_go_on(bench: Bench) -> None:
    """A request that was judged before the window began and recorded after it, and that a runner took at once."""
    await bench.adopt(0, *work(every="10h")[:2], window("w", 5, 600, "running: cancel, requests: deny"))
    await bench.look(4)
    await bench.look(5)
    await asked(bench, 4.9, jobRef="greet")
    assert len(await claimed(bench, 5.5)) == 1
    await bench.look(6)
    assert await wished(bench) == ["Window/w: no run may go on (running: cancel)"]


async def test_what_a_runner_has_begun_meanwhile_is_not_ended_by_a_window_that_lets_it_finish(bench: Bench) -> None:
    """It was queued when the windows were looked at, and begun before that was written."""
    await bench.adopt(0, *work(every="10m"), window("w", 15, 600, "blocked: skip"))
    await bench.look(10)
    real = bench.journal.write

    async def late(change: Any) -> Any:
        bench.journal.write = real  # type: ignore[method-assign]
        await claimed(bench, 15)
        return await real(change)

    bench.journal.write = late  # type: ignore[method-assign]
    assert bench.catalog is not None
    assert bench.schedules.admissions is not None
    await bench.closures.heed(bench.catalog, bench.schedules.admissions, T0 + 15 * MINUTE)
    (run,) = await bench.seen()
    assert (run.state, await wished(bench)) == (RunState.RUNNING, [])


async def test_whose_time_comes_in_a_window_that_has_begun_since_is_held(bench: Bench) -> None:
    """Between the openings of windows, too: nothing but its time says that it is to be judged."""
    documents = (*work(every="10h")[:2],)
    await bench.adopt(0, *documents)
    await asked(bench, 1, jobRef="greet", notBefore=format_instant(T0 + 10 * MINUTE))
    await bench.adopt(5, *documents, window("w", 8, 20, "requests: deny, blocked: defer"))
    for minute in (5, 8, 10):
        await bench.look(minute)
    assert await bench.told() == ["10 waiting until 20"]


@pytest.mark.parametrize(("not_before", "then"), [(None, "8"), (50, "50")])
async def test_a_request_starts_as_soon_as_nothing_holds_it_any_more(
    bench: Bench, not_before: int | None, then: str
) -> None:
    """And not before the time that it names."""
    await bench.adopt(0, *work()[:2], window("w", 5, 10_000, "requests: deny, blocked: defer"))
    spec = {} if not_before is None else {"notBefore": format_instant(T0 + not_before * MINUTE)}
    await asked(bench, 6, jobRef="greet", **spec)
    assert (await bench.told())[0].endswith("waiting until 10000")
    await bench.adopt(8, *work()[:2])
    await bench.look(8)
    (run,) = await bench.seen()
    assert run.starts_at == T0 + int(then) * MINUTE
    await bench.look(51)
    assert [str(one.state) for one in await bench.seen()] == ["queued"]


async def test_a_job_of_a_request_that_its_labels_may_hold_waits_as_it_was_told(bench: Bench) -> None:
    """Its labels are not in the journal: who cannot know that it is free does not let it go."""
    held = window("w", 5, 100, "requests: deny, blocked: defer, jobs: {selector: {matchLabels: {a: b}}}")
    await bench.adopt(0, *work()[:2], held)
    await asked(bench, 6, "own", job={"steps": [{"uses": "dummy"}]})
    await bench.adopt(7, *work()[:2], held, window("v", 500, 600))
    await bench.look(7)
    assert (await bench.told())[0].endswith("waiting until 100")


async def test_who_came_into_the_line_while_a_window_opened_is_held_too(bench: Bench) -> None:
    """Judged a moment before it opened, and written a moment after all were judged by it."""
    await bench.adopt(0, *work("queue", "1d"), window("freeze", 30, 90, "blocked: defer, requests: deny"))
    assert bench.catalog is not None
    for name, at in (("one", 0), ("two", 29.99)):
        asked = judge_start(bench.catalog, name)
        await bench.journal.write(
            lambda tx, asked=asked, at=at: runs.enqueue(tx, new_run(asked, bench.catalog), T0 + at * MINUTE)  # type: ignore[misc, arg-type]
        )
        if name == "one":
            (claim,) = await bench.journal.write(lambda tx: leases.claim(tx, "default/r", ("default",), 1, T0))
            await bench.look(30)
    await bench.look(31)
    await bench.journal.write(lambda tx: leases.finish(tx, claim.fence, RunState.SUCCEEDED, now=T0 + 40 * MINUTE))
    await bench.look(40)
    assert sorted(await bench.told()) == ["0 succeeded", "0 waiting until 90"]


def judge_start(definitions: Catalog, name: str) -> Launch:
    """What a request of that name starts."""
    cause = Cause("request", name, T0, requested_by="ada@example.org")
    greet = definitions.jobs["greet"]
    planned = plan_run(definitions, greet, params={})
    assert not isinstance(planned, PlanRefused)
    return Launch(run=run_id("greet", cause), cause=cause, planned=planned, job=greet.spec)


async def test_places_are_given_in_the_order_of_due_instants(bench: Bench) -> None:
    """Not schedule by schedule, where several of one job are caught up together."""
    target, greet, _ = work("queue")
    every = "catchUp: {policy: all, window: 6h, max: 9}"
    halves = [
        f"kind: Schedule\nmetadata: {{name: {name}}}\n"
        f"spec: {{jobRef: greet, cron: '{minute} * * * *', timeZone: UTC, {every}}}\n"
        for name, minute in (("a-half", 30), ("b-full", 0))
    ]
    await bench.adopt(1, target, greet, *halves)
    await bench.look(216)
    rows = await bench.journal.read(
        lambda conn: conn.execute(select(tables.runs.c.cause).order_by(tables.runs.c.seq)).scalars().all()
    )
    instants = [row["instant"] for row in rows]
    assert len(instants) == 7
    assert instants == sorted(instants)
