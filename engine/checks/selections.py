"""Selections that choose nothing: never an error, since a fleet may be empty today, but suspicious."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice

from engine.checks.scope import OBJECT_KINDS, Path, Scope, selections_of
from engine.expressions.expression import has_expression
from engine.globs import matches as found
from schemas.act import RunRequest
from schemas.calendar import Window
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic
from schemas.guesses import first_of
from schemas.notification import NotificationRule
from schemas.policy import Policy
from schemas.project import Project
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.selector import Selection, Selector
from schemas.target import TargetGroup
from schemas.trigger import Trigger
from schemas.workflow import Workflow

MOST_COMPARED = 1_000_000
"""Globs of all documents times files of documents: where they are more, what begins like a glob is held to match it."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Selectors that match no target, jobs and limits that are left with none."""
    document = authored.document
    if not scope.lacks_labels("Target"):  # else who is missing may be among those
        yield from _targets(authored, scope)
    if isinstance(document, Credential):
        yield from _allowed_for(authored, document, scope)
    else:
        yield from _objects(authored, scope)


def _targets(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    for selection, path in selections_of(authored):
        if isinstance(document, Workflow) and has_expression(selection.to_json()):
            continue  # who is chosen is known when it runs
        selectors = list(_empty_selectors(authored, selection, path, scope))
        yield from selectors
        if selectors or not _is_known(selection, scope):
            continue
        if not scope.everybody.chosen(selection) and _exist(selection, scope):
            yield _nothing(authored, path, "chooses no target")
    if isinstance(document, TargetGroup) and (selector := document.spec.selector) is not None:
        if not scope.everybody.selected(selector):
            yield _nothing(authored, ("spec", "selector"), "matches no target")
    elif isinstance(document, Schedule | RunRequest):
        yield from _limit(authored, document.spec.limit, ("spec", "limit"), document.spec.job_ref, scope)
    elif isinstance(document, Workflow):
        for name, node in document.spec.jobs.items():
            if not has_expression(node.limit and node.limit.to_json()):
                yield from _limit(authored, node.limit, ("spec", "jobs", name, "limit"), node.job_ref, scope)


def _is_known(selection: Selection, scope: Scope) -> bool:
    """Whether it can be said whom it chooses: labels are those of targets alone, members those of groups."""
    groups = bool(selection.groups) or (selection.exclude is not None and bool(selection.exclude.groups))
    return not (groups and scope.lacks("TargetGroup"))


def _exist(selection: Selection, scope: Scope) -> bool:
    """Whether everybody named exists, also in the groups; a name that does not is an error already."""
    named = all(name in scope.catalog.targets for name in selection.names)
    return named and all(
        name in scope.catalog.groups and name not in scope.groups_at_fault for name in selection.groups
    )


_OPENING = ("Job", "Trigger", "Discovery")
"""Kinds of what opens credentials."""


def _allowed_for(authored: Authored, credential: Credential, scope: Scope) -> Iterator[Diagnostic]:
    allowed = credential.spec.allowed_for
    if allowed is None or scope.lacks_labels(*_OPENING):
        return
    if not any(scope.labelled(kind).selected(allowed) for kind in _OPENING):
        hint = "check its labels; nobody may use the credential now"
        span = authored.span("spec", "allowedFor", key=True)
        yield Diagnostic(span, "OC307", "'allowedFor' matches no job", hint, "warning")


def _empty_selectors(authored: Authored, selection: Selection, path: Path, scope: Scope) -> Iterator[Diagnostic]:
    if selection.selector is not None and not scope.everybody.selected(selection.selector):
        yield _nothing(authored, (*path, "selector"), "matches no target")
    if selection.exclude is not None:
        yield from _empty_selectors(authored, selection.exclude, (*path, "exclude"), scope)


def _limit(
    authored: Authored, limit: Selection | None, path: Path, job_ref: str | None, scope: Scope
) -> Iterator[Diagnostic]:
    job = scope.catalog.jobs.get(job_ref or "")
    if limit is None or job is None or not _is_known(limit, scope) or not _exist(limit, scope):
        return
    chosen = scope.everybody.chosen(limit)
    if job.spec.targets is None:
        span, hint = authored.span(*path, key=True), "remove the limit, or give the job targets"
        yield Diagnostic(span, "OC307", f"job '{job.name}' has no targets to limit", hint, "warning")
    elif not _is_known(job.spec.targets, scope) or not _exist(job.spec.targets, scope):
        return
    elif chosen and not chosen & scope.everybody.chosen(job.spec.targets):
        yield _nothing(authored, path, f"leaves none of the targets of job '{job.name}'")


def _objects(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Selectors over other things than targets."""
    document = authored.document
    if isinstance(document, Window) and document.spec.jobs is not None and document.spec.jobs.selector is not None:
        yield from _unmatched(authored, document.spec.jobs.selector, ("Job",), ("spec", "jobs", "selector"), scope)
    elif isinstance(document, NotificationRule) and (selector := document.spec.select.selector) is not None:
        kinds = document.spec.select.kinds or OBJECT_KINDS
        yield from _unmatched(authored, selector, kinds, ("spec", "select", "selector"), scope)
    elif isinstance(document, Policy):
        by_kind = scope.catalog.by_kind
        for index, rule in enumerate(document.spec.rules):
            named, path = rule.objects.kinds, ("spec", "rules", index, "objects")
            if rule.objects.selector is not None and all(kind in by_kind for kind in named):
                yield from _unmatched(
                    authored, rule.objects.selector, named or tuple(by_kind), (*path, "selector"), scope
                )
            if rule.effect == "allow" or named or rule.objects.selector is not None:  # else it guards all files there
                yield from _no_files(authored, rule.objects.paths, (*path, "paths"), scope, anywhere=True)
    elif isinstance(document, Trigger) and document.spec.event.definitions is not None:
        paths = document.spec.event.definitions.paths
        yield from _no_files(authored, paths, ("spec", "event", "definitions", "paths"), scope)
    elif isinstance(document, Project) and "include" in document.spec.model_fields_set:
        if not document.spec.include:
            hint = "name the files, as in 'definitions/**/*.yaml', or leave 'include' out"
            span = authored.span("spec", "include")
            yield Diagnostic(span, "OC307", "'include' is empty: no other file is read", hint, "warning")
        yield from _no_files(authored, document.spec.include, ("spec", "include"), scope, anywhere=True)


def _no_files(
    authored: Authored, globs: Sequence[str], path: Path, scope: Scope, *, anywhere: bool = False
) -> Iterator[Diagnostic]:
    """Globs over documents that match no file of documents. Of other files nothing is known here."""
    for index, glob in enumerate(globs):
        if (anywhere or _is_about_documents(glob, scope)) and _matches_nothing(glob, scope):
            hint = "check the path, which is from the repository's root; '**' stands for any folders"
            if not _is_about_documents(glob, scope):
                hint += f"; documents are in {first_of(scope.catalog.project.spec.include)}"
            message = f"'{glob[:200]}' matches no file of documents"
            yield Diagnostic(authored.span(*path, index), "OC307", message, hint, "warning")


def _matches_nothing(glob: str, scope: Scope) -> bool:
    """By the files that begin like it. Of many globs times many files no more is asked than whether there are any."""
    plain = re.split(r"[*?]", glob.removeprefix("./"), maxsplit=1)[0]
    files = scope.files_in_order
    alike = islice(files, bisect_left(files, plain), bisect_left(files, f"{plain}\U0010ffff"))
    if scope.globs * len(files) > MOST_COMPARED:
        return next(alike, None) is None
    return not any(found(glob, file) for file in alike)


def _is_about_documents(glob: str, scope: Scope) -> bool:
    """Whether a glob is about documents only: it begins in a folder that `include` names, and asks for YAML."""
    folder, below, _ = glob.removeprefix("./").partition("/")
    included = {one.removeprefix("./").partition("/")[0] for one in scope.catalog.project.spec.include}
    return bool(below) and folder in included and glob.endswith(("*", ".yaml", ".yml"))


def _unmatched(
    authored: Authored, selector: Selector, kinds: Sequence[str], path: Path, scope: Scope
) -> Iterator[Diagnostic]:
    by_kind = scope.catalog.by_kind
    if scope.lacks_labels(*kinds):
        return
    if not any(scope.labelled(kind).selected(selector) for kind in kinds):
        hint = "check its labels; it is no error, and what is written here concerns nothing"
        message = f"'selector' matches no {' or '.join(kinds) if len(kinds) < len(by_kind) else 'document'}"
        yield Diagnostic(authored.span(*path, key=True), "OC307", message, hint, "warning")


def _nothing(authored: Authored, path: Path, what: str) -> Diagnostic:
    hint = "check its labels and names; it is no error, and runs end with no targets"
    return Diagnostic(authored.span(*path, key=True), "OC307", f"'{path[-1]}' {what}", hint, "warning")
