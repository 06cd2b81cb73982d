"""Findings as people and programs read them. The facts are the same; only the display differs."""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.compile import Compiled
from schemas.codes import CODES
from schemas.diagnostic import Diagnostic
from schemas.guard import lines_of
from schemas.span import Span

_WIDEST = 120
_MARGIN = 8
_DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@dataclass(frozen=True, slots=True)
class Report:
    """What validation found. `sources` holds the bytes of the files that findings are about, for quoting."""

    compiled: Compiled
    sources: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        return self.compiled.findings

    @property
    def documents(self) -> int:
        return self.compiled.documents


def as_json(report: Report) -> str:
    """The shape of CONTRACT 3."""
    findings = [finding_as_data(finding) for finding in report.findings]
    return json.dumps({"documents": report.documents, "findings": findings}, indent=2, ensure_ascii=False)


def finding_as_data(finding: Diagnostic) -> dict[str, Any]:
    """One finding as `validate --format json` and `sync.yaml` show it."""
    span = finding.span
    return {
        "file": _printable(span.file),
        "line": span.line,
        "column": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
        "code": finding.code,
        "severity": finding.severity,
        "message": _printable(finding.message),
        "hint": _printable(finding.hint),
        "docs": CODES[finding.code].page if finding.code in CODES else "",
        "related": [
            {"file": _printable(other.span.file), "line": other.span.line, "column": other.span.column,
             "message": _printable(other.message)}
            for other in finding.related
        ],
    }  # fmt: skip


def as_text(report: Report) -> str:
    """`file:line:col: CODE message`, the line at fault with a mark below it, and the hint; then a summary."""
    lines: dict[str, list[str]] = {}
    shown: list[str] = []
    for finding in report.findings:
        file = finding.span.file
        if file not in lines:
            lines[file] = lines_of(report.sources.get(file, b"").decode(errors="replace"))
        shown.append("\n".join(_finding(finding, lines[file])))
    return "\n".join([*shown, _summary(report)])


def _finding(finding: Diagnostic, lines: list[str]) -> Iterator[str]:
    severity = "" if finding.severity == "error" else f" {finding.severity}:"
    yield _printable(f"{finding.span}: {finding.code}{severity} {finding.message}")
    yield from _quoted(finding.span, lines)
    for other in finding.related:
        yield _printable(f"    {other.span}: {other.message}")
    if finding.hint:
        yield _printable(f"    hint: {finding.hint}")


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
    yield f"{number:>{_MARGIN}} | {_printable(line)}"
    pad = "".join("\t" if character == "\t" else " " * _width(character) for character in before)
    yield f"{'':>{_MARGIN}} | {pad}{'^' * max(1, sum(map(_width, under)))}"


def _summary(report: Report) -> str:
    errors = sum(finding.severity == "error" for finding in report.findings)
    warnings = len(report.findings) - errors
    if not report.findings:
        return f"{_count(report.documents, 'document')}, no findings"
    parts = [_count(report.documents, "document"), _count(errors, "error")]
    return ", ".join([*parts, _count(warnings, "warning")] if warnings else parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _printable(text: str) -> str:
    """The text without what could move a terminal's cursor, hide a line or turn its direction."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character == "\t" or (unicodedata.category(character)[0] != "C" and character not in _DIRECTIONS)
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )


def _width(character: str) -> int:
    if character in _DIRECTIONS or unicodedata.category(character)[0] == "C":
        return len(_printable(character))
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
