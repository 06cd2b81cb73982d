"""What broke and what works again, by any database."""

from engine.runs.rehearsal import Rehearsal
from engine.states import RunState
from journal import breakages, leases


async def ended(desk, name: str, state: RunState, job: str = "rotate") -> None:
    claim = await desk.running(name, job=job)
    await desk.do(leases.finish, claim.fence, state, now=desk.clock.now())


async def told(desk, limit: int = 50) -> list[tuple[str, bool]]:
    return [(brief.cause_name, recovered) for brief, recovered in await desk.see(breakages.news, limit)]


async def test_failures_and_first_successes_after_them_are_told_however_much_came_since(desk):
    await ended(desk, "0", RunState.FAILED, job="nightly")
    for number in range(1, 9):
        await ended(desk, str(number), RunState.SUCCEEDED, job="often")
    await ended(desk, "9", RunState.UNKNOWN)
    await ended(desk, "10", RunState.CANCELLED)
    await ended(desk, "11", RunState.TIMED_OUT)
    await ended(desk, "12", RunState.SUCCEEDED)
    await ended(desk, "13", RunState.SUCCEEDED)
    assert await told(desk) == [("12", True), ("11", False), ("9", False), ("0", False)]
    await ended(desk, "14", RunState.SUCCEEDED, job="nightly")
    assert await told(desk, limit=2) == [("14", True), ("12", True)], "its failure is older than those that are shown"


async def test_a_dry_run_neither_breaks_nor_mends_anything(desk, new_run):
    await ended(desk, "0", RunState.FAILED)
    for name, state in (("1", RunState.SUCCEEDED), ("2", RunState.FAILED)):
        await desk.enqueue(new_run(name, rehearsal=Rehearsal(state, {}, ())))
    assert await told(desk) == [("0", False)]


async def test_failures_are_found_without_reading_the_rest(desk, url):
    """Of a hundred thousand runs those that failed are a handful."""
    if not url.startswith("sqlite"):
        return  # what PostgreSQL chooses for a small table says nothing
    statement = str(breakages._FAILURES.compile(compile_kwargs={"literal_binds": True}))
    plan = await desk.see(lambda conn: conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all())
    assert ["runs_failed" in row[-1] for row in plan] == [True], plan
