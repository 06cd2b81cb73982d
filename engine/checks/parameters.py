"""Params: their JSON Schemas, and the values that schedules and requests give them."""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from engine.checks.memory import remembered
from engine.checks.scope import Path, Scope, bounded
from engine.expression import has_expression
from engine.userschema import KEYWORDS, REFUSED, faults_of, problems_of, short
from schemas.act import RunRequest
from schemas.diagnostic import Diagnostic, Related
from schemas.job import Job
from schemas.reader import Authored
from schemas.schedule import Schedule

__all__ = ["about", "faults_of", "schema_of"]

_OURS = frozenset({"required", "secret"})
"""Keys beside JSON Schema in a param; both are true or false."""
_NOTES = frozenset({"default", "description", "title", "examples", "$comment"})


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Job):
        yield from remembered(authored, "params", (), lambda: tuple(bounded(_params(authored, document))))
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
    unknown = [key for key in schema if key not in KEYWORDS | REFUSED]
    for key in unknown:
        near = get_close_matches(key[:80], KEYWORDS | _OURS, n=1)
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
    for problem in problems_of(schema):
        yield Diagnostic(authored.span(*path, *problem.path), "OC212", problem.message, problem.hint)


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
            if not below and param.get("secret") is not True and _meant_as_text(schema, value):
                quoted = f'"{json.dumps(value)}"'
                hint += f"; a text is put in quotes: {name}: {quoted}, on the command line -p '{name}={quoted}'"
            yield Diagnostic(span, "OC309", f"param '{name}': {message}", hint, related=related)
    for name, param in job.spec.params.items():
        if param.get("required") is True and "default" not in param and name not in given:
            has_params = "params" in authored.document.to_json().get("spec", {})
            span = authored.span("spec", "params" if has_params else "jobRef", key=has_params)
            related = (Related(origin.span("spec", "params", name, key=True), "the param"),)
            hint = f"add params: {{{name}: …}}"
            message = f"job '{job.name}' requires the param '{name}'"
            yield Diagnostic(span, "OC309", message, hint, related=related)


def _meant_as_text(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a number or a truth value would do as a text: YAML reads `1` and `true` as no text."""
    return isinstance(value, bool | int | float) and not faults_of(schema, json.dumps(value))


def _asked(schema: Mapping[str, Any]) -> str:
    parts = [f"{key} {short(value)}" for key, value in schema.items() if key not in _NOTES]
    return ", ".join(parts) or "anything"
