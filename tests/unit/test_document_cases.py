"""Documents in `tests/cases/documents`, and the findings that each line of them gives (see `tests.document_cases`)."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from engine import checks
from engine.checks import everything
from schemas.envelope import Document
from schemas.kinds import MODELS
from schemas.places import Layout, Places
from schemas.reader import read
from tests.document_cases import Case, cases

AT_LEAST = {"wrong": 300, "hostile": 150, "right": 150}
_LATER = frozenset({"OC901", "OC902"})
"""What this version does not act on is right all the same."""
_JARGON = re.compile(
    r"pydantic|validator|_type|spec\.\w+\.\d|Input should|valid (string|dictionary)|NoneType|\bdict\b|(?<![!:])\bstr\b"
    r"|\bfunction-|\btuple\b|Traceback|object at 0x"
)

every_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


@every_case
def test_a_case_gives_the_findings_it_names(case: Case) -> None:
    found = case.compiled().findings

    assert case.found() == case.expected, "\n".join(f"{f.span}: {f.code} {f.message}" for f in found)
    assert {f.span.file for f in found} <= {case.file}


@every_case
def test_a_finding_ends_after_it_begins_and_says_something_plain(case: Case) -> None:
    for finding in case.compiled().findings:
        if finding.code not in ("OC116", "OC303"):  # about the file as a whole
            assert (finding.span.line, finding.span.column) < (finding.span.end_line, finding.span.end_column), finding
        assert finding.message and not _JARGON.search(finding.message + finding.hint), finding
        assert not finding.message.endswith("."), finding
        assert len(finding.message) < 600 and len(finding.hint) < 600, finding
        assert "\n" not in finding.message + finding.hint, finding


def test_every_check_of_one_document_is_asked() -> None:
    modules = {path.stem for path in Path(checks.__file__).parent.glob("*.py")}
    named = {name for name in modules if hasattr(import_module(f"engine.checks.{name}"), "about")}
    assert named == set(everything._OF_ONE)


def test_a_check_finds_nothing_in_documents_it_is_not_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of kinds saves time and hides nothing."""
    monkeypatch.setattr(everything, "_OF_ONE", dict.fromkeys(everything._OF_ONE, tuple(MODELS)))
    monkeypatch.setattr(everything, "_OF_ALL", dict.fromkeys(everything._OF_ALL, tuple(MODELS)))
    everything._checks_of.cache_clear()
    try:
        for case in cases():
            if not case.hostile:
                assert case.found() == case.expected, case.name
    finally:
        everything._checks_of.cache_clear()


@cache
def _counted() -> Counter[str]:
    """Documents by what is expected of them."""
    counted: Counter[str] = Counter()
    for case in cases():
        for codes in case.codes():
            outcome = "hostile" if case.hostile else "right" if codes <= _LATER else "wrong"
            counted[outcome] += 1
    return counted


@pytest.mark.parametrize("outcome", AT_LEAST)
def test_the_suite_is_large(outcome: str) -> None:
    assert _counted()[outcome] >= AT_LEAST[outcome], _counted()


# --- every field, derived from the models ----------------------------------------------------------------------------


def _right() -> Iterator[Document]:
    """The documents of cases in which nothing is wrong."""
    for case in cases():
        if not case.hostile and all(codes <= _LATER for codes in case.codes()):
            yield from (authored.document for authored in case.parsed().documents)


def _models(found: type[BaseModel], known: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if found not in known:
        known.add(found)
        for info in found.model_fields.values():
            for below in _within(info.annotation):
                _models(below, known)
    return known


def _within(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _within(part)


def _written(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Every field that is written in a document: whose it is, its name, its value."""
    match value:
        case BaseModel():
            for name in value.model_fields_set:
                below = getattr(value, name)
                yield type(value).__name__, type(value).model_fields[name].alias or name, below
                yield from _written(below)
        case dict():
            for below in value.values():
                yield from _written(below)
        case list() | tuple():
            for below in value:
                yield from _written(below)


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from _literals(part)


def test_every_field_of_every_kind_stands_in_a_right_document() -> None:
    every = {
        (model.__name__, info.alias or name)
        for kind in MODELS.values()
        for model in _models(kind, set())
        for name, info in model.model_fields.items()
    }

    assert every - {(owner, field) for document in _right() for owner, field, _ in _written(document)} == set()


def test_every_word_that_a_field_may_hold_stands_in_a_right_document() -> None:
    every = {
        (model.__name__, info.alias or name, word)
        for kind in MODELS.values()
        for model in _models(kind, set())
        for name, info in model.model_fields.items()
        for word in _literals(info.annotation)
    }
    found = {
        (owner, field, word)
        for document in _right()
        for owner, field, value in _written(document)
        for word in (value if isinstance(value, tuple) else [value])
        if isinstance(word, str)
    }

    assert every - found == set()


def _mistakes(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where a document can be spoilt by one letter too many in a key of ours."""
    if isinstance(value, BaseModel):
        for name in sorted(value.model_fields_set):
            field = type(value).model_fields[name].alias or name
            yield above, field
            yield from _mistakes(getattr(value, name), (*above, field))
    elif isinstance(value, tuple | list):
        for index, below in enumerate(value):
            yield from _mistakes(below, (*above, index))
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _mistakes(below, (*above, key))


@cache
def _once() -> tuple[Document, ...]:
    """Right documents, of each field's place one."""
    chosen: list[Document] = []
    seen: set[tuple[str, str]] = set()
    for document in _right():
        fields = {(owner, field) for owner, field, _ in _written(document)}
        if fields - seen:
            seen |= fields
            chosen.append(document)
    return tuple(chosen)


@pytest.mark.parametrize("kind", MODELS)
def test_one_letter_too_many_in_any_field_is_found_at_that_field(kind: str) -> None:
    """And the hint names the field that is meant."""
    for document in (one for one in _once() if one.kind == kind):
        for path, field in _mistakes(document):
            if (path, field) in (((), "apiVersion"), ((), "kind")):
                continue  # without these it is no document of any kind
            value = document.to_json()
            owner: Any = value
            for step in path:
                owner = owner[step]
            owner[f"{field}x"] = owner.pop(field)
            text = json.dumps(value, ensure_ascii=False, indent=1)
            line = next(number for number, one in enumerate(text.split("\n"), 1) if f'"{field}x": ' in one)

            findings = read(text.encode(), "x.yaml").findings

            (found,) = (one for one in findings if one.code == "OC203")
            assert found.span.line == line, (path, field)
            assert f"did you mean '{field}'?" in found.hint, (path, field, found)


@pytest.mark.parametrize("kind", MODELS)
def test_a_wrong_type_in_any_field_is_found_at_its_value(kind: str) -> None:
    """A mapping that holds a list is what no field takes, unless it takes anything."""
    wrong = {"0 wrong": [0]}
    for document in (one for one in _once() if one.kind == kind):
        for path, field in _mistakes(document):
            value = document.to_json()
            owner: Any = value
            for step in path:
                owner = owner[step]
            owner[field] = wrong
            parsed = read(json.dumps(value, ensure_ascii=False, indent=1).encode(), "x.yaml")
            if parsed.documents:
                assert field in _TAKE_ANYTHING, (path, field)
            else:
                places = Places(Layout(parsed_bytes := json.dumps(value, ensure_ascii=False, indent=1).encode()), 0)
                there = places.span("x.yaml", (*path, field))
                assert any(
                    there.line <= one.span.line <= there.end_line or one.code == "OC209" for one in parsed.findings
                ), (path, field, parsed.findings, parsed_bytes)


_TAKE_ANYTHING = frozenset({"vars", "facts", "params", "with", "data", "sops", "inputs", "outputs", "become", "items"})
