"""What the marks of an expression are in the texts of a field: the models say it, the checks ask them."""

from enum import Enum
from functools import cache

from pydantic import BaseModel


class Meaning(Enum):
    """What `${{ … }}` is in the texts of a field, as `Annotated[str, Meaning.EXPRESSION]` says it of one.

    In a field without this it is text like any other, which people do not expect.
    """

    EXPRESSION = "an expression: somebody evaluates it"
    TEMPLATE = "text in a Jinja template"
    PROSE = "text for people, who may show an expression there"
    SCHEMAS = "JSON Schemas by name: prose in what describes, an expression in `value`, and text elsewhere"


@cache
def meanings(model: type[BaseModel]) -> tuple[tuple[str, str, Meaning | None], ...]:
    """The fields of a model: their names in Python and in YAML, and what the marks of an expression are there."""
    return tuple(
        (name, field.alias or name, next((one for one in field.metadata if isinstance(one, Meaning)), None))
        for name, field in model.model_fields.items()
    )
