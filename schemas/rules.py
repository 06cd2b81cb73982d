"""Rules between the fields of a mapping, said to the parser and to editors from one list of names."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict


def chosen(model: BaseModel, fields: Sequence[str]) -> list[str]:
    """Those of the camelCase `fields` that the author gave a value."""
    values = {info.alias or name: getattr(model, name) for name, info in type(model).model_fields.items()}
    return [field for field in fields if values[field] is not None]


def one_of(*fields: str) -> ConfigDict:
    """Configuration whose published schema asks for exactly one of the camelCase `fields`."""
    return published(exactly_one(*fields))


def published(*rules: dict[str, Any]) -> ConfigDict:
    """Configuration whose published schema holds `rules` beside the fields: what a validator of the model refuses."""
    return ConfigDict(json_schema_extra=rules[0] if len(rules) == 1 else {"allOf": list(rules)})


def exactly_one(*fields: str) -> dict[str, Any]:
    """One of the fields is there, and no other of them."""
    return {"oneOf": [{"required": [field]} for field in fields]}


def any_of(*fields: str) -> dict[str, Any]:
    """At least one of the fields is there."""
    return {"anyOf": [{"required": [field]} for field in fields]}


def none_of(*fields: str) -> dict[str, Any]:
    """None of the fields is there."""
    return {"not": any_of(*fields)}


def when(condition: dict[str, Any], then: dict[str, Any], otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    """`then` where the mapping fits `condition`, else `otherwise`."""
    return {"if": condition, "then": then, **({"else": otherwise} if otherwise is not None else {})}


def has(field: str, *values: str) -> dict[str, Any]:
    """The field is there, with one of the values where there are any."""
    return {"required": [field], **({"properties": {field: {"enum": list(values)}}} if values else {})}
