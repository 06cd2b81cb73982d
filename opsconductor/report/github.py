"""Findings as workflow commands: GitHub shows them beside the lines of a pull request."""

import hashlib
from collections.abc import Iterator

from opsconductor.report.facts import Place, Report, message_of, path_of, title_of
from opsconductor.report.text import as_text
from schemas.diagnostic import Diagnostic

SHOWN = 10
"""So many errors, and so many warnings, does GitHub show of one step; of the others it would lose the place."""


def show(report: Report, place: Place = "") -> str:
    """The first ten errors and the first ten warnings as commands; then all findings as text for the log."""
    if not report.findings:
        return report.summary
    text = as_text(report)
    # Text holds what others wrote: until the token comes again the runner looks for no command in it. Nobody can
    # write a text that holds its own digest.
    token = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    commands = [_command(finding, place) for finding in _first(report.findings)]
    return "\n".join([*commands, f"::stop-commands::{token}", text, f"::{token}::"])


def _first(findings: tuple[Diagnostic, ...]) -> Iterator[Diagnostic]:
    left = {"error": SHOWN, "warning": SHOWN}
    for finding in findings:
        if left[finding.severity]:
            left[finding.severity] -= 1
            yield finding


def _command(finding: Diagnostic, place: Place) -> str:
    span = finding.span
    properties = {"file": path_of(finding.span, place), "line": str(span.line), "endLine": str(span.end_line)}
    if span.line == span.end_line:  # over several lines columns are not allowed
        properties |= {"col": str(span.column), "endColumn": str(max(span.end_column, span.column))}
    properties["title"] = f"{finding.code}: {title_of(finding.code)}"
    said = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{finding.severity} {said}::{_data(message_of(finding))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
