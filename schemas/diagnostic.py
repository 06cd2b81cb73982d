"""An author's mistake as a value: where, which code, what is wrong, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from schemas.span import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that explains a finding, such as the first of two duplicate keys."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `message` says what is wrong, `hint` what to do about it; `code` is listed in `schemas.codes`."""

    span: Span
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"
    related: tuple[Related, ...] = ()

    def within(self, file: str) -> "Diagnostic":
        """The same finding in another file."""
        related = tuple(Related(other.span.within(file), other.message) for other in self.related)
        return replace(self, span=self.span.within(file), related=related)


def in_order(findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by file, place and code, each finding once: the order every report uses."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda found: (found.span, found.code, found.message)))


def has_errors(findings: Iterable[Diagnostic]) -> bool:
    """Whether anything was found that forbids using the documents. Warnings alone do not."""
    return any(found.severity == "error" for found in findings)
