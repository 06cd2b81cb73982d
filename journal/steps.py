"""Steps: a start is durable before its effect, an end after it. Every write checks the fence in its transaction.

The answer to a commit may be lost, and its write is made again then. One of the same claim about the same thing, from
the same instant, is that write: done again it changes nothing, and is as good as the first.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from engine.runs.pinned import RUNNER, Phase
from engine.states import STEP_TRANSITIONS, StepState, is_final
from journal import evidence, happenings, outbox, points
from journal.databases.tables import run_targets, runs, steps
from journal.databases.upsert import Upsert
from journal.errors import AlreadyStarted, FenceLost
from journal.evidence import Evidence
from journal.fence import Fence, holds


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How a step ended. `stdout` and `stderr` are kept where a later expression reads them; all text is masked."""

    state: StepState
    exit_code: int | None = None
    duration: float | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    stdout: str | None = None
    stderr: str | None = None
    stdout_tail: str | None = None
    stderr_tail: str | None = None
    error: str | None = None
    log: str | None = None
    continued: bool = False
    again: bool = False
    """Another attempt follows (retry)."""


_HELD = select(runs.c.seq).where(runs.c.id == bindparam("of"), holds(bindparam("held"))).with_for_update()
_NEW = ("target", "phase", "step", "attempt", "name", "state", "token", "started_at", "ended_at", "error", "continued")
# The fence is checked by the statement itself: a look beforehand would double the cost of every step's record.
_START = (
    insert(steps)
    .from_select(
        ["run", *_NEW],
        _HELD.add_columns(*(bindparam(f"new_{name}", type_=steps.c[name].type) for name in _NEW))
        # Both databases say it so; an error would spoil the transaction of others.
        .suffix_with("ON CONFLICT (run, target, phase, step, attempt) DO NOTHING"),
    )
    # A driver may forget the number when the cursor is closed, which for an INSERT is at once.
    .execution_options(preserve_rowcount=True)
)
_ATTEMPT = (
    steps.c.target == bindparam("at"),
    steps.c.phase == bindparam("in_phase"),
    steps.c.step == bindparam("which"),
    steps.c.attempt == bindparam("nth"),
)
_FIRST = select(steps.c.token, steps.c.started_at).where(steps.c.run == bindparam("of_run"), *_ATTEMPT)
_END = (
    update(steps)
    .where(steps.c.run == _HELD.scalar_subquery(), *_ATTEMPT, steps.c.state == StepState.RUNNING.value)
    .values({column: bindparam(f"to_{column}", type_=steps.c[column].type) for column in (
        "state", "exit_code", "duration", "outputs", "stdout", "stderr", "stdout_tail", "stderr_tail", "error", "log",
        "continued", "again", "ended_at",
    )})
)  # fmt: skip
_SETTLE = (
    update(steps)
    .where(
        steps.c.run == _HELD.scalar_subquery(),
        *_ATTEMPT[:3],
        steps.c.attempt < bindparam("nth"),
        steps.c.state == StepState.RUNNING.value,
        steps.c.ended_at.is_(None),  # else its own runner has ended it
    )
    .values(
        ended_at=bindparam("to_ended_at", type_=steps.c.ended_at.type),
        error=func.coalesce(steps.c.error, "its runner was lost") + "; what was left of it has been ended",
    )
)
_STATE = select(steps.c.state, steps.c.token, steps.c.ended_at).where(steps.c.run == bindparam("of_run"), *_ATTEMPT)
_OF_TARGET = ("target", "state", "outputs", "reason", "ended_at", "runner")
_END_TARGET = Upsert(
    run_targets,
    lambda new: new.from_select(
        ["run", *_OF_TARGET],
        _HELD.add_columns(*(bindparam(f"new_{name}", type_=run_targets.c[name].type) for name in _OF_TARGET)),
    ).on_conflict_do_nothing(),
)


def start(
    tx: Connection,
    fence: Fence,
    target: str,
    phase: Phase,
    step_id: str,
    attempt: int,
    now: datetime,
    name: str | None = None,
) -> None:
    """Record that a step starts; commit it before its first effect.

    Raises FenceLost, and AlreadyStarted where this attempt has been started before by whomever, at another instant.
    """
    points.record("step-start")
    _add(tx, fence, _new(fence, target, phase, step_id, attempt, now) | {"state": "running", "name": name})


def skip(
    tx: Connection,
    fence: Fence,
    target: str,
    phase: Phase,
    step_id: str,
    attempt: int,
    reason: str,
    now: datetime,
    name: str | None = None,
) -> None:
    """Record that an attempt of a step is not run.

    It is the second where the first was lost with its runner and the condition does not hold any more. Raises as
    `start` does.
    """
    points.record("step-skip")
    row = _new(fence, target, phase, step_id, attempt, now)
    _add(tx, fence, row | {"state": "skipped", "ended_at": now, "error": reason or None, "name": name})


def _new(fence: Fence, target: str, phase: Phase, step_id: str, attempt: int, now: datetime) -> dict[str, Any]:
    return dict.fromkeys(_NEW) | {
        "target": target,
        "phase": phase,
        "step": step_id,
        "attempt": attempt,
        "token": fence.token,
        "started_at": now,
        "continued": False,
    }


def _add(tx: Connection, fence: Fence, row: Mapping[str, Any]) -> None:
    values = {f"new_{name}": value for name, value in row.items()}
    if tx.execute(_START, {"of": fence.run, "held": fence.token, **values}).rowcount:
        return
    this = {"at": row["target"], "in_phase": row["phase"], "which": row["step"], "nth": row["attempt"]}
    first = tx.execute(_FIRST, this | {"of_run": _held(tx, fence)}).one()
    if (first.token, first.started_at) != (fence.token, row["started_at"]):
        raise AlreadyStarted(fence.run, row["target"], row["step"], row["attempt"])


def withdraw(tx: Connection, fence: Fence, target: str, phase: Phase, step_id: str, attempt: int) -> None:
    """Take back a start of this claim that nothing followed: whoever works on the run may make it anew.

    Doing it again changes nothing. Raises FenceLost.
    """
    seq = _held(tx, fence)
    own = (steps.c.target == target, steps.c.phase == phase, steps.c.step == step_id, steps.c.attempt == attempt)
    open_ = (steps.c.run == seq, steps.c.token == fence.token, steps.c.state == StepState.RUNNING.value)
    tx.execute(delete(steps).where(*open_, *own))
    outbox.add(tx, "run", fence.run)


def settle(tx: Connection, fence: Fence, target: str, phase: Phase, step_id: str, attempt: int, now: datetime) -> None:
    """Record that nothing of the attempts before this one can run any more.

    They stay `running`, as nobody knows how they ended: if the start of this one is taken back, the step has not ended,
    and another may begin. Doing it again changes nothing. Raises FenceLost.
    """
    this = {"at": target, "in_phase": phase, "which": step_id, "nth": attempt}
    if not tx.execute(_SETTLE, this | {"of": fence.run, "held": fence.token, "to_ended_at": now}).rowcount:
        _held(tx, fence)


def interrupt(
    tx: Connection, fence: Fence, target: str, phase: Phase, step_id: str, attempt: int, now: datetime
) -> None:
    """Record that nothing of a running attempt can run any more, for its runner stops: the next one begins it anew.

    It stays `running`, as the step has not ended. Doing it again changes nothing. Raises FenceLost.
    """
    seq = _held(tx, fence)
    own = (steps.c.target == target, steps.c.phase == phase, steps.c.step == step_id, steps.c.attempt == attempt)
    tx.execute(
        update(steps).where(steps.c.run == seq, *own, steps.c.state == StepState.RUNNING.value).values(ended_at=now)
    )


def end(
    tx: Connection,
    fence: Fence,
    target: str,
    phase: Phase,
    step_id: str,
    attempt: int,
    ended: StepEnd,
    now: datetime,
) -> None:
    """Record how a started step ended, after its effect.

    A result is recorded once: a second end of the attempt, and one from a runner that has lost the run (FenceLost),
    are kept as evidence and change nothing. LookupError where the attempt was never started.
    """
    if ended.state not in STEP_TRANSITIONS[StepState.RUNNING]:
        raise ValueError(f"a running step cannot end as {ended.state}")
    points.record("step-end")
    this = {"at": target, "in_phase": phase, "which": step_id, "nth": attempt}
    changed = tx.execute(
        _END,
        this
        | {
            "of": fence.run,
            "held": fence.token,
            "to_state": ended.state.value,
            "to_exit_code": ended.exit_code,
            "to_duration": ended.duration,
            "to_outputs": dict(ended.outputs) or None,
            "to_stdout": ended.stdout,
            "to_stderr": ended.stderr,
            "to_stdout_tail": ended.stdout_tail,
            "to_stderr_tail": ended.stderr_tail,
            "to_error": ended.error,
            "to_log": ended.log,
            "to_continued": ended.continued,
            "to_again": ended.again,
            "to_ended_at": now,
        },
    ).rowcount
    if changed:
        return
    seq = _held(tx, fence, _refused(fence, target, phase, step_id, attempt, ended, now))
    found = tx.execute(_STATE, this | {"of_run": seq}).first()
    if found is None:
        raise LookupError(f"run {fence.run}: step {step_id} on {target} ends without a recorded start")
    if (found.state, found.token, found.ended_at) == (ended.state.value, fence.token, now):
        return
    _refused(fence, target, phase, step_id, attempt, ended, now)(tx)


def _refused(
    fence: Fence, target: str, phase: Phase, step_id: str, attempt: int, ended: StepEnd, now: datetime
) -> evidence.Aftermath:
    def write(tx: Connection) -> None:
        detail = {key: value for key, value in asdict(ended).items() if value not in (None, {}) and key != "state"}
        found = Evidence(
            fence.run, fence.token, "step", target, phase, step_id, attempt, ended.state.value, detail, now
        )
        evidence.keep(found)(tx)

    return write


def rescue(tx: Connection, fence: Fence, target: str, phase: Phase, step_id: str) -> None:
    """Record that a rescue has made up for the failure of a step. Doing it again changes nothing."""
    seq = _held(tx, fence)
    points.record("step-rescued")
    where = (steps.c.run == seq, steps.c.target == target, steps.c.phase == phase, steps.c.step == step_id)
    tx.execute(update(steps).where(*where).values(rescued=True))


def end_target(
    tx: Connection,
    fence: Fence,
    target: str,
    state: StepState,
    outputs: Mapping[str, Any],
    now: datetime,
    reason: str | None = None,
    *,
    runner: str | None = None,
) -> bool:
    """Record that nothing is left to do on a target. Doing it again changes nothing: False.

    `runner` is whose slice of the run it was in.
    """
    if not is_final(state):
        raise ValueError(f"a target cannot end as {state}")
    points.record("target-end")
    gave = dict(outputs) or None
    row = {"target": target, "state": state.value, "outputs": gave, "reason": reason, "ended_at": now, "runner": runner}
    values = {f"new_{name}": value for name, value in row.items()}
    if not tx.execute(_END_TARGET.on(tx), {"of": fence.run, "held": fence.token, **values}).rowcount:
        found = Evidence(
            fence.run, fence.token, "target", target, None, None, None, state.value, {"outputs": dict(outputs)}, now
        )
        _held(tx, fence, evidence.keep(found))
        return False
    if target != RUNNER:
        outbox.add_all(tx, (("run", fence.run), ("target", target)), work=False)
        happenings.target_ended(tx, target, state, fence.run, now)
    return True


def _held(tx: Connection, fence: Fence, aftermath: evidence.Aftermath | None = None) -> int:
    """The run's number; FenceLost where its token is another, or it is not running."""
    found = tx.execute(_HELD, {"of": fence.run, "held": fence.token}).first()
    if found is None:
        raise FenceLost(fence.run, aftermath)
    return found[0]  # type: ignore[no-any-return]
