"""Fields of which a mapping has exactly one, said to the parser and to editors from one list."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict


def chosen(model: BaseModel, fields: Sequence[str]) -> list[str]:
    """Those of the camelCase `fields` that the author gave a value."""
    values = {info.alias or name: getattr(model, name) for name, info in type(model).model_fields.items()}
    return [field for field in fields if values[field] is not None]


def one_of(*fields: str) -> ConfigDict:
    """Configuration whose published schema asks for exactly one of the camelCase `fields`."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [field]} for field in fields]})
