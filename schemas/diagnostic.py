"""An author's mistake as a value: where, which code, what is wrong, what to do."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from schemas.span import Span

Severity = Literal["error", "warning"]
_LONGEST = 500
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]")
"""What moves a terminal's cursor, turns text round, or is not seen at all."""


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that explains a finding, such as the first of two duplicate keys."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Rest:
    """A place of a document that a finding rests on: were something else there, it might be none.

    In the path `STEPS` stands for any steps within steps. `name`: only that, standing there, would make it none.
    """

    path: tuple[str | int, ...]
    name: str = ""


STEPS = "**"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `message` says what is wrong, `hint` what to do about it; `code` is listed in `schemas.codes`.

    Both may quote what a stranger wrote: they are cut to a bearable length, and hold nothing a terminal acts on.
    """

    span: Span
    code: str
    message: str
    hint: str = ""
    severity: Severity = "error"
    related: tuple[Related, ...] = ()
    rests: tuple[Rest, ...] | None = field(default=None, compare=False, repr=False)
    """What in the same document makes it true, where whoever found it knows that better than its code says."""
    bug: str = field(default="", compare=False, repr=False)
    """The traceback of a bug of ours, where it is one (`schemas.bugs`). It may quote anything."""

    def __post_init__(self) -> None:
        for name in ("message", "hint"):
            text = getattr(self, name)
            if len(text) > _LONGEST or _UNSEEN.search(text):
                object.__setattr__(self, name, _shown(text))

    def resting_on(self, rests: Iterable[Rest]) -> "Diagnostic":
        """The same finding, which nothing but these places decides."""
        return replace(self, rests=tuple(rests))

    def within(self, file: str) -> "Diagnostic":
        """The same finding in another file."""
        related = tuple(Related(other.span.within(file), other.message) for other in self.related)
        return replace(self, span=self.span.within(file), related=related)


def _shown(text: str) -> str:
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), cut)


def in_order(findings: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by file, place and code, each finding once: the order every report uses."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda found: (found.span, found.code, found.message)))


def foremost(findings: Sequence[Diagnostic], most: int) -> tuple[Diagnostic, ...]:
    """As many of them, in their order, where not all can be shown: no warning takes the place of an error."""
    if len(findings) <= most:
        return tuple(findings)
    numbered = sorted(enumerate(findings), key=lambda one: one[1].severity != "error")[:most]
    return tuple(found for _, found in sorted(numbered, key=lambda one: one[0]))


def has_errors(findings: Iterable[Diagnostic]) -> bool:
    """Whether anything was found that forbids using the documents. Warnings alone do not."""
    return any(found.severity == "error" for found in findings)
