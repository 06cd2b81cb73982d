"""What expressions can read at each step."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.expressions.contexts import RunFacts, environment, for_step, status_of, success_of
from engine.expressions.expression import ExpressionError, Status, evaluate
from engine.identity import Cause, RunId
from engine.runs.pinned import PinnedSpec, PinnedTarget, PlannedStep, Use
from engine.runs.progress import StepRecord
from engine.secretref import SecretRef, secret_of
from engine.states import StepState

INSTANT = datetime(2026, 11, 21, 0, 15, tzinfo=UTC)
RUN = RunFacts(RunId("job-1"), "job", "c" * 40, INSTANT, 2, Cause("schedule", "nightly", INSTANT))
TARGET = PinnedTarget("web-01", host="h", labels={"role": "web"}, vars={"port": 80}, facts={"cpus": 2})
SPEC = PinnedSpec(
    "job",
    "c" * 40,
    (
        PlannedStep("a", "steps", Use("dummy"), outputs={"used": "${{ 1 }}"}),
        PlannedStep("b", "steps", Use("dummy"), outputs={"left": "${{ 1 }}"}),
    ),
    (TARGET,),
    on_targets=True,
)
RECORD = StepRecord(
    "steps",
    "a",
    StepState.FAILED,
    attempt=3,
    exit_code=1,
    duration=0.5,
    outputs={"used": 71},
    stdout="[1]\n\n",
    stderr="e\n",
)


def read(cel: str, *, own: StepRecord | None = None, target: PinnedTarget | None = TARGET) -> Any:
    context = for_step(SPEC, target, {"keep": 14}, RUN, [RECORD], {"LANG": "C"}, own)
    return evaluate(cel, context)


@pytest.mark.parametrize(
    ("cel", "value"),
    [
        ("params.keep", 14),
        ("steps.a.state", "failed"),
        ("steps.a.exitCode", 1),
        ("steps.a.stdout", "[1]\n"),
        ("steps.a.stderr", "e\n"),
        ("steps.a.json", [1]),
        ("steps.a.duration", 0.5),
        ("steps.a.attempts", 3),
        ("steps.a.outputs.used", 71),
        ("steps.b.outputs.left", None),
        ("steps.b.state", None),
        ("steps.b.stdout", None),
        ("steps.b.outputs", {"left": None}),
        ("target.name + target.host + target.os", "web-01hlinux"),
        ("target.labels.role", "web"),
        ("target.vars.port == vars.port", True),
        ("target.facts.cpus", 2),
        ("job.name", "job"),
        ("run.id + ' ' + run.job + ' ' + run.instant", "job-1 job 2026-11-21T00:15:00Z"),
        ("run.attempt", 2),
        ("run.cause.kind + '/' + run.cause.name", "schedule/nightly"),
        ("env.LANG", "C"),
    ],
)
def test_contexts_hold_what_the_language_says(cel: str, value: object) -> None:
    assert read(cel) == value


def test_the_steps_own_result_has_bare_names_where_it_is_known() -> None:
    assert read("exitCode == 1 && stdout == '[1]\\n' && json[0] == 1 && attempts == 3", own=RECORD)
    with pytest.raises(ExpressionError):
        read("exitCode")


def test_without_a_target_there_is_none() -> None:
    with pytest.raises(ExpressionError):
        read("target.name", target=None)
    assert read("vars", target=None) == {}


@pytest.mark.parametrize(
    ("stdout", "value"),
    [
        ("", None),
        ("{", None),
        ("NaN", None),
        ("[" * 50_000, None),
        ("null\n", None),
        ('{"a": 1}\r\n', {"a": 1}),
        ("7", 7),
    ],
)
def test_json_is_null_where_the_output_is_none(stdout: str, value: object) -> None:
    record = StepRecord("steps", "a", StepState.SUCCEEDED, stdout=stdout)
    context = for_step(SPEC, TARGET, {}, RUN, [record], {})
    assert context["steps"]["a"]["json"] == value


def test_one_trailing_newline_is_dropped() -> None:
    texts = {"a\n\n": "a\n", "a\n": "a", "a": "a", "\n": "", "a\r\n": "a", "": ""}
    for text, kept in texts.items():
        record = StepRecord("steps", "a", StepState.SUCCEEDED, stdout=text)
        assert for_step(SPEC, TARGET, {}, RUN, [record], {})["steps"]["a"]["stdout"] == kept


def test_success_is_that_nothing_failed() -> None:
    good = StepRecord("steps", "a", StepState.SUCCEEDED)
    forgiven = StepRecord("steps", "b", StepState.FAILED, continued=True)
    assert success_of([])
    assert success_of([good, forgiven])
    assert not success_of([good, RECORD])
    assert status_of([RECORD]) == Status(failed=True)
    assert status_of([good], "cancelled") == Status(cancelled=True)
    assert status_of([good], "timedOut") == Status(failed=True)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("${{ secrets.web.password }}", SecretRef("web", "password")),
        ('${{secrets["web-key"].privateKey}}', SecretRef("web-key", "privateKey")),
        ("x${{ secrets.web.password }}", None),
        ("${{ secrets.web.password + 'x' }}", None),
        ("${{ secrets.web }}", None),
        ("${{ secrets.web.password", None),
        ("secrets.web.password", None),
        (7, None),
    ],
)
def test_a_secret_is_the_whole_of_a_value_or_nothing(text: object, secret: SecretRef | None) -> None:
    assert secret_of(text) == secret


def test_an_environment_is_filled_in_in_order_and_shows_no_secret_to_expressions() -> None:
    env = {"A": "x${{ params.keep }}", "B": "${{ env.A }}y", "S": "${{ secrets.web.token }}", "N": 1}
    assert environment(env, {"params": {"keep": 14}}, Status()) == {
        "A": "x14",
        "B": "x14y",
        "S": SecretRef("web", "token"),
        "N": 1,
    }
    with pytest.raises(ExpressionError):
        environment({**env, "C": "${{ env.S }}"}, {"params": {"keep": 14}}, Status())
