"""Texts that look like an expression where none is evaluated."""

from collections.abc import Iterator
from typing import Any

from engine.checks.reading import OPEN, texts_in
from engine.checks.scope import Path, steps_of
from schemas.act import RunRequest
from schemas.diagnostic import Diagnostic
from schemas.job import Job
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.target import Target, TargetGroup


def unevaluated(authored: Authored) -> Iterator[Diagnostic]:
    """Places where people might expect an expression to be evaluated, and none is."""
    document = authored.document
    places: list[tuple[Any, Path, bool]] = []
    match document:
        case Job():
            params = document.spec.params
            places = [
                (param.get("default"), ("spec", "params", name, "default"), False) for name, param in params.items()
            ]
        case Schedule() | RunRequest():
            places = [(document.spec.params, ("spec", "params"), True)]
        case Target():
            places = [(document.spec.vars, ("spec", "vars"), False), (document.spec.facts, ("spec", "facts"), False)]
        case TargetGroup():
            places = [(document.spec.vars, ("spec", "vars"), False)]
    for placed in steps_of(authored):
        places.append((placed.step.name, (*placed.path, "name"), False))
    for value, path, wrong in places:
        for below, text in texts_in(value, path):
            if OPEN in text:
                offset = text.index(OPEN)
                span = authored.span_within(*below, offset=offset, length=len(OPEN))
                message = f"an expression is not evaluated here; it {'is refused' if wrong else 'stays text'}"
                hint = "write the value itself, without '${{'" if wrong else "write it where a step uses it"
                yield Diagnostic(span, "OC407", message, hint, "error" if wrong else "warning")
