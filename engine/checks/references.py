"""Names of other documents: whoever is named must exist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain

from engine.catalog import DEFAULT_POOL
from engine.checks.scope import Path, Scope, selections_of
from schemas.act import RunRequest
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic
from schemas.envelope import Document
from schemas.job import Job
from schemas.project import Project
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.selector import Selection
from schemas.target import Become, Target, TargetGroup

_GUESSES_AMONG = 2_000
"""Comparing a name with more than this many takes too long for a hint."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A document named by another."""

    kind: str
    name: str
    path: Path


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """References that lead nowhere."""
    for reference in references_of(authored):
        named = _named(scope, reference.kind)
        if reference.name in named or reference.name in scope.broken:
            continue
        if reference.kind == "RunnerPool" and reference.name == DEFAULT_POOL:
            continue  # the pool of `up`, which needs no document
        message = f"there is no {reference.kind} '{reference.name}'"
        yield Diagnostic(authored.span(*reference.path), "OC305", message, _hint(reference, named))


def references_of(authored: Authored) -> Iterator[Reference]:
    """Every reference that a document makes."""
    document = authored.document
    for selection, path in selections_of(authored):
        yield from _selected(selection, path)
    match document:
        case Job():
            yield from _maybe("RunnerPool", document.spec.runs_on.pool, "spec", "runsOn", "pool")
        case Schedule() | RunRequest():
            yield from _maybe("Job", document.spec.job_ref, "spec", "jobRef")
        case Target():
            yield from _connections(document)
        case TargetGroup():
            yield from _each("Target", document.spec.names, ("spec", "names"))
            yield from _each("TargetGroup", document.spec.groups, ("spec", "groups"))
        case Credential():
            yield from _each("RunnerPool", document.spec.pools, ("spec", "pools"))
        case Project():
            yield from _project(document)


def _selected(selection: Selection, path: Path) -> Iterator[Reference]:
    yield from _each("Target", selection.names, (*path, "names"))
    yield from _each("TargetGroup", selection.groups, (*path, "groups"))
    if selection.exclude is not None:
        yield from _selected(selection.exclude, (*path, "exclude"))


def _connections(target: Target) -> Iterator[Reference]:
    connections = target.spec.connections
    for name in ("ssh", "winrm", "http"):
        connection = getattr(connections, name)
        if connection is not None:
            yield from _maybe("Credential", connection.credential_ref, "spec", "connections", name, "credentialRef")
    if connections.ssh is not None:
        yield from _maybe("Target", connections.ssh.jump, "spec", "connections", "ssh", "jump")
        if isinstance(become := connections.ssh.become, Become):
            path = ("spec", "connections", "ssh", "become", "credentialRef")
            yield from _maybe("Credential", become.credential_ref, *path)


def _project(project: Project) -> Iterator[Reference]:
    yield from _maybe("RunnerPool", project.spec.defaults.pool, "spec", "defaults", "pool")
    if (commit_status := project.spec.commit_status) is not None:
        yield from _maybe("Credential", commit_status.credential_ref, "spec", "commitStatus", "credentialRef")
        yield from _maybe("RunnerPool", commit_status.pool, "spec", "commitStatus", "pool")


def _maybe(kind: str, name: str | None, *path: str | int) -> Iterator[Reference]:
    if name is not None:
        yield Reference(kind, name, path)


def _each(kind: str, names: tuple[str, ...], path: Path) -> Iterator[Reference]:
    return (Reference(kind, name, (*path, index)) for index, name in enumerate(names))


def _named(scope: Scope, kind: str) -> Mapping[str, Document]:
    return scope.catalog.by_kind[kind]


def _hint(reference: Reference, named: Mapping[str, Document]) -> str:
    if len(named) > _GUESSES_AMONG:
        return ""
    renamed = (name for name, document in named.items() if reference.name in document.metadata.previous_names)
    near = chain(renamed, get_close_matches(reference.name, named, n=1))
    if (found := next(near, None)) is not None:
        return f"did you mean '{found}'?"
    return f"define it: 'kind: {reference.kind}' with this name" if not named else f"there are {_listed(named)}"


def _listed(named: Mapping[str, Document]) -> str:
    shown = sorted(named)[:5]
    return ", ".join(shown) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
