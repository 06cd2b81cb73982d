"""From a job and what was asked to a plan: everything that a run does is fixed here, and kept to its end.

Pure: the same catalog, job, params and limit give the same plan, byte for byte.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from engine.binding import ENV_HINT, BindError, bind, evaluated_env
from engine.bounds import MAX_TEXT
from engine.catalog import Catalog, connection_of
from engine.checks.parameters import faults_of, schema_of
from engine.expression import ExpressionError, Hole, compile_text, condition_text, split, texts_of
from engine.groupvars import Variables
from engine.inference import Lookup
from engine.numbers import of_params
from engine.pinned import (
    Loop,
    Phase,
    PinnedSpec,
    PinnedTarget,
    PlannedStep,
    Script,
    Use,
    every,
    in_rescue_of,
)
from engine.reach import Way, jumps, of_connections, of_inputs, of_steps
from engine.secretref import SecretRef, param_of, written
from engine.selection import matches, narrow, select
from schemas.act import InlineJob
from schemas.credential import FIELDS, CredentialSpec
from schemas.envelope import is_name
from schemas.job import Job, JobSpec, Shell, Step
from schemas.selector import Selection
from schemas.steps import STEP_TYPES
from schemas.target import Become, Target

DEFAULT_TIMEOUT = timedelta(hours=1)
_SECRET_FIELDS = frozenset(field for fields in FIELDS.values() for field in fields)
Reason = Literal["noTargets", "badParams", "notAllowed", "badSteps", "notSupported"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that can be enqueued. `params` have their defaults and are what the job asks for."""

    spec: PinnedSpec
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """Why there is no such run. `reason` is one word for programs, `message` a sentence for people.

    `badSteps`: a script or expression of an inline job that validation would have refused. `notSupported`: this version
    would run it otherwise than it is written.
    """

    reason: Reason
    message: str


class _Refusal(Exception):  # noqa: N818 -- becomes a PlanRefused in this module
    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.refused = PlanRefused(reason, message)


def plan_run(
    catalog: Catalog, job: Job, *, params: Mapping[str, Any], limit: Selection | None = None
) -> Planned | PlanRefused:
    """The plan of a run of a job. A limit can only narrow the job's targets."""
    pool = catalog.pool_of(job)
    return _plan(_Asked(catalog, job.name, job.spec, job.metadata.labels, pool, params, limit, defined=True))


def plan_inline(
    catalog: Catalog,
    name: str,
    job: InlineJob,
    *,
    limit: Selection | None = None,
    labels: Mapping[str, str] | None = None,
) -> Planned | PlanRefused:
    """The plan of a run of steps that stand in an act; `name` and `labels` are the act's."""
    spec = JobSpec.model_construct(steps=job.steps, targets=job.targets)
    return _plan(_Asked(catalog, name, spec, labels or {}, catalog.default_pool, {}, limit))


@dataclass(frozen=True, slots=True)
class _Asked:
    catalog: Catalog
    name: str
    job: JobSpec
    labels: Mapping[str, str]
    pool: str
    params: Mapping[str, Any]
    limit: Selection | None
    defined: bool = False
    """Whether it is a Job of the catalog, and not an inline one."""


def _plan(asked: _Asked) -> Planned | PlanRefused:
    try:
        _refuse_held(asked.catalog, f"Job/{asked.name}" if asked.defined else None)
        params = _params(asked.job, asked.params)
        targets = _targets(asked)
        _refuse_held(asked.catalog, *(target.identity for target in targets))
        steps = _steps(asked.job, targets, _secrets_given(asked.job, params))
        return Planned(_pinned(asked, targets, steps), params)
    except _Refusal as refusal:
        return refusal.refused


def _refuse_held(catalog: Catalog, *identities: str | None) -> None:
    for identity in identities:
        if identity is not None and (reason := catalog.held.get(identity)) is not None:
            raise _Refusal("notSupported", f"{identity}: {reason}; nothing runs otherwise than it is written")


def _pinned(asked: _Asked, targets: list[Target], steps: tuple[PlannedStep, ...]) -> PinnedSpec:
    job, catalog = asked.job, asked.catalog
    variables = Variables(catalog.groups)
    return PinnedSpec(
        job=asked.name,
        commit=catalog.commit,
        steps=steps,
        targets=tuple(_pinned_target(target, variables) for target in targets),
        on_targets=job.targets is not None,
        jumps=tuple(_pinned_target(hop, variables) for hop in _hops(asked, targets)),
        credentials=_credentials(asked, targets, steps),
        labels=dict(asked.labels),
        order=job.strategy.order,
        max_parallel=job.strategy.max_parallel,
        batches=job.strategy.batches,
        pause_between=job.strategy.pause_between,
        max_failures=job.strategy.max_failures,
        timeout=job.timeout or catalog.project.spec.defaults.timeout or DEFAULT_TIMEOUT,
        outputs=dict(job.outputs),
        networks=catalog.pools[asked.pool].spec.networks if asked.pool in catalog.pools else (),
    )


# --- params ----------------------------------------------------------------------------------------------------------


def _params(job: JobSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(given.keys() - job.params.keys())
    if unknown:
        known = ", ".join(job.params) or "none"
        raise _Refusal("badParams", f"there is no param '{unknown[0]}'; there are: {known}")
    # null for a param without a default is what a run without it records: the same as not giving it.
    left_out = {name for name, value in given.items() if value is None and "default" not in job.params[name]}
    defaults = {name: param["default"] for name, param in job.params.items() if "default" in param}
    params = {**defaults, **{name: value for name, value in given.items() if name not in left_out}}
    for name, param in job.params.items():
        if name in params:
            _check_param(name, param, params[name])
        elif param.get("required") is True:
            raise _Refusal("badParams", f"the param '{name}' is required")
    _check_size(params)
    # A param without a value is null for expressions, not missing.
    return {name: params.get(name) for name in job.params}


def _check_param(name: str, param: Mapping[str, Any], value: Any) -> None:
    if param.get("secret") is True:
        if _secret_given(value) is None:
            takes = "{credentialRef: <name>, field: <field>}"
            raise _Refusal("badParams", f"the secret param '{name}' takes {takes}, and nothing else")
        return
    for path, message in faults_of(schema_of(param), value):
        where = "".join(f"[{part!r}]" for part in path)
        raise _Refusal("badParams", f"param '{name}'{where}: {message}")


def _secrets_given(job: JobSpec, params: Mapping[str, Any]) -> dict[str, str]:
    """What stands for the secret params where they are used: the fields of the credentials that were named."""
    named = {name: _secret_given(params[name]) for name, param in job.params.items() if param.get("secret") is True}
    return {name: written(secret) for name, secret in named.items() if secret is not None}


def _secret_given(value: Any) -> SecretRef | None:
    """The field of a credential that a secret param names; None where it is anything else."""
    if not isinstance(value, dict) or value.keys() != {"credentialRef", "field"}:
        return None
    credential, wanted = value["credentialRef"], value["field"]
    texts = isinstance(credential, str) and isinstance(wanted, str)
    return SecretRef(credential, wanted) if texts and is_name(credential) and wanted in _SECRET_FIELDS else None


def _check_size(params: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(params, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, TypeError, RecursionError) as problem:
        raise _Refusal("badParams", f"the params are no JSON: {problem}") from problem
    if size > MAX_TEXT:
        raise _Refusal("badParams", f"the params are larger than {MAX_TEXT // 1024} KiB")


# --- targets ---------------------------------------------------------------------------------------------------------


def _targets(asked: _Asked) -> list[Target]:
    """In the order of their names."""
    catalog, job = asked.catalog, asked.job
    if job.targets is None:
        if asked.limit is not None:
            raise _Refusal("noTargets", f"'{asked.name}' has no targets that a limit could narrow")
        return []
    chosen = select(job.targets, catalog.targets, catalog.groups)
    if not chosen:
        raise _Refusal("noTargets", f"'{asked.name}' selects no target")
    left = narrow(chosen, asked.limit, catalog.targets, catalog.groups)
    if not left:
        raise _Refusal("noTargets", f"the limit leaves none of the {len(chosen)} targets of '{asked.name}'")
    return [catalog.targets[name] for name in sorted(left)]


def _hops(asked: _Asked, targets: list[Target]) -> list[Target]:
    """Those that the targets are reached through, by name."""
    known = asked.catalog.targets
    found = {hop.name: hop for target in targets for hop in jumps(target, known)}
    _refuse_held(asked.catalog, *(f"Target/{name}" for name in sorted(found)))
    return [found[name] for name in sorted(found)]


def _pinned_target(target: Target, variables: Variables) -> PinnedTarget:
    return PinnedTarget(
        name=target.name,
        host=target.spec.host,
        os=target.spec.os,
        labels=dict(target.metadata.labels),
        vars={**variables.of(target), **target.spec.vars},
        facts=dict(target.spec.facts),
        connections=target.spec.connections,
        default_connection=connection_of(target),
    )


# --- steps -----------------------------------------------------------------------------------------------------------


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


def _steps(
    job: JobSpec, targets: list[Target], secrets: Mapping[str, str], *, tolerant: bool = False
) -> tuple[PlannedStep, ...]:
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


def _keeping(step: PlannedStep, read: "Read") -> PlannedStep:
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
        raise _Refusal("badSteps", f"step '{step_id}': {problem}") from problem
    except _Unbindable as problem:
        raise _Refusal("badSteps", f"step '{step_id}': {problem}") from problem


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
        return Script(around.shell, "", tuple(_cels_as_far_as_readable(step.with_ or {})))


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


# --- what is read by whom --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """Steps whose stdout, stderr or json a later expression reads."""

    steps: frozenset[str]
    everything: bool

    def __contains__(self, step: str) -> bool:
        return step in self.steps


_TEXTS = frozenset({"stdout", "stderr", "json"})


def outputs_read(outputs: Mapping[str, Any], steps: Iterable[PlannedStep]) -> Read:
    """What the expressions of these steps, and of a job's outputs, read of the text that steps print."""
    read: set[str] = set()
    everything = False
    for cel in (*_cels_of_steps(steps), *_cels(outputs)):
        for path in _references(cel):
            if path[0] != "steps":
                continue
            if len(path) == 1:
                everything = True
            elif len(path) == 2 or path[2] in _TEXTS:
                read.add(path[1])
    return Read(frozenset(read), everything)


def _cels_of_steps(steps: Iterable[PlannedStep]) -> Iterator[str]:
    for step in every(steps):
        if isinstance(step.condition, str):
            yield step.condition
        if isinstance(step.ok_exit_codes, str):
            yield condition_text(step.ok_exit_codes)
        if step.retry is not None and isinstance(step.retry.if_, str):
            yield condition_text(step.retry.if_)
        if step.loop is not None:
            yield from _cels(step.loop.items)
        yield from _cels([step.env, step.working_dir, step.stdin, step.outputs])
        match step.action:
            case Script(holes=holes):
                yield from holes
            case Use(inputs=inputs):
                yield from _cels(inputs)


def _cels(value: Any) -> Iterator[str]:
    for text in texts_of(value):
        yield from (part.cel for part in split(text) if isinstance(part, Hole))


def _cels_as_far_as_readable(value: Any) -> Iterator[str]:
    for text in texts_of(value):
        try:
            found = [part.cel for part in split(text) if isinstance(part, Hole)]
            yield from (cel for cel in found if compile_text(cel))
        except ExpressionError:
            continue  # a finding of its own


def _references(cel: str) -> tuple[tuple[str, ...], ...]:
    try:
        return compile_text(cel).references
    except ExpressionError as problem:
        raise _Refusal("badSteps", f"the expression '{cel}': {problem}") from problem


# --- credentials -----------------------------------------------------------------------------------------------------


def ways(catalog: Catalog, job: Job, chosen: frozenset[str] | None = None) -> tuple[Way, ...]:
    """Every way by which runs of a job come to credentials; none where no run of it could be planned.

    The credentials named are those that `plan_run` pins when nothing narrows the targets. Who knows already which
    targets the job chooses hands them over: to find them again takes longer than all the rest.
    """
    asked = _Asked(catalog, job.name, job.spec, job.metadata.labels, catalog.pool_of(job), {}, None)
    try:
        targets = _targets(asked) if chosen is None else [catalog.targets[name] for name in sorted(chosen)]
        if job.spec.targets is not None and not targets:
            return ()
        found = tuple(_ways(asked, targets, _steps(job.spec, targets, {}, tolerant=True)))
        for name in {way.credential for way in found}:
            _allowed(asked, name)
    except (_Refusal, ExpressionError):
        return ()
    return found


def _credentials(asked: _Asked, targets: list[Target], steps: tuple[PlannedStep, ...]) -> dict[str, CredentialSpec]:
    """Those the run can reach: of the connections its steps use on its targets, and of `secrets.x.y`; no secret."""
    names = {way.credential for way in _ways(asked, targets, steps)}
    _refuse_held(asked.catalog, *(f"Credential/{name}" for name in sorted(names)))
    return {name: _allowed(asked, name) for name in sorted(names)}


def _ways(asked: _Asked, targets: list[Target], steps: tuple[PlannedStep, ...]) -> Iterator[Way]:
    yield from of_connections(targets, steps, asked.catalog.targets)
    yield from of_steps(steps)
    yield from of_inputs(targets, steps)
    yield from _of_secrets(asked.job, steps)


def _of_secrets(job: JobSpec, steps: tuple[PlannedStep, ...]) -> Iterator[Way]:
    for where, cels in (
        *((f"step {step.id}", _cels_of_steps([replace(step, rescue=())])) for step in every(steps)),
        ("outputs", _cels(job.outputs)),
    ):
        for cel in cels:
            for path in _references(cel):
                if path[0] != "secrets":
                    continue
                if len(path) < 2:
                    raise _Refusal("notAllowed", f"'{cel}' does not say which credential it reads")
                yield Way(path[1], f"{where}: {'.'.join(path)}")


def _allowed(asked: _Asked, name: str) -> CredentialSpec:
    credential = asked.catalog.credentials.get(name)
    if credential is None:
        raise _Refusal("notAllowed", f"there is no Credential '{name}'")
    spec = credential.spec
    if spec.pools and asked.pool not in spec.pools:
        raise _Refusal("notAllowed", f"credential '{name}' may not be opened by pool '{asked.pool}', which runs this")
    if spec.allowed_for is not None and not matches(spec.allowed_for, asked.labels):
        raise _Refusal("notAllowed", f"credential '{name}' is not allowed for '{asked.name}': its labels do not match")
    return spec
