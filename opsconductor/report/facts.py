"""What validation found, and its facts as data."""

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from schemas.codes import CODES
from schemas.diagnostic import Diagnostic
from schemas.guard import MAX_FINDINGS
from schemas.span import Span

if TYPE_CHECKING:
    from engine.compile import Compiled

Place: TypeAlias = str
"""The way from the root of a checkout to the folder of the Project, with `/`: empty where that is the root."""

DIRECTIONS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Report:
    """What validation found. `sources` holds the bytes of the files that findings are about, for quoting."""

    compiled: "Compiled"
    sources: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        return self.compiled.findings

    @property
    def documents(self) -> int:
        return self.compiled.documents

    @property
    def summary(self) -> str:
        """How many documents, errors and warnings there are."""
        errors = sum(finding.severity == "error" for finding in self.findings)
        warnings = len(self.findings) - errors
        if not self.findings:
            return f"{_count(self.documents, 'document')}, no findings"
        parts = [_count(self.documents, "document"), _count(errors, "error")]
        told = ", ".join([*parts, _count(warnings, "warning")] if warnings else parts)
        return f"{told}; {self.more}" if self.more else told

    @property
    def truncated(self) -> tuple[str, ...]:
        """The files that may have more errors than are told."""
        errors = Counter(finding.span.file for finding in self.findings if finding.severity == "error")
        return tuple(sorted(printable(file) for file, count in errors.items() if count >= MAX_FINDINGS))

    @property
    def more(self) -> str:
        """The same in words; empty where everything is told."""
        full = self.truncated
        if not full:
            return ""
        others = f" and {len(full) - 1} more files" if len(full) > 1 else ""
        return f"there may be more in {full[0]}{others}: after {MAX_FINDINGS} errors nobody looks for others"


def as_json(report: Report) -> str:
    """The shape of CONTRACT 3; `truncated` names the files that may have more errors than are told."""
    findings = [finding_as_data(finding) for finding in report.findings]
    data = {"documents": report.documents, "findings": findings, "truncated": report.truncated}
    return json.dumps(data, indent=2, ensure_ascii=False)


def finding_as_data(finding: Diagnostic) -> dict[str, Any]:
    """One finding as `validate --format json` and `sync.yaml` show it."""
    span = finding.span
    return {
        "file": printable(span.file),
        "line": span.line,
        "column": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
        "code": finding.code,
        "severity": finding.severity,
        "message": printable(finding.message),
        "hint": printable(finding.hint),
        "docs": CODES[finding.code].page if finding.code in CODES else "",
        "related": [
            {"file": printable(other.span.file), "line": other.span.line, "column": other.span.column,
             "message": printable(other.message)}
            for other in finding.related
        ],
    }  # fmt: skip


def path_of(span: Span, place: Place) -> str:
    """The file from the root of the checkout, as services that show findings beside a change want it."""
    file = printable(span.file)
    return f"{place}/{file}" if place else file


def title_of(code: str) -> str:
    """What a code is about, in a few words."""
    return CODES[code].title if code in CODES else code


def message_of(finding: Diagnostic) -> str:
    """What is wrong and, on a second line, what to do; cut where a service would cut it in the middle of nothing."""
    said = _cut(printable(finding.message))
    return f"{said}\nhint: {_cut(printable(finding.hint))}" if finding.hint else said


def printable(text: str) -> str:
    """The text without what could move a terminal's cursor, hide a line or turn its direction."""
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape", "surrogatepass").decode() if _moves(character) else character
        for character in text
    )


def _moves(character: str) -> bool:
    category = unicodedata.category(character)
    return character != "\t" and (category[0] == "C" or category in ("Zl", "Zp") or character in DIRECTIONS)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
