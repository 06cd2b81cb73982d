"""What is tried by `target test`: the connections of chosen targets, with all that they log in with. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.catalog import Catalog
from engine.groupvars import Variables
from engine.reach import jumps
from engine.runs.pinned import PinnedSpec, PinnedTarget
from engine.runs.planning import pinned_target
from engine.selection import select
from schemas.credential import CredentialSpec
from schemas.selector import Selection
from schemas.target import Target


@dataclass(frozen=True, slots=True)
class Trial:
    """One connection of one target."""

    target: PinnedTarget
    connection: str


@dataclass(frozen=True, slots=True)
class Trials:
    """What is to be tried, by target and connection. `plan` has no steps: it holds what may be opened for it."""

    plan: PinnedSpec
    wanted: tuple[Trial, ...]


def trials(catalog: Catalog, chosen: Selection | None) -> Trials:
    """The trials of these targets; of all where nothing is chosen.

    Who tries a target has its secrets on this machine already, and starts no job: what a credential says about jobs
    and pools is not asked.
    """
    known = catalog.targets
    names = frozenset(known) if chosen is None else select(chosen, known, catalog.groups)
    targets = [known[name] for name in sorted(names)]
    hops = {hop.name: hop for target in targets for hop in jumps(target, known)}
    variables = Variables(catalog.groups)
    plan = PinnedSpec(
        job="target test",
        commit=catalog.commit,
        steps=(),
        targets=tuple(pinned_target(target, variables) for target in targets),
        on_targets=True,
        jumps=tuple(pinned_target(hops[name], variables) for name in sorted(hops)),
        credentials=_credentials(catalog, [*targets, *hops.values()]),
    )
    plan = replace(plan, sealed=catalog.sealed(plan.credentials))
    return Trials(plan, tuple(_of(plan)))


def _of(plan: PinnedSpec) -> Iterator[Trial]:
    for target in plan.targets:
        yield from (Trial(target, name) for name in target.connections.declared)


def _credentials(catalog: Catalog, targets: list[Target]) -> dict[str, CredentialSpec]:
    named = {name for target in targets for name in _named(target)}
    return {
        name: catalog.credentials[name].spec.model_copy(update={"allowed_for": None})
        for name in sorted(named)
        if name in catalog.credentials
    }


def _named(target: Target) -> Iterator[str]:
    for name in target.spec.connections.declared:
        settings = getattr(target.spec.connections, name, None)
        for holder in (settings, getattr(settings, "become", None)):
            if (credential := getattr(holder, "credential_ref", None)) is not None:
                yield credential
