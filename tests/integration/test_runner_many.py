"""One run over five thousand targets, on one runner: it ends whole, and what people see of it stays in bounds."""

import pytest

from engine.runs.pinned import PlannedStep, Use
from engine.states import RunState, StepState
from engine.status.readmodel import run_files
from tests.running import Bench, bench, here

__all__ = ["bench"]

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
