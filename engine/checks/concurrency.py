"""Concurrency groups: one limit each, names of params alone, and no workflows that wait for each other's places."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from engine.checks.reading import Fault, Read, judged, named, read
from engine.checks.scope import Path, Scope
from engine.checks.typed import Typing, choices_of, mismatches
from engine.checks.typed import params as typed_params
from engine.expressions.expression import ExpressionError, Literal, Reference, has_expression, split
from engine.graph import circles
from engine.runs.concurrency import MAX_GROUP, group_of, group_of_job
from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS
from schemas.guesses import Guesses
from schemas.job import Job
from schemas.reader import Authored
from schemas.workflow import Workflow

_GROUP: Path = ("spec", "concurrency", "group")
_ONLY = "the name of a group is made of params alone, which are known before a run is made"


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """The expressions in the name of a group."""
    document = authored.document
    if not isinstance(document, Job | Workflow) or document.spec.concurrency.group is None:
        return
    yield from _length(authored, document.spec.concurrency.group)
    params, guesses = document.spec.params, Guesses()
    typing = Typing(lambda path: typed_params(params, path), lambda path: choices_of(params, path))
    for one in read(authored, document.spec.concurrency.group, _GROUP):
        if not isinstance(one, Read):
            yield one
            continue
        wrong = tuple(judged(authored, one, lambda reference, _: _fault(reference, params, guesses)))
        yield from wrong or mismatches(authored, one, typing)


def _length(authored: Authored, group: str) -> Iterator[Diagnostic]:
    """Of a name with expressions, what is longer than it may be without their values."""
    hint = f"1 to {MAX_GROUP} printable characters, its expressions filled in"
    try:
        letters = sum(len(part.text) for part in split(group) if isinstance(part, Literal))
    except ExpressionError:
        return
    if letters > MAX_GROUP:
        message = f"the name of a group has {letters} characters, and may have {MAX_GROUP}"
        yield Diagnostic(authored.span(*_GROUP), "OC208", message, hint)
    elif not has_expression(group) and not (group.strip() and group.isprintable()):
        yield Diagnostic(authored.span(*_GROUP), "OC207", "this is no name of a group", hint)


def _fault(reference: Reference, params: Mapping[str, Mapping[str, Any]], guesses: Guesses) -> Fault | None:
    root, *rest = reference.path
    if root == "secrets":
        return Fault("OC606", "a secret may not stand here", _ONLY)
    if root != "params":
        hint = f"write params.{root}" if root in params else _ONLY
        return Fault("OC402", f"there is no '{root}' here", hint)
    if rest and params.get(rest[0], {}).get("secret") is True:
        return Fault("OC606", f"'{rest[0]}' is a secret param, and may not stand here", _ONLY)
    return named("param", "params", rest[:1], params, guesses, "declare it under spec.params")


def check(scope: Scope) -> Iterator[Diagnostic]:
    yield from _limits(scope)
    yield from _crosswise(scope)


def _limits(scope: Scope) -> Iterator[Diagnostic]:
    """That all of one group state one limit. Of a name with expressions, those that write the same text."""
    first: dict[str, tuple[Authored, int]] = {}
    for authored, group, limit in _groups(scope):
        other, stated = first.setdefault(group, (authored, limit))
        if stated != limit:
            related = (Related(other.span("spec", "concurrency", "limit"), f"{other.identity} says {stated}"),)
            message = f"concurrency group '{group}' has the limit {limit} here and {stated} in {other.identity}"
            span = authored.span("spec", "concurrency", "limit")
            yield Diagnostic(span, "OC310", message, "state one limit in all of its jobs", related=related)


def _groups(scope: Scope) -> Iterator[tuple[Authored, str, int]]:
    for name, job in scope.catalog.jobs.items():
        yield scope.authored("Job", name), group_of_job(job), job.spec.concurrency.limit
    for name, workflow in scope.catalog.workflows.items():
        yield scope.authored("Workflow", name), group_of(name, workflow.spec), workflow.spec.concurrency.limit


def _crosswise(scope: Scope) -> Iterator[Diagnostic]:
    """Workflows that hold the places which each other's jobs wait for: one finding a circle of groups.

    That of a workflow and its own job, which is an error, is found with the workflow (`engine.checks.workflows`).
    """
    held = _held_while_waiting(scope)
    for circle in islice(circles({group: tuple(below) for group, below in held.items()}), MAX_FINDINGS):
        ways = list(zip(circle, [*circle[1:], circle[0]], strict=True))
        *before, (workflow, node, job) = (held[group][wanted] for group, wanted in ways)
        said = ", and ".join(
            f"a run of '{by}' holds '{group}' while its job '{runs}' waits for '{wanted}'"
            for (by, _, runs), (group, wanted) in zip(
                [(workflow, node, job), *before], [ways[-1], *ways[:-1]], strict=True
            )
        )
        hint = "give one of these workflows, or of these jobs, a group that is not in the circle"
        related = tuple(
            Related(scope.authored("Workflow", by).span("spec", "jobs", at, "jobRef"), f"'{by}' runs '{runs}'")
            for by, at, runs in before[:10]
        )
        span = scope.authored("Workflow", workflow).span("spec", "jobs", node, "jobRef")
        message = f"these may wait for each other until queueTimeout: {said}"
        yield Diagnostic(span, "OC324", message, hint, "warning", related)


def _held_while_waiting(scope: Scope) -> dict[str, dict[str, tuple[str, str, str]]]:
    """By the group that a workflow holds and one that a job of it waits for: the workflow, the node and the job.

    Groups whose names expressions make are left out, and so is who takes no place.
    """
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    for name, workflow in scope.catalog.workflows.items():
        group = group_of(name, workflow.spec)
        if has_expression(group) or workflow.spec.concurrency.on_conflict == "allow":
            continue
        for node_id, node in workflow.spec.jobs.items():
            job = scope.catalog.jobs.get(node.job_ref or "")
            if job is None or job.spec.concurrency.on_conflict == "allow":
                continue
            wanted = group_of_job(job)
            if wanted != group and not has_expression(wanted):
                found.setdefault(group, {}).setdefault(wanted, (name, node_id, job.name))
    return found
