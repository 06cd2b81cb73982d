"""One run over five thousand targets, on one runner and on several: it ends whole, and what people see of it stays in
bounds."""

import pytest

from engine.runs.pinned import PlannedStep, Use
from engine.states import RunState, StepState
from engine.status.readmodel import run_files
from tests.hall import Hall, hall, wide
from tests.postgresql import for_postgresql, postgresql_database, postgresql_url
from tests.running import Bench, bench, here

__all__ = ["bench", "for_postgresql", "hall", "postgresql_database", "postgresql_url"]

pytestmark = pytest.mark.slow

TARGETS = tuple(here(f"web-{number:04}") for number in range(5_000))
MOST = 64 * 1024
"""Bytes of a slice of targets on the status branch; the first file names all of them besides."""


async def test_a_run_over_five_thousand_targets_ends_on_each_of_them(bench: Bench) -> None:
    done = await bench.execute(
        PlannedStep(id="only", phase="steps", action=Use("dummy", {"stdout": "hello"})),
        targets=TARGETS,
        max_parallel=200,
        batches=(1, "25%", "100%"),
        max_failures="10%",
        patience=580,
    )
    assert done.state is RunState.SUCCEEDED
    assert [found.name for found in done.view.results] == [target.name for target in TARGETS]
    assert {(found.state, len(found.steps)) for found in done.view.results} == {(StepState.SUCCEEDED, 1)}
    _, *slices = run_files(done.view).values()
    assert slices
    assert max(len(text.encode()) for text in slices) <= MOST


async def test_a_budget_of_failures_is_exact_among_thousands(bench: Bench) -> None:
    """A batch of one and then one at a time: the first beyond it is the last that begins."""
    done = await bench.execute(
        PlannedStep(id="only", phase="steps", action=Use("dummy", {"exit": 1})),
        targets=TARGETS,
        max_parallel=1,
        max_failures="1%",
        patience=580,
    )
    assert done.state is RunState.FAILED
    begun = [found for found in done.view.results if found.steps]
    assert len(begun) == 51


async def test_several_runners_do_five_thousand_together_and_one_is_killed(hall: Hall) -> None:
    step = PlannedStep(id="only", phase="steps", action=Use("dummy", {"stdout": "hello"}), idempotent=True)
    batches = (1, "25%", "100%")
    new = wide(step, count=len(TARGETS), max_parallel=150, batches=batches, max_failures="10%")
    hall.start("ann", "bob", "cid")
    run = await hall.enqueue(new)
    good = StepState.SUCCEEDED
    await hall.until(run, lambda view: len({found.runner for found in view.results if found.state is good}) == 3)
    hall.processes["cid"].kill()
    done = await hall.ended(run, 580)
    assert (done.state, done.attempt) == (RunState.SUCCEEDED, 1)
    assert [found.name for found in done.results] == [target.name for target in TARGETS]
    assert {(found.state, len(found.steps)) for found in done.results} == {(StepState.SUCCEEDED, 1)}
    assert {found.runner for found in done.results} == {"default/ann", "default/bob", "default/cid"}
    _, *files = run_files(done).values()
    assert max(len(text.encode()) for text in files) <= MOST
