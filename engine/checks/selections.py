"""Selections that choose nothing: never an error, since a fleet may be empty today, but suspicious."""

from collections.abc import Iterator

from engine.checks.scope import Path, Scope, selections_of
from engine.selection import matches
from schemas.act import RunRequest
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.selector import Selection
from schemas.target import TargetGroup


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Selectors that match no target, jobs and limits that are left with none."""
    if scope.broken:
        return  # who is missing may be among those
    document = authored.document
    for selection, path in selections_of(authored):
        selectors = list(_empty_selectors(authored, selection, path, scope))
        yield from selectors
        if not selectors and not scope.members.chosen(selection) and _exist(selection, scope):
            yield _nothing(authored, path, "chooses no target")
    if isinstance(document, TargetGroup) and (selector := document.spec.selector) is not None:
        if not scope.members.selected(selector):
            yield _nothing(authored, ("spec", "selector"), "matches no target")
    elif isinstance(document, Schedule | RunRequest):
        yield from _limit(authored, document, scope)
    elif isinstance(document, Credential):
        yield from _allowed_for(authored, document, scope)


def _exist(selection: Selection, scope: Scope) -> bool:
    """Whether everybody named exists; a name that does not is an error already."""
    named = all(name in scope.catalog.targets for name in selection.names)
    return named and all(name in scope.catalog.groups for name in selection.groups)


def _allowed_for(authored: Authored, credential: Credential, scope: Scope) -> Iterator[Diagnostic]:
    allowed = credential.spec.allowed_for
    if allowed is not None and not any(matches(allowed, job.metadata.labels) for job in scope.catalog.jobs.values()):
        hint = "check its labels; nobody may use the credential now"
        span = authored.span("spec", "allowedFor", key=True)
        yield Diagnostic(span, "OC307", "'allowedFor' matches no job", hint, "warning")


def _empty_selectors(authored: Authored, selection: Selection, path: Path, scope: Scope) -> Iterator[Diagnostic]:
    if selection.selector is not None and not scope.members.selected(selection.selector):
        yield _nothing(authored, (*path, "selector"), "matches no target")
    if selection.exclude is not None:
        yield from _empty_selectors(authored, selection.exclude, (*path, "exclude"), scope)


def _limit(authored: Authored, document: Schedule | RunRequest, scope: Scope) -> Iterator[Diagnostic]:
    limit, job = document.spec.limit, scope.catalog.jobs.get(document.spec.job_ref or "")
    if limit is None or job is None:
        return
    chosen = scope.members.chosen(limit)
    if job.spec.targets is None:
        span, hint = authored.span("spec", "limit", key=True), "remove the limit, or give the job targets"
        yield Diagnostic(span, "OC307", f"job '{job.name}' has no targets to limit", hint, "warning")
    elif chosen and not chosen & scope.members.chosen(job.spec.targets):
        yield _nothing(authored, ("spec", "limit"), f"leaves none of the targets of job '{job.name}'")


def _nothing(authored: Authored, path: Path, what: str) -> Diagnostic:
    hint = "check its labels and names; it is no error, and runs end with no targets"
    return Diagnostic(authored.span(*path, key=True), "OC307", f"'{path[-1]}' {what}", hint, "warning")
