"""Taking runs in from a status branch: what ended, what goes on, and what nothing proves."""

from dataclasses import replace
from datetime import timedelta

from engine.identity import RunId
from engine.runs.resumption import Unprovable
from engine.schedules.decide import Skips
from engine.states import RunState, StepState
from engine.status.views import RunView, StepView, TargetView
from journal import acts, runimport, runresume, runs, schedules
from journal.runs import NewRun
from tests.contract.conftest import START, Desk, a_run

LATER = START + timedelta(hours=1)


def shown(new: NewRun, state: RunState = RunState.QUEUED, *, attempt: int = 1) -> RunView:
    """The run on the branch, between its two steps on its first target, or ended."""
    ended = state not in (RunState.QUEUED, RunState.WAITING)
    step = StepView("space", StepState.SUCCEEDED, exit_code=0)
    target = TargetView("web-01", StepState.SUCCEEDED if ended else StepState.RUNNING, {}, (step,))
    return RunView(
        id=new.id, job=new.spec.job, commit=new.spec.commit, cause=new.cause, state=state, queued_at=START,
        params=new.params, targets=("web-01", "web-02"), results=(target,), attempt=attempt,
        started_at=START, finished_at=LATER if ended else None,
    )  # fmt: skip


async def test_a_run_goes_on_with_its_slot_and_its_steps(desk: Desk) -> None:
    new = a_run(group="rotate", on_conflict="cancelRunning")
    newer = a_run("two", group="rotate", on_conflict="cancelRunning")
    assert await desk.do(runresume.take_in, shown(new), new, "ours", LATER)
    waiting = replace(shown(newer, RunState.WAITING, attempt=0), started_at=None, results=())
    assert await desk.do(runresume.take_in, waiting, newer, "ours", LATER)
    (claim,) = await desk.claim()
    assert (claim.fence.run, claim.attempt, claim.ending) == (new.id, 2, "cancelled")
    assert [record.id for record in claim.records["web-01"]] == ["space"]
    assert await desk.state(newer.id) == "waiting"


async def test_an_engine_that_comes_back_follows_the_other_or_says_that_it_cannot(desk: Desk) -> None:
    one, two = a_run("one"), a_run("two")
    for new in (one, two):
        await desk.running(new.cause.name)
    assert await desk.do(runresume.take_in, shown(one, attempt=3), one, "drained", LATER)
    assert await desk.do(runresume.take_in, shown(two, attempt=3), Unprovable("gone"), "drained", LATER)
    assert [await desk.state(new.id) for new in (one, two)] == ["queued", "unknown"]
    (claim,) = await desk.claim()
    assert (claim.attempt, list(claim.records)) == (4, ["web-01"])


async def test_what_ended_has_ended_whoever_said_so(desk: Desk) -> None:
    known, unheard = a_run("known"), a_run("unheard")
    await desk.running("known")
    for new in (known, unheard):
        assert await desk.do(runimport.import_run, shown(new, RunState.FAILED), LATER)
    assert [await desk.state(new.id) for new in (known, unheard)] == ["failed", "failed"]


async def test_what_the_other_was_never_told_of_is_not_done(desk: Desk) -> None:
    begun, new = await desk.running("begun"), a_run("waiting")
    await desk.enqueue(new)
    await desk.do(acts.settle, "waiting", state="accepted", run=new.id, now=START)
    await desk.do(runimport.end_untold, (), LATER)
    assert [await desk.state(run) for run in (begun.fence.run, new.id)] == ["unknown", "gone"]
    assert (await desk.see(acts.seen, ["waiting"]))["waiting"].reason == "storeLost"
    assert isinstance(await desk.enqueue(new), runs.AlreadyThere)
    await desk.do(schedules.take_back, RunId("none"))


async def test_skips_that_the_branch_adds_to_are_longer(desk: Desk) -> None:
    longer = Skips("nightly", START, LATER, 2, "missed")
    for skips in (replace(longer, last=START, count=1), longer):
        await desk.do(schedules.import_skips, (skips,), LATER)
    assert await desk.see(schedules.day, START.date()) == (longer,)
