"""What will be done, from what an author wrote: steps with ids and defaults, scripts bound, secrets by their names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.binding import ENV_HINT, BindError, bind, evaluated_env
from engine.checks.parameters import faults_of
from engine.expression import ExpressionError, compile_text, condition_text
from engine.inference import Lookup
from engine.numbers import of_params
from engine.outputs_read import Read, cels_as_far_as_readable, outputs_read
from engine.pinned import Loop, Phase, PlannedStep, Script, Use, in_rescue_of
from engine.refused import Refusal
from engine.secretref import param_of
from schemas.job import JobSpec, Shell, Step
from schemas.steps import STEP_TYPES
from schemas.target import Become, Target


@dataclass(frozen=True, slots=True)
class _Around:
    """What holds for every step of a job."""

    job: JobSpec
    shell: Shell
    secrets: Mapping[str, str]
    """What stands for secret params."""
    types: Lookup
    """Of what scripts read."""
    tolerant: bool = False
    """Whether a step that cannot be planned stands as far as it is known: to be looked at, not to be run."""

    def opened(self, value: Any) -> Any:
        """The value, or what stands for the secret param that it is as a whole."""
        name = param_of(value)
        return value if name is None else self.secrets.get(name, value)


def planned_steps(
    job: JobSpec, targets: list[Target], secrets: Mapping[str, str], *, tolerant: bool = False
) -> tuple[PlannedStep, ...]:
    """All steps of a job on these targets; `secrets` says what stands for its secret params.

    Raises Refusal (`badSteps`). `tolerant`: of a step that cannot be planned what is known of it, to be looked at only.
    """
    shell: Shell = "powershell" if targets and all(target.spec.os == "windows" for target in targets) else "sh"
    phases: tuple[tuple[Phase, tuple[Step, ...], str], ...] = (
        ("steps", job.steps, "step"),
        ("rescue", job.rescue, "rescue"),
        ("finally", job.finally_, "finally"),
    )
    written = tuple(_all(step for _, of_phase, _ in phases for step in of_phase))
    types = of_params(
        job.params,
        items=frozenset(step.for_each.as_ for step in written if step.for_each is not None),
        outputs=(
            (step.id, name, value)
            for step in written
            if step.id is not None and step.for_each is None
            for name, value in step.outputs.items()
        ),
    )
    around = _Around(job, shell, secrets, types, tolerant)
    steps = [
        _step(step, step.id or f"{prefix}_{number}", phase, around)
        for phase, of_phase, prefix in phases
        for number, step in enumerate(of_phase, start=1)
    ]
    read = outputs_read(job.outputs, steps)
    return tuple(_keeping(step, read) for step in steps)


def _keeping(step: PlannedStep, read: Read) -> PlannedStep:
    keeps = step.called in read or read.everything
    return replace(step, keeps_output=keeps, rescue=tuple(_keeping(one, read) for one in step.rescue))


def _codes(codes: tuple[int | str, ...] | str) -> tuple[int, ...] | str:
    """A list with expressions among its items is one expression that gives the list."""
    if isinstance(codes, str):
        return codes
    numbers = tuple(code for code in codes if isinstance(code, int))
    if len(numbers) == len(codes):
        return numbers
    return f"[{', '.join(f'({condition_text(code)})' if isinstance(code, str) else str(code) for code in codes)}]"


def _all(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, each followed by those of its rescue."""
    for step in steps:
        yield step
        yield from _all(step.rescue)


def _step(step: Step, step_id: str, phase: Phase, around: _Around) -> PlannedStep:
    try:
        used = STEP_TYPES.get(step.uses or "")
        return PlannedStep(
            id=step_id,
            phase=phase,
            action=_known(step, around) if around.tolerant else _action(step, around),
            name=step.name,
            condition=condition_text(step.if_) if isinstance(step.if_, str) else step.if_,
            connection=step.connection or (used.over if used else None),
            env={name: around.opened(value) for name, value in {**around.job.env, **step.env}.items()},
            working_dir=step.working_dir,
            stdin=around.opened(step.stdin),
            timeout=step.timeout,
            continue_on_error=step.continue_on_error,
            ok_exit_codes=_codes(step.ok_exit_codes),
            outputs=dict(step.outputs),
            idempotent=step.idempotent,
            sensitive=step.sensitive,
            become=Become(user=step.become) if isinstance(step.become, str) else step.become,
            retry=step.retry,
            loop=_loop(step),
            rescue=tuple(
                _step(one, in_rescue_of(step_id, one.id or f"rescue_{number}"), phase, around)
                for number, one in enumerate(step.rescue, start=1)
            ),
        )
    except ExpressionError as problem:
        raise Refusal("badSteps", f"step '{step_id}': {problem}") from problem
    except _Unbindable as problem:
        raise Refusal("badSteps", f"step '{step_id}': {problem}") from problem


def _loop(step: Step) -> Loop | None:
    each = step.for_each
    return None if each is None else Loop(each.items, each.as_, each.max_parallel)


class _Unbindable(Exception):  # noqa: N818 -- caught in this module
    pass


def _known(step: Step, around: _Around) -> Script | Use:
    """What a step does; of one that this version cannot plan, such as a library's, at least what it is given."""
    try:
        return _action(step, around)
    except _Unbindable:
        return Script(around.shell, "", tuple(cels_as_far_as_readable(step.with_ or {})))


def _action(step: Step, around: _Around) -> Script | Use:
    env = {**around.job.env, **step.env}
    if step.run is not None:
        return _script(step.run, step.shell or around.shell, env, around.types)
    inputs = step.with_ or {}
    used = STEP_TYPES.get(step.uses or "")
    if used is None:
        raise _Unbindable(f"there is no step type '{step.uses}'")
    missing = sorted(used.required - inputs.keys())
    unknown = sorted(inputs.keys() - used.inputs.keys())
    if missing or unknown:
        raise _Unbindable(
            f"'{used.name}' needs '{missing[0]}'" if missing else f"'{used.name}' takes no '{unknown[0]}'"
        )
    if not used.is_script:
        return Use(
            used.name, {name: around.opened(one) if name in used.secret else one for name, one in inputs.items()}
        )
    for name, value in inputs.items():
        for _, message in faults_of(used.inputs[name], value):
            raise _Unbindable(f"input '{name}': {message}")
    return _script(inputs["run"], inputs.get("shell") or step.shell or around.shell, env, around.types)


def _script(text: str, shell: Shell, env: Mapping[str, Any], types: Lookup) -> Script:
    bound = bind(text, shell, types)
    if isinstance(bound, tuple):
        first: BindError = bound[0]
        raise _Unbindable(f"{first.message}; {first.hint}")
    for _, message in evaluated_env(text, shell, env, types):
        raise _Unbindable(f"{message}; {ENV_HINT}")
    for hole in bound.holes:
        compile_text(hole)
    return Script(shell, bound.text, bound.holes)
