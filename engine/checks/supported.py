"""What the language has and this version does not act on yet. Nothing that is written may be silently ignored.

All of it is checked. Where the product would do less than is written, that is a warning (OC902). Where something would
run otherwise than it is written (OC901), it does not run at all (`Catalog.held`): of a definition a warning; an act
that asks for it is refused.
"""

from collections.abc import Iterator
from dataclasses import replace

from engine.checks.scope import Path, PlacedStep, Scope, steps_of, targets_of
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic, Related, Severity
from schemas.envelope import Document
from schemas.guesses import Names
from schemas.kinds import NOT_ACTED_ON
from schemas.policy import Policy
from schemas.reader import Authored
from schemas.steps import PLANNED_TYPES, STEP_TYPES

CODE = "OC901"
LESS = "OC902"
_TYPES = Names(STEP_TYPES)
_CONNECTIONS = frozenset({"ssh", "winrm", "local"})


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    severity: Severity = "error" if authored.is_act else "warning"
    for finding in _about(authored, scope):
        yield replace(finding, severity=severity) if finding.code == CODE else finding


def _about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    kind = authored.document.kind
    if kind in NOT_ACTED_ON:
        hint = "it is checked, and kept for the version that does"
        message = f"this version does not act on kind {kind} yet: {NOT_ACTED_ON[kind]}"
        yield Diagnostic(authored.span("kind"), LESS, message, hint, "warning")
        return
    if isinstance(authored.document, Policy):
        yield from _policy(authored, authored.document, scope)
    for path, what in _without_effect(authored.document):
        message = f"{what} is checked, and not acted on yet"
        yield Diagnostic(authored.span(*path, key=True), LESS, message, severity="warning")
    for path, what, hint in _fields(authored):
        yield Diagnostic(authored.span(*path, key=True), CODE, f"{what} is not supported yet", hint)
    for placed in steps_of(authored):
        yield from step_type(authored, placed)
    yield from _connections(authored, scope)


Finding = tuple[Path, str, str]


def _fields(authored: Authored) -> Iterator[Finding]:
    for placed in steps_of(authored):
        yield from _step(placed)


def _without_effect(document: Document) -> Iterator[tuple[Path, str]]:
    if isinstance(document, Credential) and document.spec.rotate_after is not None and document.sops is None:
        yield ("spec", "rotateAfter"), "'rotateAfter' of a secret that sops did not encrypt (its age is not known)"


def _policy(authored: Authored, policy: Policy, scope: Scope) -> Iterator[Diagnostic]:
    if scope.catalog.project.spec.verify.mode == "none" and not scope.lacks("Project"):
        message = "nobody is held to this: the Project says verify: {mode: none}, so that anybody can be who they say"
        hint = "write verify: {mode: range} in opsconductor.yaml, or start the engine with --verify range"
        yield Diagnostic(authored.span("kind"), LESS, message, hint, "warning")


def _step(placed: PlacedStep) -> Iterator[Finding]:
    if placed.step.become is not None and placed.type is not None and placed.type.runner_side:
        yield (*placed.path, "become"), "'become' of a step that the runner itself does", "write the step as 'run'"


def step_type(authored: Authored, placed: PlacedStep) -> Iterator[Diagnostic]:
    """A step type that there is none of, or that this version does not run."""
    uses = placed.step.uses
    if uses is None or (placed.type is not None and not placed.type.planned):
        return
    span = authored.span(*placed.path, "uses")
    if "/" in uses and "${{" not in uses:
        return  # a library's step: engine.checks.libraries
    if uses.partition("@")[0] in PLANNED_TYPES or "${{" in uses:
        yield Diagnostic(span, CODE, f"step type '{uses}' is not supported yet", "write the step as 'run'")
    else:
        near = (Names((*STEP_TYPES, *authored.plugged)) if authored.plugged else _TYPES).near(uses)
        of_plug_in = "if a plug-in brings it, 'opsconductor plugin lock' writes it into opsconductor.lock"
        hint = f"did you mean '{near}'?" if near else of_plug_in if "." in uses else "write the step as 'run'"
        yield Diagnostic(span, "OC305", f"there is no step type '{uses}'", hint)


def _connections(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    said: set[str] = set()
    # Of a step type that does not run at all, that is enough.
    refused = {placed.type.over for placed in steps_of(authored) if placed.type is not None and placed.type.planned}
    if targets_of(authored) is None:
        return
    for connection, targets, path in scope.uses(authored):
        if connection in _CONNECTIONS or connection not in ("winrm", "http") or connection in said | refused:
            continue
        said.add(connection)
        related: tuple[Related, ...] = ()
        if targets:
            first = targets.first
            place = scope.authored("Target", first).span("spec", "connections", connection, key=True)
            related = (Related(place, f"target '{first}'"),)
        span = authored.span(*path, key=path[-1] != "connection")
        message = f"running steps over {connection} is not supported yet"
        yield Diagnostic(span, CODE, message, "use ssh, winrm or local", related=related)
