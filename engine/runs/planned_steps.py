"""What will be done, from what an author wrote: steps with ids and defaults, scripts bound, secrets by their names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.checks.parameters import faults_of
from engine.expressions.expression import ExpressionError, compile_text, condition_text, has_expression
from engine.expressions.inference import Lookup
from engine.runs.pinned import LibraryCall, Loop, Phase, PlannedStep, Script, Use, in_rescue_of
from engine.runs.refused import Refusal
from engine.runs.unfolding import Find, too_much
from engine.scripts.binding import BindError, bind, evaluated_env, evaluated_stdin
from engine.scripts.numbers import of_params
from engine.scripts.outputs_read import Read, cels_as_far_as_readable, outputs_read
from engine.secretref import input_of, param_of, secret_of
from engine.vendored import Library, is_version, use_of
from schemas.job import JobSpec, Shell, Step
from schemas.library import LibraryStepSpec
from schemas.steps import STEP_TYPES, StepType
from schemas.steps.declared import NONE
from schemas.target import Become, Target


@dataclass(frozen=True, slots=True)
class _Around:
    """What holds for every step of a job, or of a library's step."""

    env: Mapping[str, Any]
    shell: Shell
    secrets: Mapping[str, str]
    """What stands for secret params, or for the secret inputs of a library's step."""
    types: Lookup
    """Of what scripts read."""
    find: Find
    plugged: Mapping[str, StepType] = field(default_factory=lambda: NONE)
    """The step types of plug-ins."""
    tolerant: bool = False
    """Whether a step that cannot be planned stands as far as it is known: to be looked at, not to be run."""
    mixed: bool = False
    """Whether some targets are Windows, and others are not."""
    caller: Step | None = None
    """The step that uses these of a library."""
    literals: Mapping[str, Any] = field(default_factory=dict)
    """Of a library's step the inputs that its caller wrote out; None for those that nobody gave."""

    def opened(self, value: Any) -> Any:
        """The value, or what stands for the secret param or input that it is as a whole."""
        name = param_of(value) if self.caller is None else input_of(value)
        return value if name is None else self.secrets.get(name, value)

    def written_out(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of a step type, those of a library's step replaced by what its caller wrote out.

        So a host or a credential that stands in the job is its author's also where a library's step hands it on.
        """
        named = {name: input_of(value) for name, value in inputs.items()} if self.caller is not None else {}
        found = {name: self.literals.get(named.get(name) or "", value) for name, value in inputs.items()}
        return {name: value for name, value in found.items() if value is not None or inputs[name] is None}

    def type_of(self, step: Step) -> StepType | None:
        """Its step type; None for a script of its own, and for a type that does not exist."""
        return STEP_TYPES.get(step.uses or "") or self.plugged.get(step.uses or "")


def planned_steps(
    job: JobSpec,
    targets: list[Target],
    secrets: Mapping[str, str],
    find: Find,
    *,
    plugged: Mapping[str, StepType] = NONE,
    tolerant: bool = False,
) -> tuple[PlannedStep, ...]:
    """All steps of a job on these targets; `secrets` says what stands for its secret params, `find` knows libraries.

    Raises Refusal (`badSteps`). `tolerant`: of a step that cannot be planned what is known of it, to be looked at only.
    """
    systems = {target.spec.os == "windows" for target in targets}
    shell: Shell = "powershell" if systems == {True} else "sh"
    phases: tuple[tuple[Phase, tuple[Step, ...], str], ...] = (
        ("steps", job.steps, "step"),
        ("rescue", job.rescue, "rescue"),
        ("finally", job.finally_, "finally"),
    )
    types = _types(job.params, (step for _, of_phase, _ in phases for step in of_phase))
    around = _Around(job.env, shell, secrets, types, find, plugged, tolerant, mixed=len(systems) > 1)
    steps = [one for phase, of_phase, prefix in phases for one in _in_order(of_phase, prefix, phase, around)]
    read = outputs_read(job.outputs, steps)
    return tuple(_keeping(step, read) for step in steps)


def _types(params: Mapping[str, Mapping[str, Any]], steps: Iterable[Step]) -> Lookup:
    """Of what the scripts among the steps read."""
    written = tuple(_all(steps))
    return of_params(
        params,
        items=frozenset(step.for_each.as_ for step in written if step.for_each is not None),
        outputs=(
            (step.id, name, value)
            for step in written
            if step.id is not None and step.for_each is None
            for name, value in step.outputs.items()
        ),
    )


def _in_order(steps: Iterable[Step], prefix: str, phase: Phase, around: _Around) -> list[PlannedStep]:
    """The steps, those without an id called by their position."""
    return [_step(step, step.id or f"{prefix}_{number}", phase, around) for number, step in enumerate(steps, start=1)]


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
        used = around.type_of(step)
        return PlannedStep(
            id=step_id,
            phase=phase,
            action=_known(step, phase, around) if around.tolerant else _action(step, phase, around),
            name=step.name,
            condition=condition_text(step.if_) if isinstance(step.if_, str) else step.if_,
            connection=step.connection or (used.over if used else None),
            env={name: around.opened(value) for name, value in {**around.env, **step.env}.items()},
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


def _known(step: Step, phase: Phase, around: _Around) -> Script | Use | LibraryCall:
    """What a step does; of one that cannot be planned at least what it is given."""
    try:
        return _action(step, phase, around)
    except _Unbindable:
        return Script(around.shell, "", tuple(cels_as_far_as_readable(step.with_ or {})))


def _action(step: Step, phase: Phase, around: _Around) -> Script | Use | LibraryCall:
    env = {**around.env, **step.env}
    if step.run is not None:
        return _script(step.run, step.shell, env, around, step.stdin)
    inputs = step.with_ or {}
    used = around.type_of(step)
    if used is None and use_of(step.uses) is not None:
        return _call(step, phase, around)
    if used is None:
        raise _Unbindable(f"there is no step type '{step.uses}'")
    missing = sorted(used.required - inputs.keys())
    unknown = sorted(inputs.keys() - used.inputs.keys())
    if missing or unknown:
        raise _Unbindable(
            f"'{used.name}' needs '{missing[0]}'" if missing else f"'{used.name}' takes no '{unknown[0]}'"
        )
    if not used.is_script:
        given = {name: around.opened(one) if name in used.secret else one for name, one in inputs.items()}
        return Use(used.name, around.written_out(given), None if used.name in STEP_TYPES else used)
    for name, value in inputs.items():
        for _, message in faults_of(used.inputs[name], value):
            raise _Unbindable(f"input '{name}': {message}")
    over: Shell | None = "powershell" if used.over == "winrm" else None
    named = inputs.get("shell") or step.shell or over
    if ("run" in inputs) == ("file" in inputs):
        raise _Unbindable(f"'{used.name}' takes one of 'run' and 'file'")
    if "run" in inputs:
        return _script(inputs["run"], named, env, around, step.stdin)
    return replace(_script("", named, env, around), file=inputs["file"])


def _script(
    text: str, named: Shell | None, env: Mapping[str, Any], around: _Around, stdin: str | None = None
) -> Script:
    script = _bound(text, named or around.shell, env, around.types)
    read = evaluated_stdin(text, named or around.shell, stdin, around.types)
    if read is not None:
        raise _Unbindable(f"{read.message}; {read.hint}")
    if named is not None or not around.mixed:
        return script
    return replace(script, on_windows=_bound(text, "powershell", env, around.types).text)


def _bound(text: str, shell: Shell, env: Mapping[str, Any], types: Lookup) -> Script:
    bound = bind(text, shell, types)
    if isinstance(bound, tuple):
        first: BindError = bound[0]
        raise _Unbindable(f"{first.message}; {first.hint}")
    for one in evaluated_env(text, shell, env, types):
        if one.computed:
            raise _Unbindable(f"{one.message}; {one.hint}")
    for hole in bound.holes:
        compile_text(hole)
    return Script(shell, bound.text, bound.holes)


# --- steps of libraries ----------------------------------------------------------------------------------------------


def _call(step: Step, phase: Phase, around: _Around) -> LibraryCall:
    """All that a library's step consists of, with what its inputs and outputs must be."""
    uses = step.uses or ""
    if around.caller is None and (why := too_much(uses, around.find)) is not None:
        raise _Unbindable(why)
    library, spec = _used(uses, around.find)
    given, secrets = _given(uses, around.written_out(step.with_ or {}), spec, around)
    return LibraryCall(
        uses=uses,
        digest=library.digest,
        steps=tuple(_passed_on(one, step) for one in _parts(step, spec, library, given, secrets, phase, around)),
        inputs=given,
        takes=spec.inputs,
        gives={
            name: {key: one for key, one in gives.items() if key != "value"} for name, gives in spec.outputs.items()
        },
        outputs={
            name: gives.get("value") if spec.script is None else f"${{{{ steps.script.outputs.{name} }}}}"
            for name, gives in spec.outputs.items()
        },
        platforms=spec.platforms,
    )


def _used(uses: str, find: Find) -> tuple[Library, LibraryStepSpec]:
    use = use_of(uses)
    library = find(use.library) if use is not None else None
    if use is None or library is None or library.document is None:
        raise _Unbindable(f"there is no library for '{uses}'")
    if not is_version(library.document.spec.version, use.version):
        raise _Unbindable(f"library '{library.name}' is of version {library.document.spec.version}, not {use.version}")
    found = library.step(use.step)
    if found is None:
        raise _Unbindable(f"library '{library.name}' has no step '{use.step}'")
    return library, found.spec


def _given(
    uses: str, given: Mapping[str, Any], spec: LibraryStepSpec, around: _Around
) -> tuple[dict[str, Any], dict[str, str]]:
    """The inputs with their defaults; and apart what stands for the secret ones."""
    if unknown := sorted(given.keys() - spec.inputs.keys()):
        raise _Unbindable(f"'{uses}' takes no '{unknown[0]}'")
    plain: dict[str, Any] = {}
    secrets: dict[str, str] = {}
    for name, schema in spec.inputs.items():
        value = around.opened(given[name]) if name in given else schema.get("default")
        if name not in given and schema.get("required") is True and "default" not in schema:
            raise _Unbindable(f"'{uses}' needs '{name}'")
        if schema.get("secret") is not True:
            plain[name] = value
        elif isinstance(value, str) and secret_of(value) is not None:
            secrets[name] = value
        elif name in given and not around.tolerant and param_of(value) is None and input_of(value) is None:
            raise _Unbindable(f"the secret input '{name}' of '{uses}' takes a secret, and nothing else")
    return plain, secrets


def _parts(
    step: Step,
    spec: LibraryStepSpec,
    library: Library,
    given: Mapping[str, Any],
    secrets: Mapping[str, str],
    phase: Phase,
    around: _Around,
) -> list[PlannedStep]:
    shell: Shell = spec.shell or ("powershell" if spec.platforms == ("windows",) else "sh")
    types = _types(spec.inputs, spec.steps or ())
    within = replace(around, env={}, shell=shell, secrets=secrets, types=types, caller=step, literals=_literals(given))
    if spec.script is None:
        parts = _in_order(spec.steps or (), "step", phase, within)
        read = outputs_read({name: gives.get("value") for name, gives in spec.outputs.items()}, parts)
        return [_keeping(one, read) for one in parts]
    text = library.scripts.get(f"steps/{spec.script}")
    if text is None:
        raise _Unbindable(f"library '{library.name}' has no file steps/{spec.script} that can be read")
    for one in evaluated_env(text, shell, spec.env, types):
        if one.computed:
            raise _Unbindable(f"{one.message}; {one.hint}")
    env = {name: within.opened(value) for name, value in spec.env.items()}
    outputs = {name: gives.get("value") for name, gives in spec.outputs.items()}
    return [PlannedStep("script", phase, Script(shell, text), env=env, outputs=outputs)]


def _literals(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if not has_expression(value)}


def _passed_on(part: PlannedStep, caller: Step) -> PlannedStep:
    """A part with what its caller says of all of it, where it does not say so itself."""
    become = Become(user=caller.become) if isinstance(caller.become, str) else caller.become
    call = part.action
    return replace(
        part,
        action=replace(call, steps=tuple(_passed_on(one, caller) for one in call.steps))
        if isinstance(call, LibraryCall)
        else call,
        connection=part.connection or (caller.connection if not isinstance(call, Use) else None),
        become=part.become or become,
        idempotent=part.idempotent or caller.idempotent,
        sensitive=part.sensitive or caller.sensitive,
        rescue=tuple(_passed_on(one, caller) for one in part.rescue),
    )
