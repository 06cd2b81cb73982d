"""Files that documents name by their paths from the repository's root: they must be there."""

from collections.abc import Iterator

from engine.checks.scope import Path, Scope, steps_in
from engine.expressions.expression import has_expression
from schemas.calendar import Calendar
from schemas.diagnostic import Diagnostic
from schemas.discovery import Discovery
from schemas.envelope import Document
from schemas.notification import NotificationChannel
from schemas.paths import PEM, is_inside
from schemas.project import Project
from schemas.reader import Authored
from schemas.target import Connections, Target

_CERTIFICATE = "caCert"
TEMPLATE = "template"
"""The step type that renders a file of the repository."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    if scope.present is None:
        return
    for file, path in files_of(authored.document):
        if file not in scope.present:
            hint = "its path is from the repository's root; is it committed, and a regular file?"
            message = f"there is no file '{file[:200]}' in the repository"
            yield Diagnostic(authored.span(*path), "OC509", message, hint)


def _trusting(document: Document) -> Iterator[tuple[object, Path]]:
    if isinstance(document, NotificationChannel):
        yield document.spec, ("spec",)
    if isinstance(document, Project):
        yield document.spec.commit_status, ("spec", "commitStatus")
    if isinstance(document, Discovery) and document.spec.from_ is not None:
        yield document.spec.from_.http, ("spec", "from", "http")


def files_of(document: Document) -> Iterator[tuple[str, Path]]:
    """The files a document names, and where. A certificate may be written out in the document: it is no file then."""
    if isinstance(document, Calendar) and document.spec.ics is not None:
        yield document.spec.ics, ("spec", "ics")
    yield from ((written, path) for written, path in certificates_of(document) if _is_path(written))
    for placed in steps_in(document):
        for name in placed.type.files - {_CERTIFICATE} if placed.type is not None else ():
            file = (placed.step.with_ or {}).get(name)
            if isinstance(file, str) and _is_path(file):
                yield file, (*placed.path, "with", name)


def _is_path(written: str) -> bool:
    return PEM not in written and not has_expression(written) and is_inside(written)


def certificates_of(document: Document) -> Iterator[tuple[str, Path]]:
    """The authorities that a document trusts, as PEM text, as a path or as an expression, and where it says so."""
    for settings, path in _trusting(document):
        written = getattr(settings, "ca_cert", None)
        if written is not None:
            yield written, (*path, _CERTIFICATE)
    for connections, path in connections_of(document):
        for name in ("winrm", "http"):
            settings = getattr(connections, name)
            if settings is not None and settings.ca_cert is not None:
                yield settings.ca_cert, (*path, name, _CERTIFICATE)
    for placed in steps_in(document):
        written = (placed.step.with_ or {}).get(_CERTIFICATE)
        if placed.type is not None and _CERTIFICATE in placed.type.files and isinstance(written, str):
            yield written, (*placed.path, "with", _CERTIFICATE)


def templates_of(document: Document) -> Iterator[str]:
    """The templates that a document's steps render."""
    for placed in steps_in(document):
        source = (placed.step.with_ or {}).get("source")
        renders = placed.type is not None and placed.type.name == TEMPLATE
        if renders and isinstance(source, str) and not has_expression(source) and is_inside(source):
            yield source


def calendars_of(document: Document) -> Iterator[str]:
    """The iCalendar file that a calendar names."""
    if isinstance(document, Calendar) and document.spec.ics is not None:
        yield document.spec.ics


def connections_of(document: Document) -> Iterator[tuple[Connections, Path]]:
    """Where a document says how hosts are reached."""
    if isinstance(document, Target):
        yield document.spec.connections, ("spec", "connections")
    elif isinstance(document, Discovery):
        for index, rule in enumerate(document.spec.classify):
            if rule.connections is not None:
                yield rule.connections, ("spec", "classify", index, "connections")
