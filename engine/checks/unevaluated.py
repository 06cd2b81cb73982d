"""Texts that look like an expression where none is evaluated."""

from collections.abc import Iterator
from typing import Any

from engine.checks.memory import remembered
from engine.checks.reading import OPEN, texts_in
from engine.checks.scope import Path, Scope, steps_of
from schemas.act import RunRequest
from schemas.diagnostic import Diagnostic
from schemas.job import Job
from schemas.reader import Authored

_EVALUATING = frozenset(
    {
        "Discovery", "Job", "NotificationChannel", "NotificationRule", "RunRequest", "Step", "StepLibrary", "Trigger",
        "Workflow",
    }
)  # fmt: skip
"""Kinds some of whose texts are evaluated, are templates, or refuse expressions by themselves; others have none."""
_REFUSED = frozenset({("Schedule", "params")})
_READ_BY_STEPS = frozenset({"vars", "facts"})


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Places where people might expect an expression to be evaluated, and none is."""
    yield from remembered(authored, "unevaluated", (), lambda: tuple(_unevaluated(authored)))


def _unevaluated(authored: Authored) -> Iterator[Diagnostic]:
    document = authored.document
    places: list[tuple[Any, Path, bool]] = []
    match document:
        case Job():
            params = document.spec.params
            places = [
                (param.get("default"), ("spec", "params", name, "default"), False) for name, param in params.items()
            ]
        case RunRequest():
            places = [(document.spec.params, ("spec", "params"), True)]
        case _ if document.kind not in _EVALUATING:
            spec = document.to_json().get("spec", {}) if _may_hold(authored) else {}
            places = [(value, ("spec", field), (document.kind, field) in _REFUSED) for field, value in spec.items()]
    for placed in steps_of(authored):
        places.append((placed.step.name, (*placed.path, "name"), False))
    for value, path, wrong in places:
        for below, text in texts_in(value, path):
            if OPEN in text:
                offset = text.index(OPEN)
                span = authored.span_within(*below, offset=offset, length=len(OPEN))
                message = f"an expression is not evaluated here; it {'is refused' if wrong else 'stays text'}"
                plain = wrong or (document.kind not in _EVALUATING and path[1] not in _READ_BY_STEPS)
                hint = "write the value itself, without '${{'" if plain else "write it where a step uses it"
                yield Diagnostic(span, "OC407", message, hint, "error" if wrong else "warning")


def _may_hold(authored: Authored) -> bool:
    """Whether the file may have an expression, written as it is or by escapes; most files have none."""
    data = authored.places.layout.data
    return b"${{" in data or b"\\" in data
