"""Names of other documents: whoever is named must exist."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.catalog import DEFAULT_POOL
from engine.checks.scope import Path, Scope, selections_of, steps_of
from engine.expressions.expression import has_expression
from schemas.act import RunRequest, RunRequestSpec
from schemas.calendar import Window
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic, Rest
from schemas.discovery import Discovery
from schemas.envelope import Document
from schemas.guesses import Guesses
from schemas.job import Job
from schemas.notification import NotificationChannel, NotificationRule
from schemas.policy import User
from schemas.project import Project
from schemas.reader import Authored
from schemas.schedule import Schedule, ScheduleSpec
from schemas.selector import Selection
from schemas.target import Become, Connections, Target, TargetGroup
from schemas.trigger import Trigger, TriggerSpec
from schemas.workflow import Workflow

_NAMED_BY_STEPS = {"channel": "NotificationChannel", "credentialRef": "Credential"}
"""Inputs of step types that name a document, and of which kind."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A document named by another."""

    kind: str
    name: str
    path: Path


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """References that lead nowhere."""
    guesses = Guesses()
    for reference in references_of(authored):
        named = _named(scope, reference.kind)
        if reference.name in named or scope.may_hold(reference.kind, reference.name):
            continue
        if reference.kind == "RunnerPool" and reference.name == DEFAULT_POOL:
            continue  # the pool of `up`, which needs no document
        message = f"there is no {reference.kind} '{reference.name}'"
        missing = Diagnostic(authored.span(*reference.path), "OC305", message, _hint(reference, scope, guesses))
        yield missing.resting_on(_rests(reference.path))


def _rests(path: Path) -> Iterator[Rest]:
    """What makes it a reference: the kind of the document, and the type of a step whose input it is."""
    yield Rest(("kind",))
    if "with" in path:
        yield Rest((*path[: path.index("with")], "uses"))


def references_of(authored: Authored) -> Iterator[Reference]:
    """Every reference that a document makes."""
    document = authored.document
    for selection, path in selections_of(authored):
        yield from _selected(selection, path)
    match document:
        case Job():
            yield from _maybe("RunnerPool", document.spec.runs_on.pool, "spec", "runsOn", "pool")
        case Schedule() | RunRequest():
            yield from _started(document.spec)
        case Trigger():
            yield from _started(document.spec)
            yield from _event(document)
        case Workflow():
            for name, node in document.spec.jobs.items():
                yield from _maybe("Job", node.job_ref, "spec", "jobs", name, "jobRef")
                if node.approval is not None:
                    yield from _each("User", node.approval.users, ("spec", "jobs", name, "approval", "users"))
        case Target():
            yield from _connections(document.spec.connections, ("spec", "connections"))
        case TargetGroup():
            yield from _each("Target", document.spec.names, ("spec", "names"))
            yield from _each("TargetGroup", document.spec.groups, ("spec", "groups"))
        case Credential():
            yield from _each("RunnerPool", document.spec.pools, ("spec", "pools"))
        case Window() if document.spec.jobs is not None:
            yield from _each("Job", document.spec.jobs.names, ("spec", "jobs", "names"))
        case Discovery():
            yield from _discovery(document)
        case NotificationChannel():
            yield from _maybe("Credential", document.spec.credential_ref, "spec", "credentialRef")
            yield from _maybe("RunnerPool", document.spec.pool, "spec", "pool")
        case NotificationRule():
            yield from _each("NotificationChannel", document.spec.channels, ("spec", "channels"))
            yield from _each("User", document.spec.users, ("spec", "users"))
        case User():
            channels = document.spec.notify.channels
            yield from _each("NotificationChannel", channels, ("spec", "notify", "channels"))
        case Project():
            yield from _project(document)
    if isinstance(document, Schedule):
        yield from _each("Calendar", document.spec.calendars.only, ("spec", "calendars", "only"))
        yield from _each("Calendar", document.spec.calendars.except_, ("spec", "calendars", "except"))
    for placed in steps_of(authored):
        if isinstance(placed.step.become, Become):
            become = placed.step.become.credential_ref
            yield from _maybe("Credential", become, *placed.path, "become", "credentialRef")
        if not placed.step.with_ or placed.type is None:
            continue
        for name, kind in _NAMED_BY_STEPS.items():
            named = placed.step.with_.get(name)
            if isinstance(named, str) and not has_expression(named):
                yield Reference(kind, named, (*placed.path, "with", name))


def _started(spec: ScheduleSpec | RunRequestSpec | TriggerSpec) -> Iterator[Reference]:
    yield from _maybe("Job", spec.job_ref, "spec", "jobRef")
    yield from _maybe("Workflow", spec.workflow_ref, "spec", "workflowRef")
    if not isinstance(spec, TriggerSpec):
        yield from _maybe("Discovery", spec.discovery_ref, "spec", "discoveryRef")


def _event(trigger: Trigger) -> Iterator[Reference]:
    event, path = trigger.spec.event, ("spec", "event")
    if event.webhook is not None:
        yield from _maybe("Credential", event.webhook.credential_ref, *path, "webhook", "credentialRef")
    if event.run is not None:
        yield from _each("Job", event.run.jobs, (*path, "run", "jobs"))
        yield from _each("Workflow", event.run.workflows, (*path, "run", "workflows"))


def _discovery(discovery: Discovery) -> Iterator[Reference]:
    yield from _maybe("RunnerPool", discovery.spec.runs_on.pool, "spec", "runsOn", "pool")
    if discovery.spec.from_ is not None:
        yield from _maybe("Job", discovery.spec.from_.job_ref, "spec", "from", "jobRef")
    if discovery.spec.from_ is not None and (http := discovery.spec.from_.http) is not None:
        yield from _maybe("Credential", http.credential_ref, "spec", "from", "http", "credentialRef")
    for index, rule in enumerate(discovery.spec.classify):
        path: Path = ("spec", "classify", index)
        yield from _maybe("Credential", rule.credential_ref, *path, "credentialRef")
        if rule.connections is not None:
            yield from _connections(rule.connections, (*path, "connections"))


def _selected(selection: Selection, path: Path) -> Iterator[Reference]:
    yield from _each("Target", selection.names, (*path, "names"))
    yield from _each("TargetGroup", selection.groups, (*path, "groups"))
    if selection.exclude is not None:
        yield from _selected(selection.exclude, (*path, "exclude"))


def _connections(connections: Connections, path: Path) -> Iterator[Reference]:
    for name in ("ssh", "winrm", "http"):
        connection = getattr(connections, name)
        if connection is not None:
            yield from _maybe("Credential", connection.credential_ref, *path, name, "credentialRef")
    for name in connections.plugins:
        yield from _maybe("Credential", connections.login_by_plugin(name), *path, "plugins", name, "credentialRef")
    if connections.ssh is not None:
        yield from _maybe("Target", connections.ssh.jump, *path, "ssh", "jump")
        if isinstance(become := connections.ssh.become, Become):
            yield from _maybe("Credential", become.credential_ref, *path, "ssh", "become", "credentialRef")


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


def _hint(reference: Reference, scope: Scope, guesses: Guesses) -> str:
    if (found := scope.renamed(reference.kind).get(reference.name)) is not None:
        return f"did you mean '{found}'?"
    otherwise = f"define it: 'kind: {reference.kind}' with this name"
    return guesses.hint(reference.name, scope.names(reference.kind), otherwise)
