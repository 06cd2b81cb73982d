"""Steps: their ids, what they need from their targets, and the names of their variables."""

import re
from collections.abc import Iterable, Iterator, Mapping

from engine.checks.memory import remembered
from engine.checks.names import CONTEXTS, OWN
from engine.checks.parameters import faults_of
from engine.checks.scope import Path, PlacedStep, Scope, bounded, steps_of, targets_of
from engine.expressions.expression import has_expression
from engine.members import Targets
from schemas.diagnostic import Diagnostic, Related, Rest
from schemas.guesses import Guesses
from schemas.job import Job
from schemas.reader import Authored
from schemas.span import Span
from schemas.steps import StepType

_CONNECTIONS = ("ssh", "winrm", "http", "local")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BOUND = re.compile(r"OC[0-9]+", re.ASCII)


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    yield from alone(authored)
    if targets_of(authored) is not None:
        yield from _connections(authored, scope)
    else:
        yield from _without_targets(authored)


def alone(authored: Authored) -> Iterator[Diagnostic]:
    """What is wrong with the steps themselves, wherever they run."""
    yield from remembered(authored, "steps alone", (), lambda: tuple(bounded(_alone(authored))))


def _alone(authored: Authored) -> Iterator[Diagnostic]:
    yield from _ids(authored)
    yield from (finding.resting_on(()) for finding in _variables(authored))
    guesses = Guesses()
    for placed in steps_of(authored):
        if placed.type is not None:
            found = _inputs(authored, placed, placed.type, guesses)
            yield from resting_on(placed, ("uses", "with"), found)
    yield from (finding.resting_on(()) for finding in _items(authored))


def resting_on(placed: PlacedStep, fields: Iterable[str], found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Findings about a step alone, resting on some of its fields."""
    rests = tuple(Rest((*placed.path, field)) for field in fields)
    yield from (finding.resting_on(rests) for finding in found)


def _ids(authored: Authored) -> Iterator[Diagnostic]:
    first: dict[str, PlacedStep] = {}
    for placed in steps_of(authored):
        if placed.step.id is None and placed.path.count("rescue") > (placed.path[1] == "rescue"):
            continue  # within another step: it has no name that others could use
        other = first.setdefault(placed.id, placed)
        if other is placed:
            continue
        span, place = _id_span(authored, placed), _id_span(authored, other)
        related = (Related(place, "the first one"),)
        message = f"two steps have the id '{placed.id}'; the first is at line {place.line}"
        yield Diagnostic(span, "OC308", message, "give one of them another id", related=related)


def _id_span(authored: Authored, placed: PlacedStep) -> Span:
    return authored.span(*placed.path, "id") if placed.step.id else authored.span(*placed.path, key=True)


def _variables(authored: Authored) -> Iterator[Diagnostic]:
    document = authored.document
    if isinstance(document, Job):
        yield from _names(authored, document.spec.env, ("spec", "env"))
    for placed in steps_of(authored):
        yield from _names(authored, placed.step.env, (*placed.path, "env"))


def _items(authored: Authored) -> Iterator[Diagnostic]:
    """An item that takes the name of a context hides it from every expression of its step."""
    for placed in steps_of(authored):
        name = placed.step.for_each.as_ if placed.step.for_each is not None else None
        if name in CONTEXTS or name in OWN:
            what = "the step's own result" if name in OWN else f"'{name}'"
            message = f"an item called '{name}' hides {what} from the expressions of this step"
            span = authored.span(*placed.path, "forEach", "as")
            yield Diagnostic(span, "OC406", message, "give 'as' another name", "warning")


def _names(authored: Authored, env: Mapping[str, object], path: Path) -> Iterator[Diagnostic]:
    for name in env:
        if not _VARIABLE.fullmatch(name):
            message, hint = f"'{name}' cannot be the name of a variable", "letters, digits and underscores"
            yield Diagnostic(authored.span(*path, name, key=True), "OC406", message, hint)
        elif _BOUND.fullmatch(name):
            message = f"'{name}' is the name of a variable that carries an expression into the script"
            yield Diagnostic(authored.span(*path, name, key=True), "OC406", message, "choose another name")


def _connections(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Every target must have the connection that a step names, or one to use where it names none."""
    reached = scope.reached(authored)
    silent = True
    for placed in steps_of(authored):
        connection = placed.connection
        field = "uses" if placed.step.connection is None else "connection"
        path = (*placed.path, field)
        rests = Rest((*placed.path, "connection")), Rest((*placed.path, "uses"))
        if connection is None:
            silent = silent and placed.on_runner
        elif connection not in _CONNECTIONS and "." not in connection:
            hint = f"one of {', '.join(_CONNECTIONS)}, or one that a plug-in brings"
            found = Diagnostic(authored.span(*path), "OC311", f"'{connection}' is not a connection", hint)
            yield found.resting_on(rests)
        elif without := reached - scope.by_connection.get(connection, frozenset[str]()):
            message = f"{_those(without)} no connection '{connection}'"
            found = _lacking(authored, scope, path, without, message, key=False)
            yield found.resting_on((*rests, Rest(("spec", "targets")), Rest(("spec", "job", "targets"))))
    if not silent and (without := reached & scope.by_default_connection.get(None, frozenset[str]())):
        place = targets_of(authored)
        path = place[1] if place is not None else ()
        yield _lacking(authored, scope, path, without, f"{_those(without)} no connection to run steps over", key=True)


def _lacking(authored: Authored, scope: Scope, path: Path, names: Targets, message: str, *, key: bool) -> Diagnostic:
    first = scope.authored("Target", names.first)
    related = (Related(first.span("metadata", "name"), "this target"),)
    hint = "declare it under the target's spec.connections; with several, set spec.defaultConnection"
    return Diagnostic(authored.span(*path, key=key), "OC311", message, hint, related=related)


def _those(names: Targets) -> str:
    if len(names) == 1:
        return f"target '{names.first}' has"
    return f"target '{names.first}' and {len(names) - 1} more have"


def _without_targets(authored: Authored) -> Iterator[Diagnostic]:
    for placed in steps_of(authored):
        known = placed.step.run is not None or placed.type is not None
        if known and not placed.on_runner:
            field = "run" if placed.step.run is not None else "uses"
            hint = "give the job 'targets'; a Target with 'connections: {local: {}}' is the runner's own host"
            span = authored.span(*placed.path, field, key=True)
            yield Diagnostic(span, "OC406", "a script needs a target to run on, and this job has none", hint)


def _inputs(authored: Authored, placed: PlacedStep, kind: StepType, guesses: Guesses) -> Iterator[Diagnostic]:
    """What a step type is given, as far as it is known before the run."""
    path = (*placed.path, "with")
    yield from _together(authored, placed, kind)
    for name, value in (placed.step.with_ or {}).items():
        if name not in kind.inputs:
            near = guesses.near(name, kind.inputs)
            hint = f"did you mean '{near}'?" if near else f"it takes {', '.join(sorted(kind.inputs))}"
            yield Diagnostic(authored.span(*path, name, key=True), "OC406", f"'{kind.name}' takes no '{name}'", hint)
        elif not has_expression(value):
            for below, message in faults_of(kind.inputs[name], value):
                hint = kind.inputs[name].get("description", "")
                yield Diagnostic(authored.span(*path, name, *below), "OC406", f"'{name}': {message}", hint)
            if name in kind.files and isinstance(value, str) and ".." in value.split("/"):
                span, hint = authored.span(*path, name), "write the path from the repository's root"
                yield Diagnostic(span, "OC406", f"'{name}': a path that leads out of the repository", hint)


def _together(authored: Authored, placed: PlacedStep, kind: StepType) -> Iterator[Diagnostic]:
    """Inputs that are missing, that exclude each other, or that need another."""
    given, path = placed.step.with_ or {}, (*placed.path, "with")
    here = authored.span(*placed.path, "with" if placed.step.with_ is not None else "uses", key=True)
    for name in sorted(kind.required - given.keys()):
        yield Diagnostic(here, "OC406", f"'{kind.name}' needs '{name}'", f"{name}: {_described(kind, name)}")
    for group in (*kind.one_of, *kind.at_most_one_of):
        present = [name for name in given if name in group]
        if not present and group in kind.one_of:
            hint = f"for example {group[0]}: {_described(kind, group[0])}"
            yield Diagnostic(here, "OC406", f"'{kind.name}' needs one of {', '.join(group)}", hint)
        for name in present[1:]:
            message = f"'{kind.name}' takes '{present[0]}' or '{name}', not both"
            yield Diagnostic(authored.span(*path, name, key=True), "OC406", message, "take one of them out")
    for name, other in kind.together:
        if name in given and other not in given:
            message, hint = f"'{name}' needs '{other}'", f"{other}: {_described(kind, other)}"
            yield Diagnostic(authored.span(*path, name, key=True), "OC406", message, hint)


def _described(kind: StepType, name: str) -> str:
    return str(kind.inputs[name].get("description", ""))
