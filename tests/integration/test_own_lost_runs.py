"""A run that was taken away from a runner that lives, and is claimed anew by the same: it never runs here twice."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from engine.runs.pinned import PlannedStep
from engine.states import RunState, StepState
from runners import underway
from runners.connections import Lost, Stop, local
from runners.connections.local import Guardian, LocalHost, LocalSession, LocalSettings
from runners.limits import Capture
from runners.masking import Masker
from tests.postgresql import a_journal
from tests.running import Bench, Pipe, bench, ends, lives, script

__all__ = ["bench"]

DEAF = "[ -e {said}.deaf ] || trap '' TERM; : >{said}.deaf; echo $$ >{said}; while :; do sleep 0.1; done"
"""The first of them ends by KILL alone, which a step that is another's gets after two seconds."""


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench on each of the two stores."""
    if request.param == "sqlite":
        made = Bench(tmp_path)
        yield made
        await made.close()
        return
    with a_journal() as url:
        made = Bench(tmp_path, url)
        yield made
        await made.close()


def deaf(said: Pipe, *, idempotent: bool) -> PlannedStep:
    return script(DEAF.format(said=said), idempotent=idempotent)


async def test_it_is_repeated_here_once_the_attempt_before_has_ended(either: Bench) -> None:
    """Whoever was silent for too long may be the first to claim the run again, before it has heard of its loss."""
    said = either.pipe("said")
    run = await either.enqueue(deaf(said, idempotent=True))
    runner = either.start()
    (first,) = await said.pids(1)
    await either.take_away()
    (second,) = await said.pids(1)
    assert (lives(first), lives(second)) == (False, True)
    assert (await either.see(run)).view.attempt == 2
    await either.cancel(run)  # heard by the one that counts
    ran = await either.ended(run)
    assert (ran.state, ran.states()) == (RunState.CANCELLED, {"only": StepState.CANCELLED})
    assert not lives(second)
    assert runner.active == frozenset()


async def test_it_waits_for_what_is_being_ended_already(bench: Bench) -> None:
    """As where the renewal says first that the run is not held."""
    said = bench.pipe("said")
    await bench.enqueue(deaf(said, idempotent=True))
    runner = bench.start()
    (first,) = await said.pids(1)
    (execution,) = runner._underway.executions
    execution.abandon()
    await bench.take_away()
    (second,) = await said.pids(1)
    assert (lives(first), lives(second)) == (False, True)


async def test_what_must_not_be_repeated_is_unknown_and_has_ended_before_finally_begins(bench: Bench) -> None:
    said = bench.pipe("said")
    go = bench.pipe("go")
    tidies = script(f"echo $$ >{said}; read go <{go}", "tidy", phase="finally")
    run = await bench.enqueue(deaf(said, idempotent=False), tidies)
    bench.start()
    (first,) = await said.pids(1)
    await bench.take_away()
    (tidy,) = await said.pids(1)
    assert (lives(first), lives(tidy)) == (False, True)
    go.let_go()
    ran = await bench.ended(run)
    assert (ran.state, ran.states()["only"]) == (RunState.UNKNOWN, StepState.UNKNOWN)


async def test_one_that_is_lost_over_and_over_waits_for_all_before_it(bench: Bench) -> None:
    said = bench.pipe("said")
    run = await bench.enqueue(deaf(said, idempotent=True))
    bench.start()
    (first,) = await said.pids(1)
    for attempt in (2, 3):
        await bench.take_away()
        await bench.until(run, lambda ran, to=attempt: ran.view.attempt == to)  # type: ignore[misc]
        assert lives(first)
    (last,) = await said.pids(1)
    assert (lives(first), lives(last)) == (False, True)


async def test_one_that_is_claimed_anew_is_handed_over_where_the_runner_drains(bench: Bench) -> None:
    said = bench.pipe("said")
    run = await bench.enqueue(deaf(said, idempotent=True))
    bench.start()
    (first,) = await said.pids(1)
    await bench.take_away()
    await bench.until(run, lambda ran: ran.view.attempt == 2)
    await bench.drain(timedelta(0))
    assert not lives(first)
    assert (await bench.see(run)).state is RunState.QUEUED


async def test_what_does_not_end_in_time_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "ENDS_WITHIN", 0.1)
    said = bench.pipe("said")
    await bench.enqueue(deaf(said, idempotent=True))
    bench.start()
    (first,) = await said.pids(1)
    await bench.take_away()
    (second,) = await said.pids(1)
    assert await asyncio.to_thread(ends, first, 5.0)
    assert lives(second)


async def test_a_step_is_not_repeated_here_while_its_end_is_not_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What survives KILL for a while (a process in a system call that hangs) must not meet its own repetition."""
    guard = Guardian(tmp_path / "lock")
    host = LocalHost(LocalSettings(), guard)
    left = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
    try:
        guard.started(left.pid, "this step")
        session = LocalSession(host, Capture(Masker()), Stop(), mark="this step")
        assert await LocalSession(host, Capture(Masker()), Stop(), mark="another").take_over() is None
        monkeypatch.setattr(local, "PROOF", 0.1)
        found = await session.take_over()
        assert isinstance(found, Lost)
        assert f"its processes (group {left.pid}) may still live" in found.error
        monkeypatch.setattr(local, "PROOF", 30.0)
        asking = asyncio.create_task(session.take_over())
        left.send_signal(signal.SIGKILL)
        assert await asking is None
    finally:
        left.kill()
        left.wait()
        await guard.close()
