"""Expressions: read them, and check every name they use. Nothing is evaluated."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, get_args

from engine.binding import Bound, bind
from engine.checks.memory import remembered
from engine.checks.reading import OPEN, Fault, Read, judged, named, read_text, texts_in, well_marked
from engine.checks.results import Results
from engine.checks.scope import Path, PlacedStep, Scope, bounded, steps_of, targets_of
from engine.checks.secrecy import forbidden
from engine.checks.typed import Typing, mismatches
from engine.checks.typed import given as unfitting
from engine.expression import Reference
from engine.inference import BOOL, INT, LIST, Types
from engine.secretref import secret_of
from engine.vendored import use_of
from schemas.act import RunRequest
from schemas.credential import FIELDS
from schemas.diagnostic import Diagnostic, Related
from schemas.job import Job, Shell, Step
from schemas.library import LibraryStep, LibraryStepSpec
from schemas.reader import Authored
from schemas.schedule import Schedule
from schemas.target import Target, TargetGroup

_CODES = BOOL | INT | LIST
OWN = frozenset({"state", "exitCode", "stdout", "stderr", "json", "duration", "attempts"})
"""Names of the step's own result, bare in its outputs, okExitCodes and retry.if."""
_FIELDS: Mapping[str, frozenset[str]] = {
    "target": frozenset({"name", "host", "os", "labels", "vars", "facts"}),
    "job": frozenset({"name"}),
    "run": frozenset({"id", "job", "commit", "instant", "attempt", "cause"}),
}
_OF_STEP = OWN | {"outputs"}
_ELSEWHERE = {
    "event": "only triggers have events",
    "jobs": "only workflows have jobs",
    "item": "only forEach has items",
    "params": "a step of a library has inputs",
    "inputs": "only steps of libraries have inputs",
}
_ROOTS = frozenset({"params", "steps", "target", "job", "run", "env", "vars", "secrets"})


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Everything that is wrong with the expressions of a document, and texts that look like one and are none."""
    document = authored.document
    if isinstance(document, Job) or (isinstance(document, RunRequest) and document.spec.job is not None):
        shells, targeted = _shells(authored, scope), targets_of(authored) is not None
        inputs, outputs = _secret_inputs(authored, scope), _library_outputs(authored, scope)
        answer = remembered(
            authored,
            "expressions",
            (shells, inputs, outputs),
            lambda: _read(authored, shells, inputs, outputs, targeted=targeted),
        )
        yield from answer.findings
        for secret in answer.secrets:
            yield from _of_secret(authored, secret, scope)
    yield from remembered(authored, "unevaluated", (), lambda: tuple(_unevaluated(authored)))


def of_library_step(authored: Authored, spec: LibraryStepSpec, scope: Scope) -> Iterator[Diagnostic]:
    """Everything that is wrong with the expressions of a library's step."""
    shells: tuple[Shell, ...] = ("powershell",) if spec.platforms == ("windows",) else ("sh",)
    secret, outputs = _secret_inputs(authored, scope), _library_outputs(authored, scope)
    answer = remembered(
        authored,
        "expressions",
        (shells, secret, outputs),
        lambda: _read(authored, shells, secret, outputs, targeted=True),
    )
    yield from answer.findings


def _secret_inputs(authored: Authored, scope: Scope) -> frozenset[Path]:
    """The inputs that take a secret; all of a step of a library that is not known here."""
    found: list[Path] = []
    for placed in steps_of(authored):
        if placed.type is not None:
            found += ((*placed.path, "with", name) for name in placed.type.secret)
        if not _of_a_library(placed):
            continue
        step = _library_step(placed, scope)
        for name in placed.step.with_ or ():
            if step is None or step.spec.inputs.get(name, {}).get("secret") is True:
                found.append((*placed.path, "with", name))
    return frozenset(found)


_Outputs = tuple[tuple[Path, frozenset[str] | None], ...]


def _library_outputs(authored: Authored, scope: Scope) -> _Outputs:
    """What the steps of libraries put out; None where this version does not hold the step, so that nobody can say."""
    used = ((placed, _library_step(placed, scope)) for placed in steps_of(authored) if _of_a_library(placed))
    return tuple((placed.path, frozenset(step.spec.outputs) if step is not None else None) for placed, step in used)


def _of_a_library(placed: PlacedStep) -> bool:
    return placed.step.uses is not None and "/" in placed.step.uses


def _library_step(placed: PlacedStep, scope: Scope) -> LibraryStep | None:
    use = use_of(placed.step.uses)
    library = scope.catalog.libraries.get(use.library) if use is not None else None
    return library.step(use.step) if library is not None and use is not None else None


@dataclass(frozen=True, slots=True)
class _Secret:
    """A secret named where one may stand."""

    credential: str
    field: str
    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the expressions of a document say without a look at other documents, and the secrets they name."""

    findings: tuple[Diagnostic, ...]
    secrets: tuple[_Secret, ...]


def _read(
    authored: Authored, shells: tuple[Shell, ...], secret: frozenset[Path], outputs: _Outputs, *, targeted: bool
) -> _Answer:
    reader = _Reader(authored, shells, secret, dict(outputs), targeted)
    findings = tuple(bounded(found for place in _places(authored) for found in reader.check(place)))
    return _Answer(findings, tuple(reader.secrets))


def _shells(authored: Authored, scope: Scope) -> tuple[Shell, ...]:
    """What interprets a script that names no shell."""
    windows = scope.reached(authored) & scope.windows if scope.windows else frozenset()
    if not windows:
        return ("sh",)
    return ("powershell",) if windows == scope.reached(authored) else ("sh", "powershell")


def _of_secret(authored: Authored, secret: _Secret, scope: Scope) -> Iterator[Diagnostic]:
    name, wanted = secret.credential, secret.field
    credentials = scope.catalog.credentials
    credential = credentials.get(name)
    span = authored.span_within(*secret.path, offset=secret.offset, length=secret.length)
    if credential is None:
        if name not in scope.broken:
            near = get_close_matches(name[:80], credentials, n=1) if len(credentials) <= 2_000 else []
            hint = f'did you mean secrets["{near[0]}"].{wanted}?' if near else "define it: 'kind: Credential'"
            yield Diagnostic(span, "OC305", f"there is no Credential '{name}'", hint)
        return
    fields = FIELDS[credential.spec.type]
    if wanted not in fields:
        message = f"credential '{name}' is of type {credential.spec.type} and has no '{wanted}'"
        yield Diagnostic(span, "OC607", message, f"it has {', '.join(sorted(fields))}")
    if name in scope.restricted:
        yield from forbidden(authored, scope, credential, span)


@dataclass(frozen=True, slots=True)
class _Place:
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
    item: str | None = None
    """The name of the item, within forEach."""
    wanted: Types = None
    """The types that may be given here."""


def _places(authored: Authored) -> Iterator[_Place]:
    document = authored.document
    job_env = document.spec.env if isinstance(document, Job) else {}
    yield from _of_env(_Place(None, ("spec", "env"), 0), job_env)
    number, inherited = 0, _readable(job_env)
    for number, placed in enumerate(steps_of(authored)):
        yield from _of_step(placed, number, inherited)
    if isinstance(document, Job):
        yield _Place(document.spec.outputs, ("spec", "outputs"), number + 1, inherited)
    elif isinstance(document, LibraryStep):
        yield from _of_env(_Place(None, ("spec", "env"), 0), document.spec.env)
        script = document.spec.script is not None
        for name, output in document.spec.outputs.items():
            yield _Place(output.get("value"), ("spec", "outputs", name, "value"), number + 1, bare=script)


def _of_env(place: _Place, env: Mapping[str, Any]) -> Iterator[_Place]:
    """Entries are filled in by order, and each sees those before it."""
    seen = set(place.env)
    for name, value in env.items():
        if isinstance(value, str) and OPEN in value:
            # `seen` itself, not a copy for each entry: whoever takes this place is done with it before the next one.
            yield replace(place, value=value, path=(*place.path, name), env=seen, secrets=True)
        seen |= _readable({name: value})


def _readable(env: Mapping[str, Any]) -> frozenset[str]:
    """The variables that expressions see: secrets are left out."""
    if not env:
        return frozenset()
    return frozenset(name for name, value in env.items() if secret_of(value) is None)


def _of_step(placed: PlacedStep, number: int, inherited: frozenset[str]) -> Iterator[_Place]:
    step, path = placed.step, placed.path
    env = inherited | _readable(step.env) if step.env else inherited
    item = step.for_each.as_ if step.for_each else None
    script = step.with_.get("run") if step.with_ and placed.type is not None and placed.type.is_script else None
    inputs = {name: value for name, value in (step.with_ or {}).items() if script is None or name != "run"}

    def here(value: Any, *below: str | int, wanted: Types = None, **how: bool) -> _Place:
        return _Place(value, (*path, *below), number, env, placed, item=item, wanted=wanted, **how)

    if step.env:
        yield from _of_env(_Place(None, (*path, "env"), number, inherited, placed, item=item), step.env)
    if step.if_:
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
        yield _Place(step.for_each.items, (*path, "forEach", "items"), number, env, placed, wanted=LIST)
    if step.retry is not None and step.retry.if_:
        yield here(step.retry.if_, "retry", "if", bare=True, condition=True, wanted=BOOL)
    if isinstance(step.ok_exit_codes, str):
        yield here(step.ok_exit_codes, "okExitCodes", bare=True, condition=True, wanted=_CODES)
    else:
        for index, code in enumerate(step.ok_exit_codes):
            if isinstance(code, str):
                yield here(code, "okExitCodes", index, bare=True, condition=True, wanted=INT)


@dataclass
class _Reader:
    authored: Authored
    shells: tuple[Shell, ...]
    secret_inputs: frozenset[Path]
    library_outputs: Mapping[Path, frozenset[str] | None]
    targeted: bool
    secrets: list[_Secret] = field(default_factory=list)
    every: dict[str, tuple[int, PlacedStep]] = field(default_factory=dict)

    @cached_property
    def results(self) -> Results:
        return Results(self._params(), self.every)

    def __post_init__(self) -> None:
        for number, placed in enumerate(steps_of(self.authored)):
            self.every.setdefault(placed.id, (number, placed))

    def check(self, place: _Place) -> Iterator[Diagnostic]:
        for path, text in texts_in(place.value, place.path):
            if not (place.condition or OPEN in text):
                continue
            if place.script:
                yield from self._bound(place, path, text)
            here = replace(place, secrets=True) if path in self.secret_inputs else place
            for one in read_text(self.authored, text, path, condition=place.condition):
                yield from self._judged(here, one) if isinstance(one, Read) else (one,)
        if isinstance(place.value, dict):
            yield from self._inputs(place)

    def _judged(self, place: _Place, one: Read) -> Iterator[Diagnostic]:
        faults = tuple(judged(self.authored, one, lambda reference, whole: self._fault(place, reference, whole)))
        yield from faults
        for reference in one.expression.occurrences:
            whole = one.found.whole and reference.length == len(one.found.cel.strip())
            if reference.path[0] == "secrets" and self._secret(place, list(reference.path[1:]), whole) is None:
                _, credential, wanted = reference.path
                at = one.found.offset + reference.offset
                self.secrets.append(_Secret(credential, wanted, one.path, at, reference.length))
        if not faults:
            yield from mismatches(self.authored, one, self._typing(place), place.wanted)

    def _typing(self, place: _Place) -> Typing:
        if place.item is None:
            return self.results.bare if place.bare else self.results.plain

        def lookup(path: tuple[str, ...]) -> Types:
            return None if path[0] == place.item else self.results.types(path, bare=place.bare)

        return Typing(lookup)

    def _inputs(self, place: _Place) -> Iterator[Diagnostic]:
        """Expressions that give what the step's type cannot take."""
        kind = place.own.type if place.own is not None else None
        for name, value in place.value.items() if kind is not None and place.path[-1] == "with" else ():
            if name in (kind.inputs if kind is not None else ()):
                schema = kind.inputs[name] if kind is not None else {}
                yield from unfitting(
                    self.authored, value, (*place.path, name), schema, self._typing(place), written=True
                )

    def _bound(self, place: _Place, path: Path, text: str) -> Iterator[Diagnostic]:
        """Whether the shell would take every value as data."""
        if not well_marked(text):
            return  # a finding of its own
        named = _shell_of(place.own.step) if place.own is not None else None
        for shell in (named,) if named is not None else self.shells:
            bound = bind(text, shell)
            for error in () if isinstance(bound, Bound) else bound:
                span = self.authored.span_within(*path, offset=error.offset, length=error.length)
                yield Diagnostic(span, "OC404", error.message, error.hint)

    def _fault(self, place: _Place, reference: Reference, whole: bool) -> Fault | None:
        root, *rest = reference.path
        if (root in OWN and place.bare) or root == place.item:
            return None
        match root:
            case "steps":
                return self._step(place, rest)
            case "params" if not self.of_library:
                return self._param(place, root, rest, whole)
            case "inputs" if self.of_library:
                return self._param(place, root, rest, whole)
            case "secrets":
                return self._secret(place, rest, whole)
            case "env":
                hint = "declare it under 'env', before its use; a secret is read by the script alone, as a variable"
                return named("variable", "env", rest, place.env, hint)
            case "target" | "vars" if not self.targeted:
                return Fault("OC402", f"there is no '{root}': the job has no targets", "give the job 'targets'")
            case "target" | "job" | "run":
                return named("field", root, rest, _FIELDS[root], "")
            case "vars":
                return None
            case _:
                return self._unknown(place, root)

    def _unknown(self, place: _Place, root: str) -> Fault:
        if root in OWN:
            hint = "it is at hand in outputs, okExitCodes and retry.if; elsewhere write steps.<id>." + root
            return Fault("OC402", f"'{root}' is the step's own result, and not known here", hint)
        if root in _ELSEWHERE:
            return Fault("OC402", f"there is no '{root}' here", _ELSEWHERE[root])
        if root in self.every:
            return Fault("OC402", f"'{root}' is a step", f"write steps.{root}")
        if root in self._params():
            word = "input" if self.of_library else "param"
            return Fault("OC402", f"'{root}' is {'an' if self.of_library else 'a'} {word}", f"write {word}s.{root}")
        names = sorted(_ROOTS | (OWN if place.bare else frozenset()))
        near = get_close_matches(root[:80], names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(names)}"
        return Fault("OC402", f"there is no '{root}'", hint)

    @property
    def of_library(self) -> bool:
        return isinstance(self.authored.document, LibraryStep)

    def _params(self) -> Mapping[str, Any]:
        match self.authored.document:
            case Job() as job:
                return job.spec.params
            case LibraryStep() as step:
                return step.spec.inputs
        return {}

    def _param(self, place: _Place, root: str, rest: list[str], whole: bool) -> Fault | None:
        declared, word = self._params(), root.removesuffix("s")
        if rest and declared.get(rest[0], {}).get("secret") is True and not (place.secrets and whole):
            hint = "as the whole value of an 'env' entry, or of 'stdin'"
            return Fault("OC606", f"'{rest[0]}' is a secret {word}, and may not stand here", hint)
        return named(word, root, rest[:1], declared, f"declare it under spec.{root}")

    def _step(self, place: _Place, rest: list[str]) -> Fault | None:
        if not rest:
            return None
        number, step = self.every.get(rest[0], (place.known, None))
        if step is None or number >= place.known:
            return self._not_yet(place, rest[0], step)
        if len(rest) > 1 and rest[1] not in _OF_STEP:
            declared = rest[1] in step.step.outputs
            near = get_close_matches(rest[1][:80], _OF_STEP, n=1)
            hint = f"write steps.{rest[0]}.outputs.{rest[1]}" if declared else ""
            hint = hint or (f"did you mean '{near[0]}'?" if near else f"it has {', '.join(sorted(_OF_STEP))}")
            return Fault("OC402", f"a step has no '{rest[1]}'", hint)
        if len(rest) > 2 and rest[1] == "outputs":
            outputs = frozenset(step.step.outputs)
            if step.type is not None:
                outputs |= step.type.outputs
            of_library = self.library_outputs.get(step.path, frozenset())
            if of_library is None:
                return None
            outputs |= of_library
            if rest[2] not in outputs:
                near = get_close_matches(rest[2][:80], outputs, n=1)
                hint = f"did you mean '{near[0]}'?" if near else "declare it under the step's 'outputs'"
                where = self.authored.span(*step.path, "outputs" if step.step.outputs else "id", key=True)
                message = f"step '{rest[0]}' declares no output '{rest[2]}'"
                return Fault("OC405", message, hint, (Related(where, "the step"),))
        return None

    def _not_yet(self, place: _Place, name: str, later: PlacedStep | None) -> Fault:
        if later is None:
            near = get_close_matches(name[:80], self.every, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"its steps: {', '.join(list(self.every)[:10])}"
            return Fault("OC402", f"there is no step '{name}'", hint)
        if place.own is not None and later.path == place.own.path:
            if place.bare:
                hint = "its own result has bare names here: stdout, exitCode, …"
            else:
                hint = "a step does not know its own result"
            return Fault("OC403", f"step '{name}' refers to itself", hint)
        related = (Related(self.authored.span(*later.path, key=True), "the step"),)
        if place.own is None:
            return Fault(
                "OC403", f"step '{name}' has no result here yet", "write it in the 'env' of a later step", related
            )
        hint = "an expression sees the steps before it only"
        return Fault("OC403", f"step '{name}' comes later", hint, related)

    def _secret(self, place: _Place, rest: list[str], whole: bool) -> Fault | None:
        if self.of_library:
            return Fault("OC606", "a library knows no credentials", "take it as an input with secret: true")
        if not (place.secrets and whole) or len(rest) != 2:
            hint = 'as in env: {TOKEN: "${{ secrets.<credential>.<field> }}"}, or the whole of stdin'
            return Fault("OC606", "a secret may only be the whole value of an 'env' entry or of 'stdin'", hint)
        return None


def _shell_of(step: Step) -> Shell | None:
    given = (step.with_ or {}).get("shell")
    return next((shell for shell in get_args(Shell) if shell == given), step.shell)


def _unevaluated(authored: Authored) -> Iterator[Diagnostic]:
    """Places where people might expect an expression to be evaluated, and none is."""
    document = authored.document
    places: list[tuple[Any, Path, bool]] = []
    match document:
        case Job():
            params = document.spec.params
            places = [
                (param.get("default"), ("spec", "params", name, "default"), False) for name, param in params.items()
            ]
            places.append((document.spec.concurrency.group, ("spec", "concurrency", "group"), True))
        case Schedule() | RunRequest():
            places = [(document.spec.params, ("spec", "params"), True)]
        case Target():
            places = [(document.spec.vars, ("spec", "vars"), False), (document.spec.facts, ("spec", "facts"), False)]
        case TargetGroup():
            places = [(document.spec.vars, ("spec", "vars"), False)]
    for placed in steps_of(authored):
        places.append((placed.step.name, (*placed.path, "name"), False))
    for value, path, wrong in places:
        for below, text in texts_in(value, path):
            if OPEN in text:
                offset = text.index(OPEN)
                span = authored.span_within(*below, offset=offset, length=len(OPEN))
                message = "an expression is not evaluated here; it stays text"
                hint = "write the value itself" if wrong else "write it where a step uses it"
                yield Diagnostic(span, "OC407", message, hint, "error" if wrong else "warning")
