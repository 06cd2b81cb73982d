"""The JSON Schemas (2020-12) that editors and CI use, published from the same models that parse.

Every field has a description and an example. Where a model gives no example, one is put together from its parts.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from schemas import keywords
from schemas.kinds import MODELS
from schemas.rules import exactly_one, has, none_of, when
from schemas.status import STATUS_MODELS
from schemas.steps import StepType, every_step_type

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_SAID_ONCE = frozenset({"description", "examples"})
_KIND_NAME: Schema = {"description": "A kind that people write.", "enum": list(MODELS)}


def schema(kind: str | None = None) -> Schema:
    """The schema of one kind, one of the status branch too, or of any document of a repository by its `kind`.

    Raises KeyError for what is no kind.
    """
    if kind is not None:
        one = TypeAdapter(MODELS.get(kind) or STATUS_MODELS[kind]).json_schema(mode="validation", by_alias=True)
        return {"$schema": DIALECT, **_with_examples(_without_nulls(one) if kind in MODELS else one)}
    _, shared = models_json_schema([(model, "validation") for model in MODELS.values()], by_alias=True)
    everything = {
        "$schema": DIALECT,
        "title": "OpsConductor",
        "description": "Any document of an OpsConductor repository; its `kind` says which.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "kind": {"enum": list(MODELS), "description": "Which kind of document this is.", "examples": ["Job"]}
        },
        "allOf": [_when(name) for name in MODELS],
        "$defs": shared["$defs"],
    }
    return _with_examples(_without_nulls(everything))


def example(kind: str) -> Any:
    """A small document of a kind, put together from the examples of its fields."""
    one = TypeAdapter(MODELS.get(kind) or STATUS_MODELS[kind]).json_schema(mode="validation", by_alias=True)
    return _Examples(one.get("$defs", {})).of(one)


def _when(kind: str) -> Schema:
    # if/then and not oneOf: an editor then speaks about the one kind that is meant
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": {"$ref": f"#/$defs/{MODELS[kind].__name__}"},
    }


def _inputs(step_type: StepType) -> Schema:
    """What `with` takes beside `uses` of a type; an expression may stand for any value."""
    expression = {"type": "string", "pattern": r"\$\{\{"}
    inputs = {
        name: {
            "description": taken["description"],
            "examples": list(taken["examples"]),
            "anyOf": [{key: said for key, said in taken.items() if key not in _SAID_ONCE}, expression],
        }
        for name, taken in step_type.inputs.items()
    }
    rules = [
        *(exactly_one(*group) for group in step_type.one_of),
        *(
            when(has(name), none_of(*(other for other in group if other != name)))
            for group in step_type.at_most_one_of
            for name in group
        ),
        *(when(has(name), has(other)) for name, other in step_type.together),
    ]
    given: Schema = {"properties": inputs, "required": sorted(step_type.required), "additionalProperties": False}
    if rules:
        given["allOf"] = rules
    needed = {"required": ["with"]} if step_type.required or step_type.one_of else {}
    return when(has("uses", *step_type.names), {"properties": {"with": given}, **needed})


def _with_examples(published: Schema) -> Schema:
    defs = published.setdefault("$defs", {})
    defs |= _named(published)
    if "Step" in defs:
        defs["Step"]["allOf"] = [*defs["Step"].get("allOf", ()), *map(_inputs, every_step_type())]
    _close(published)
    examples = _Examples(defs)
    for one in (published, *defs.values()):
        for field in one.get("properties", {}).values():
            field.setdefault("examples", [examples.of(field)])
            if "description" not in field:  # Pydantic leaves out one that is the same as its model's
                field["description"] = defs[_name(field["$ref"])]["description"]
    return published


def _without_nulls(published: Schema) -> Schema:
    """What may be left out is left out, and not written without a value. (Pydantic offers null as a choice.)"""
    for one in (published, *published.get("$defs", {}).values()):
        for field in one.get("properties", {}).values():
            if "anyOf" in field and field.get("default", ...) is None:
                del field["default"]
                choices = [choice for choice in field.pop("anyOf") if choice != {"type": "null"}]
                field.update({**choices[0], **field} if len(choices) == 1 else {"anyOf": choices})
    return published


def _named(published: Schema) -> dict[str, Schema]:
    """Put references where fields name a definition (`envelope.named_schema`), and give the definitions needed."""
    known = {**keywords.definitions(), "KindName": _KIND_NAME}
    used: set[str] = set()
    waiting: list[Any] = [published]
    while waiting:
        match waiting.pop():
            case {"$comment": str(name)} as one if name in known:
                del one["$comment"]
                one["$ref"] = f"#/$defs/{name}"
                used.add(name)
            case dict() as one:
                waiting += one.values()
            case list() as several:
                waiting += several
    if used - {"KindName"}:
        used.add("UserSchema")
    return {name: known[name] for name in known if name in used}


def _close(published: Any) -> None:
    """Keys that follow a pattern: no others. (Pydantic gives the pattern, and leaves the rest open.)"""
    waiting = [published]
    while waiting:
        match waiting.pop():
            case dict() as one:
                if "patternProperties" in one:
                    one.setdefault("additionalProperties", False)
                waiting += one.values()
            case list() as several:
                waiting += several


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


class _Examples:
    """Values that fit schemas; of a mapping the fields that must be there."""

    def __init__(self, defs: dict[str, Schema]) -> None:
        self._defs = defs

    def of(self, field: Schema) -> Any:
        """The schema's own first example, else the simplest value that it takes."""
        if "examples" in field:
            return field["examples"][0]
        if "$ref" in field:
            return self.of(self._defs[_name(field["$ref"])])
        if "const" in field:
            return field["const"]
        if "enum" in field:
            return field["enum"][0]
        for choice in (*field.get("anyOf", ()), *field.get("oneOf", ())):
            if choice.get("type") != "null" and "required" not in choice:
                return self.of(choice)
        match field.get("type"):
            case "boolean":
                return True
            case "array":
                return [self.of(field["items"])]
            case "object" if "properties" in field:
                return {name: self.of(field["properties"][name]) for name in _needed(field)}
            case "object" if isinstance(values := field.get("additionalProperties"), dict):
                return {"example": self.of(values)}
            case _:
                return {}


def _needed(mapping: Schema) -> Iterator[str]:
    """The fields that must be there; of those that exclude each other the first; where nothing must be, the first."""
    named = dict.fromkeys(mapping.get("required", ()))
    for rule in (mapping, *mapping.get("allOf", ())):
        for choices in (rule.get("oneOf"), rule.get("anyOf")):
            named |= dict.fromkeys(choices[0].get("required", ()) if choices else ())
        if "else" in rule:
            named |= dict.fromkeys(_needed(rule["else"]))
    yield from named or list(mapping.get("properties", ()))[:1]
