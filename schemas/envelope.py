"""What every document has in common: apiVersion, kind, metadata, spec."""

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from schemas.meaning import Meaning

API_VERSION = "opsconductor/v1"
MAX_PREVIOUS_NAMES = 100

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
Name = Annotated[str, StringConstraints(pattern=rf"^{_NAME.pattern}$", max_length=63)]


def is_name(text: str) -> bool:
    """Whether a document could have the name."""
    return len(text) <= 63 and _NAME.fullmatch(text) is not None


def _no_word(text: str) -> str:
    if text in ("in", "true", "false", "null"):
        raise ValueError(f"not a name that an expression could read: '{text}' is a word of its own there")
    return text


Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=63),
    AfterValidator(_no_word),
    WithJsonSchema({"type": "string", "maxLength": 63, "pattern": "^(?!(in|true|false|null)$)[a-zA-Z_][a-zA-Z0-9_]*$"}),
]
"""What expressions call something."""

T = TypeVar("T")


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def named_schema(name: str) -> WithJsonSchema:
    """The published schema of a field is the definition of this name (`schemas.publish`)."""
    return WithJsonSchema({"$comment": name})


ParamSchema = Annotated[dict[str, Any], named_schema("ParamSchema")]
"""A JSON Schema with `required` and `secret` of ours beside its keywords (`schemas.keywords`)."""
ParamSchemas = Annotated[dict[Identifier, ParamSchema], Meaning.SCHEMAS]
OutputSchema = Annotated[dict[str, Any], named_schema("OutputSchema")]
"""The same, and `value`."""
KindName = Annotated[str, named_schema("KindName")]
"""The name of a kind that people write."""

# A YAML list as a frozen value. (Strict mode would refuse a list where a tuple is declared.)
Many = Annotated[tuple[T, ...], BeforeValidator(_tupled)]
Some = Annotated[tuple[T, ...], Field(min_length=1), BeforeValidator(_tupled)]
"""The same of at least one item, for a field that may be left out."""
Scalar = str | int | float | bool | None
Condition = Annotated[str | bool | None, Meaning.EXPRESSION]
Outputs = Annotated[dict[Identifier, Scalar], Meaning.EXPRESSION]


class Model(BaseModel):
    """Base of all authored types: frozen, camelCase outside and snake_case inside, unknown keys are errors.

    Validators are built when a kind is first read, and not for each part of it: building all of them takes longer than
    checking a small repository. So a default that is a model is made once, when it is first needed (`cache(Strategy)`).
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        populate_by_name=False,
        defer_build=True,
    )

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON data with camelCase keys, without keys the author left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Metadata(Model):
    """Who a document is. Identity is kind/name, unique in a repository."""

    name: Name = Field(
        description="Unique per kind: lower-case letters, digits, dots and hyphens, at most 63.",
        examples=["rotate-web-logs"],
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="What selectors match.", examples=[{"team": "web"}]
    )
    annotations: Annotated[dict[str, str], Meaning.PROSE] = Field(
        default_factory=dict, description="Free text for other tools.", examples=[{"ticket": "OPS-42"}]
    )
    description: Annotated[str, Meaning.PROSE] = Field(
        default="", description="One line for people.", examples=["Rotate the logs of the web servers"]
    )
    owner: str = Field(default="", description="A User or a team.", examples=["web-team"])
    previous_names: Many[Name] = Field(
        default=(),
        max_length=MAX_PREVIOUS_NAMES,
        description="Names this document had before; a rename keeps history and schedule clock.",
        examples=[["rotate-logs"]],
    )


class Document(Model):
    """The envelope. Each kind narrows `kind` to its own name and `spec` to its own model."""

    api_version: Literal["opsconductor/v1"] = Field(description="Always opsconductor/v1.")
    kind: str = Field(description="Which kind of document this is.")
    metadata: Metadata = Field(description="Name, labels and what people should know.")

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def identity(self) -> str:
        """`Kind/name`, as plans and diagnostics print it."""
        return f"{self.kind}/{self.metadata.name}"
