"""From a planned step to a ready one: every expression evaluated, every secret opened, right before it starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_args

from engine.expressions import contexts
from engine.expressions.contexts import Inside, RunFacts
from engine.expressions.expression import (
    ExpressionError,
    Status,
    condition,
    condition_text,
    evaluate,
    filled,
    render,
    to_text,
)
from engine.notifications.markup import Format, markup_for, unmarked
from engine.runs.pinned import LibraryCall, PinnedSpec, PinnedTarget, PlannedStep, Script, Use
from engine.runs.progress import StepRecord
from engine.scripts.binding import UnbindableValue, prelude
from engine.secretref import SecretRef, secret_of
from runners.bootstrap import Command
from runners.repository import RunFiles
from runners.secrets import Opened, Sealed
from runners.steps import Around, ReadyStep

Open = Callable[[str], Opened]
"""Opens a credential of the run by name. Raises Sealed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step is about to run, and what is known there."""

    spec: PinnedSpec
    target: PinnedTarget | None
    params: Mapping[str, Any]
    run: RunFacts
    records: Sequence[StepRecord]
    status: Status
    items: Mapping[str, Any] = field(default_factory=dict)
    """Those of the loops around the step, by their names."""

    inside: "Entered | None" = None
    """The library's step that it belongs to."""

    def context(self, env: Mapping[str, Any], own: StepRecord | None = None) -> dict[str, Any]:
        inside = Inside(self.inside.call.steps, self.inside.inputs) if self.inside is not None else None
        return contexts.for_step(
            self.spec, self.target, self.params, self.run, self.records, env, own, self.items, inside
        )


@dataclass(frozen=True, slots=True)
class Entered:
    """A library's step that has begun: what its steps are given. `env` and `working_dir` are its caller's."""

    call: LibraryCall
    prefix: str
    """What the paths of its steps begin with."""
    inputs: Mapping[str, Any] = field(repr=False)
    env: Mapping[str, Any] = field(repr=False)
    """Secrets left out: a library is given them by inputs."""
    working_dir: str | None = None


@dataclass(frozen=True, slots=True)
class NotMet:
    """The step's condition is false: it is skipped."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The step cannot start, and has failed: an expression failed, or a secret cannot be opened. Nothing was done."""

    error: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The step as it will run, and its environment as expressions may see it."""

    step: ReadyStep
    env: Mapping[str, Any]


def prepare(
    step: PlannedStep, place: Place, opened: Open, *, restricted: bool, files: RunFiles
) -> Prepared | NotMet | Broken:
    """Evaluate everything about a step that must be known before it starts; files of the repository are not read."""
    try:
        bare = place.context({})
        if not condition(step.condition, bare, status=place.status):
            return NotMet()
        env = contexts.environment(step.env, bare, place.status)
        public = {name: value for name, value in env.items() if not isinstance(value, SecretRef)}
        context = {**bare, "env": public}
        match step.action:
            case Script() as script:
                around = place.inside.env if place.inside is not None else {}
                script = script.on(place.target.os if place.target is not None else None)
                command = _command(step, script, {**around, **env}, context, place, opened)
                given = {} if script.file is None else {"file": render(script.file, context, status=place.status)}
                return Prepared(ReadyStep(step, command, given, restricted=restricted), public)
            case Use() as use:
                given = _inputs(use, context, place, opened)
                doors = Around(
                    place.run, place.target, place.spec.networks, opened, files, context, place.spec.channels
                )
                needed = _environment(use, env, opened)
                return Prepared(ReadyStep(step, None, given, needed, restricted, doors), public)
            case LibraryCall():
                raise AssertionError("a library's step is entered")
    except ExpressionError as error:
        return Broken(error.message)
    except (Sealed, UnbindableValue) as error:
        return Broken(str(error))


def _inputs(use: Use, context: Mapping[str, Any], place: Place, opened: Open) -> dict[str, Any]:
    marked = use.known.secret if use.known is not None else frozenset[str]()
    secret = {name: found for name in marked if (found := secret_of(use.inputs.get(name))) is not None}
    plain = {name: value for name, value in use.inputs.items() if name not in secret}
    rendered = render(plain, context, status=place.status) | _markup(use, context, place)
    return {**rendered, **{name: _value(found, opened) for name, found in secret.items()}}


def _markup(use: Use, context: Mapping[str, Any], place: Place) -> dict[str, str]:
    """The input that is markup, where it is: what its expressions give was written by others, and stays text."""
    name = use.known.markup if use.known is not None else None
    if name is None or not isinstance(text := use.inputs.get(name), str):
        return {}
    form = render(use.inputs.get("format"), context, status=place.status)
    channel = place.spec.channels.get(str(use.inputs.get("channel")), {}).get("type", "")
    found = markup_for(form, channel) if form in get_args(Format) else None
    return {} if found is None else {name: filled(text, context, partial(unmarked, markup=found), status=place.status)}


def _environment(use: Use, env: Mapping[str, Any], opened: Open) -> dict[str, str]:
    known = use.known
    if known is None or known.needs != "programs":
        return {}
    return {name: _value(value, opened) for name, value in env.items()}


def _command(
    step: PlannedStep,
    script: Script,
    env: Mapping[str, Any],
    context: Mapping[str, Any],
    place: Place,
    opened: Open,
) -> Command:
    status = place.status
    outer = place.inside.working_dir if place.inside is not None else None
    values = [to_text(evaluate(hole, context, status=status)) for hole in script.holes]
    return Command(
        shell=script.shell,
        script=prelude(script.shell, values) + script.text,
        env={name: _value(value, opened) for name, value in env.items()},
        stdin=_stdin(step.stdin, context, status, opened),
        working_dir=outer if step.working_dir is None else to_text(render(step.working_dir, context, status=status)),
    )


def _value(value: Any, opened: Open) -> str:
    return opened(value.credential).get(value.field) if isinstance(value, SecretRef) else to_text(value)


def _stdin(stdin: str | None, context: Mapping[str, Any], status: Status, opened: Open) -> str | None:
    if stdin is None:
        return None
    secret = secret_of(stdin)
    return _value(secret, opened) if secret is not None else to_text(render(stdin, context, status=status))


def is_ok(step: PlannedStep, code: int, context: Mapping[str, Any], status: Status) -> bool:
    """Whether the exit code counts as success. Raises ExpressionError."""
    if not isinstance(step.ok_exit_codes, str):
        return code in step.ok_exit_codes
    text = condition_text(step.ok_exit_codes)
    match evaluate(text, context, status=status):
        case bool() as answer:
            return answer
        case int() as one:
            return code == one
        case list() as several:
            return code in several
        case _:
            raise ExpressionError("okExitCodes is neither true, false, a number nor a list of numbers", 0, len(text))
