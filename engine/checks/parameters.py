"""Params: their JSON Schemas, and the values that schedules and requests give them."""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.checks.memory import remembered
from engine.checks.scope import Path, Scope
from engine.expression import has_expression
from schemas.act import RunRequest
from schemas.diagnostic import Diagnostic, Related
from schemas.job import Job
from schemas.reader import Authored
from schemas.schedule import Schedule

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

_OURS = frozenset({"required", "secret"})
"""Keys beside JSON Schema in a param; both are true or false."""
_FOREIGN = frozenset(
    {"$id", "$schema", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary", "id"}
)

_KEYWORDS = frozenset(
    {
        "additionalProperties", "allOf", "anyOf", "const", "contains", "default", "dependentRequired",
        "dependentSchemas", "deprecated", "description", "else", "enum", "examples", "exclusiveMaximum",
        "exclusiveMinimum", "format", "if", "items", "maxContains", "maxItems", "maxLength", "maxProperties",
        "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf",
        "pattern", "patternProperties", "prefixItems", "properties", "propertyNames", "readOnly", "then", "title",
        "type", "unevaluatedItems", "unevaluatedProperties", "uniqueItems", "writeOnly", "$ref", "$defs", "$comment",
    }
)  # fmt: skip
"""Of JSON Schema 2020-12, as far as a param may use them."""
_NOTES = frozenset({"default", "description", "title", "examples", "$comment"})


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Job):
        yield from remembered(authored, "params", (), lambda: tuple(_params(authored, document)))
    elif isinstance(document, Schedule | RunRequest) and document.spec.job_ref is not None:
        job = scope.catalog.jobs.get(document.spec.job_ref)
        if job is not None:
            given = document.spec.params
            facts = (scope.authored("Job", job.name),)
            yield from remembered(authored, "given", facts, lambda: tuple(_given(authored, given, job, *facts)))


def schema_of(param: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a param, without the keys that are ours."""
    return {key: value for key, value in param.items() if key not in _OURS}


def _params(authored: Authored, job: Job) -> Iterator[Diagnostic]:
    for name, param in job.spec.params.items():
        yield from _param(authored, name, param)


def _param(authored: Authored, name: str, param: Mapping[str, Any]) -> Iterator[Diagnostic]:
    path: Path = ("spec", "params", name)
    for key in sorted(_OURS & param.keys()):
        if not isinstance(param[key], bool):
            hint = f"write '{key}: true' in the param itself; it is no list here"
            yield Diagnostic(authored.span(*path, key), "OC212", f"'{key}' of a param is true or false", hint)
            return
    schema = schema_of(param)
    unknown = [key for key in schema if key not in _KEYWORDS | _FOREIGN]
    for key in unknown:
        near = get_close_matches(key[:80], _KEYWORDS | _OURS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "params are written as JSON Schema, as in {type: integer}"
        span = authored.span(*path, key, key=True)
        yield Diagnostic(span, "OC212", f"'{key}' of param '{name}' is not a keyword of JSON Schema", hint)
    if unknown:
        return
    problems = list(_schema_problems(authored, path, schema))
    yield from problems
    if not problems and "default" in schema:
        for below, message in faults_of(schema, schema["default"]):
            hint = f"it must be what the param itself asks for: {_asked(schema)}"
            span = authored.span(*path, "default", *below)
            yield Diagnostic(span, "OC212", f"the default of param '{name}': {message}", hint)


def _schema_problems(authored: Authored, path: Path, schema: dict[str, Any]) -> Iterator[Diagnostic]:
    for below, key, value in _keys(schema):
        span = authored.span(*path, *below, key)
        if key in _FOREIGN:
            hint = "a param's schema stands alone; write out what it says"
            yield Diagnostic(span, "OC212", f"'{key}' is not allowed in a param", hint)
            return
        if key == "$ref" and not (isinstance(value, str) and _resolves(schema, value)):
            hint = "only '#/…' within the same param is followed; nothing is fetched"
            yield Diagnostic(span, "OC212", f"'$ref' to '{value}' leads nowhere", hint)
            return
    fault = _meta_fault(json.dumps(schema, sort_keys=True))
    if fault is not None:
        below, message = fault
        yield Diagnostic(authored.span(*path, *below), "OC212", f"not JSON Schema: {message}")


def _keys(schema: Any) -> Iterator[tuple[Path, str, Any]]:
    """All keywords of a schema and of those in it; what stands under `default`, `const`, `enum` is data."""
    waiting: list[tuple[Path, Any, bool]] = [((), schema, True)]
    while waiting:
        path, value, keywords = waiting.pop()
        if isinstance(value, dict):
            for key, below in value.items():
                if keywords:
                    yield path, key, below
                    if key in ("default", "const", "enum", "examples"):
                        continue
                named = keywords and key in ("properties", "patternProperties", "$defs", "dependentSchemas")
                waiting.append(((*path, key), below, not named))
        elif isinstance(value, list):
            waiting += [((*path, index), below, keywords) for index, below in enumerate(value)]


def _resolves(schema: Any, reference: str) -> bool:
    if reference == "#":
        return True
    if not reference.startswith("#/"):
        return False
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, dict) and key in schema:
            schema = schema[key]
        elif isinstance(schema, list) and key.isdecimal() and int(key) < len(schema):
            schema = schema[int(key)]
        else:
            return False
    return isinstance(schema, dict | bool)


def _given(authored: Authored, given: Mapping[str, Any], job: Job, origin: Authored) -> Iterator[Diagnostic]:
    for name, value in given.items():
        param = job.spec.params.get(name)
        if param is None:
            near = get_close_matches(name, job.spec.params, n=1)
            names = ", ".join(job.spec.params) or "none"
            hint = f"did you mean '{near[0]}'?" if near else f"its params: {names}"
            span = authored.span("spec", "params", name, key=True)
            yield Diagnostic(span, "OC309", f"job '{job.name}' has no param '{name}'", hint)
            continue
        if has_expression(value):
            continue  # a finding of its own
        related = (Related(origin.span("spec", "params", name, key=True), "the param"),)
        schema = schema_of(param)
        for below, message in faults_of(schema, value):
            span = authored.span("spec", "params", name, *below)
            hint = f"the job asks for {_asked(schema)}"
            yield Diagnostic(span, "OC309", f"param '{name}': {message}", hint, related=related)
    for name, param in job.spec.params.items():
        if param.get("required") is True and "default" not in param and name not in given:
            has_params = "params" in authored.document.to_json().get("spec", {})
            span = authored.span("spec", "params" if has_params else "jobRef", key=has_params)
            related = (Related(origin.span("spec", "params", name, key=True), "the param"),)
            hint = f"add params: {{{name}: …}}"
            message = f"job '{job.name}' requires the param '{name}'"
            yield Diagnostic(span, "OC309", message, hint, related=related)


def faults_of(schema: Mapping[str, Any], value: Any) -> tuple[tuple[Path, str], ...]:
    """Where and why a value is not what a schema asks for; nothing for a schema that is none itself."""
    validator = _validator(json.dumps(schema, sort_keys=True))
    if validator is None:
        return ()
    try:
        return tuple((tuple(error.absolute_path), _said(error)) for error in validator.iter_errors(value))
    except RecursionError:
        return (((), "its schema refers to itself without end"),)


@lru_cache(maxsize=1024)
def _validator(schema: str) -> "Validator | None":
    """What checks values, by the schema's text; None where the schema is none itself."""
    from jsonschema import Draft202012Validator
    from referencing import Registry

    if _meta_fault(schema) is not None:
        return None
    # An empty registry of its own: the library's default one would fetch what a $ref names.
    return Draft202012Validator(json.loads(schema), registry=Registry())


@lru_cache(maxsize=1024)
def _meta_fault(schema: str) -> tuple[Path, str] | None:
    """Where and why a text of JSON is no JSON Schema."""
    from jsonschema.exceptions import best_match

    error = best_match(_meta().iter_errors(json.loads(schema)))  # type: ignore[no-untyped-call]
    return None if error is None else (tuple(error.absolute_path), _said(error))


@lru_cache(maxsize=1)
def _meta() -> "Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(Draft202012Validator.META_SCHEMA)


_FOUND = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
_WANTED = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
    "integer": "a whole number",
    "number": "a number",
}


def _said(error: "ValidationError") -> str:
    """What jsonschema found, in the words that the rest of the findings use."""
    match error.validator:
        case "type":
            types = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
            wanted = " or ".join(_WANTED.get(name, str(name)) for name in types)
            return f"it must be {wanted}, not {_FOUND.get(type(error.instance), 'a number')}"
        case "enum":
            return f"{_short(error.instance)} is not one of {_short(error.validator_value)}"
        case "minimum":
            return f"{error.instance} is less than {error.validator_value}"
        case "maximum":
            return f"{error.instance} is more than {error.validator_value}"
        case "pattern":
            return f"{_short(error.instance)} does not match {error.validator_value}"
        case "additionalProperties" | "required" | _:
            return _short(error.message)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _asked(schema: Mapping[str, Any]) -> str:
    parts = [f"{key} {_short(value)}" for key, value in schema.items() if key not in _NOTES]
    return ", ".join(parts) or "anything"
