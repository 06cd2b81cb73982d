"""Orders that come between a step's turn and its start, and what is known of an attempt whose runner stopped."""

import asyncio
import threading
from datetime import timedelta

import pytest

from engine.runs.pinned import PlannedStep, Script
from engine.states import RunState, StepState
from runners.connections import Finish, Refused
from runners.connections.local import LocalSession
from runners.record import Record
from schemas.job import Retry
from tests.running import Bench, FolderFiles, bench, ends, here, script

__all__ = ["bench"]


class Held:
    """Holds back who reads a file of the repository."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go = threading.Event(), threading.Event()
        real = FolderFiles.read

        def read(files: FolderFiles, commit: str, path: str) -> bytes:
            self.asked.set()
            self.go.wait(30)
            return real(files, commit, path)

        monkeypatch.setattr(FolderFiles, "read", read)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


async def _from_file(bench: Bench, held: Held) -> str:
    (bench.files / "s.sh").write_text(f"echo begun >>{bench.folder / 'begun'}; exec sleep 600\n")
    run = await bench.enqueue(PlannedStep(id="only", phase="steps", action=Script("sh", "", (), file="s.sh")))
    bench.start()
    await asyncio.to_thread(held.asked.wait, 20)
    return run


async def test_a_cancel_while_a_script_is_read_keeps_it_from_starting(bench: Bench, held: Held) -> None:
    run = await _from_file(bench, held)
    await bench.cancel(run)
    (execution,) = bench.runner._underway.executions
    while execution._orders.ending is None:
        await execution._orders.news()
    held.go.set()
    ran = await bench.ended(run)
    assert (ran.state, ran.steps(), (bench.folder / "begun").exists()) == (RunState.CANCELLED, {}, False)


async def test_a_drain_while_a_script_is_read_keeps_it_from_starting(bench: Bench, held: Held) -> None:
    run = await _from_file(bench, held)
    draining = asyncio.create_task(bench.drain(timedelta(0)))
    await asyncio.sleep(0)
    held.go.set()
    async with asyncio.timeout(20):
        await draining
    assert not (bench.folder / "begun").exists()
    assert (await bench.see(run)).steps() == {}


async def test_a_cut_step_that_waits_for_its_place_hears_the_cancel(bench: Bench) -> None:
    """Its runner was lost; it may begin anew, and the run is cancelled before it has a place to."""
    notes, up = bench.folder / "notes", bench.pipe("up")
    notes.touch()
    text = (
        f'echo "$OC1" >>{notes}; n=$(grep -c "^$OC1" {notes}); echo "$OC1 $n" >{up}; '
        "if [ $OC1 = web-00 ] && [ $n = 1 ]; then exit 1; fi; exec sleep 600"
    )
    retry = Retry(maxAttempts=3, delay=timedelta(seconds=2))
    step = script(text, "only", holes=("target.name",), idempotent=True, retry=retry)
    targets = (here("web-00"), here("web-01"))
    run = await bench.enqueue(step, targets=targets, order="stepFirst", max_parallel=1)
    bench.start()
    await up.lines(2)
    await bench.kill()
    await bench.take_away()
    bench.start()
    await up.lines(1)
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.state in (RunState.CANCELLED, RunState.UNKNOWN)
    assert len(notes.read_text().split()) == 3


async def test_a_start_that_is_taken_back_leaves_the_step_to_the_next_runner(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second runner has ended what was left of the first attempt, and stops before it sent its own."""
    up, seen = bench.pipe("up"), bench.folder / "seen"
    text = f"if [ -e {seen} ]; then exit 0; fi; : >{seen}; echo x >{up}; exec sleep 600"
    run = await bench.enqueue(script(text, idempotent=True))
    bench.start()
    await up.lines(1)
    await bench.kill()
    await bench.take_away()
    real, drained = Record.settle, asyncio.Event()

    async def settle(record: Record, target: str, step: PlannedStep, attempt: int) -> None:
        await real(record, target, step, attempt)
        if not drained.is_set():
            drained.set()
            (execution,) = bench.runner._underway.executions
            execution.end_running()

    monkeypatch.setattr(Record, "settle", settle)
    bench.start()
    await drained.wait()
    await bench.drain(timedelta(0))
    assert (await bench.see(run)).state is not RunState.UNKNOWN
    bench.start()
    ran = await bench.ended(run)
    assert (ran.state, ran.steps()["only"].attempts) == (RunState.SUCCEEDED, 2)


async def test_what_was_ended_for_its_runner_is_cancelled_with_the_run(bench: Bench) -> None:
    up = bench.pipe("up")
    run = await bench.enqueue(script(f"echo x >{up}; exec sleep 600", idempotent=True))
    bench.start()
    await up.lines(1)
    await bench.drain(timedelta(0))
    await bench.cancel(run)
    bench.start()
    ran = await bench.ended(run)
    only = ran.steps()["only"]
    assert (ran.state, only.state) == (RunState.CANCELLED, StepState.CANCELLED)
    assert only.error == "it was ended because its runner stopped"


async def test_a_bug_in_taking_over_costs_its_step_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    step = script("echo done", idempotent=True)
    run = await bench.enqueue(step, targets=(here("web-00"), here("web-01")))
    await bench.lose(step, target="web-00")

    async def raises(session: LocalSession) -> Finish | None:
        raise LookupError("a bug")

    monkeypatch.setattr(LocalSession, "take_over", raises)
    bench.start()
    ran = await bench.ended(run)
    assert ran.view.reason is None
    assert (ran.steps("web-00")["only"].state, ran.steps("web-01")["only"].state) == (
        StepState.UNKNOWN, StepState.SUCCEEDED,
    )  # fmt: skip
    assert "an error in the connection: LookupError" in str(ran.steps("web-00")["only"].error)


async def test_a_step_that_failed_by_itself_as_its_runner_stopped_has_failed(bench: Bench) -> None:
    """What it left behind holds its output open, so that the order comes before its end is told."""
    up = bench.pipe("up")
    run = await bench.enqueue(script(f"sleep 600 & echo $$ >{up}; exit 7", idempotent=True))
    bench.start()
    (pid,) = await up.pids(1)
    await asyncio.to_thread(ends, pid)
    await bench.drain(timedelta(0))
    bench.start()
    ran = await bench.ended(run)
    only = ran.steps()["only"]
    assert (only.state, only.exit_code, only.attempts) == (StepState.FAILED, 7, 1)


async def test_a_cancel_lets_a_take_over_finish(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is to be skipped; the run ends, and what was left of the step's attempt is ended all the same."""
    step = script("echo done", idempotent=True, condition="${{ run.attempt == 1 }}")
    run = await bench.enqueue(step)
    await bench.lose(step)
    asked = asyncio.Event()

    async def slowly(session: LocalSession) -> Finish | None:
        asked.set()
        (execution,) = bench.runner._underway.executions
        while execution._orders.ending is None:
            await execution._orders.news()
        return Refused("the order to end came before it was sent") if session.stop.why is not None else None

    monkeypatch.setattr(LocalSession, "take_over", slowly)
    bench.start()
    await asked.wait()
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.steps()["only"].state is StepState.SKIPPED
