"""Findings for people at a terminal."""

import unicodedata
from collections.abc import Iterator

from opsconductor.report.facts import DIRECTIONS, Report, printable
from schemas.characters import lines_of
from schemas.diagnostic import Diagnostic
from schemas.span import Span

_WIDEST = 120
_MARGIN = 8


def as_text(report: Report) -> str:
    """`file:line:col: CODE message`, the line at fault with a mark below it, and the hint; then a summary."""
    about: dict[str, list[Diagnostic]] = {}
    for finding in report.findings:
        about.setdefault(finding.span.file, []).append(finding)
    lines = {file: _lines(report.sources.get(file, b""), found) for file, found in about.items()}
    shown = ["\n".join(_finding(finding, lines[finding.span.file])) for finding in report.findings]
    return "\n".join([*shown, report.summary])


def _lines(data: bytes, findings: list[Diagnostic]) -> list[str]:
    """The lines of a file, without its secrets: logs of checks are read by more people than files."""
    from engine.hiding import Hidden  # most reports have no findings

    return lines_of(Hidden.of(data, findings).starred())


def _finding(finding: Diagnostic, lines: list[str]) -> Iterator[str]:
    severity = "" if finding.severity == "error" else f" {finding.severity}:"
    yield printable(f"{finding.span}: {finding.code}{severity} {finding.message}")
    yield from _quoted(finding.span, lines)
    for other in finding.related:
        yield printable(f"    {other.span}: {other.message}")
    if finding.hint:
        yield printable(f"    hint: {finding.hint}")


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
