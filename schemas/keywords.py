"""The JSON Schema that users write for params, inputs and outputs: which keywords it may have, and what each is for.

The validator takes these keywords and no others; the published schemas hold them, so that editors complete and check
what stands under `params` as they do everything else. Nothing of this is needed to read a document.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

Schema = dict[str, Any]

_BELOW: Schema = {"$ref": "#/$defs/UserSchema"}
_SEVERAL: Schema = {"type": "array", "items": _BELOW, "minItems": 1}
_BY_NAME: Schema = {"type": "object", "additionalProperties": _BELOW}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_TEXT: Schema = {"type": "string"}
_TRUTH: Schema = {"type": "boolean"}
_NAMES: Schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_TYPE: Schema = {"enum": ["string", "integer", "number", "boolean", "array", "object", "null"]}
_VALUE = {"type": "integer"}

_SAID: Mapping[str, tuple[Schema, str, Any]] = MappingProxyType(
    {
        "type": (
            {"anyOf": [_TYPE, {"type": "array", "items": _TYPE, "minItems": 1, "uniqueItems": True}]},
            "What sort of value: string, integer, number, boolean, array, object, null, or a list of these.",
            "integer",
        ),
        "description": (_TEXT, "One line for whoever gives the value.", "How many days of logs to keep"),
        "title": (_TEXT, "A short name for people.", "Days to keep"),
        "default": ({}, "The value where nobody gives one.", 14),
        "examples": ({"type": "array"}, "Values that people may give.", [7, 14]),
        "enum": ({"type": "array"}, "The values that are allowed, and no others.", ["blue", "green"]),
        "const": ({}, "The one value that is allowed.", "blue"),
        "minimum": (_NUMBER, "The least number.", 1),
        "maximum": (_NUMBER, "The greatest number.", 365),
        "exclusiveMinimum": (_NUMBER, "Greater than this.", 0),
        "exclusiveMaximum": (_NUMBER, "Less than this.", 100),
        "multipleOf": ({"type": "number", "exclusiveMinimum": 0}, "A multiple of this.", 5),
        "minLength": (_COUNT, "The fewest characters of a text.", 1),
        "maxLength": (_COUNT, "The most characters of a text.", 63),
        "pattern": (
            {"type": "string", "maxLength": 1024},
            "A regular expression that the text matches somewhere; without look-around and back-references.",
            "^[a-z][a-z0-9-]*$",
        ),
        "format": (_TEXT, "What the text is, for people and editors; nothing is refused for it.", "ipv4"),
        "items": (_BELOW, "What each item of a list is.", {"type": "string"}),
        "prefixItems": (_SEVERAL, "What the first items of a list are, one by one.", [{"type": "string"}]),
        "minItems": (_COUNT, "The fewest items of a list.", 1),
        "maxItems": (_COUNT, "The most items of a list.", 10),
        "uniqueItems": (_TRUTH, "Whether the items of a list must all be different.", True),
        "contains": (_BELOW, "What some item of a list is.", {"const": "web"}),
        "minContains": (_COUNT, "How many items must be as `contains` says.", 1),
        "maxContains": (_COUNT, "How many items may be as `contains` says.", 1),
        "unevaluatedItems": (_BELOW, "What items are that nothing else speaks of.", False),
        "properties": (_BY_NAME, "What the values of a mapping are, by key.", {"port": _VALUE}),
        "additionalProperties": (_BELOW, "What the values of other keys are; false: there are no others.", False),
        "propertyNames": (_BELOW, "What the keys of a mapping are.", {"pattern": "^[a-z]+$"}),
        "minProperties": (_COUNT, "The fewest keys of a mapping.", 1),
        "maxProperties": (_COUNT, "The most keys of a mapping.", 10),
        "dependentRequired": (
            {"type": "object", "additionalProperties": _NAMES},
            "Keys that must be there where another is.",
            {"user": ["password"]},
        ),
        "dependentSchemas": (
            _BY_NAME,
            "What the mapping is where a key is there.",
            {"tls": {"properties": {"port": {"const": 443}}}},
        ),
        "unevaluatedProperties": (_BELOW, "What values are whose keys nothing else speaks of.", False),
        "allOf": (_SEVERAL, "All of these hold.", [{"minimum": 1}]),
        "anyOf": (_SEVERAL, "At least one of these holds.", [{"type": "integer"}, {"const": "all"}]),
        "oneOf": (_SEVERAL, "Exactly one of these holds.", [{"type": "integer"}, {"const": "all"}]),
        "not": (_BELOW, "This does not hold.", {"const": "root"}),
        "if": (_BELOW, "Where this holds, `then` does too, else `else`.", {"required": ["tls"]}),
        "then": (_BELOW, "What holds where `if` does.", {"required": ["port"]}),
        "else": (_BELOW, "What holds where `if` does not.", {"maxProperties": 1}),
        "readOnly": (_TRUTH, "A note for other tools.", True),
        "writeOnly": (_TRUTH, "A note for other tools.", True),
        "deprecated": (_TRUTH, "A note for people: better not given any more.", True),
        "$ref": (
            {"type": "string", "pattern": "^#(/|$)"},
            "A schema within the same param that says what this is; nothing else is followed.",
            "#/$defs/port",
        ),
        "$defs": (_BY_NAME, "Schemas that `$ref` names.", {"port": _VALUE}),
        "$comment": (_TEXT, "A note for whoever reads the definition.", "see the runbook"),
    }
)

KEYWORDS = frozenset(_SAID)
"""Keywords that a schema may use."""

_REQUIRED: Schema = {**_TRUTH, "description": "Whether a value must be given.", "examples": [True]}
_SECRET: Schema = {
    **_TRUTH,
    "description": "Whether it is a secret: then it takes {credentialRef: <name>, field: <field>}, and no default.",
    "examples": [True],
}
_RESULT: Schema = {
    "description": "The expression that gives the result.",
    "examples": ["${{ steps.rotate.outputs.freed }}"],
}
_LIST_OF_REQUIRED: Schema = {**_NAMES, "description": "Keys that must be there.", "examples": [["port"]]}


def definitions() -> dict[str, Schema]:
    """What the published schemas say of the schemas that users write, by the names that fields give them."""
    ours = {"required": _REQUIRED, "secret": _SECRET}
    return {
        "ParamSchema": _of("What a param takes, as JSON Schema.", {**ours, **dict(_keywords())}),
        "OutputSchema": _of("What a result is, as JSON Schema.", {"value": _RESULT, **ours, **dict(_keywords())}),
        "UserSchema": {
            "description": "A JSON Schema; true for anything, false for nothing.",
            "type": ["object", "boolean"],
            "properties": {"required": _LIST_OF_REQUIRED, **dict(_keywords())},
            "additionalProperties": False,
        },
    }


def _of(description: str, properties: Schema) -> Schema:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _keywords() -> Iterator[tuple[str, Schema]]:
    for name, (schema, description, example) in _SAID.items():
        yield name, {**schema, "description": description, "examples": [example]}
