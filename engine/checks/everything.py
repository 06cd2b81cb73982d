"""All cross-checks, in one list. Each looks at one idea; a new one is added here and nowhere else."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.catalog import Catalog
from engine.checks import (
    calendars,
    circles,
    concurrency,
    discoveries,
    encrypted,
    expressions,
    identities,
    parameters,
    people,
    projects,
    references,
    secrecy,
    selections,
    steps,
    supported,
    templates,
    times,
    triggers,
    workflows,
)
from engine.checks.scope import Scope, bounded
from engine.spreading import Every
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored

_OF_ONE = (
    references,
    people,
    selections,
    steps,
    parameters,
    expressions,
    times,
    calendars,
    secrecy,
    encrypted,
    templates,
    workflows,
    discoveries,
    triggers,
    supported,
)
"""Checks of one document against the others, `about(authored, scope)`; acts pass them too."""
_OF_ALL = (circles, concurrency, triggers)
"""Checks of the definitions as a whole, `check(scope)`."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in the definitions. `held` are those, by identity, that this version must not run, and why."""

    findings: tuple[Diagnostic, ...]
    held: Mapping[str, str]


def about_definitions(
    catalog: Catalog, definitions: Sequence[Authored], *, broken: frozenset[str], unread: Collection[str], every: Every
) -> Checked:
    """Findings about definitions. `broken` are names of documents, `unread` are files, with findings of their own."""
    scope = Scope(catalog, definitions, broken=broken)
    findings = [*identities.check(definitions), *projects.check(definitions, unread)]
    held: dict[str, str] = {}
    for whole in _OF_ALL:
        findings += whole.check(scope)
    of_each = every(lambda authored: tuple(bounded(_about(authored, scope))), definitions)
    for authored, found in zip(definitions, of_each, strict=True):
        held.update((authored.identity, one.message) for one in found if one.code == supported.CODE)
        findings += found
    return Checked(tuple(findings), held)


def about_acts(catalog: Catalog, acts: Sequence[Authored], *, broken: frozenset[str]) -> Iterator[Diagnostic]:
    """Findings about acts, which concern nothing but the act."""
    scope = Scope(catalog, (), acts, broken=broken)
    yield from identities.check(acts)
    for authored in acts:
        yield from bounded(_about(authored, scope))


def _about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    for one in _OF_ONE:
        yield from one.about(authored, scope)
