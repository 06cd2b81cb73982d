"""Runs from the journal to their end: what is decided between steps, and what is recorded of them."""

import asyncio
import json
import os
import signal
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.runs.pinned import PlannedStep, Use
from engine.states import RunState, StepState
from schemas.credential import CredentialSpec, Source
from tests.running import Bench, bench, ends, here, lives, script

__all__ = ["bench"]

WEB = (here("web-01"),)
OK, FAILED, SKIPPED = StepState.SUCCEEDED, StepState.FAILED, StepState.SKIPPED
SECRET = "correct horse"


def tidy(text: str = "echo tidied") -> PlannedStep:
    return script(text, "tidy", phase="finally")


# --- from step to step ---------------------------------------------------------------------------------------------


FLOOD = "head -c 100000 /dev/zero | tr '\\0' x"


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({"outputs": {"n": "${{ size(stdout) }}"}}, None, "output 'n': 'size(stdout)': stdout is larger than 64 KiB"),
        ({"outputs": {"n": "${{ json.n }}"}}, None, "output 'n': 'json.n': stdout is larger than 64 KiB"),
        ({}, "size(steps.first.stdout)", "'size(steps.first.stdout)': stdout is larger than 64 KiB"),
        ({}, "steps.first.json == null", "'steps.first.json == null': stdout is larger than 64 KiB"),
    ],
)
async def test_the_end_of_a_large_output_is_never_taken_for_all_of_it(
    bench: Bench, first: dict[str, Any], second: str | None, why: str
) -> None:
    steps = [script(FLOOD, "first", **first)]
    steps += [script("true", "second", holes=(second,))] if second else []
    ran = await bench.execute(*steps, targets=WEB)
    last = ran.steps()["second" if second else "first"]
    assert (last.state, ran.state) == (StepState.FAILED, RunState.FAILED)
    assert why in (last.error or "")


async def test_what_reads_no_large_output_goes_on_and_stderr_says_that_it_is_cut(bench: Bench) -> None:
    first = script(f"{FLOOD}; {FLOOD} >&2; echo end >&2", "first", outputs={"code": "${{ exitCode }}"})
    told = script(
        'printf %s "$OC1" | head -c 60', "told", holes=("steps.first.stderr",), outputs={"o": "${{ stdout }}"}
    )
    ran = await bench.execute(first, told, targets=WEB)
    assert ran.state is RunState.SUCCEEDED
    assert ran.steps()["told"].outputs["o"].startswith("[the log has all of it; its last 64 KiB:]\nxxx")


async def test_outputs_that_are_maps_have_one_order(bench: Bench) -> None:
    """So that two runs with the same result are the same text."""
    text = """echo '{"zeta":1,"alpha":{"y":1,"b":2,"a":3},"mid":[{"d":1,"c":2}]}'"""
    ran = await bench.execute(script(text, "one", outputs={"j": "${{ json }}"}), targets=WEB)
    said = ran.steps()["one"].outputs["j"]
    assert json.dumps(said) == '{"alpha": {"a": 3, "b": 2, "y": 1}, "mid": [{"c": 2, "d": 1}], "zeta": 1}'


async def test_outputs_keep_their_types_on_the_way_to_later_steps(bench: Bench) -> None:
    outputs = {
        "n": "${{ int(stdout) }}",
        "many": "${{ int(stdout) > 60 }}",
        "list": ["${{ exitCode }}", "n=${{ stdout }}"],
    }
    ran = await bench.execute(
        script("echo 71", "space", outputs=outputs),
        PlannedStep(
            id="check",
            phase="steps",
            action=Use("assert", {"that": "${{ steps.space.outputs.n + 1 == 72 && steps.space.outputs.many }}"}),
        ),
        script('test "$OC1" = 71', "use", holes=("steps.space.outputs.n",)),
        targets=WEB,
        outputs={"used": "${{ steps.space.outputs.n }}", "never": "${{ steps.absent.outputs.x }}"},
    )
    assert ran.state is RunState.SUCCEEDED, ran.view
    assert ran.steps()["space"].outputs == {"n": 71, "many": True, "list": [0, "n=71"]}
    assert ran.view.outputs == {"used": {"web-01": 71}, "never": {"web-01": None}}


async def test_values_in_a_script_are_data(bench: Bench) -> None:
    """Whatever a parameter holds, it is one word to the shell."""
    evil = '\'; touch /tmp/never; echo "$(id)" `id` \\ \n end'
    ran = await bench.execute(
        script('printf %s "$OC1"', holes=("params.evil",), outputs={"same": "${{ stdout == params.evil }}"}),
        targets=WEB,
        params={"evil": evil},
    )
    assert ran.steps()["only"].outputs == {"same": True}


async def test_conditions_decide_and_skipped_steps_have_no_outputs(bench: Bench) -> None:
    ran = await bench.execute(
        script("echo no", "never", condition="params.days > 99", outputs={"x": "${{ stdout }}"}),
        script("echo", "after", condition="${{ steps.never.outputs.x == null }}"),
        targets=WEB,
        params={"days": 14},
    )
    assert ran.states() == {"never": SKIPPED, "after": OK}
    assert ran.state is RunState.SUCCEEDED


async def test_a_failure_ends_its_target_alone(bench: Bench) -> None:
    """What must still be done is in `finally`; it knows what happened."""
    ran = await bench.execute(
        script('test "$OC1" = web-01', "first", holes=("target.name",)),
        script("echo on", "second"),
        script("true", "sorry", phase="finally", condition="failure()"),
        tidy(),
        targets=(here("web-01"), here("web-02")),
    )
    assert ran.states("web-01") == {"first": OK, "second": OK, "sorry": SKIPPED, "tidy": OK}
    assert ran.states("web-02") == {"first": FAILED, "sorry": OK, "tidy": OK}
    assert ran.state is RunState.FAILED


async def test_a_forgiven_failure_goes_on(bench: Bench) -> None:
    ran = await bench.execute(
        script("exit 3", "first", continue_on_error=True),
        script('test "$OC1" = failed', "second", holes=("steps.first.state",)),
        targets=WEB,
    )
    assert ran.states() == {"first": FAILED, "second": OK}
    assert ran.steps()["first"].continued
    assert ran.state is RunState.SUCCEEDED


@pytest.mark.parametrize(
    ("ok", "code", "state"),
    [
        ((0, 3), 3, OK),
        ((3,), 0, FAILED),
        ("${{ exitCode < 4 }}", 3, OK),
        ("${{ exitCode in [5, 6] }}", 3, FAILED),
        ("${{ stdout == 'fine' }}", 9, OK),
        ("${{ int(stdout) }}", 0, FAILED),
    ],
)
async def test_ok_exit_codes_replace_zero(bench: Bench, ok: Any, code: int, state: StepState) -> None:
    ran = await bench.execute(script(f"echo fine; exit {code}", ok_exit_codes=ok), targets=WEB)
    step = ran.steps()["only"]
    assert (step.state, step.exit_code) == (state, code)


# --- expressions that fail, outputs that must not leave ------------------------------------------------------------


@pytest.mark.parametrize(
    "broken",
    [
        {"condition": "params.days / 0 > 1"},
        {"env": {"N": "${{ params.days / 0 }}"}},
        {"stdin": "${{ params.days / 0 }}"},
        {"working_dir": "/${{ params.days / 0 }}"},
        {"holes": ("params.days / 0",)},
    ],
    ids=lambda broken: next(iter(broken)),
)
async def test_an_expression_that_fails_fails_its_step_and_starts_nothing(bench: Bench, broken: dict[str, Any]) -> None:
    ran = await bench.execute(script(f"touch {bench.folder}/ran", **broken), tidy(), targets=WEB, params={"days": 1})
    assert ran.states() == {"only": FAILED, "tidy": OK}
    assert ran.steps()["only"].error
    assert not (bench.folder / "ran").exists()


async def test_an_output_that_cannot_be_made_fails_its_step(bench: Bench) -> None:
    ran = await bench.execute(script("echo many", outputs={"n": "${{ int(stdout) }}"}), targets=WEB)
    step = ran.steps()["only"]
    assert step.state is FAILED
    assert step.error is not None
    assert step.error.startswith("output 'n': ")


def with_secret(bench: Bench) -> dict[str, CredentialSpec]:
    (bench.secrets / "db").write_text(SECRET + "\n")
    return {"db": CredentialSpec.model_validate({"type": "generic", "from": {"file": "db"}})}


@pytest.mark.parametrize("way", ['printf %s "$P"', 'printf %s "$P" | base64'])
@pytest.mark.parametrize(
    "made", ["${{ stdout }}", "${{ {'deep': [stdout]} }}", "${{ size(stdout) > 3 ? stdout : '' }}"]
)
async def test_an_output_with_a_secret_is_not_kept(bench: Bench, way: str, made: str) -> None:
    step = script(way, env={"P": "${{ secrets.db.value }}"}, outputs={"x": made}, keeps_output=True)
    ran = await bench.execute(step, targets=WEB, credentials=with_secret(bench))
    found = ran.steps()["only"]
    assert (found.state, found.outputs) == (FAILED, {})
    assert found.error == "output 'x' contains a secret; it is not kept"
    assert SECRET not in repr(ran.view)
    assert b64encode(SECRET.encode()).decode()[:-3] not in repr(ran.view)
    assert found.log is not None
    assert (bench.logs / found.log).read_text().startswith("***")


async def test_secrets_reach_env_and_stdin_and_no_file(bench: Bench) -> None:
    step = script('cat; test "${#P}" = 13', env={"P": "${{ secrets.db.value }}"}, stdin="${{ secrets.db.value }}")
    ran = await bench.execute(step, targets=WEB, credentials=with_secret(bench))
    assert ran.state is RunState.SUCCEEDED
    files = [path for path in bench.folder.rglob("*") if path.is_file() and path.parent != bench.secrets]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


async def test_a_secret_that_cannot_be_opened_fails_only_who_needs_it(bench: Bench) -> None:
    ran = await bench.execute(
        script("true", "without"),
        script("true", "with", env={"P": "${{ secrets.gone.value }}"}),
        tidy(),
        targets=WEB,
        credentials={"gone": CredentialSpec(type="generic", **{"from": Source(file="gone")})},
    )
    assert ran.states() == {"without": OK, "with": FAILED, "tidy": OK}
    assert "no file 'gone'" in (ran.steps()["with"].error or "")


@pytest.mark.parametrize(("labels", "opens"), [({"team": "web"}, True), ({"team": "db"}, False), ({}, False)])
async def test_a_credential_is_opened_only_for_the_jobs_that_it_allows(
    bench: Bench, labels: dict[str, str], opens: bool
) -> None:
    """Whatever the plan says. That it stays closed shows in the first step: what is not opened is not known to mask."""
    (bench.secrets / "db").write_text(SECRET)
    source = {"from": {"file": "db"}, "allowedFor": {"matchLabels": {"team": "web"}}}
    ran = await bench.execute(
        script(f"echo {SECRET}; exit 3", "says", continue_on_error=True),
        script(f"touch {bench.folder}/ran", "needs", env={"P": "${{ secrets.db.value }}"}),
        targets=WEB,
        labels=labels,
        credentials={"db": CredentialSpec.model_validate({"type": "generic", **source})},
    )
    says, needs = ran.steps()["says"], ran.steps()["needs"]
    assert says.stdout_tail == ("***\n" if opens else SECRET + "\n")
    assert (bench.folder / "ran").exists() == opens
    assert needs.state is (OK if opens else FAILED)
    if not opens:
        assert needs.error is not None
        assert needs.error.startswith("credential 'db' is not allowed for this job: its allowedFor does not match")


async def test_a_sensitive_step_leaves_no_output_anywhere(bench: Bench) -> None:
    ran = await bench.execute(script("echo h1dden; exit 1", sensitive=True), targets=WEB)
    step = ran.steps()["only"]
    assert (step.state, step.stdout_tail, step.log) == (FAILED, None, None)
    assert not bench.logs.exists()


# --- ended before their time ---------------------------------------------------------------------------------------


async def test_a_time_limit_ends_the_step_and_finally_runs(bench: Bench) -> None:
    pids = bench.pipe("pids")
    ran = await bench.execute(
        script(f"sh -c 'echo $$ >{pids}; sleep 600' & echo $$ >{pids}; wait", timeout=timedelta(seconds=1)),
        script("true", "next"),
        tidy(),
        targets=WEB,
    )
    assert ran.states() == {"only": StepState.TIMED_OUT, "tidy": OK}
    assert ran.state is RunState.TIMED_OUT
    assert [pid for pid in await pids.pids(2) if lives(pid)] == []


@pytest.mark.parametrize(
    ("code", "good", "state"),
    [
        (0, (0,), StepState.SUCCEEDED),
        (3, (0, 3), StepState.SUCCEEDED),
        (0, (3,), StepState.FAILED),
        (3, (0,), StepState.FAILED),
    ],
)
async def test_a_step_that_has_ended_when_its_run_is_cancelled_is_as_it_ended(
    bench: Bench, code: int, good: tuple[int, ...], state: StepState
) -> None:
    """Its exit code had come, and only the rest of its output was waited for: what it left behind holds that open."""
    pids = bench.pipe("pids")
    first = script(f"sleep 30 & echo $! >{pids}; echo $$ >{pids}; exit {code}", "first", ok_exit_codes=good)
    run = await bench.enqueue(first, script("sleep 60", "second"), targets=WEB)
    bench.start()
    left, shell = await pids.pids(2)
    assert await asyncio.to_thread(ends, shell)
    await bench.cancel(run)
    ran = await bench.ended(run)
    os.kill(left, signal.SIGKILL)
    assert (ran.steps()["first"].state, ran.steps()["first"].exit_code) == (state, code)
    assert ran.state is (RunState.CANCELLED if state is OK else RunState.FAILED), "nothing was to come after a failure"


async def test_a_step_that_ends_on_the_order_to_is_cancelled_whatever_it_says(bench: Bench) -> None:
    """A script that heeds TERM may say 0, and has not done what it was to do."""
    said = bench.pipe("said")
    heeding = script(f"trap 'exit 0' TERM; echo $$ >{said}; while :; do sleep 0.1; done", "first")
    run = await bench.enqueue(heeding, targets=WEB)
    bench.start()
    await said.pids(1)
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert (ran.steps()["first"].state, ran.steps()["first"].exit_code) == (StepState.CANCELLED, 0)
    assert ran.state is RunState.CANCELLED


async def test_a_cancelled_run_ends_its_step_and_finally_runs(bench: Bench) -> None:
    pids = bench.pipe("pids")
    step = script(f"echo $$ >{pids}; sleep 600", continue_on_error=True)
    told = script("true", "told", phase="finally", condition="cancelled()")
    run = await bench.enqueue(step, script("true", "next"), told, tidy(), targets=WEB)
    bench.start()
    (pid,) = await pids.pids(1)
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.states() == {"only": StepState.CANCELLED, "told": OK, "tidy": OK}
    assert ran.state is RunState.CANCELLED
    assert not lives(pid)


async def test_the_time_limit_of_a_run_ends_its_steps_and_finally_runs(bench: Bench) -> None:
    ran = await bench.execute(
        script("sleep 600", continue_on_error=True),
        script("true", "next"),
        tidy(),
        targets=WEB,
        timeout=timedelta(seconds=1),
    )
    assert ran.states() == {"only": StepState.TIMED_OUT, "tidy": OK}
    assert ran.state is RunState.TIMED_OUT
    assert ran.steps()["only"].error == "the run's time limit of 1s passed"


async def test_finally_has_a_limit_of_its_own(bench: Bench) -> None:
    run = await bench.enqueue(script("true"), tidy("sleep 600"), script("true", "late", phase="finally"), targets=WEB)
    bench.start(finally_limit=timedelta(seconds=1))
    ran = await bench.ended(run)
    assert ran.states() == {"only": OK, "tidy": StepState.TIMED_OUT, "late": SKIPPED}


# --- lost and drained ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["steps", "finally"])
async def test_a_step_of_a_lost_runner_is_unknown_and_finally_still_runs(bench: Bench, phase: str) -> None:
    step = script(f"touch {bench.folder}/ran", phase=phase)
    run = await bench.enqueue(step, script("true", "next"), tidy(), targets=WEB)
    await bench.lose(step, target="web-01")
    bench.start()
    ran = await bench.ended(run)
    states = ran.states()
    assert (states["only"], states["tidy"]) == (StepState.UNKNOWN, OK)
    assert ran.steps()["only"].error == "its runner default/lost was lost while it ran; nothing proves an end"
    assert ran.state is RunState.UNKNOWN
    assert not (bench.folder / "ran").exists(), "at most once"
    assert ("next" in states) == (phase == "finally")


async def test_an_idempotent_step_of_a_lost_runner_is_repeated(bench: Bench) -> None:
    step = script("echo again", idempotent=True)
    run = await bench.enqueue(step, script("true", "next"), targets=WEB)
    await bench.lose(step, target="web-01")
    bench.start()
    ran = await bench.ended(run)
    assert ran.states() == {"only": OK, "next": OK}
    assert (ran.steps()["only"].attempts, ran.view.attempt) == (2, 2)


async def test_a_drained_runner_ends_its_step_and_hands_the_rest_over(bench: Bench) -> None:
    began, go = bench.pipe("began"), bench.pipe("go")
    first = script(f"echo once >>{bench.folder}/first; echo $$ >{began}; read line <{go}; echo 5", "first")
    second = script('test "$OC1" = 5', "second", holes=("steps.first.outputs.n",))
    run = await bench.enqueue(replace(first, outputs={"n": "${{ int(stdout) }}"}), second, targets=WEB)
    bench.start()
    await began.lines(1)
    drained = asyncio.create_task(bench.drain(timedelta(minutes=1)))
    await asyncio.sleep(0)  # the drain has begun
    go.let_go()
    await drained
    left = await bench.see(run)
    assert (left.state, left.states()) == (RunState.QUEUED, {"first": OK})
    bench.start()
    ran = await bench.ended(run)
    assert (ran.state, ran.states()) == (RunState.SUCCEEDED, {"first": OK, "second": OK})
    assert (bench.folder / "first").read_text() == "once\n"


@pytest.mark.parametrize(("idempotent", "state", "times"), [(False, RunState.FAILED, 1), (True, RunState.SUCCEEDED, 2)])
async def test_a_step_longer_than_the_grace_is_ended(
    bench: Bench, idempotent: bool, state: RunState, times: int
) -> None:
    """Its end is proven, so it has failed; with the author's consent the next runner repeats it instead."""
    began, go = bench.pipe("began"), bench.pipe("go")
    step = script(f"echo one >>{bench.folder}/ran; echo $$ >{began}; read line <{go}", idempotent=idempotent)
    run = await bench.enqueue(step, tidy(), targets=WEB)
    bench.start()
    (pid,) = await began.pids(1)
    await bench.drain(timedelta(0))
    assert not lives(pid)
    assert (await bench.see(run)).state is RunState.QUEUED
    go.let_go()
    bench.start()
    ran = await bench.ended(run)
    assert ran.state is state
    assert ran.states()["tidy"] is OK
    assert (bench.folder / "ran").read_text() == "one\n" * times
    if not idempotent:
        assert ran.steps()["only"].error == "it was ended because its runner stopped"
