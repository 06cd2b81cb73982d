"""What a later attempt says of an earlier one: what may run is never taken for ended, nor what has ended doubted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.states import RunState, StepState
from schemas.job import Retry
from tests.integration.test_runner_ssh import over_ssh, with_key
from tests.integration.test_runner_takeover import Network, network, working
from tests.openssh import OpenSsh, openssh
from tests.running import Bench, Ran, end, lives, script

__all__ = ["network", "openssh", "working"]


def only_is(state: StepState) -> Callable[[Ran], bool]:
    return lambda ran: "only" in ran.steps() and ran.steps()["only"].state is state


MAY_RUN = "its earlier attempt, whose runner was lost, may still run"
TIDY = script("echo tidied", "tidy", phase="finally", connection="local")


async def test_an_attempt_that_has_ended_is_not_doubted_by_the_next_runner(
    openssh: OpenSsh, working: Bench, network: Network
) -> None:
    """It failed, for all to read; then the run was handed over, and the next attempt reached nobody."""
    step = script("exit 1", retry=Retry(maxAttempts=2, delay=timedelta(seconds=3)))
    target = over_ssh(replace(openssh, port=network.port), "web-01")
    run = await working.enqueue(step, targets=(target,), credentials=with_key(working, openssh))
    working.start()
    await working.until(run, only_is(StepState.FAILED))
    await working.drain(timedelta(seconds=1))
    network.cut()
    working.start()
    ran = await working.ended(run)
    only = ran.steps()["only"]
    assert (ran.state, only.state, only.attempts) == (RunState.FAILED, StepState.UNREACHABLE, 2)
    assert MAY_RUN not in str(only.error)


async def test_a_step_that_was_ended_for_its_runner_has_ended(
    openssh: OpenSsh, working: Bench, network: Network
) -> None:
    """It may begin anew, and does; that the next attempt reaches nobody says nothing of this one."""
    pids = working.pipe("pids")
    step = script(f"echo $$ >{pids}; exec sleep 600", idempotent=True, continue_on_error=True)
    target = over_ssh(replace(openssh, port=network.port), "web-01")
    run = await working.enqueue(step, TIDY, targets=(target,), credentials=with_key(working, openssh))
    working.start()
    (first,) = await pids.pids(1)
    await working.drain(timedelta(0))
    assert not lives(first)
    network.cut()
    working.start()
    ran = await working.ended(run)
    only = ran.steps()["only"]
    assert (ran.state, only.state, only.attempts) == (RunState.SUCCEEDED, StepState.UNREACHABLE, 2)


async def test_an_attempt_that_cannot_begin_doubts_none_that_has_ended(working: Bench) -> None:
    """The second attempt's expression has an error, after a hand-over."""
    retry = Retry(maxAttempts=3, delay=timedelta(seconds=2))
    step = script("exit 1", retry=retry, env={"X": "${{ run.attempt == 2 ? string([1][5]) : 'a' }}"})
    run = await working.enqueue(step)
    working.start()
    await working.until(run, only_is(StepState.FAILED))
    await working.drain(timedelta(seconds=1))
    working.start()
    ran = await working.ended(run)
    assert (ran.state, ran.steps()["only"].state) == (RunState.FAILED, StepState.FAILED)


@pytest.mark.parametrize("cut", ["cancelled", pytest.param("timedOut", marks=pytest.mark.slow)])
async def test_what_ends_a_run_between_two_attempts_ends_no_doubt(
    openssh: OpenSsh, working: Bench, network: Network, cut: str
) -> None:
    """The runner was lost, the next one's attempt reached nobody, and is to be repeated when the run is ended."""
    pids = working.pipe("pids")
    step = script(
        f"echo $$ >{pids}; sleep 600", idempotent=True, retry=Retry(maxAttempts=30, delay=timedelta(minutes=1))
    )
    target = over_ssh(replace(openssh, port=network.port), "web-01")
    limit = timedelta(seconds=12) if cut == "timedOut" else None
    run = await working.enqueue(
        step, TIDY, targets=(target,), credentials=with_key(working, openssh), **({"timeout": limit} if limit else {})
    )
    working.start()
    (first,) = await pids.pids(1)
    try:
        network.cut()
        await working.kill()
        await working.take_away()
        working.start()
        await working.until(run, only_is(StepState.UNREACHABLE))
        if cut == "cancelled":
            await working.cancel(run)
        ran = await working.ended(run)
        only = ran.steps()["only"]
        assert (ran.state, only.state, only.attempts) == (RunState.UNKNOWN, StepState.UNKNOWN, 3)
        assert (str(only.error).endswith(MAY_RUN), lives(first)) == (True, True)
        assert ran.steps()["tidy"].state is StepState.SUCCEEDED
    finally:
        end(first)


async def test_what_was_taken_over_is_not_asked_for_again(openssh: OpenSsh, working: Bench, network: Network) -> None:
    """The second attempt ended what the first had left, and that is on record for the runner of the third."""
    pids = working.pipe("pids")
    seen = working.folder / "seen"
    text = f"if [ -e {seen} ]; then exit 1; fi; : >{seen}; echo $$ >{pids}; exec sleep 600"
    step = script(text, idempotent=True, retry=Retry(maxAttempts=3, delay=timedelta(seconds=3)))
    target = over_ssh(replace(openssh, port=network.port), "web-01")
    run = await working.enqueue(step, targets=(target,), credentials=with_key(working, openssh))
    working.start()
    (first,) = await pids.pids(1)
    await working.kill()
    await working.take_away()
    working.start()
    await working.until(run, only_is(StepState.FAILED))
    assert not lives(first)
    await working.drain(timedelta(seconds=1))
    network.cut()
    working.start()
    ran = await working.ended(run)
    only = ran.steps()["only"]
    assert (ran.state, only.state, only.attempts) == (RunState.FAILED, StepState.UNREACHABLE, 3)
    assert MAY_RUN not in str(only.error)


@pytest.mark.parametrize("away", [True, False], ids=["host away", "host there"])
async def test_a_step_whose_condition_no_longer_holds_is_skipped_without_doubt_alone(
    openssh: OpenSsh, working: Bench, network: Network, *, away: bool
) -> None:
    """Its first attempt may still run, which `skipped` would deny; where it can be ended, it is."""
    pids = working.pipe("pids")
    step = script(f"echo $$ >{pids}; sleep 600", idempotent=True, condition="${{ !cancelled() }}", phase="finally")
    target = over_ssh(replace(openssh, port=network.port), "web-01")
    run = await working.enqueue(step, targets=(target,), credentials=with_key(working, openssh))
    working.start()
    (first,) = await pids.pids(1)
    try:
        if away:
            network.cut()
        await working.kill()
        await working.take_away()
        await working.cancel(run)
        working.start()
        only = (await working.ended(run)).steps()["only"]
        assert (only.state, only.attempts) == (StepState.UNKNOWN if away else StepState.SKIPPED, 2)
        assert lives(first) is away
        assert str(only.error).endswith(MAY_RUN) is away
    finally:
        end(first)
