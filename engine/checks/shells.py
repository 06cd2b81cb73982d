"""Shells and users of scripts, by the connections they run over: what a host of that kind has none of."""

from collections.abc import Iterable, Iterator

from engine.checks.scope import PlacedStep, Scope, steps_of, targets_of
from engine.members import Targets
from schemas.diagnostic import Diagnostic, Related
from schemas.reader import Authored

_POSIX = frozenset({"sh", "bash", "python3"})
_WINDOWS = frozenset({"powershell", "cmd"})
_RUNS = {"winrm": _WINDOWS, "ssh": _POSIX, "local": _POSIX}
"""The shells that a script may have, by connection."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    if targets_of(authored) is None:
        return
    chosen = [placed for placed in steps_of(authored) if (placed.is_script and _shell(placed)) or _becomes(placed)]
    if not chosen:
        return
    reached = scope.reached(authored)
    yield from _over_plugs(authored, chosen, reached, scope)
    declared = {name: reached & scope.by_connection.get(name, frozenset[str]()) for name in _RUNS}
    used = {name: reached & scope.by_default_connection.get(name, frozenset[str]()) for name in _RUNS}
    for placed in chosen:
        for connection, targets in (declared if placed.connection is not None else used).items():
            if targets and placed.connection in (None, connection):
                yield from _of(authored, placed, connection, targets, scope)


def _shell(placed: PlacedStep) -> object:
    return (placed.step.with_ or {}).get("shell") or placed.step.shell


def _becomes(placed: PlacedStep) -> bool:
    """Whether it is to become another user at a target. Of what the runner does itself something else is said."""
    does_something = placed.step.run is not None or placed.type is not None
    return placed.step.become is not None and does_something and not placed.on_runner


def _over_plugs(
    authored: Authored, chosen: Iterable[PlacedStep], reached: Targets, scope: Scope
) -> Iterator[Diagnostic]:
    """`become` over a connection of a plug-in that does not say that it can; of an unknown one that is said already."""
    known = scope.catalog.parts.get("connections", {})
    unable = [name for name, part in known.items() if not part.becomes]
    for placed in filter(_becomes, chosen):
        by = scope.by_default_connection if placed.connection is None else scope.by_connection
        for name in unable:
            targets = reached & by.get(name, frozenset[str]())
            if not targets or placed.connection not in (None, name):
                continue
            first = scope.authored("Target", targets.first)
            related = (
                Related(first.span("spec", "connections", "plugins", name, key=True), f"target '{targets.first}'"),
            )
            message = f"'become' does not work over {name}, which target '{targets.first}' is reached by"
            hint = "a plug-in's connection that can become another user says 'becomes: true' in opsconductor.lock"
            yield Diagnostic(authored.span(*placed.path, "become"), "OC406", message, hint, "warning", related)


def _of(
    authored: Authored, placed: PlacedStep, connection: str, targets: Targets, scope: Scope
) -> Iterator[Diagnostic]:
    first = scope.authored("Target", targets.first)
    related = (Related(first.span("spec", "connections", connection, key=True), f"target '{targets.first}'"),)
    of_type = "shell" in (placed.step.with_ or {})
    shell = _shell(placed)
    if isinstance(shell, str) and shell in _POSIX | _WINDOWS and shell not in _RUNS[connection]:
        path = (*placed.path, "with", "shell") if of_type else (*placed.path, "shell")
        message = f"shell '{shell}' does not run over {connection}, which target '{targets.first}' is reached by"
        hint = f"one of {', '.join(sorted(_RUNS[connection]))}; or leave it out: each target has its own"
        yield Diagnostic(authored.span(*path), "OC406", message, hint, "warning", related)
    if placed.step.become is not None and connection == "winrm":
        message = f"'become' does not work over winrm, which target '{targets.first}' is reached by"
        hint = "the step runs as the user that logs in; name another credentialRef for the connection"
        yield Diagnostic(authored.span(*placed.path, "become"), "OC406", message, hint, "warning", related)
