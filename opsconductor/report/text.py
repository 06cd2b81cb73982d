"""Findings for people at a terminal."""

import unicodedata
from collections.abc import Iterator

from opsconductor.report.facts import DIRECTIONS, Report, printable
from schemas.characters import lines_of
from schemas.diagnostic import Diagnostic
from schemas.span import Span

_WIDEST = 120
_MARGIN = 8
_PLAIN = "OC605"
"""Of its findings the place is shown, and not what stands there: logs of checks are read by more people than files."""


def as_text(report: Report) -> str:
    """`file:line:col: CODE message`, the line at fault with a mark below it, and the hint; then a summary."""
    lines: dict[str, list[str]] = {}
    hidden: dict[str, list[Span]] = {}
    for finding in report.findings:
        if finding.code == _PLAIN:
            hidden.setdefault(finding.span.file, []).append(finding.span)
    shown: list[str] = []
    for finding in report.findings:
        file = finding.span.file
        if file not in lines:
            lines[file] = lines_of(report.sources.get(file, b"").decode(errors="replace"))
            _hide(lines[file], hidden.get(file, []))
        shown.append("\n".join(_finding(finding, lines[file])))
    return "\n".join([*shown, report.summary])


def _finding(finding: Diagnostic, lines: list[str]) -> Iterator[str]:
    severity = "" if finding.severity == "error" else f" {finding.severity}:"
    yield printable(f"{finding.span}: {finding.code}{severity} {finding.message}")
    yield from _quoted(finding.span, lines)
    for other in finding.related:
        yield printable(f"    {other.span}: {other.message}")
    if finding.hint:
        yield printable(f"    hint: {finding.hint}")


def _hide(lines: list[str], spans: list[Span]) -> None:
    for span in spans:
        for number in range(span.line, min(span.end_line, len(lines)) + 1):
            line = lines[number - 1]
            start = span.column - 1 if number == span.line else len(line) - len(line.lstrip())
            end = span.end_column - 1 if number == span.end_line else len(line)
            lines[number - 1] = line[:start] + "*" * len(line[start:end]) + line[end:]


def _quoted(span: Span, lines: list[str]) -> Iterator[str]:
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    if not line.strip():
        return
    start = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    first = max(0, start - _WIDEST + 40) if len(line) > _WIDEST else 0
    line, start, end = line[first : first + _WIDEST], start - first, max(end - first, start - first + 1)
    before, under = line[:start], line[start:end]
    number = str(span.line)
    yield f"{number:>{_MARGIN}} | {printable(line)}"
    pad = "".join("\t" if character == "\t" else " " * _width(character) for character in before)
    yield f"{'':>{_MARGIN}} | {pad}{'^' * max(1, sum(map(_width, under)))}"


def _width(character: str) -> int:
    if character in DIRECTIONS or unicodedata.category(character)[0] == "C":
        return len(printable(character))
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
