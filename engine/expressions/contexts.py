"""What expressions can read: the contexts of DEFINITIONS 4, from a plan and what is recorded.

Everything here is data. Secrets are in no context: `secrets.x.y` is the whole of a value or nothing (`secret_of`), and
only a runner opens it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.expressions.bounds import TOO_LARGE, Withheld
from engine.expressions.expression import Status, render
from engine.identity import Cause, RunId
from engine.runs.pinned import LibraryCall, PinnedSpec, PinnedTarget, PlannedStep, Use, is_nested, named, plan_path
from engine.runs.progress import Cut, StepRecord, counts_as_success
from engine.secretref import secret_of
from schemas.quantities import format_instant
from schemas.steps import StepType


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What `run` holds. `instant` is aware; `attempt` counts from 1."""

    id: RunId
    job: str
    commit: str
    instant: datetime
    attempt: int
    cause: Cause


@dataclass(frozen=True, slots=True)
class Inside:
    """Within a library's step: what it consists of and what it was given, which is all that its expressions know."""

    steps: Sequence[PlannedStep]
    inputs: Mapping[str, Any]


def for_step(
    spec: PinnedSpec,
    target: PinnedTarget | None,
    params: Mapping[str, Any],
    run: RunFacts,
    records: Sequence[StepRecord],
    env: Mapping[str, Any],
    own: StepRecord | None = None,
    items: Mapping[str, Any] | None = None,
    inside: Inside | None = None,
) -> dict[str, Any]:
    """The context of one step's expressions, or of the outputs of a job or of a library's step.

    `records` are those of this target (or of the runner, where the job has no targets). `env` is the step's
    environment as far as it may be known: secrets left out. With `own`, the step's result is there by bare names, as
    in `outputs` and `okExitCodes`. `items` are those of the loops around the step, by the names they have there.
    `inside` a library's step the ids of `records` are paths within it.
    """
    given = {"params": params} if inside is None else {"inputs": inside.inputs}
    context: dict[str, Any] = {
        **given,
        "steps": _steps(spec.steps if inside is None else inside.steps, records),
        "job": {"name": run.job},
        "run": about_run(run),
        "env": env,
        "vars": target.vars if target else {},
        **(items or {}),
    }
    if target is not None:
        context["target"] = {
            "name": target.name,
            "host": target.host,
            "os": target.os,
            "labels": target.labels,
            "vars": target.vars,
            "facts": target.facts,
        }
    return context if own is None else {**context, **_result(own)}


def environment(env: Mapping[str, Any], context: Mapping[str, Any], status: Status) -> dict[str, Any]:
    """A step's environment with its expressions filled in; a secret stays a SecretRef, which no expression sees.

    Entries are taken in order, and each sees those before it as `env`; in a plan the job's come first.
    Raises ExpressionError.
    """
    seen: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, value in env.items():
        secret = secret_of(value)
        found[name] = secret or render(value, {**context, "env": seen}, status=status)
        if secret is None:
            seen[name] = found[name]
    return found


def success_of(records: Sequence[StepRecord]) -> bool:
    """Whether nothing has failed so far: what success() answers while nobody ends the run."""
    return all(counts_as_success(record) for record in records if _counts(record))


def _counts(record: StepRecord) -> bool:
    """Steps of a rescue count by what they made of the step that failed. An item is known within its loop alone."""
    return not is_nested(record.id) or record.id.endswith("]")


def status_of(records: Sequence[StepRecord], ending: Cut | None = None) -> Status:
    """What success(), failure() and cancelled() answer in the next step. A run out of time has failed."""
    return Status(failed=ending in ("timedOut", "failed") or not success_of(records), cancelled=ending == "cancelled")


def _steps(steps: Sequence[PlannedStep], records: Sequence[StepRecord]) -> dict[str, dict[str, Any]]:
    known = {record.key: record for record in records}
    planned = {(step.phase, step.id): step for step in named(steps)}
    found = {step.called: _step(step, known.get(key)) for key, step in reversed(planned.items())}
    for record in records:
        if "[" in record.id and (step := planned.get((record.phase, plan_path(record.id)))) is not None:
            found[step.called] = _step(step, record)
    return found


def _step(step: PlannedStep, record: StepRecord | None) -> dict[str, Any]:
    """A step that did not run has every field and every declared output, all of them null."""
    nothing = dict.fromkeys((*_gives(step), *step.outputs))
    if record is None:
        return {**dict.fromkeys(_FIELDS), "outputs": nothing}
    return {**_result(record), "outputs": {**nothing, **record.outputs}}


def _gives(step: PlannedStep) -> Iterable[str]:
    """The outputs that what it uses has."""
    match step.action:
        case Use(known=StepType(outputs=outputs)):
            return outputs
        case LibraryCall(gives=gives):
            return gives
        case _:
            return ()


_CUT = Withheld(
    "stdout is larger than 64 KiB, and only its end is kept (the log has all of it); print less, or write it to a file"
)
_FIELDS = ("state", "exitCode", "stdout", "stderr", "json", "duration", "attempts")


def _result(record: StepRecord) -> dict[str, Any]:
    if record.stdout == TOO_LARGE:
        stdout: str | Withheld | None = _CUT
        data: Any = _CUT
    else:
        stdout = _text(record.stdout)
        data = _json(stdout)
    return {
        "state": str(record.state),
        "exitCode": record.exit_code,
        "stdout": stdout,
        "stderr": record.stderr,
        "json": data,
        "duration": record.duration,
        "attempts": record.attempt,
    }


def _text(stdout: str | None) -> str | None:
    """One trailing newline is dropped, as `$(...)` does with all of them."""
    if stdout is None:
        return None
    return stdout.removesuffix("\r\n") if stdout.endswith("\r\n") else stdout.removesuffix("\n")


def _json(text: str | None) -> Any:
    """stdout as JSON, null where it is none. NaN and Infinity are no JSON."""
    # looked at first: every step asks for this of all steps before it, and most print something else
    if not text or not _MAY_BE_JSON.match(text):
        return None
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_MAY_BE_JSON = re.compile(r"[ \t\n\r]*[\[{\"0-9tfn-]")
_DECODER = json.JSONDecoder(parse_constant=_no_number)


def about_run(run: RunFacts) -> dict[str, Any]:
    """What `run` holds."""
    cause = {
        "kind": run.cause.kind,
        "name": run.cause.name,
        "instant": format_instant(run.cause.instant),
        "requestedBy": run.cause.requested_by,
    }
    return {
        "id": run.id,
        "job": run.job,
        "commit": run.commit,
        "instant": format_instant(run.instant),
        "attempt": run.attempt,
        "cause": cause,
    }
