"""All cross-checks, in one list. Each looks at one idea; a new one is added here and nowhere else."""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from types import MappingProxyType, ModuleType

from engine.catalog import Catalog
from engine.checks import filenames, identities, libraries, projects, supported
from engine.checks.changes import Facts, carried_over, facts_of
from engine.checks.doubt import credible, is_named
from engine.checks.scope import Scope, bounded
from engine.entries import PROJECT_FILE
from engine.plugins import knowing_or_told
from engine.spreading import Every
from schemas.bugs import answered, bug, told
from schemas.diagnostic import Diagnostic
from schemas.kinds import MODELS
from schemas.reader import Authored
from schemas.span import Span, start_of

_ANY = tuple(MODELS)
_WITH_STEPS = ("Job", "RunRequest", "Step")
_OF_ONE: Mapping[str, tuple[str, ...]] = {
    "references": _ANY,
    "people": _ANY,
    "selections": (
        "Job", "Workflow", "Schedule", "RunRequest", "TargetGroup", "Credential", "Window", "NotificationRule",
        "Policy", "Trigger", "Project",
    ),
    "steps": _WITH_STEPS,
    "parameters": ("Job", "Workflow", "Schedule", "Trigger", "RunRequest"),
    "expressions": _WITH_STEPS,
    "unevaluated": _ANY,
    "timezones": ("Project",),
    "times": ("Schedule", "Window", "NotificationRule", "User"),
    "calendars": ("Schedule", "Calendar"),
    "windows": ("Window",),
    "files": ("Target", "Discovery", "Calendar", "Job", "RunRequest", "NotificationChannel", "Project"),
    "certificates": ("Target", "Discovery", "NotificationChannel", "Project", *_WITH_STEPS),
    "connections": ("Target", "Discovery"),
    "plugins": ("Target", "Discovery", "Credential", "NotificationChannel"),
    "shells": _WITH_STEPS,
    "transit": ("Target", "Discovery", "Project", *_WITH_STEPS),
    "secrecy": _ANY,
    "plaintext": _ANY,
    "encrypted": ("Credential",),
    "templates": ("NotificationRule", "Job"),
    "rules": ("NotificationRule",),
    "workflows": ("Workflow",),
    "concurrency": ("Job", "Workflow"),
    "discoveries": ("Discovery",),
    "triggers": ("Trigger",),
    "libraries": (*_WITH_STEPS, "StepLibrary"),
    "supported": _ANY,
}  # fmt: skip
"""Checks of one document against the others, `about(authored, scope)`, and the kinds in which each may find something.

Acts pass them too. Who has no documents of a kind waits for no module that is about nothing else.
"""
_OF_ALL: Mapping[str, tuple[str, ...]] = {
    "circles": ("Target", "TargetGroup"),
    "concurrency": ("Job", "Workflow"),
    "people": ("User",),
    "triggers": ("Trigger",),
}
"""Checks of the definitions as a whole, `check(scope)`, and the kinds that each is about."""


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
    kinds = {authored.document.kind for authored in (*definitions, *scope.aside)}
    findings = list(_about_all(scope, unread, kinds))
    (facts, known), said = answered("changes", _root, lambda: _known(before, scope), _NOTHING_KNOWN)
    findings += said
    asked = [authored for authored in definitions if authored not in known]
    for kind in kinds:
        _checks_of(kind)  # loaded here once, and not in each process
    answers = every(lambda authored: tuple(bounded(_about(authored, scope))), asked)
    found = {**known, **dict(zip(asked, answers, strict=True))}
    of_each = {authored: found[authored] for authored in definitions}
    for about in every(lambda authored: tuple(bounded(_about(authored, scope))), scope.aside):
        findings += about
    held: dict[str, str] = {}
    for authored, about in of_each.items():
        if about:
            held.update((authored.identity, one.message) for one in about if one.code == supported.CODE)
            findings += about
    if facts is None and not last and not any(one.bug for one in findings):
        facts = facts_of(scope)  # asks what a check that met a bug asks
    return Checked(tuple(findings), held, of_each, facts)


def about_acts(
    catalog: Catalog,
    acts: Sequence[Authored],
    *,
    broken: frozenset[str],
    lost_kinds: frozenset[str] = frozenset(),
    aside: Sequence[Authored] = (),
) -> Iterator[Diagnostic]:
    """Findings about acts, which concern nothing but the act."""
    acts, bugs = knowing_or_told(acts, catalog.plugged)
    yield from bugs.values()
    scope = Scope(catalog, (), acts, broken=broken, lost_kinds=lost_kinds, aside=aside)
    yield from told("identities", _root, lambda: identities.check(_named(acts)))
    for authored in acts:
        yield from bounded(_about(authored, scope))


_Known = tuple[Facts | None, Mapping[Authored, tuple[Diagnostic, ...]]]
_NOTHING_KNOWN: _Known = (None, MappingProxyType({}))


def _known(before: Checked | None, scope: Scope) -> _Known:
    if before is None or before.facts is None:
        return _NOTHING_KNOWN
    return carried_over(before.facts, before.of_each, scope)


def _about_all(scope: Scope, unread: Collection[str], kinds: Set[str]) -> Iterator[Diagnostic]:
    """What is said of the definitions as a whole. A check that meets a bug of ours says so, and keeps no other."""
    documents = (*scope.definitions, *scope.aside)
    yield from told("identities", _root, lambda: identities.check(_named(documents)))
    yield from told("filenames", _root, lambda: filenames.check(scope.files))
    yield from told("projects", _root, lambda: projects.check(scope.definitions, unread))
    yield from told("libraries", _root, lambda: libraries.check(scope))
    for whole in _modules(_OF_ALL, kinds):
        yield from told(_name(whole), _root, partial(whole.check, scope))


def _about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    found = _found(authored, scope)
    if authored.holes:
        found = told("doubt", partial(_name_of, authored), partial(credible, authored, found))
    for finding in found:
        if finding.code not in scope.unsettled:
            yield finding


def _found(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    for check in _checks_of(authored.document.kind):
        # As `told` does it, which costs too much for each check of each document.
        try:
            yield from check.about(authored, scope)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is said, and the commit refused
            yield bug(f"the check '{_name(check)}'", _name_of(authored), error)


def _name_of(authored: Authored) -> Span:
    return authored.span("metadata", "name")


def _root() -> Span:
    """Where it is said of all documents."""
    return start_of(PROJECT_FILE)


def _name(check: ModuleType) -> str:
    return check.__name__.rpartition(".")[2]


def _named(documents: Sequence[Authored]) -> Sequence[Authored]:
    """Those with the names that their authors gave them, in the order of files."""
    named = (authored for authored in documents if not authored.holes or is_named(authored))
    return sorted(named, key=lambda authored: (authored.file, authored.index))


@cache
def _checks_of(kind: str) -> tuple[ModuleType, ...]:
    return _modules(_OF_ONE, {kind})


def _modules(checks: Mapping[str, tuple[str, ...]], kinds: Set[str]) -> tuple[ModuleType, ...]:
    return tuple(
        import_module(f"engine.checks.{name}") for name, of in checks.items() if any(kind in of for kind in kinds)
    )
