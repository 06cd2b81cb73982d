"""All cross-checks, in one list. Each looks at one idea; a new one is added here and nowhere else."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engine.catalog import Catalog
from engine.checks import (
    calendars,
    circles,
    concurrency,
    connections,
    discoveries,
    encrypted,
    expressions,
    files,
    identities,
    libraries,
    parameters,
    people,
    plaintext,
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
from engine.checks.changes import Facts, carried_over, facts_of
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
    files,
    connections,
    secrecy,
    plaintext,
    encrypted,
    templates,
    workflows,
    discoveries,
    triggers,
    libraries,
    supported,
)
"""Checks of one document against the others, `about(authored, scope)`; acts pass them too."""
_OF_ALL = (circles, concurrency, people, triggers, libraries)
"""Checks of the definitions as a whole, `check(scope)`."""


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """What was found in the definitions. `held` are those, by identity, that this version must not run, and why.

    `of_each` and `facts` are for the commit after this one; `facts` are None where none was to follow.
    """

    findings: tuple[Diagnostic, ...]
    held: Mapping[str, str]
    of_each: Mapping[Authored, tuple[Diagnostic, ...]] = field(repr=False)
    facts: Facts | None = field(repr=False)


def about_definitions(
    scope: Scope, *, unread: Collection[str], every: Every, before: Checked | None = None, last: bool = False
) -> Checked:
    """Findings about the definitions of a commit. `unread` are files with findings of their own.

    `before` is what was found in a former commit: what cannot have changed since is not checked again. `last` says that
    no commit follows, for which anything should be kept.
    """
    definitions = scope.definitions
    findings = [*identities.check(definitions), *projects.check(definitions, unread)]
    for whole in _OF_ALL:
        findings += whole.check(scope)
    former = before.facts if before is not None else None
    facts, known = carried_over(former, before.of_each, scope) if before and former else (None, {})
    asked = [authored for authored in definitions if authored not in known]
    answers = every(lambda authored: tuple(bounded(_about(authored, scope))), asked)
    found = {**known, **dict(zip(asked, answers, strict=True))}
    of_each = {authored: found[authored] for authored in definitions}
    held: dict[str, str] = {}
    for authored, about in of_each.items():
        if about:
            held.update((authored.identity, one.message) for one in about if one.code == supported.CODE)
            findings += about
    if facts is None and not last:
        facts = facts_of(scope)
    return Checked(tuple(findings), held, of_each, facts)


def about_acts(catalog: Catalog, acts: Sequence[Authored], *, broken: frozenset[str]) -> Iterator[Diagnostic]:
    """Findings about acts, which concern nothing but the act."""
    scope = Scope(catalog, (), acts, broken=broken)
    yield from identities.check(acts)
    for authored in acts:
        yield from bounded(_about(authored, scope))


def _about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    for one in _OF_ONE:
        yield from one.about(authored, scope)
