"""Where the values of a document are rendered, and what is known at each of these places."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from engine.checks.reading import OPEN
from engine.checks.scope import Path, PlacedStep, steps_of
from engine.expressions.inference import BOOL, INT, LIST, Types
from engine.secretref import param_of, secret_of
from schemas.envelope import Document
from schemas.job import Job
from schemas.library import LibraryStep
from schemas.reader import Authored

_CODES = BOOL | INT | LIST


@dataclass(frozen=True, slots=True)
class Place:
    """A value that is rendered. The first `known` steps have results there; `own` is the step it belongs to."""

    value: Any
    path: Path
    known: int
    env: Set[str] = frozenset()
    own: PlacedStep | None = None
    bare: bool = False
    """Whether the step's own result is at hand."""
    condition: bool = False
    script: bool = False
    secrets: bool = False
    """Whether a secret may be the whole of a text here."""
    items: Set[str] = frozenset()
    """What items are called, within forEach."""
    wanted: Types = None
    """The types that may be given here."""


def places(authored: Authored) -> Iterator[Place]:
    document = authored.document
    job_env = document.spec.env if isinstance(document, Job) else {}
    secret = _secret_params(document)
    yield from _of_env(Place(None, ("spec", "env"), 0), job_env, secret)
    number, inherited = 0, _readable(job_env, secret)
    for number, placed in enumerate(steps_of(authored)):
        yield from _of_step(placed, number, inherited, secret)
    if isinstance(document, Job):
        yield Place(document.spec.outputs, ("spec", "outputs"), number + 1, inherited)
    elif isinstance(document, LibraryStep):
        yield from _of_env(Place(None, ("spec", "env"), 0), document.spec.env, secret)
        script = document.spec.script is not None
        for name, output in document.spec.outputs.items():
            yield Place(output.get("value"), ("spec", "outputs", name, "value"), number + 1, bare=script)


def _of_env(place: Place, env: Mapping[str, Any], secret: Set[str]) -> Iterator[Place]:
    """Entries are filled in by order, and each sees those before it."""
    seen = set(place.env)
    for name, value in env.items():
        if isinstance(value, str) and OPEN in value:
            # `seen` itself, not a copy for each entry: whoever takes this place is done with it before the next one.
            yield replace(place, value=value, path=(*place.path, name), env=seen, secrets=True)
        seen |= _readable({name: value}, secret)


def _secret_params(document: Document) -> frozenset[str]:
    declared = document.spec.params if isinstance(document, Job) else {}
    declared = document.spec.inputs if isinstance(document, LibraryStep) else declared
    return frozenset(name for name, param in declared.items() if param.get("secret") is True)


def _readable(env: Mapping[str, Any], secret: Set[str]) -> frozenset[str]:
    """The variables that expressions see: secrets are left out."""
    if not env:
        return frozenset()
    return frozenset(name for name, value in env.items() if secret_of(value) is None and param_of(value) not in secret)


def _of_step(placed: PlacedStep, number: int, inherited: frozenset[str], secret: Set[str]) -> Iterator[Place]:
    step, path = placed.step, placed.path
    env = inherited | _readable(step.env, secret) if step.env else inherited
    items = placed.loops | {step.for_each.as_} if step.for_each else placed.loops
    script = step.with_.get("run") if step.with_ and placed.type is not None and placed.type.is_script else None
    inputs = {name: value for name, value in (step.with_ or {}).items() if script is None or name != "run"}

    def here(value: Any, *below: str | int, wanted: Types = None, **how: bool) -> Place:
        return Place(value, (*path, *below), number, env, placed, items=items, wanted=wanted, **how)

    if step.env:
        yield from _of_env(Place(None, (*path, "env"), number, inherited, placed, items=items), step.env, secret)
    if isinstance(step.if_, str):
        yield here(step.if_, "if", condition=True, wanted=BOOL)
    if step.run and OPEN in step.run:
        yield here(step.run, "run", script=True)
    if script:
        yield here(script, "with", "run", script=True)
    if inputs:
        yield here(inputs, "with")
    if step.working_dir:
        yield here(step.working_dir, "workingDir")
    if step.stdin:
        yield here(step.stdin, "stdin", secrets=True)
    if step.outputs:
        yield here(step.outputs, "outputs", bare=True)
    if step.for_each is not None:
        place = (*path, "forEach", "items")
        walked = step.for_each.items
        # what stands in a list that is written out may be anything
        wanted = LIST if isinstance(walked, str) else None
        yield Place(walked, place, number, env, placed, items=placed.loops, wanted=wanted)
    if step.retry is not None and isinstance(step.retry.if_, str):
        yield here(step.retry.if_, "retry", "if", bare=True, condition=True, wanted=BOOL)
    if isinstance(step.ok_exit_codes, str):
        yield here(step.ok_exit_codes, "okExitCodes", bare=True, condition=True, wanted=_CODES)
    else:
        for index, code in enumerate(step.ok_exit_codes):
            if isinstance(code, str):
                yield here(code, "okExitCodes", index, bare=True, condition=True, wanted=INT)
