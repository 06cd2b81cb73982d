"""Concurrency groups: what shares one states one limit, and its name is made of params alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.checks.reading import Fault, Read, judged, named, read
from engine.checks.scope import Path, Scope
from engine.checks.typed import Typing, choices_of, mismatches
from engine.checks.typed import params as typed_params
from engine.concurrency import group_of, group_of_job
from engine.expression import Reference
from schemas.diagnostic import Diagnostic, Related
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
    params, guesses = document.spec.params, Guesses()
    typing = Typing(lambda path: typed_params(params, path), lambda path: choices_of(params, path))
    for one in read(authored, document.spec.concurrency.group, _GROUP):
        if not isinstance(one, Read):
            yield one
            continue
        wrong = tuple(judged(authored, one, lambda reference, _: _fault(reference, params, guesses)))
        yield from wrong or mismatches(authored, one, typing)


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
