"""Expressions: read them, and check every name they use. Nothing is evaluated."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

from engine.checks import scripts
from engine.checks.memory import remembered
from engine.checks.names import OWN, Names
from engine.checks.reading import OPEN, Read, judged, read, read_text, texts_in
from engine.checks.rendered import Place, places
from engine.checks.results import Results
from engine.checks.scope import Path, PlacedStep, Scope, bounded, steps_of, targets_of
from engine.checks.secrecy import forbidden
from engine.checks.typed import Items, Typing, mismatches, of_loop
from engine.checks.typed import given as unfitting
from engine.expressions.inference import Lookup, Types
from engine.vendored import use_of
from schemas.act import RunRequest
from schemas.credential import FIELDS
from schemas.diagnostic import Diagnostic, Rest
from schemas.guesses import Guesses
from schemas.job import Job, Shell
from schemas.library import LibraryStep, LibraryStepSpec
from schemas.reader import Authored


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """Everything that is wrong with the expressions of a document."""
    document = authored.document
    if isinstance(document, Job) or (isinstance(document, RunRequest) and document.spec.job is not None):
        shells, targeted = _shells(authored, scope), targets_of(authored) is not None
        inputs, used = _secret_inputs(authored, scope), _library_steps(authored, scope)
        answer = remembered(
            authored,
            "expressions",
            (shells, inputs, used),
            lambda: _read(authored, shells, inputs, used, targeted=targeted),
        )
        yield from answer.findings
        yield from scripts.unseen(authored, steps_of(authored))
        guesses = Guesses()
        for secret in answer.secrets:
            yield from _of_secret(authored, secret, scope, guesses)


def of_library_step(authored: Authored, spec: LibraryStepSpec, scope: Scope) -> Iterator[Diagnostic]:
    """Everything that is wrong with the expressions of a library's step."""
    shells: tuple[Shell, ...] = ("powershell",) if spec.platforms == ("windows",) else ("sh",)
    secret, used = _secret_inputs(authored, scope), _library_steps(authored, scope)
    answer = remembered(
        authored,
        "expressions",
        (shells, secret, used),
        lambda: _read(authored, shells, secret, used, targeted=True),
    )
    yield from answer.findings
    yield from scripts.unseen(authored, steps_of(authored))


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


_Used = tuple[tuple[Path, LibraryStepSpec | None], ...]


def _library_steps(authored: Authored, scope: Scope) -> _Used:
    """What the steps of libraries take and put out; None where one is not held, so that nobody can say."""
    used = ((placed, _library_step(placed, scope)) for placed in steps_of(authored) if _of_a_library(placed))
    return tuple((placed.path, step.spec if step is not None else None) for placed, step in used)


def _of_a_library(placed: PlacedStep) -> bool:
    return placed.step.uses is not None and "/" in placed.step.uses


def _library_step(placed: PlacedStep, scope: Scope) -> LibraryStep | None:
    use = use_of(placed.step.uses)
    library = scope.catalog.library(use.library) if use is not None else None
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
    authored: Authored, shells: tuple[Shell, ...], secret: frozenset[Path], used: _Used, *, targeted: bool
) -> _Answer:
    outputs = {path: frozenset(spec.outputs) if spec is not None else None for path, spec in used}
    libraries = {path: spec for path, spec in used if spec is not None}
    reader = _Reader(authored, shells, secret, Names(authored, outputs, targeted), libraries)
    checked = (found for place in places(authored) for found in reader.check(place))
    findings = tuple(bounded(chain(checked, reader.check_environments())))
    return _Answer(findings, tuple(reader.secrets))


def _shells(authored: Authored, scope: Scope) -> tuple[Shell, ...]:
    """What interprets a script that names no shell."""
    reached = scope.reached(authored) if scope.windows else scope.windows
    windows = reached & scope.windows
    if not windows:
        return ("sh",)
    return ("powershell",) if windows == reached else ("sh", "powershell")


def _of_secret(authored: Authored, secret: _Secret, scope: Scope, guesses: Guesses) -> Iterator[Diagnostic]:
    name, wanted = secret.credential, secret.field
    credentials = scope.catalog.credentials
    credential = credentials.get(name)
    span = authored.span_within(*secret.path, offset=secret.offset, length=secret.length)
    if credential is None:
        if not scope.may_hold("Credential", name):
            near = guesses.near(name, scope.names("Credential"))
            hint = f'did you mean secrets["{near}"].{wanted}?' if near else "define it: 'kind: Credential'"
            yield Diagnostic(span, "OC305", f"there is no Credential '{name}'", hint)
        return
    fields = FIELDS[credential.spec.type]
    if wanted not in fields:
        message = f"credential '{name}' is of type {credential.spec.type} and has no '{wanted}'"
        yield Diagnostic(span, "OC607", message, f"it has {', '.join(sorted(fields))}")
    if name in scope.restricted:
        yield from forbidden(authored, scope, credential, span)


@dataclass
class _Reader:
    authored: Authored
    shells: tuple[Shell, ...]
    secret_inputs: frozenset[Path]
    names: Names
    libraries: Mapping[Path, LibraryStepSpec]
    """The steps of libraries that are used, by the path of the step that does."""
    secrets: list[_Secret] = field(default_factory=list)

    @cached_property
    def results(self) -> Results:
        gives = {path: spec.results for path, spec in self.libraries.items()}
        return Results(self.names.params, self.names.every, gives)

    @cached_property
    def types(self) -> Lookup:
        """Of what scripts read."""
        return scripts.types_of(self.names.params, steps_of(self.authored))

    def check_environments(self) -> Iterator[Diagnostic]:
        """Variables and input that scripts compute."""
        document = self.authored.document
        env = document.spec.env if isinstance(document, Job) else {}
        in_library = isinstance(document, LibraryStep)
        if env:
            yield from scripts.named(self.authored, env, ("spec", "env"), self.types, in_library=in_library)
        for placed in steps_of(self.authored):
            if placed.step.env:
                own = (*placed.path, "env")
                yield from scripts.named(self.authored, placed.step.env, own, self.types, in_library=in_library)
            if env or placed.step.env or placed.step.stdin is not None:
                yield from scripts.computed(self.authored, placed, env, self.shells, self.types, in_library=in_library)

    def check(self, place: Place) -> Iterator[Diagnostic]:
        for path, text in texts_in(place.value, place.path):
            if not (place.condition or OPEN in text):
                continue
            here = replace(place, secrets=True) if path in self.secret_inputs else place
            parts = tuple(read_text(self.authored, text, path, condition=place.condition))
            if place.script:
                unbound = scripts.bound(self.authored, path, text, self.shells, place.own, self.types)
                yield from self._resting(unbound, place, parts, ("uses", "run", "with", "shell"))
            for one in parts:
                yield from self._judged(here, one) if isinstance(one, Read) else (one,)
        if isinstance(place.value, dict):
            yield from self._inputs(place)

    def _judged(self, place: Place, one: Read) -> Iterator[Diagnostic]:
        faults = tuple(judged(self.authored, one, lambda reference, whole: self.names.fault(place, reference, whole)))
        yield from faults
        for reference in one.expression.occurrences:
            whole = one.found.whole and reference.length == len(one.found.cel.strip())
            if reference.path[0] == "secrets" and self.names.secret(place, list(reference.path[1:]), whole) is None:
                _, credential, wanted = reference.path
                at = one.found.offset + reference.offset
                self.secrets.append(_Secret(credential, wanted, one.path, at, reference.length))
        if not faults:
            yield from self._resting(mismatches(self.authored, one, self._typing(place), place.wanted), place, (one,))

    def _resting(
        self, found: Iterable[Diagnostic], place: Place, parts: Iterable[Read | Diagnostic], own: tuple[str, ...] = ()
    ) -> Iterator[Diagnostic]:
        """What was found in expressions, resting on what they read, and on fields of the step they stand in."""
        if not self.authored.holes:
            yield from found
            return
        rests = [Rest((*place.own.path, field)) for field in own if place.own is not None]
        named = (reference for one in parts if isinstance(one, Read) for reference in one.expression.occurrences)
        rests += (rest for reference in named for rest in self.names.rests(place, reference))
        yield from (finding.resting_on(rests) for finding in found)

    def _typing(self, place: Place) -> Typing:
        if not place.items:
            return self.results.bare if place.bare else self.results.plain

        loop = place.own.step.for_each if place.own is not None else None
        # Within its own `items` a loop has no item yet; a name of a loop around may be the same.
        known = loop is not None and place.own is not None and place.items - place.own.loops == {loop.as_}
        # An item that hides the step's own state is not one of the states.
        item = of_loop(loop.as_, loop.items) if loop is not None and known and loop.as_ not in OWN else Items("")
        if item.walked and item.walked[0] in place.items:
            item = Items("")  # it walks the item of a loop around it

        def lookup(path: tuple[str, ...]) -> Types:
            if path[0] in place.items and path[0] != item.name:
                return None
            return item.looked_up(path, lambda other: self.results.types(other, bare=place.bare))

        def choices(path: tuple[str, ...]) -> frozenset[str]:
            return frozenset() if path[0] in place.items else self.results.choices(path)

        return Typing(lookup, choices)

    def _inputs(self, place: Place) -> Iterator[Diagnostic]:
        """Expressions that give what the step's type cannot take."""
        if place.own is None or place.path[-1] != "with":
            return
        library = self.libraries.get(place.own.path)
        inputs: Mapping[str, Mapping[str, Any]] = place.own.type.inputs if place.own.type is not None else {}
        for name, value in place.value.items():
            schema, at = library.inputs.get(name) if library is not None else inputs.get(name), (*place.path, name)
            if schema is None or schema.get("secret") is True:
                continue
            # A library's script is given what fits its schema as it is; and nothing, where an input may be left out.
            left_out = library is not None and schema.get("required") is not True
            typing, written = self._typing(place), library is None
            found = unfitting(
                self.authored, value, at, schema, typing, written=written, left_out=left_out, code="OC406"
            )
            if self.authored.holes:
                yield from self._resting(found, place, read(self.authored, value, at), ("uses",))
            else:
                yield from found
