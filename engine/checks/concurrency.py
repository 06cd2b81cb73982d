"""Jobs that share a concurrency group must state one limit."""

from collections.abc import Iterator

from engine.checks.scope import Scope
from engine.concurrency import group_of_job
from schemas.diagnostic import Diagnostic, Related
from schemas.reader import Authored


def check(scope: Scope) -> Iterator[Diagnostic]:
    first: dict[str, tuple[Authored, int]] = {}
    for name, job in scope.catalog.jobs.items():
        authored, limit = scope.authored("Job", name), job.spec.concurrency.limit
        group = group_of_job(job)
        other, stated = first.setdefault(group, (authored, limit))
        if stated != limit:
            related = (Related(other.span("spec", "concurrency", "limit"), f"{other.identity} says {stated}"),)
            message = f"concurrency group '{group}' has the limit {limit} here and {stated} in {other.identity}"
            span = authored.span("spec", "concurrency", "limit")
            yield Diagnostic(span, "OC310", message, "state one limit in all of its jobs", related=related)
