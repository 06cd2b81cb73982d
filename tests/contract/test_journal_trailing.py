"""What changes add at the end of their transaction: nothing of it is lost, doubled, or out of order."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, event, select

from engine.states import RunState
from journal import counts, leases, notices, outbox, runs
from journal.databases import trailing
from journal.databases.tables import outbox as told
from tests.contract.conftest import START, Desk, a_run


def keys(conn: Connection) -> Sequence[str]:
    return conn.execute(select(told.c.key).order_by(told.c.seq)).scalars().all()


def fails(tx: Connection) -> None:
    outbox.add(tx, "run", "never")
    raise ValueError("no")


async def test_what_a_change_told_of_that_failed_is_not_told(desk: Desk) -> None:
    """Those that share its transaction are not touched, and keep their order."""

    async def telling(key: str) -> None:
        await desk.journal.write(lambda tx: outbox.add(tx, "run", key))

    async def failing() -> None:
        with pytest.raises(ValueError, match="no"):
            await desk.journal.write(fails)

    await asyncio.gather(*(telling(f"a{number}") for number in range(5)), failing(), telling("b"))
    assert list(await desk.see(keys)) == ["a0", "a1", "a2", "a3", "a4", "b"]


async def test_a_run_that_is_there_already_tells_of_nothing_twice(desk: Desk) -> None:
    def change(tx: Connection) -> int:
        outbox.add(tx, "run", "first")
        runs.enqueue(tx, a_run("one"), START)
        runs.enqueue(tx, a_run("one"), START)
        return outbox.last(tx)

    last = await desk.journal.write(change)
    found = list(await desk.see(keys))
    assert found[0] == "first"
    assert len(found) == last == 3, "the run and its job besides; and who asks in the transaction sees them"


async def test_ends_that_share_a_transaction_are_counted_each(desk: Desk) -> None:
    """Also where one of them failed in between: the one after it has recovered."""
    for number in range(4):
        await desk.enqueue(a_run(f"n{number}", group=None))
    claims = await desk.claim(limit=4)
    states = (RunState.SUCCEEDED, RunState.FAILED, RunState.SUCCEEDED, RunState.SUCCEEDED)

    def end_all(tx: Connection) -> None:
        for claim, state in zip(claims, states, strict=True):
            leases.finish(tx, claim.fence, state, now=START)

    await desk.journal.write(end_all)
    of_runs = {one.detail: one.times for one in await desk.see(counts.every) if one.what == "run"}
    assert of_runs == {"succeeded": 3, "failed": 1}
    (late,) = (one.times for one in await desk.see(counts.every) if one.what == "late")
    assert late == 4
    found = [one.type for one in await desk.see(notices.pending)]
    assert found == ["run.started"] * 4 + ["run.succeeded", "run.failed", "run.recovered", "run.succeeded"]


async def test_many_ends_are_told_of_by_a_few_messages(desk: Desk) -> None:
    for number in range(8):
        await desk.enqueue(a_run(f"n{number}", group=None))
    claims = await desk.claim(limit=8)
    statements: list[str] = []
    event.listen(desk.journal._database.writing, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def end_all(tx: Connection) -> None:
        for claim in claims:
            leases.finish(tx, claim.fence, RunState.SUCCEEDED, now=START)

    await desk.journal.write(end_all)
    assert (
        sum(one.startswith(("INSERT INTO outbox", "INSERT INTO notices", "INSERT INTO counts")) for one in statements)
        == 3
    )


async def test_rows_wait_only_where_the_transaction_settles_them(desk: Desk) -> None:
    def change(tx: Connection) -> int:
        trailing.end(tx)
        outbox.add(tx, "run", "at once")
        return trailing.count(tx)

    assert await desk.journal.write(change) == 0
    assert list(await desk.see(keys)) == ["at once"]
