"""From a job and what was asked to a plan: everything that a run does is fixed here, and kept to its end.

Pure: the same catalog, job, params and limit give the same plan, byte for byte.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from engine.catalog import Catalog, connection_of
from engine.expressions.expression import ExpressionError
from engine.groupvars import Variables
from engine.reach import Way, channels_of, jumps, of_channels, of_connections, of_inputs, of_steps, refused
from engine.runs import concurrency
from engine.runs.pinned import LibraryCall, PinnedSpec, PinnedTarget, PlannedStep, every
from engine.runs.planned_steps import planned_steps
from engine.runs.refused import PlanRefused, Refusal
from engine.runs.run_params import params_of, secrets_given
from engine.scripts.outputs_read import cels_of, cels_of_steps, references
from engine.selection import narrow, select
from schemas.act import InlineJob
from schemas.credential import CredentialSpec
from schemas.job import Job, JobSpec
from schemas.selector import Selection
from schemas.target import Target

DEFAULT_TIMEOUT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that can be enqueued. `params` have their defaults and are what the job asks for."""

    spec: PinnedSpec
    params: dict[str, Any]


def plan_run(
    catalog: Catalog, job: Job, *, params: Mapping[str, Any], limit: Selection | None = None
) -> Planned | PlanRefused:
    """The plan of a run of a job. A limit can only narrow the job's targets."""
    pool = catalog.pool_of(job)
    return _plan(_Asked(catalog, job.name, job.spec, job.metadata.labels, pool, params, limit, defined=True))


def plan_node(
    catalog: Catalog, job: Job, *, secrets: Mapping[str, Any], limit: Selection | None = None
) -> Planned | PlanRefused:
    """The plan of a job in a workflow, of whose params only the secret ones are known yet: no expression gives those.

    The others are what `checked_params` makes of them when the node starts.
    """
    pool = catalog.pool_of(job)
    return _plan(
        _Asked(catalog, job.name, job.spec, job.metadata.labels, pool, secrets, limit, defined=True, params_later=True)
    )


def checked_params(takes: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any] | PlanRefused:
    """The params given to a job or workflow that takes these, with their defaults."""
    try:
        return params_of(takes, given)
    except Refusal as refusal:
        return refusal.refused


def check_group(written: str | None, params: Mapping[str, Any]) -> None:
    """Raises Refusal where the expressions of a concurrency group give no name with these params."""
    try:
        concurrency.named(written or "", params)
    except ExpressionError as error:
        raise Refusal("badParams", f"concurrency.group: {error.message}") from error


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
    params_later: bool = False
    """Whether only its secret params are known."""


def _plan(asked: _Asked) -> Planned | PlanRefused:
    try:
        _refuse_held(asked.catalog, f"Job/{asked.name}" if asked.defined else None)
        params = dict(asked.params) if asked.params_later else params_of(asked.job.params, asked.params)
        if not asked.params_later:
            check_group(asked.job.concurrency.group, params)
        targets = _targets(asked)
        _refuse_held(asked.catalog, *(target.identity for target in targets))
        steps = planned_steps(
            asked.job, targets, secrets_given(asked.job, params), asked.catalog.library, plugged=asked.catalog.plugged
        )
        return Planned(_pinned(asked, targets, steps), params)
    except Refusal as refusal:
        return refusal.refused


def _refuse_held(catalog: Catalog, *identities: str | None) -> None:
    for identity in identities:
        if identity is not None and (reason := catalog.held.get(identity)) is not None:
            raise Refusal("notSupported", f"{identity}: {reason}; nothing runs otherwise than it is written")


def _pinned(asked: _Asked, targets: list[Target], steps: tuple[PlannedStep, ...]) -> PinnedSpec:
    job, catalog = asked.job, asked.catalog
    variables = Variables(catalog.groups)
    credentials = _credentials(asked, targets, steps)
    return PinnedSpec(
        job=asked.name,
        commit=catalog.commit,
        steps=steps,
        targets=tuple(pinned_target(target, variables) for target in targets),
        on_targets=job.targets is not None,
        jumps=tuple(pinned_target(hop, variables) for hop in _hops(asked, targets)),
        credentials=credentials,
        sealed=catalog.sealed(credentials),
        labels=dict(asked.labels),
        order=job.strategy.order,
        max_parallel=job.strategy.max_parallel,
        batches=job.strategy.batches,
        pause_between=job.strategy.pause_between,
        max_failures=job.strategy.max_failures,
        timeout=job.timeout or catalog.project.spec.defaults.timeout or DEFAULT_TIMEOUT,
        outputs=dict(job.outputs),
        needs=catalog.needs_of(asked.job.runs_on),
        networks=catalog.pools[asked.pool].spec.networks if asked.pool in catalog.pools else (),
        channels=_channels(asked, steps),
    )


# --- targets ---------------------------------------------------------------------------------------------------------


def _targets(asked: _Asked) -> list[Target]:
    """In the order of their names."""
    catalog, job = asked.catalog, asked.job
    if job.targets is None:
        if asked.limit is not None:
            raise Refusal("noTargets", f"'{asked.name}' has no targets that a limit could narrow")
        return []
    chosen = select(job.targets, catalog.targets, catalog.groups)
    if not chosen:
        raise Refusal("noTargets", f"'{asked.name}' selects no target")
    left = narrow(chosen, asked.limit, catalog.targets, catalog.groups)
    if not left:
        raise Refusal("noTargets", f"the limit leaves none of the {len(chosen)} targets of '{asked.name}'")
    return [catalog.targets[name] for name in sorted(left)]


def _hops(asked: _Asked, targets: list[Target]) -> list[Target]:
    """Those that the targets are reached through, by name."""
    known = asked.catalog.targets
    found = {hop.name: hop for target in targets for hop in jumps(target, known)}
    _refuse_held(asked.catalog, *(f"Target/{name}" for name in sorted(found)))
    return [found[name] for name in sorted(found)]


def pinned_target(target: Target, variables: Variables) -> PinnedTarget:
    """The target as a plan keeps it."""
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


# --- credentials -----------------------------------------------------------------------------------------------------


def ways(catalog: Catalog, job: Job, chosen: frozenset[str] | None = None) -> tuple[Way, ...]:
    """Every way by which runs of a job come to credentials; none where its targets or steps cannot be planned.

    The credentials named are those that `plan_run` pins when nothing narrows the targets, or refuses the run for.
    Who knows already which targets the job chooses hands them over: to find them again takes longer than all the rest.
    """
    asked = _Asked(catalog, job.name, job.spec, job.metadata.labels, catalog.pool_of(job), {}, None)
    try:
        targets = _targets(asked) if chosen is None else [catalog.targets[name] for name in sorted(chosen)]
        if job.spec.targets is not None and not targets:
            return ()
        steps = planned_steps(job.spec, targets, {}, catalog.library, plugged=catalog.plugged, tolerant=True)
        return tuple(_ways(asked, targets, steps))
    except (Refusal, ExpressionError):
        return ()


def _credentials(asked: _Asked, targets: list[Target], steps: tuple[PlannedStep, ...]) -> dict[str, CredentialSpec]:
    """Those the run can reach: of the connections its steps use on its targets, and of `secrets.x.y`; no secret."""
    names = {way.credential for way in _ways(asked, targets, steps)}
    _refuse_held(asked.catalog, *(f"Credential/{name}" for name in sorted(names)))
    return {name: _allowed(asked, name) for name in sorted(names)}


def credentials_of(
    catalog: Catalog, name: str, labels: Mapping[str, str], pool: str, steps: tuple[PlannedStep, ...]
) -> dict[str, CredentialSpec]:
    """Those that steps of a run without a Job name as `credentialRef`. `labels` are of what it runs for.

    Raises Refusal where one is not there, or not for this pool or these labels.
    """
    asked = _Asked(catalog, name, JobSpec.model_construct(steps=()), labels, pool, {}, None)
    names = sorted({way.credential for way in of_inputs((), steps)})
    _refuse_held(catalog, *(f"Credential/{one}" for one in names))
    return {one: _allowed(asked, one) for one in names}


def _channels(asked: _Asked, steps: tuple[PlannedStep, ...]) -> dict[str, dict[str, Any]]:
    """Those that steps send messages by. They are delivered by the runner of the step, so its pool must be theirs."""
    catalog = asked.catalog
    names = sorted(channels_of(steps))
    _refuse_held(catalog, *(f"NotificationChannel/{name}" for name in names))
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        if name not in catalog.channels:
            raise Refusal("notAllowed", f"there is no NotificationChannel '{name}'")
        spec = catalog.channels[name].spec
        pool = spec.pool or catalog.default_pool
        if pool != asked.pool:
            raise Refusal("notAllowed", f"channel '{name}' is delivered by pool '{pool}', and '{asked.pool}' runs this")
        found[name] = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def _ways(asked: _Asked, targets: list[Target], steps: tuple[PlannedStep, ...]) -> Iterator[Way]:
    yield from of_connections(targets, steps, asked.catalog.targets)
    yield from of_steps(steps)
    yield from of_inputs(targets, steps)
    yield from of_channels(asked.catalog.channels, steps)
    yield from _of_secrets(asked.job, steps)


def _of_secrets(job: JobSpec, steps: tuple[PlannedStep, ...]) -> Iterator[Way]:
    for where, cels in (
        *((f"step {step.id}", cels_of_steps([_alone(step)])) for step in every(steps)),
        ("outputs", cels_of(job.outputs)),
    ):
        for cel in cels:
            for path in references(cel):
                if path[0] != "secrets":
                    continue
                if len(path) < 2:
                    raise Refusal("notAllowed", f"'{cel}' does not say which credential it reads")
                yield Way(path[1], f"{where}: {'.'.join(path)}")


def _alone(step: PlannedStep) -> PlannedStep:
    """The step without those within it."""
    call = step.action
    return replace(step, rescue=(), action=replace(call, steps=()) if isinstance(call, LibraryCall) else call)


def _allowed(asked: _Asked, name: str) -> CredentialSpec:
    credential = asked.catalog.credentials.get(name)
    if credential is None:
        raise Refusal("notAllowed", f"there is no Credential '{name}'")
    spec = credential.spec
    why = refused(spec, asked.pool, asked.labels)
    if why.by_pool:
        raise Refusal("notAllowed", f"credential '{name}' may not be opened by pool '{asked.pool}', which runs this")
    if why.by_labels:
        raise Refusal("notAllowed", f"credential '{name}' is not allowed for '{asked.name}': its labels do not match")
    return spec
