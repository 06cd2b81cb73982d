"""How much the engine reads to lead many workflows of which most only wait: its statements, on a real journal."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from engine.identity import Cause, RunId, run_id
from engine.states import RunState
from engine.workflows.workflowplan import PlannedWorkflow, plan_workflow
from journal import runs
from journal.clock import SystemClock
from journal.errors import Unavailable
from journal.store import Journal
from reconciler.workflows import Workflows
from tests.catalogs import catalog

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MANY = 20


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """The statements that the journal is asked meanwhile, by their first word."""
    found: Counter[str] = Counter()

    def count(connection: object, cursor: object, statement: str, *_: object) -> None:
        found[statement.split(maxsplit=1)[0]] += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", count)


class Bench:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.workflows = Workflows(journal)

    async def start(self, count: int, spec: str = "{a: {wait: 1h}, b: {needs: [a], wait: 1h}}") -> list[RunId]:
        document = (
            f"kind: Workflow\nmetadata: {{name: slow}}\nspec: {{jobs: {spec}, concurrency: {{onConflict: allow}}}}\n"
        )
        found = catalog(document)
        planned = plan_workflow(found, found.workflows["slow"], params={})
        assert isinstance(planned, PlannedWorkflow)
        causes = [Cause("request", f"ask-{number}", T0) for number in range(count)]
        for cause in causes:
            new = runs.NewRun(id=run_id("slow", cause), cause=cause, spec=planned.spec, params={}, pool="")
            await self.journal.write(lambda tx, new=new: runs.enqueue(tx, new, T0))  # type: ignore[misc]
        return [run_id("slow", cause) for cause in causes]

    async def states(self) -> Counter[RunState]:
        return Counter(run.state for run in await self.journal.read(runs.recent))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Bench(journal)
    await journal.close()


async def test_a_look_where_nothing_has_changed_costs_the_same_however_many_wait(bench: Bench) -> None:
    await bench.start(MANY)
    with counted() as first:
        await bench.workflows.lead(T0)
    assert first["SELECT"] > MANY
    await bench.workflows.lead(T0)  # hears what it has written itself
    with counted() as idle:
        await bench.workflows.lead(T0 + MINUTE)
    assert idle["SELECT"] <= 2
    assert bench.workflows.next_wake == T0 + 60 * MINUTE


async def test_only_the_workflow_that_was_touched_is_read(bench: Bench) -> None:
    ids = await bench.start(MANY)
    await bench.workflows.lead(T0)
    await bench.workflows.lead(T0)
    with counted() as idle:
        await bench.workflows.lead(T0)
    await bench.journal.write(lambda tx: runs.cancel(tx, ids[3], reason=None, by="ann", now=T0))
    with counted() as one:
        await bench.workflows.lead(T0)
    assert await bench.states() == {RunState.CANCELLED: 1, RunState.RUNNING: MANY - 1}
    with counted() as first:
        await Workflows(bench.journal).lead(T0)
    assert idle["SELECT"] < one["SELECT"] < first["SELECT"]


async def test_those_whose_time_has_come_go_on_though_nothing_was_written(bench: Bench) -> None:
    await bench.start(2)
    await bench.workflows.lead(T0)
    await bench.start(4)
    await bench.workflows.lead(T0 + MINUTE)
    await bench.workflows.lead(T0 + 60 * MINUTE)
    assert bench.workflows.next_wake == T0 + 61 * MINUTE, "of those that were started later"
    await bench.workflows.lead(T0 + 120 * MINUTE)
    assert await bench.states() == {RunState.SUCCEEDED: 2, RunState.RUNNING: 2}
    assert bench.workflows.next_wake == T0 + 180 * MINUTE


async def test_what_could_not_be_led_is_led_the_next_time(bench: Bench) -> None:
    """The journal was away in the middle: what had changed is not forgotten."""
    (run,) = await bench.start(1)
    await bench.workflows.lead(T0)
    await bench.journal.write(lambda tx: runs.cancel(tx, run, reason=None, by="ann", now=T0))

    def breaks(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "nodes" in statement:
            raise Unavailable("away")

    event.listen(Engine, "before_cursor_execute", breaks)
    try:
        with pytest.raises(Unavailable):
            await bench.workflows.lead(T0)
    finally:
        event.remove(Engine, "before_cursor_execute", breaks)
    await bench.workflows.lead(T0)
    assert await bench.states() == {RunState.CANCELLED: 1}
