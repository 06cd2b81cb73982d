"""What need not be checked again after a commit that changed a few jobs or schedules, as most commits do.

A check of one document depends on that document, on those it reaches by references, and on what is said of all
documents at once: their names and labels, which connections anybody uses, and their files where globs speak of them. A
job or a schedule that keeps its name and its labels changes nothing of the last, wherever it lies if there are no
globs; so what remains to be checked is itself and whoever reaches it. Any other change checks everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.checks.references import references_of
from engine.checks.scope import Scope
from schemas.diagnostic import Diagnostic
from schemas.parts import Parts
from schemas.project import Project
from schemas.reader import Authored

_REACHED_BY_NAME_ONLY = frozenset({"Job", "Schedule"})
_MANY = 0.1
"""Where more than this share of the documents changed, finding out what they reach is not worth it."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the findings of a commit depend on, its documents apart.

    `users` are, by identity, those who name a document; who once did may still be among them.
    """

    broken: frozenset[str]
    lost_kinds: frozenset[str]
    unlabelled: frozenset[str]
    aside: tuple[Authored, ...]
    project: Project
    unsettled: frozenset[str]
    names_ssh: bool
    libraries: Mapping[str, str]
    """Digests by name."""
    parts: Parts
    present: frozenset[str] | None
    templates: Mapping[str, bytes]
    files: frozenset[str]
    """What globs match, where there are any."""
    calendar_files: Mapping[str, bytes] | None
    users: Mapping[str, frozenset[str]]


def facts_of(scope: Scope) -> Facts:
    """Those of a commit that was checked as a whole."""
    users: dict[str, set[str]] = {}
    for authored in scope.definitions:
        identity = authored.identity
        for reference in references_of(authored):
            users.setdefault(f"{reference.kind}/{reference.name}", set()).add(identity)
    return _facts(scope, {named: frozenset(by) for named, by in users.items()})


def _facts(scope: Scope, users: Mapping[str, frozenset[str]]) -> Facts:
    return Facts(
        broken=scope.broken,
        lost_kinds=scope.lost_kinds,
        unlabelled=scope.unlabelled,
        aside=tuple(scope.aside),
        project=scope.catalog.project,
        unsettled=scope.unsettled,
        names_ssh=scope.names_ssh,
        libraries={name: library.digest for name, library in scope.catalog.libraries.items()},
        parts=scope.catalog.parts,
        present=scope.present,
        templates=scope.templates,
        files=scope.files if scope.globs else frozenset(),
        calendar_files=scope.calendar_files,
        users=users,
    )


def carried_over(
    before: Facts, known: Mapping[Authored, tuple[Diagnostic, ...]], scope: Scope
) -> tuple[Facts | None, Mapping[Authored, tuple[Diagnostic, ...]]]:
    """The facts, and the findings that are still true; (None, nothing) where everything is to be checked."""
    changed = [authored for authored in scope.definitions if authored not in known]
    if _facts(scope, before.users) != before or not _is_small(changed, known, scope):
        return None, {}
    users = dict(before.users)
    for authored in changed:
        for reference in references_of(authored):
            named = f"{reference.kind}/{reference.name}"
            users[named] = users.get(named, frozenset()) | {authored.identity}
    touched = _reaching({authored.identity for authored in changed}, users)
    still = {
        authored: known[authored]
        for authored in scope.definitions
        if authored in known and authored.identity not in touched
    }
    return replace(before, users=users), still


def _is_small(changed: list[Authored], known: Mapping[Authored, object], scope: Scope) -> bool:
    """Whether each document that changed takes the place of one with the same name and labels."""
    if len(changed) > _MANY * len(scope.definitions):
        return False
    now = set(scope.definitions)
    gone = {authored.identity: authored for authored in known if authored not in now}
    if len(gone) != len(changed) or len(now) != len(known):
        return False
    return all(
        authored.document.kind in _REACHED_BY_NAME_ONLY
        and (former := gone.get(authored.identity)) is not None
        and former.document.metadata == authored.document.metadata
        for authored in changed
    )


def _reaching(changed: set[str], users: Mapping[str, frozenset[str]]) -> set[str]:
    """The documents that changed, and all that reach one of them."""
    found, waiting = set(changed), list(changed)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in found:
                found.add(user)
                waiting.append(user)
    return found
