"""Texts that look like an expression where none is evaluated."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.checks.memory import remembered
from engine.checks.reading import OPEN, texts_in
from engine.checks.scope import Path, Scope
from schemas.diagnostic import Diagnostic
from schemas.envelope import Document, Model
from schemas.keywords import KEYWORDS
from schemas.meaning import Meaning, meanings
from schemas.reader import Authored

_REFUSED = frozenset({("Schedule", "params"), ("RunRequest", "params")})
_READ_BY_STEPS = frozenset({("Target", "vars"), ("Target", "facts"), ("TargetGroup", "vars")})
"""What steps are given as it is: there they have the value that was meant."""
_SAYING = KEYWORDS - {"title", "description", "examples", "$comment"}
"""Keywords of a schema but for those that describe it to people."""
_VALUES = frozenset({"default", "const", "enum"})
_BY_NAME = frozenset({"properties", "dependentSchemas", "$defs"})


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Places where people might expect an expression to be evaluated, and none is."""
    yield from alone(authored)


def alone(authored: Authored) -> tuple[Diagnostic, ...]:
    """The same, which is about no other document."""
    return remembered(authored, "unevaluated", (), lambda: tuple(_unevaluated(authored)))


def _unevaluated(authored: Authored) -> Iterator[Diagnostic]:
    if not _may_hold(authored):
        return
    document = authored.document
    for path, text in _literals(document):
        if OPEN in text:
            offset = text.index(OPEN)
            span = authored.span_within(*path, offset=offset, length=len(OPEN))
            field = (document.kind, str(path[1]))
            wrong = field in _REFUSED
            message = f"an expression is not evaluated here; it {'is refused' if wrong else 'stays text'}"
            later = field in _READ_BY_STEPS or _is_name_of_step(path) or path[3:4] == ("default",)
            hint = "write it where a step uses it" if later else "write the value itself, without '${{'"
            yield Diagnostic(span, "OC407", message, hint, "error" if wrong else "warning")


def _is_name_of_step(path: Path) -> bool:
    return path[-1] == "name" and isinstance(path[-2], int)


def _may_hold(authored: Authored) -> bool:
    """Whether the file may have an expression, written as it is or by escapes; many files have none."""
    data = authored.places.layout.data
    return b"${{" in data or b"\\" in data


def _literals(document: Document) -> Iterator[tuple[Path, str]]:
    """The texts of a document that nobody evaluates and that are not for people, in the order of the models."""
    waiting: list[tuple[Path, Any]] = [(("spec",), getattr(document, "spec", None)), (("metadata",), document.metadata)]
    while waiting:
        path, here = waiting.pop()
        match here:
            case str():
                yield path, here
            case Model():
                waiting += reversed(list(_of_model(here, path)))
            case Mapping():
                waiting += reversed([((*path, key), below) for key, below in here.items()])
            case list() | tuple():
                waiting += reversed([((*path, index), below) for index, below in enumerate(here)])


def _of_model(model: Model, path: Path) -> Iterator[tuple[Path, Any]]:
    for name, field, meaning in meanings(type(model)):
        if name not in model.model_fields_set:
            continue
        value = getattr(model, name)
        match meaning:
            case None:
                yield (*path, field), value
            case Meaning.SCHEMAS:
                for key, schema in value.items():
                    yield from _of_schema(schema, (*path, field, key))


def _of_schema(schema: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The texts of a JSON Schema, without those that describe it. A property may have the name of a keyword."""
    waiting: list[tuple[Path, Any]] = [(path, schema)]
    while waiting:
        here, one = waiting.pop()
        if not isinstance(one, Mapping):
            yield from texts_in(one, here)
            continue
        for word, below in one.items():
            if word in _VALUES:
                yield from texts_in(below, (*here, word))
            elif word in _BY_NAME and isinstance(below, Mapping):
                waiting += [((*here, word, key), part) for key, part in below.items()]
            elif word in _SAYING and isinstance(below, list):
                waiting += [((*here, word, index), part) for index, part in enumerate(below)]
            elif word in _SAYING:
                waiting.append(((*here, word), below))
