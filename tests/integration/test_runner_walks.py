"""Attempts, rescues and loops, on real processes: what is started, how often, in which order, and what is recorded."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.runs.pinned import Loop, PinnedTarget, PlannedStep, for_item, in_rescue_of
from engine.states import RunState, StepState
from schemas.credential import CredentialSpec
from schemas.job import Retry
from schemas.target import Connections, SshConnection
from tests.running import Bench, bench, here, script

__all__ = ["bench"]

WEB = (here("web-01"),)
OK, FAILED, SKIPPED = StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED


def retry(attempts: int = 3, **more: Any) -> Retry:
    return Retry.model_validate({"maxAttempts": attempts, **more})


def counting(file: Path, good_from: int, otherwise: str = "exit 75") -> str:
    """A script that says its number, and succeeds from the given one on."""
    return f'echo >> {file}; n=$(wc -l < {file}); echo "$n"; [ "$n" -ge {good_from} ] || {{ {otherwise}; }}'


def starts(file: Path) -> int:
    return len(file.read_text().splitlines())


# --- retry -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consent", "tries", "state"),
    [
        (retry(3), 3, OK),
        (retry(2), 2, FAILED),
        (retry(3, onExitCodes=[75]), 3, OK),
        (retry(3, onExitCodes=[1, 2]), 1, FAILED),
        (retry(3, **{"if": "${{ exitCode == 75 && int(stdout) < 2 }}"}), 2, FAILED),
        (retry(3, **{"if": "state == 'timedOut'"}), 1, FAILED),
        (None, 1, FAILED),
    ],
)
async def test_a_failed_step_is_repeated_by_consent(
    bench: Bench, consent: Retry | None, tries: int, state: StepState
) -> None:
    file = bench.folder / "starts"
    ran = await bench.execute(script(counting(file, 3), retry=consent), script("true", "next"), targets=WEB)
    step = ran.steps()["only"]
    assert (step.state, step.attempts, starts(file)) == (state, tries, tries)
    assert ("next" in ran.states()) == (state is OK)


async def test_a_condition_that_cannot_be_evaluated_is_no_consent(bench: Bench) -> None:
    file = bench.folder / "starts"
    ran = await bench.execute(script(counting(file, 9), retry=retry(3, **{"if": "int(stderr) > 1"})), targets=WEB)
    assert starts(file) == 1
    assert "retry.if: " in (ran.steps()["only"].error or "")


async def test_a_proven_timeout_is_repeated(bench: Bench) -> None:
    file = bench.folder / "starts"
    text = counting(file, 2, otherwise="sleep 300")
    ran = await bench.execute(script(text, retry=retry(2), timeout=timedelta(seconds=0.3)), targets=WEB)
    step = ran.steps()["only"]
    assert (step.state, step.attempts, starts(file)) == (OK, 2, 2)


async def test_what_was_never_sent_is_repeated_whatever_the_exit_codes(bench: Bench, unused_tcp_port: int) -> None:
    (bench.secrets / "key").write_text("x" * 20)
    ssh = SshConnection.model_validate({"port": unused_tcp_port, "user": "u", "hostKeys": [], "credentialRef": "key"})
    away = PinnedTarget("web-09", "127.0.0.1", connections=Connections(ssh=ssh), default_connection="ssh")
    password = CredentialSpec.model_validate({"type": "password", "username": "u", "from": {"file": "key"}})
    ran = await bench.execute(
        script("true", retry=retry(3, onExitCodes=[75])), targets=(away,), credentials={"key": password}
    )
    step = ran.steps()["only"]
    assert (step.state, step.attempts) == (StepState.UNREACHABLE, 3), step


async def test_the_next_attempt_waits_and_a_cancel_ends_the_waiting(bench: Bench) -> None:
    file = bench.folder / "starts"
    run = await bench.enqueue(script(counting(file, 9), retry=retry(3, delay="1h")), targets=WEB)
    bench.start()
    await bench.until(run, lambda ran: ran.steps().get("only") is not None and ran.steps()["only"].again)
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert (ran.state, starts(file)) == (RunState.CANCELLED, 1)
    assert ran.states() == {"only": FAILED}


async def test_another_runner_makes_the_next_attempt(bench: Bench) -> None:
    """The first one is stopped while it waits: consent and time are in the journal."""
    file = bench.folder / "starts"
    run = await bench.enqueue(script(counting(file, 2), retry=retry(2, delay="2s")), targets=WEB)
    bench.start()
    await bench.until(run, lambda ran: ran.steps().get("only") is not None and ran.steps()["only"].again)
    await bench.drain(timedelta(seconds=5))
    assert starts(file) == 1
    bench.start()
    ran = await bench.ended(run)
    assert (ran.state, ran.steps()["only"].attempts, starts(file)) == (RunState.SUCCEEDED, 2, 2)


# --- rescue ----------------------------------------------------------------------------------------------------------


def rescued(step: PlannedStep, *rescue: PlannedStep) -> PlannedStep:
    return replace(step, rescue=tuple(replace(one, id=in_rescue_of(step.id, one.id)) for one in rescue))


async def test_a_rescue_makes_up_for_a_failed_step(bench: Bench) -> None:
    told = script('test "$OC1 $OC2" = "failed 3"', "told", holes=("steps.first.state", "steps.first.exitCode"))
    ran = await bench.execute(
        rescued(script("exit 3", "first"), told, script("true", "mend", condition="failure()")),
        script("true", "second", condition="success()"),
        targets=WEB,
    )
    assert ran.states() == {"first": FAILED, "first/told": OK, "first/mend": OK, "second": OK}
    assert ran.steps()["first"].rescued
    assert ran.state is RunState.SUCCEEDED


async def test_a_rescue_that_fails_makes_up_for_nothing(bench: Bench) -> None:
    ran = await bench.execute(
        rescued(script("exit 3", "first"), script("false", "mend"), script("true", "never")),
        script("true", "second"),
        script("true", "tidy", phase="finally"),
        targets=WEB,
    )
    assert ran.states() == {"first": FAILED, "first/mend": FAILED, "tidy": OK}
    assert not ran.steps()["first"].rescued
    assert ran.state is RunState.FAILED


async def test_a_rescue_comes_after_the_last_attempt(bench: Bench) -> None:
    file = bench.folder / "starts"
    ran = await bench.execute(
        rescued(script(counting(file, 9), "first", retry=retry(2)), script("true", "mend")), targets=WEB
    )
    assert (ran.steps()["first"].attempts, ran.state) == (2, RunState.SUCCEEDED)


async def test_the_jobs_rescue_ends_the_steps(bench: Bench) -> None:
    ran = await bench.execute(
        rescued(script("false", "early"), script("true", "mend")),
        script("exit 4", "first"),
        script("true", "second"),
        script('test "$OC1" = 4', "repair", phase="rescue", holes=("steps.first.exitCode",)),
        script("true", "report", phase="rescue"),
        script("true", "tidy", phase="finally", condition="success()"),
        targets=WEB,
    )
    assert list(ran.states().items()) == [
        ("early", FAILED), ("early/mend", OK), ("first", FAILED), ("repair", OK), ("report", OK), ("tidy", OK)
    ]  # fmt: skip
    assert ran.steps()["first"].rescued
    assert ran.state is RunState.SUCCEEDED


async def test_no_rescue_without_a_failure_nor_after_a_cancel(bench: Bench) -> None:
    mend = script("true", "mend", phase="rescue")
    ran = await bench.execute(script("true", "first"), mend, targets=WEB)
    assert ran.states() == {"first": OK}


async def test_a_cancelled_run_is_not_rescued(bench: Bench) -> None:
    up = bench.pipe("up")
    run = await bench.enqueue(
        rescued(script(f"echo $$ > {up}; sleep 300", "first"), script("true", "own")),
        script("true", "jobs", phase="rescue"),
        targets=WEB,
    )
    bench.start()
    await up.pids(1)
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.states() == {"first": StepState.CANCELLED}
    assert ran.state is RunState.CANCELLED


# --- forEach ---------------------------------------------------------------------------------------------------------


def each(step: PlannedStep, items: Any, parallel: int = 1, name: str = "item") -> PlannedStep:
    return replace(step, loop=Loop(items, name, parallel))


async def test_a_step_is_done_for_each_item_in_order(bench: Bench) -> None:
    file = bench.folder / "order"
    say = script(f'echo "$OC1" >> {file}; echo "<$OC1>"', "say", holes=("disk",), outputs={"said": "${{ stdout }}"})
    ran = await bench.execute(
        script("echo '[\"b\"]'", "list", outputs={"more": "${{ json }}"}),
        each(say, ["${{ params.first }}", "it's", "c"], name="disk"),
        each(script("true", "more"), "${{ steps.list.outputs.more }}"),
        script(
            'test "$OC1" = "<it\'s>"',
            "read",
            holes=("steps.say.outputs.said[1]",),
            outputs={"all": "${{ steps.say.outputs.said }}"},
        ),
        targets=WEB,
        params={"first": "a b"},
    )
    assert file.read_text().splitlines() == ["a b", "it's", "c"]
    assert ran.states() == {
        "list": OK, "say": OK, "say[0]": OK, "say[1]": OK, "say[2]": OK, "more": OK, "more[0]": OK, "read": OK
    }  # fmt: skip
    assert ran.steps()["read"].outputs == {"all": ["<a b>", "<it's>", "<c>"]}


async def test_so_many_items_at_once_as_allowed(bench: Bench) -> None:
    up, go = bench.pipe("up"), bench.pipe("go")
    run = await bench.enqueue(
        each(script(f'echo "$OC1" > {up}; read x < {go}', holes=("item",)), list("abcd"), parallel=2), targets=WEB
    )
    bench.start()
    assert sorted(await up.lines(2)) == ["a", "b"]
    go.let_go()
    assert await up.lines(1) == ["c"]
    go.let_go(3)
    assert await up.lines(1) == ["d"]
    assert (await bench.ended(run)).state is RunState.SUCCEEDED


async def test_after_a_failed_item_no_other_begins(bench: Bench) -> None:
    fails = script('test "$OC1" != b', "try", holes=("item",), outputs={"it": "${{ item }}"})
    ran = await bench.execute(each(fails, list("abc")), script("true", "next"), targets=WEB)
    assert ran.states() == {"try": FAILED, "try[0]": OK, "try[1]": FAILED}
    step = ran.steps()["try"]
    assert step.error == "3 items: 1 succeeded, 1 failed, 1 did not begin; try[1]: exit code 1"
    assert step.outputs == {"it": ["a", "b", None]}


async def test_all_items_are_done_where_the_step_goes_on_after_errors(bench: Bench) -> None:
    fails = script('test "$OC1" != b', "try", holes=("item",), continue_on_error=True)
    ran = await bench.execute(each(fails, list("abc")), script("true", "next"), targets=WEB)
    assert ran.states() == {"try": FAILED, "try[0]": OK, "try[1]": FAILED, "try[2]": OK, "next": OK}
    assert ran.steps()["try"].continued
    assert ran.state is RunState.SUCCEEDED


async def test_conditions_retries_and_rescues_are_each_items_own(bench: Bench) -> None:
    file = bench.folder / "starts"
    text = f'echo "$OC1" >> {file}; test "$OC1" != b'
    step = rescued(
        script(text, "try", holes=("item",), condition="item != 'a'", retry=retry(2)),
        script('test "$OC1 $OC2" = "b failed"', "mend", holes=("item", "steps.try.state"), condition="failure()"),
    )
    ran = await bench.execute(each(step, list("abc")), script("true", "next", condition="success()"), targets=WEB)
    assert file.read_text().split() == ["b", "b", "c"]
    assert ran.states() == {
        "try": OK, "try[0]": SKIPPED, "try[1]": FAILED, "try[1]/mend": OK, "try[2]": OK, "next": OK
    }  # fmt: skip
    assert ran.steps()["try[1]"].rescued


@pytest.mark.parametrize("phase", ["rescue", "finally"])
async def test_loops_stand_in_every_phase(bench: Bench, phase: str) -> None:
    ran = await bench.execute(script("false", "first"), each(script("true", "again", phase=phase), [1, 2]), targets=WEB)
    assert ran.states() == {"first": FAILED, "again": OK, "again[0]": OK, "again[1]": OK}


@pytest.mark.parametrize(
    ("items", "condition", "state", "error"),
    [
        ([], None, OK, None),
        ("${{ params.none }}", "params.none != null", SKIPPED, None),
        ("${{ params.none }}", None, FAILED, "forEach.items: a list is needed, and this is null"),
        ("${{ params.word }}", None, FAILED, "forEach.items: a list is needed, and this is a text"),
        ("${{ params.absent }}", None, FAILED, "forEach.items: "),
        (list(range(1001)), None, FAILED, "forEach.items: 1001 items; at most 1000 are possible"),
    ],
)
async def test_items_that_are_none(
    bench: Bench, items: Any, condition: str | None, state: StepState, error: str | None
) -> None:
    ran = await bench.execute(
        each(script("true", condition=condition), items), targets=WEB, params={"none": None, "word": "x"}
    )
    step = ran.steps()["only"]
    assert step.state is state
    assert (step.error or "").startswith(error or "")
    assert (step.error is None) == (error is None)
    assert list(ran.states()) == ["only"]


async def test_a_loop_goes_on_where_a_lost_runner_left_it(bench: Bench) -> None:
    """Items that had ended are not repeated; the one that ran is unknown, or repeated where it is idempotent."""
    file = bench.folder / "order"
    step = each(script(f'echo "$OC1" >> {file}', "say", holes=("item",), idempotent=True), list("abc"))
    run = await bench.enqueue(step, targets=WEB)
    await bench.lose(step, for_item(step, 0), target="web-01")
    bench.start()
    ran = await bench.ended(run)
    assert file.read_text().split() == ["a", "b", "c"]
    assert ran.steps()["say[0]"].attempts == 2
    assert ran.state is RunState.SUCCEEDED


async def test_an_item_whose_end_nothing_proves_makes_the_loop_unknown(bench: Bench) -> None:
    file = bench.folder / "order"
    step = each(script(f'echo "$OC1" >> {file}', "say", holes=("item",)), list("abc"))
    run = await bench.enqueue(step, targets=WEB)
    await bench.lose(step, for_item(step, 0), target="web-01")
    bench.start()
    ran = await bench.ended(run)
    assert not file.exists()
    assert ran.states() == {"say": StepState.UNKNOWN, "say[0]": StepState.UNKNOWN}
    assert ran.state is RunState.UNKNOWN


async def test_a_cancel_ends_the_items_and_begins_no_other(bench: Bench) -> None:
    up = bench.pipe("up")
    run = await bench.enqueue(each(script(f"echo $$ > {up}; sleep 300"), list("abc"), parallel=2), targets=WEB)
    bench.start()
    await up.pids(2)
    await bench.cancel(run)
    ran = await bench.ended(run)
    gone = StepState.CANCELLED
    assert ran.states() == {"only": gone, "only[0]": gone, "only[1]": gone}
    assert ran.state is RunState.CANCELLED
    said = "3 items: 2 cancelled, 1 did not begin; only[0]: the run was cancelled"
    assert ran.steps()["only"].error == said


async def test_a_cancel_before_the_first_item_says_that_none_began(bench: Bench) -> None:
    """None of them went wrong, so there is no error of an item to show."""
    step = each(script("true"), list("abc"))
    run = await bench.enqueue(step, targets=WEB)
    await bench.lose(step, target=WEB[0].name)
    await bench.cancel(run)
    bench.start()
    ran = await bench.ended(run)
    assert ran.states()["only"] is StepState.CANCELLED
    assert ran.steps()["only"].error == "3 items: 3 did not begin"


async def test_a_drained_loop_is_handed_over(bench: Bench) -> None:
    up, go = bench.pipe("up"), bench.pipe("go")
    file = bench.folder / "order"
    step = each(script(f'echo "$OC1" >> {file}; echo > {up}; read x < {go}', holes=("item",)), list("ab"))
    run = await bench.enqueue(step, targets=WEB)
    bench.start()
    await up.lines(1)
    draining = asyncio.create_task(bench.drain(timedelta(seconds=20)))
    go.let_go()
    await draining
    go.let_go()
    bench.start()
    ran = await bench.ended(run)
    assert file.read_text().split() == ["a", "b"]
    assert ran.state is RunState.SUCCEEDED
