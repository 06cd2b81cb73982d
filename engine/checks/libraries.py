"""Step libraries of the repository: their documents, their lock, and the steps that jobs use of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from engine.checks.doubt import credible
from engine.checks.expressions import of_library_step
from engine.checks.memory import remembered
from engine.checks.parameters import declared, faults_of, schema_of
from engine.checks.scope import Path, PlacedStep, Scope, bounded, steps_of, targets_of
from engine.checks.steps import alone, resting_on
from engine.checks.supported import step_type
from engine.checks.unevaluated import alone as unevaluated
from engine.expressions.expression import has_expression
from engine.graph import circles, shown
from engine.runs.unfolding import steps_within, too_much
from engine.scripts.binding import evaluated_env
from engine.scripts.numbers import of_params
from engine.secretref import input_of, param_of, secret_of
from engine.vendored import LOCK_FILE, Library, is_version, use_of
from schemas.act import RunRequest
from schemas.bugs import told
from schemas.diagnostic import Diagnostic, Related
from schemas.guard import MAX_FINDINGS
from schemas.guesses import Guesses
from schemas.job import Job
from schemas.library import LibraryStep, LibraryStepSpec, StepLibrary
from schemas.reader import Authored
from schemas.span import Span, start_of
from schemas.steps import STEP_TYPES


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    """The steps of libraries that a document uses; and documents of libraries that lie among the definitions."""
    document = authored.document
    if isinstance(document, StepLibrary | LibraryStep):
        where = f"libraries/{document.name}/library.yaml"
        if isinstance(document, LibraryStep):
            where = f"libraries/<library>/steps/{document.name}.yaml"
        span = authored.span("kind")
        yield Diagnostic(
            span, "OC317", f"a document of kind {document.kind} lies among the definitions", f"move it to {where}"
        )
        return
    guesses = Guesses()
    for placed in steps_of(authored):
        if placed.step.uses is not None and "/" in placed.step.uses and "${{" not in placed.step.uses:
            yield from _used(authored, placed, scope, guesses)


def check(scope: Scope) -> Iterator[Diagnostic]:
    """The libraries themselves."""
    yield from scope.vendored.findings
    libraries = scope.catalog.libraries
    for library in libraries.values():
        yield from library.findings
        yield from bounded(told("libraries", partial(_first, library), partial(_library, library, scope)))
    yield from _lock(scope)
    graph = {
        f"{library.name}/{name}": tuple(
            f"{use.library}/{use.step}" for placed in steps_of(step) if (use := use_of(placed.step.uses)) is not None
        )
        for library in libraries.values()
        for name, step in library.steps.items()
    }
    for circle in islice(circles(graph), MAX_FINDINGS):
        yield _circle(circle, libraries)


def _circle(circle: tuple[str, ...], libraries: Mapping[str, Library]) -> Diagnostic:
    library, _, name = circle[-1].partition("/")
    step = libraries[library].steps[name]
    closing = next(
        placed
        for placed in steps_of(step)
        if (use := use_of(placed.step.uses)) is not None and f"{use.library}/{use.step}" == circle[0]
    )
    message = f"a circle of steps: {shown([*circle, circle[0]], 'uses')}"
    return Diagnostic(step.span(*closing.path, "uses"), "OC319", message, "a step cannot be part of itself")


def _lock(scope: Scope) -> Iterator[Diagnostic]:
    locked, libraries = scope.vendored.locked, scope.catalog.libraries
    if scope.vendored.unread:
        return
    for library in (library for library in libraries.values() if not library.unread):
        entry = (locked or {}).get(library.name)
        wanted = entry.get("digest") if isinstance(entry, dict) else None
        span = library.origin.span("metadata", "name") if library.origin is not None else _first(library)
        if not isinstance(wanted, str):
            hint = f"'opsconductor library add' writes libraries.{library.name} there; its digest is {library.digest}"
            yield Diagnostic(span, "OC318", f"library '{library.name}' is not in {LOCK_FILE}", hint)
        elif wanted != library.digest:
            hint = f"take the changes back, or lock it anew; its digest is now {library.digest}"
            yield Diagnostic(span, "OC318", f"library '{library.name}' is not what {LOCK_FILE} says", hint)
    for name in sorted((locked or {}).keys() - libraries.keys()):
        message = f"library '{name[:80]}' is locked, and libraries/{name[:80]}/library.yaml is not there"
        yield Diagnostic(start_of(LOCK_FILE), "OC318", message, "add it again, or take it out of the lock", "warning")


def _at(step: Authored) -> Callable[[], Span]:
    return partial(step.span, "metadata", "name")


def _first(library: Library) -> Span:
    return start_of(f"libraries/{library.name}/library.yaml")


def _library(library: Library, scope: Scope) -> Iterator[Diagnostic]:
    folder, guesses = f"libraries/{library.name}", Guesses()
    for authored in library.misplaced:
        kind = authored.document.kind
        hint = f"{folder}/library.yaml holds the one StepLibrary, each file of {folder}/steps one Step"
        yield Diagnostic(authored.span("kind"), "OC317", f"a document of kind {kind} does not belong here", hint)
    if library.document is None or library.origin is None:
        if not library.findings:
            hint = "it holds one document of kind StepLibrary"
            yield Diagnostic(_first(library), "OC317", f"{folder}/library.yaml holds no StepLibrary", hint)
    else:
        yield from _named(library.origin, library.name, f"the folder is {folder}")
        yield from _requires(library.origin, library.document, scope, guesses)
        yield from unevaluated(library.origin)
    for name, step in library.steps.items():
        stem = step.file.rsplit("/", 1)[-1].removesuffix(".yaml")
        yield from _named(step, stem, f"the file is {stem}.yaml")
        if isinstance(step.document, LibraryStep):
            yield from told("libraries", _at(step), partial(_step, step, step.document.spec, library, scope, guesses))
            yield from _requirements_of(step, name, library)
    for one in library.mended:
        if isinstance(one.document, LibraryStep):
            found = told("libraries", _at(one), partial(_step, one, one.document.spec, library, scope, guesses))
            yield from credible(one, found)
        elif isinstance(one.document, StepLibrary):
            yield from credible(one, unevaluated(one))


def _named(authored: Authored, wanted: str, why: str) -> Iterator[Diagnostic]:
    if authored.document.name != wanted:
        message = f"'{authored.document.name}' is not the name of where it lies: {why}"
        yield Diagnostic(authored.span("metadata", "name"), "OC317", message, f"name it {wanted}, or move it")


def _requires(authored: Authored, library: StepLibrary, scope: Scope, guesses: Guesses) -> Iterator[Diagnostic]:
    for index, text in enumerate(library.spec.requires):
        name, _, version = text.partition("@")
        yield from _known(authored, ("spec", "requires", index), name, version, scope, guesses)


def _known(
    authored: Authored, path: Path, name: str, version: str, scope: Scope, guesses: Guesses
) -> Iterator[Diagnostic]:
    """Whether a library is there in this version."""
    library = scope.catalog.library(name)
    if library is None:
        hint = guesses.hint(name, scope.libraries)
        yield Diagnostic(authored.span(*path), "OC305", f"there is no library '{name}'", hint)
    elif library.document is not None and not is_version(there := library.document.spec.version, version):
        message = f"library '{name}' is of version {there}, not {version}"
        origin = library.origin if name in scope.catalog.libraries else None
        related = (Related(origin.span("spec", "version"), "its version"),) if origin is not None else ()
        yield Diagnostic(authored.span(*path), "OC305", message, f"write @{there.split('.')[0]}", related=related)


def _requirements_of(step: Authored, name: str, library: Library) -> Iterator[Diagnostic]:
    """A library says which others its steps use."""
    required = {text.partition("@")[0] for text in library.document.spec.requires} if library.document else set()
    required.add(library.name)
    for placed in steps_of(step):
        use = use_of(placed.step.uses)
        if use is not None and library.document is not None and use.library not in required:
            message = f"step '{name}' uses library '{use.library}', which library '{library.name}' does not require"
            hint = f"add it to 'requires' in libraries/{library.name}/library.yaml"
            yield Diagnostic(step.span(*placed.path, "uses"), "OC305", message, hint)


def _step(
    step: Authored, spec: LibraryStepSpec, library: Library, scope: Scope, guesses: Guesses
) -> Iterator[Diagnostic]:
    yield from declared(step, spec.inputs, ("spec", "inputs"))
    yield from declared(step, spec.results, ("spec", "outputs"))
    for index, example in enumerate(spec.examples):
        path: Path = ("spec", "examples", index)
        yield from _fitting(step, example.with_, (*path, "with"), path, step, "the example", guesses)
    if spec.script is not None and f"libraries/{library.name}/steps/{spec.script}" not in library.files:
        message = f"there is no file '{spec.script}' beside the step"
        yield Diagnostic(step.span("spec", "script"), "OC305", message, "the script lies in the same folder")
    yield from _computed(step, spec, library)
    for name, schema in spec.outputs.items():
        if "value" not in schema:
            hint = "as in value: ${{ json.count }}" if spec.script else "as in value: ${{ steps.<id>.outputs.<name> }}"
            span = step.span("spec", "outputs", name, key=True)
            yield Diagnostic(span, "OC204", f"output '{name}' has no 'value': nothing says what gives it", hint)
    yield from alone(step)
    yield from unevaluated(step)
    yield from of_library_step(step, spec, scope)
    for placed in steps_of(step):
        if placed.step.uses is not None and "/" in placed.step.uses:
            yield from _used(step, placed, scope, guesses)
        else:
            for finding in step_type(step, placed):
                yield replace(finding, severity="warning" if finding.code == "OC901" else finding.severity)


def _computed(step: Authored, spec: LibraryStepSpec, library: Library) -> Iterator[Diagnostic]:
    """Variables of `env` that the script computes, where their value may hold a command."""
    text = library.scripts.get(f"steps/{spec.script}")
    if text is not None:
        shell = spec.shell or ("powershell" if spec.platforms == ("windows",) else "sh")
        for one in evaluated_env(text, shell, spec.env, of_params(spec.inputs)):
            if one.computed:
                yield Diagnostic(step.span("spec", "env", one.name), "OC404", one.message, one.hint)


def _used(authored: Authored, placed: PlacedStep, scope: Scope, guesses: Guesses) -> Iterator[Diagnostic]:
    path: Path = (*placed.path, "uses")
    use = use_of(placed.step.uses)
    if use is None:
        hint = "write library/step@version, as in linux-core/logrotate@1"
        yield Diagnostic(authored.span(*path), "OC207", f"'{placed.step.uses}' is not a step of a library", hint)
        return
    yield from _known(authored, path, use.library, use.version, scope, guesses)
    library = scope.catalog.library(use.library)
    if library is None or library.unread or use.step in library.broken:
        return
    step = library.step(use.step)
    if step is None:
        hint = guesses.hint(use.step, library.steps)
        yield Diagnostic(authored.span(*path), "OC305", f"library '{library.name}' has no step '{use.step}'", hint)
        return
    why = too_much(placed.step.uses or "", scope.catalog.library)
    if why is not None and "itself" not in why:
        yield Diagnostic(authored.span(*path), "OC319", why, "let it use fewer steps of libraries")
        return
    given = placed.step.with_ or {}
    at = (*placed.path, "with") if placed.step.with_ is not None else path
    what = f"'{placed.step.uses}'"
    found = _fitting(authored, given, (*placed.path, "with"), at, library.steps[use.step], what, guesses)
    yield from resting_on(placed, ("uses", "with"), found)
    yield from _without_effect(authored, placed)
    yield from _platforms(authored, placed, step.spec, scope)
    if why is None:
        yield from _targets(authored, placed, step.spec, scope)


def _fitting(
    authored: Authored, given: Mapping[str, Any], path: Path, at: Path, step: Authored, what: str, guesses: Guesses
) -> Iterator[Diagnostic]:
    """Whether inputs are those that a step declares. `at` is where one that is missing is said."""
    inputs = step.document.spec.inputs if isinstance(step.document, LibraryStep) else {}
    for name in _required(step, inputs):
        if name not in given:
            description = inputs[name].get("description", "")
            hint = f"{name}: {description}" if isinstance(description, str) and description else f"add {name}"
            yield Diagnostic(authored.span(*at, key=True), "OC406", f"{what} needs '{name}'", hint)
    for name, value in given.items():
        schema = inputs.get(name, {})
        if name not in inputs:
            hint = guesses.hint(name, inputs, "it takes none")
            yield Diagnostic(authored.span(*path, name, key=True), "OC406", f"{what} takes no '{name}'", hint)
        elif schema.get("secret") is True and secret_of(value) is None and not has_expression(value):
            hint = 'write "${{ secrets.<credential>.<field> }}"'
            yield Diagnostic(authored.span(*path, name), "OC605", f"the secret input '{name}' is plain text", hint)
        elif not has_expression(value):
            for below, message in faults_of(schema_of(schema), value):
                yield Diagnostic(authored.span(*path, name, *below), "OC406", f"'{name}': {message}")


def _required(step: Authored, inputs: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The inputs that must be given: asked once, whoever uses the step."""
    return remembered(
        step,
        "required inputs",
        (),
        lambda: tuple(
            name for name, schema in inputs.items() if schema.get("required") is True and "default" not in schema
        ),
    )


def _without_effect(authored: Authored, placed: PlacedStep) -> Iterator[Diagnostic]:
    """What a library's step is not given."""
    for name, value in placed.step.env.items():
        if secret_of(value) is not None or _names_secret(authored, value):
            hint = "give it by an input that is marked secret"
            message = f"'{placed.step.uses}' is given no secret by 'env': '{name}' would be left out"
            yield Diagnostic(authored.span(*placed.path, "env", name), "OC606", message, hint)
    for field, there in (("stdin", placed.step.stdin is not None), ("shell", placed.step.shell is not None)):
        if there:
            message = f"'{field}' means nothing to '{placed.step.uses}'"
            hint = "its steps say themselves what they read and what interprets them"
            yield Diagnostic(authored.span(*placed.path, field, key=True), "OC406", message, hint, "warning")


def _names_secret(authored: Authored, value: Any) -> bool:
    """Whether a value is a secret param, or a secret input, as a whole."""
    match authored.document:
        case Job() as job:
            return job.spec.params.get(param_of(value) or "", {}).get("secret") is True
        case LibraryStep() as step:
            return step.spec.inputs.get(input_of(value) or "", {}).get("secret") is True
        case _:
            return False


def _targets(authored: Authored, placed: PlacedStep, spec: LibraryStepSpec, scope: Scope) -> Iterator[Diagnostic]:
    if isinstance(authored.document, Job | RunRequest) and targets_of(authored) is None and _runs_there(spec, scope):
        span, hint = authored.span(*placed.path, "uses"), "give the job 'targets'"
        message = f"'{placed.step.uses}' needs a target to run on, and this job has none"
        yield Diagnostic(span, "OC406", message, hint)


def _runs_there(spec: LibraryStepSpec, scope: Scope) -> bool:
    """Whether it runs a script, itself or by a step that it uses."""
    if spec.script is not None:
        return True
    for step in steps_within(spec):
        known = STEP_TYPES.get(step.uses or "") or scope.catalog.plugged.get(step.uses or "")
        use = use_of(step.uses)
        if step.run is not None or (known is not None and not known.runner_side):
            return True
        library = scope.catalog.library(use.library) if use is not None else None
        used = library.step(use.step) if library is not None and use is not None else None
        if used is not None and _runs_there(used.spec, scope):
            return True
    return False


def _platforms(authored: Authored, placed: PlacedStep, spec: LibraryStepSpec, scope: Scope) -> Iterator[Diagnostic]:
    """A step with a condition may know itself where it runs."""
    if not spec.platforms or placed.step.if_ is not None or targets_of(authored) is None:
        return
    wrong = scope.reached(authored)
    for system in spec.platforms:
        wrong -= scope.by_system.get(system, frozenset[str]())
    if wrong:
        name = wrong.first
        first, system = scope.authored("Target", name), scope.catalog.targets[name].spec.os
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        message = f"it runs on {' and '.join(spec.platforms)}; target '{name}'{more} is {system}"
        related = (Related(first.span("spec", "os"), "this target"),)
        hint = "give the step an 'if' over target.os, or choose other targets"
        yield Diagnostic(authored.span(*placed.path, "uses"), "OC320", message, hint, related=related)
