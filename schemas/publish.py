"""The JSON Schemas (2020-12) that editors and CI use, published from the same models that parse."""

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.kinds import MODELS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(kind: str | None = None) -> dict[str, Any]:
    """The schema of one kind, or of any document by its `kind`. Raises KeyError for a kind that has no model."""
    if kind is not None:
        model = MODELS[kind]
        return {"$schema": DIALECT, **TypeAdapter(model).json_schema(mode="validation", by_alias=True)}
    _, shared = models_json_schema([(model, "validation") for model in MODELS.values()], by_alias=True)
    return {
        "$schema": DIALECT,
        "title": "OpsConductor",
        "description": "Any document of an OpsConductor repository; its `kind` says which.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {"kind": {"enum": list(MODELS)}},
        "allOf": [_when(name) for name in MODELS],
        "$defs": shared["$defs"],
    }


def _when(kind: str) -> dict[str, Any]:
    # if/then and not oneOf: an editor then speaks about the one kind that is meant
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"$ref": GenerateJsonSchema().ref_template.format(model=kind)},
    }
