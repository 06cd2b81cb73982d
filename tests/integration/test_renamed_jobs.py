"""A job or workflow that is renamed while runs of it wait or work: windows go on as if it were not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from engine.states import RunState
from engine.times import recurrence
from engine.triggers import of_run
from journal import trends
from journal.clock import SystemClock
from journal.store import Journal
from reconciler.acts.requests import Requests
from schemas.act import RunRequest
from tests.catalogs import local_target
from tests.integration.test_held_runs import MINUTE, T0, Bench, asked, claimed, window, wished

OLD, NEW = "name: greet", "name: welcome, previousNames: [greet]"
FLOW_OLD, FLOW_NEW = "name: flow", "name: stream, previousNames: [flow]"
BY = {"names": "names: [{name}]", "labels": "selector: {{matchLabels: {{tier: web}}}}"}


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Bench(journal)
    await journal.close()


def name_of(names: str) -> str:
    return names.split(",", maxsplit=1)[0].removeprefix("name: ")


def greet(names: str) -> str:
    spec = "{targets: {names: [here]}, concurrency: {onConflict: queue}, steps: [{run: 'true'}]}"
    return f"kind: Job\nmetadata: {{{names}, labels: {{tier: web}}}}\nspec: {spec}\n"


def flow(names: str, job: str) -> str:
    nodes = f"{{first: {{wait: 5m}}, then: {{jobRef: {name_of(job)}, needs: [first]}}}}"
    return f"kind: Workflow\nmetadata: {{{names}}}\nspec: {{jobs: {nodes}}}\n"


def documents(what: str, *, renamed: bool, held: str | None = None) -> tuple[str, ...]:
    """A job and what starts it every ten minutes; `held`: how a window from minute 15 to 60 chooses it."""
    job = NEW if renamed and what == "Job" else OLD
    workflow = FLOW_NEW if renamed and what == "Workflow" else FLOW_OLD
    starts = f"jobRef: {name_of(job)}" if what == "Job" else f"workflowRef: {name_of(workflow)}"
    schedule = f"kind: Schedule\nmetadata: {{name: often}}\nspec: {{{starts}, every: 10m}}\n"
    shown = (local_target("here"), greet(job), flow(workflow, job), schedule)
    if held is None:
        return shown
    by = BY[held].format(name=name_of(job))
    return (*shown, window("w", 15, 60, f"blocked: skip, running: cancel, jobs: {{{by}}}"))


EARLY = window("early", 9.5, 20)


async def left(bench: Bench) -> str:
    """How the run that was due at minute 10 stands, or what it was told."""
    (run,) = [
        run for run in await bench.seen() if run.cause.kind == "schedule" and run.cause.instant == T0 + 10 * MINUTE
    ]
    return next(iter(await wished(bench)), None) or f"{run.state} {run.reason}"


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("what", ["Job", "Workflow"])
@pytest.mark.parametrize("phase", ["waits", "queued", "begun"])
async def test_a_window_holds_what_runs_under_a_former_name(bench: Bench, phase: str, what: str, by: str) -> None:
    early = (EARLY,) if phase == "waits" else ()
    await bench.adopt(0, *documents(what, renamed=False), *early)
    await bench.schedules.decide(T0 + 10 * MINUTE)
    if phase == "begun":
        await bench.look(10)
        assert len(await claimed(bench, 11)) == (what == "Job")
    await bench.adopt(12, *documents(what, renamed=True, held=by), *early)
    await bench.look(20 if phase == "waits" else 15)
    if phase == "begun":
        assert await left(bench) == "Window/w: no run may go on (running: cancel)"
    else:
        assert await left(bench) == "cancelled window: Window/w"


@pytest.mark.parametrize("what", ["Job", "Workflow"])
async def test_what_windows_put_off_starts_when_they_are_taken_away_after_a_rename(bench: Bench, what: str) -> None:
    """A request, whose windows those of its job are: that it is certain which concern it, the new name says."""
    held = window("w", 5, 10_000, "requests: deny, blocked: defer")
    await bench.adopt(0, *documents(what, renamed=False), held)
    await asked(bench, 6, **({"jobRef": "greet"} if what == "Job" else {"workflowRef": "flow"}))
    await bench.adopt(8, *documents(what, renamed=True))
    await bench.look(8)
    assert [run.starts_at for run in await bench.seen()] == [T0 + 8 * MINUTE]


async def test_a_renamed_schedules_run_starts_when_its_window_is_taken_away(bench: Bench) -> None:
    """At the time that its jitter says by the name that it was decided under."""
    *shown, often = documents("Job", renamed=False)
    often = often.replace("every: 10m", "every: 10m, jitter: 5m")
    await bench.adopt(0, *shown, often, window("w", 9, 10_000))
    await bench.schedules.decide(T0 + 10 * MINUTE)
    await bench.adopt(10.01, *shown, often.replace("name: often", "name: frequent, previousNames: [often]"))
    await bench.look(10.01)
    assert bench.catalog is not None
    spec = bench.catalog.schedules["frequent"].spec
    free, other = (recurrence.starts_at(name, spec, T0 + 10 * MINUTE) for name in ("often", "frequent"))
    assert [run.starts_at for run in await bench.seen()] == [free] != [other]


async def test_who_asks_for_a_former_names_run_again_needs_leave_for_todays_job(bench: Bench) -> None:
    """A Policy that protects a job would else be passed by way of its past."""
    await bench.adopt(0, *documents("Job", renamed=False))
    run = await asked(bench, 1, jobRef="greet")
    await bench.adopt(2, *documents("Job", renamed=True))
    envelope = {"apiVersion": "opsconductor/v1", "kind": "RunRequest", "metadata": {"name": "again"}}
    act = RunRequest.model_validate({**envelope, "spec": {"action": "rerun", "run": run}})
    assert bench.catalog is not None
    requests = Requests(bench.journal, objects=None)  # type: ignore[arg-type] # no commit is looked at
    assert await requests._of_run(act, bench.catalog) == "Job/welcome"


async def test_a_node_that_an_old_plan_starts_is_a_run_of_todays_job_in_its_group(bench: Bench) -> None:
    """Its plan names the job as it was; what else runs of the job today is in its way all the same."""
    await bench.adopt(0, *documents("Workflow", renamed=False))
    await asked(bench, 1, workflowRef="flow")
    await bench.look(1)
    await bench.adopt(2, local_target("here"), greet(NEW), flow(FLOW_OLD, NEW))
    held = await asked(bench, 3, "again", jobRef="welcome")
    await bench.look(6)
    found = {run.cause.kind: run for run in await bench.seen() if not run.workflow}
    assert {kind: (run.job, run.state) for kind, run in found.items()} == {
        "request": ("welcome", RunState.QUEUED),
        "workflow": ("greet", RunState.WAITING),
    }
    past = await bench.journal.read(lambda conn: trends.marks(conn, "welcome", workflow=False, limit=9))
    assert [mark.id for mark in past] == [found["workflow"].id, held]


async def test_a_trigger_reads_todays_name_of_what_ended_under_a_former_one(bench: Bench) -> None:
    """Who renames a job changes what reads `event.job` with it."""
    await bench.adopt(0, *documents("Job", renamed=False))
    await asked(bench, 1, jobRef="greet")
    await bench.adopt(2, *documents("Job", renamed=True))
    (run,) = await bench.seen()
    assert bench.catalog is not None
    assert of_run(run, bench.catalog)["job"] == "welcome"
    assert of_run(replace(run, inline=True), bench.catalog)["job"] == "greet"
