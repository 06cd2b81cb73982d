"""Wherever a document names another, an editor offers the names; and never says that another name is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.checks.references import references_of
from opsconductor.authoring.checkout import names_in
from opsconductor.exits import UsageError
from schemas.kinds import MODELS
from schemas.named import with_names
from schemas.publish import schema
from schemas.reader import read

DOCUMENTS = sorted((Path(__file__).resolve().parents[1] / "cases" / "documents").rglob("*.yaml"))
NAMES = {kind: [f"a-{kind.lower()}"] for kind in MODELS}


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return with_names(schema(None), NAMES)


def offered(published: dict[str, Any], kind: str, path: tuple[str | int, ...]) -> list[str]:
    """What an editor would offer at a place of a document: all that some part of the schema lists there."""
    places: list[Any] = [published["$defs"][MODELS[kind].__name__]]
    for step in path:
        places = [below for place in places for part in parts(published, place) for below in into(part, step)]
    return [name for place in places for part in parts(published, place) for name in part.get("enum", ())]


def parts(published: dict[str, Any], place: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(place, dict):
        return
    yield place
    if "$ref" in place:
        yield from parts(published, published["$defs"][place["$ref"].rpartition("/")[2]])
    for rule in (*place.get("anyOf", ()), *place.get("oneOf", ()), *place.get("allOf", ()), place.get("then")):
        yield from parts(published, rule)


def into(part: dict[str, Any], step: str | int) -> list[Any]:
    if isinstance(step, int):
        return [part[key] for key in ("items",) if key in part]
    if step in part.get("properties", {}):
        return [part["properties"][step]]
    return [part.get("additionalProperties"), *part.get("patternProperties", {}).values()]


def test_every_reference_of_every_document_is_completed(published: dict[str, Any]) -> None:
    seen: set[tuple[str, str]] = set()
    for case in DOCUMENTS:
        for authored in read(case.read_bytes(), case.name).documents:
            for reference in references_of(authored):
                if "plugins" in reference.path:
                    continue  # the schema knows nothing of what a plug-in reads
                choice = offered(published, authored.document.kind, reference.path)
                assert NAMES[reference.kind][0] in choice, (case.name, reference)
                assert not {name for name in choice if name.startswith("a-")} - set(NAMES[reference.kind])
                seen.add((authored.document.kind, reference.kind))
    assert len(seen) > 20


def test_nothing_that_was_well_formed_becomes_wrong(published: dict[str, Any]) -> None:
    before, after = Draft202012Validator(schema(None)), Draft202012Validator(published)
    compared = 0
    for case in DOCUMENTS:
        for authored in read(case.read_bytes(), case.name).documents:
            data = authored.document.to_json()
            assert before.is_valid(data) == after.is_valid(data), case.name
            compared += 1
    assert compared > 100


def test_the_names_are_those_of_the_checkout_whatever_else_is_wrong_there(tmp_path: Path) -> None:
    head = "apiVersion: opsconductor/v1\nkind: {}\nmetadata: {{name: {}}}\n"
    (tmp_path / "opsconductor.yaml").write_text(head.format("Project", "p"))
    (tmp_path / "definitions" / "deep").mkdir(parents=True)
    (tmp_path / "definitions" / "b.yaml").write_text(head.format("RunnerPool", "dmz") + "spec: {}\n")
    (tmp_path / "definitions" / "a.yaml").write_text(head.format("Job", "bad") + "spec: {steps: 1}\n")
    found = names_in(tmp_path / "definitions" / "deep")
    assert found["RunnerPool"] == ["default", "dmz"]
    with pytest.raises(UsageError, match="name the repository by -C"):
        names_in(Path("/"))
