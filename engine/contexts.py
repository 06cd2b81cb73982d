"""What expressions can read: the contexts of DEFINITIONS 4, from a plan and what is recorded.

Everything here is data. Secrets are in no context: `secrets.x.y` is the whole of a value or nothing (`secret_of`), and
only a runner opens it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from engine.expression import ExpressionError, Hole, Status, compile_text, render, split
from engine.identity import Cause, RunId
from engine.pinned import PinnedSpec, PinnedTarget, PlannedStep
from engine.progress import Ending, StepRecord, counts_as_success
from schemas.quantities import format_instant


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
class SecretRef:
    """A value that is a field of a Credential: to be opened by a runner, and by nobody else."""

    credential: str
    field: str


def for_step(
    spec: PinnedSpec,
    target: PinnedTarget | None,
    params: Mapping[str, Any],
    run: RunFacts,
    records: Sequence[StepRecord],
    env: Mapping[str, Any],
    own: StepRecord | None = None,
) -> dict[str, Any]:
    """The context of one step's expressions, or of the job's outputs.

    `records` are those of this target (or of the runner, where the job has no targets). `env` is the step's
    environment as far as it may be known: secrets left out. With `own`, the step's result is there by bare names, as
    in `outputs` and `okExitCodes`.
    """
    context: dict[str, Any] = {
        "params": params,
        "steps": _steps(spec, records),
        "job": {"name": run.job},
        "run": _run(run),
        "env": env,
        "vars": target.vars if target else {},
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


@lru_cache(maxsize=1024)
def _secret_in(text: str) -> SecretRef | None:
    parts = split(text)
    if len(parts) != 1 or not isinstance(parts[0], Hole):
        return None
    expression = compile_text(parts[0].cel)
    whole = [one for one in expression.occurrences if one.offset == 0 and one.length == len(parts[0].cel)]
    if len(whole) == 1 and len(whole[0].path) == 3 and whole[0].path[0] == "secrets":
        return SecretRef(whole[0].path[1], whole[0].path[2])
    return None


def secret_of(value: Any) -> SecretRef | None:
    """The secret that a value is as a whole: `${{ secrets.web.password }}`. None for everything else."""
    if not isinstance(value, str) or "secrets" not in value:
        return None
    try:
        return _secret_in(value)
    except ExpressionError:
        return None


def success_of(records: Sequence[StepRecord]) -> bool:
    """Whether nothing has failed so far: what success() answers while nobody ends the run."""
    return all(counts_as_success(record) for record in records)


def status_of(records: Sequence[StepRecord], ending: Ending | None = None) -> Status:
    """What success(), failure() and cancelled() answer in the next step. A run out of time has failed."""
    return Status(failed=ending == "timedOut" or not success_of(records), cancelled=ending == "cancelled")


def _steps(spec: PinnedSpec, records: Sequence[StepRecord]) -> dict[str, dict[str, Any]]:
    known = {record.key: record for record in records}
    return {step.id: _step(step, known.get((step.phase, step.id))) for step in spec.steps}


def _step(step: PlannedStep, record: StepRecord | None) -> dict[str, Any]:
    """A step that did not run has every field and every declared output, all of them null."""
    nothing = dict.fromkeys(step.outputs)
    if record is None:
        return {**dict.fromkeys(_FIELDS), "outputs": nothing}
    return {**_result(record), "outputs": {**nothing, **record.outputs}}


_FIELDS = ("state", "exitCode", "stdout", "stderr", "json", "duration", "attempts")


def _result(record: StepRecord) -> dict[str, Any]:
    stdout = _text(record.stdout)
    return {
        "state": str(record.state),
        "exitCode": record.exit_code,
        "stdout": stdout,
        "stderr": record.stderr,
        "json": _json(stdout),
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
    try:
        return json.loads(text, parse_constant=_no_number) if text else None
    except (ValueError, RecursionError):
        return None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _run(run: RunFacts) -> dict[str, Any]:
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
