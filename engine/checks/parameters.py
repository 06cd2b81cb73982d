"""Params: their JSON Schemas, and the values that schedules and requests give them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.checks.memory import remembered
from engine.checks.scope import Path, Scope, bounded
from engine.checks.secrecy import forbidden
from engine.contradictions import contradictions_in
from engine.expressions.expression import has_expression
from engine.userschema import REFUSED, faults_of, problems_of, short
from schemas.act import RunRequest
from schemas.credential import FIELDS
from schemas.diagnostic import Diagnostic, Related, Severity, has_errors
from schemas.guesses import Guesses, Names, first_of
from schemas.job import Job
from schemas.keywords import KEYWORDS
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.trigger import Trigger, TriggerSpec
from schemas.workflow import Workflow

__all__ = ["about", "faults_of", "schema_of"]

_OF_SECRET = frozenset({"credentialRef", "field"})
_OURS = frozenset({"required", "secret"})
"""Keys beside JSON Schema in a param; both are true or false."""
_NOTES = frozenset({"default", "description", "title", "examples", "$comment"})
_KEYS = Names(KEYWORDS | _OURS)


@dataclass(frozen=True, slots=True)
class Taker:
    """What takes params: a job or a workflow."""

    document: Job | Workflow
    origin: Authored

    @property
    def called(self) -> str:
        return f"{self.document.kind.lower()} '{self.document.name}'"

    @property
    def params(self) -> Mapping[str, Mapping[str, Any]]:
        return self.document.spec.params


@dataclass(frozen=True, slots=True)
class Giving:
    """Params given to a taker: their path, and where the taker is named. `evaluated`: expressions in them count."""

    values: Mapping[str, Any]
    path: Path
    named: Path
    written: bool
    evaluated: bool = False


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Job | Workflow):
        params = document.spec.params
        yield from remembered(authored, "params", (), lambda: tuple(bounded(declared(authored, params))))
    if isinstance(document, Workflow):
        for name, node in document.spec.jobs.items():
            path: Path = ("spec", "jobs", name)
            written = "params" in node.model_fields_set
            giving = Giving(node.params, (*path, "params"), (*path, "jobRef"), written, evaluated=True)
            yield from taken(authored, giving, taker_of(scope, node.job_ref, None), scope)
    elif isinstance(document, Schedule | RunRequest | Trigger):
        spec = document.spec
        if not isinstance(spec, TriggerSpec):
            yield from _without_runs(authored, spec.discovery_ref, scope)
        ref = "jobRef" if spec.job_ref is not None else "workflowRef"
        written = "params" in spec.model_fields_set
        giving = Giving(spec.params, ("spec", "params"), ("spec", ref), written, isinstance(document, Trigger))
        taker = taker_of(scope, spec.job_ref, spec.workflow_ref)
        if taker is not None:
            facts = (taker.origin,)
            yield from remembered(authored, "given", facts, lambda: tuple(bounded(_given(authored, giving, taker))))
            yield from _secrets(authored, giving, taker, scope)
        elif not isinstance(spec, TriggerSpec) and spec.discovery_ref is not None and spec.params:
            span = authored.span("spec", "params", key=True)
            yield Diagnostic(span, "OC309", "a discovery takes no params", "remove them")


def _without_runs(authored: Authored, name: str | None, scope: Scope) -> Iterator[Diagnostic]:
    """What starts a Discovery that is never started: it takes what runs of a Job gathered."""
    discovery = scope.catalog.discoveries.get(name or "")
    if discovery is not None and discovery.spec.from_ is not None and (job := discovery.spec.from_.job_ref) is not None:
        hint = f"write jobRef: {job}; whenever a run of it ends, its facts are proposed"
        message = f"Discovery '{name}' has no runs of its own"
        yield Diagnostic(authored.span("spec", "discoveryRef"), "OC207", message, hint)


def taker_of(scope: Scope, job: str | None, workflow: str | None) -> Taker | None:
    """Who takes the params, where that exists."""
    document = scope.catalog.jobs.get(job or "") or scope.catalog.workflows.get(workflow or "")
    return Taker(document, scope.authored(document.kind, document.name)) if document is not None else None


def taken(authored: Authored, giving: Giving, taker: Taker | None, scope: Scope) -> Iterator[Diagnostic]:
    """What is wrong with params for a taker; nothing where there is none."""
    if taker is not None:
        yield from _given(authored, giving, taker)
        yield from _secrets(authored, giving, taker, scope)


def schema_of(param: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a param, without the keys that are ours."""
    return {key: value for key, value in param.items() if key not in _OURS}


def declared(
    authored: Authored, params: Mapping[str, Mapping[str, Any]], at: Path = ("spec", "params")
) -> Iterator[Diagnostic]:
    """What is wrong with params as they are declared."""
    guesses = Guesses()
    for name, param in params.items():
        yield from _param(authored, name, param, (*at, name), guesses)


def _param(
    authored: Authored, name: str, param: Mapping[str, Any], path: Path, guesses: Guesses
) -> Iterator[Diagnostic]:
    for key in sorted(_OURS & param.keys()):
        if not isinstance(param[key], bool):
            hint = f"write '{key}: true' in the param itself; it is no list here"
            yield Diagnostic(authored.span(*path, key), "OC212", f"'{key}' of a param is true or false", hint)
            return
    schema = schema_of(param)
    unknown = [key for key in schema if key not in KEYWORDS | REFUSED]
    for key in unknown:
        near = guesses.near(key, _KEYS)
        hint = f"did you mean '{near}'?" if near else "params are written as JSON Schema, as in {type: integer}"
        span = authored.span(*path, key, key=True)
        yield Diagnostic(span, "OC212", f"'{key}' of param '{name}' is not a keyword of JSON Schema", hint)
    if unknown:
        return
    problems = list(_schema_problems(authored, path, schema))
    problems += [] if problems else _contradictions(authored, name, path, schema)
    yield from problems
    if param.get("secret") is True and "default" in schema:
        yield _default_of_secret(authored, name, schema["default"], (*path, "default"))
    elif not has_errors(problems) and "default" in schema:
        for below, message in faults_of(schema, schema["default"]):
            hint = f"it must be what the param itself asks for: {_asked(schema)}"
            span = authored.span(*path, "default", *below)
            yield Diagnostic(span, "OC212", f"the default of param '{name}': {message}", hint)


def _default_of_secret(authored: Authored, name: str, default: Any, path: Path) -> Diagnostic:
    hint = "remove it; whoever starts a run names a Credential: {credentialRef: …, field: …}"
    if isinstance(default, dict) and default.keys() == _OF_SECRET:
        message = f"secret '{name}' has a default, and a secret param takes none"
        hint = "remove it; give the same Credential where the job is started, or write ${{ secrets.… }} in the job"
        return Diagnostic(authored.span(*path, key=True), "OC212", message, hint)
    return Diagnostic(authored.span(*path), "OC605", f"the default of secret '{name}' is plain text", hint)


def _schema_problems(authored: Authored, path: Path, schema: dict[str, Any]) -> Iterator[Diagnostic]:
    for problem in problems_of(schema):
        yield Diagnostic(
            authored.span(*path, *problem.path, key=problem.on_key), "OC212", problem.message, problem.hint
        )


def _contradictions(authored: Authored, name: str, path: Path, schema: dict[str, Any]) -> Iterator[Diagnostic]:
    """An error where nobody could give the param any value, else a warning."""
    for found in contradictions_in(schema):
        said = f"param '{name}' takes no value: {found.message}" if found.total else found.message
        severity: Severity = "error" if found.total else "warning"
        yield Diagnostic(authored.span(*path, *found.path), "OC213", said, found.hint, severity)


def _given(authored: Authored, giving: Giving, taker: Taker) -> Iterator[Diagnostic]:
    params, given, guesses = taker.params, giving.values, Guesses()
    for name, value in given.items():
        param = params.get(name)
        if param is None:
            near = guesses.near(name, params)
            hint = f"did you mean '{near}'?" if near else f"its params: {first_of(params) or 'none'}"
            span = authored.span(*giving.path, name, key=True)
            yield Diagnostic(span, "OC309", f"{taker.called} has no param '{name}'", hint)
        elif param.get("secret") is not True and not has_expression(value):
            yield from _unfit(authored, giving, name, value, taker)
    for name in _required(taker):
        if name not in given:
            span = authored.span(*(giving.path if giving.written else giving.named), key=giving.written)
            related = (_declaration(taker, name),)
            hint = f"add params: {{{name}: …}}"
            message = f"{taker.called} requires the param '{name}'"
            yield Diagnostic(span, "OC309", message, hint, related=related)


def _required(taker: Taker) -> tuple[str, ...]:
    """The params that must be given: asked once, whoever starts it."""
    return remembered(
        taker.origin,
        "required params",
        (),
        lambda: tuple(
            name for name, param in taker.params.items() if param.get("required") is True and "default" not in param
        ),
    )


def _unfit(authored: Authored, giving: Giving, name: str, value: Any, taker: Taker) -> Iterator[Diagnostic]:
    schema = schema_of(taker.params[name])
    for below, message in faults_of(schema, value):
        span = authored.span(*giving.path, name, *below)
        hint = f"the {taker.document.kind.lower()} asks for {_asked(schema)}"
        if not below and _meant_as_text(schema, value):
            quoted = f'"{json.dumps(value)}"'
            hint += f"; a text is put in quotes: {name}: {quoted}, on the command line -p '{name}={quoted}'"
        yield Diagnostic(span, "OC309", f"param '{name}': {message}", hint, related=(_declaration(taker, name),))


def _meant_as_text(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a number or a truth value would do as a text: YAML reads `1` and `true` as no text."""
    return isinstance(value, bool | int | float) and not faults_of(schema, json.dumps(value))


def _declaration(taker: Taker, name: str) -> Related:
    return Related(taker.origin.span("spec", "params", name, key=True), "the param")


def _secrets(authored: Authored, giving: Giving, taker: Taker, scope: Scope) -> Iterator[Diagnostic]:
    """A secret param takes the name of a Credential and of its field, and nothing else."""
    guesses = Guesses()
    for name, value in giving.values.items():
        if taker.params.get(name, {}).get("secret") is not True:
            continue
        path = (*giving.path, name)
        hint = "write {credentialRef: <credential>, field: <field>}"
        if not isinstance(value, dict) or value.keys() != _OF_SECRET or has_expression(value):
            code = "OC606" if has_expression(value) else "OC605"
            message = f"the secret param '{name}' takes the name of a Credential, and nothing else"
            yield Diagnostic(authored.span(*path), code, message, hint)
        elif not all(isinstance(value[key], str) for key in _OF_SECRET):
            key = next(key for key in sorted(_OF_SECRET) if not isinstance(value[key], str))
            what = "the name of a Credential" if key == "credentialRef" else "the name of one of its fields"
            yield Diagnostic(authored.span(*path, key), "OC205", f"'{key}' is {what}, a text", hint)
        else:
            yield from _secret(authored, path, str(value["credentialRef"]), str(value["field"]), taker, scope, guesses)


def _secret(
    authored: Authored, path: Path, name: str, wanted: str, taker: Taker, scope: Scope, guesses: Guesses
) -> Iterator[Diagnostic]:
    credentials, span = scope.catalog.credentials, authored.span(*path, "credentialRef")
    credential = credentials.get(name)
    if credential is None:
        if not scope.may_hold("Credential", name):
            hint = guesses.hint(name, scope.names("Credential"), "define it: 'kind: Credential'")
            yield Diagnostic(span, "OC305", f"there is no Credential '{name[:80]}'", hint)
        return
    fields = FIELDS[credential.spec.type]
    if wanted not in fields:
        message = f"credential '{name}' is of type {credential.spec.type} and has no '{wanted[:80]}'"
        yield Diagnostic(authored.span(*path, "field"), "OC607", message, f"it has {', '.join(sorted(fields))}")
    if name in scope.restricted and isinstance(taker.document, Job):
        yield from forbidden(taker.origin, scope, credential, span)


def _asked(schema: Mapping[str, Any]) -> str:
    parts = [f"{key} {short(value)}" for key, value in schema.items() if key not in _NOTES]
    return ", ".join(parts) or "anything"
