"""Shells and users of scripts, by the connections they run over: what a host of that kind has none of."""

from collections.abc import Iterator

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
    chosen = [placed for placed in steps_of(authored) if placed.is_script and (_shell(placed) or placed.step.become)]
    if not chosen:
        return
    reached = scope.reached(authored)
    declared = {name: reached & scope.by_connection.get(name, frozenset[str]()) for name in _RUNS}
    used = {name: reached & scope.by_default_connection.get(name, frozenset[str]()) for name in _RUNS}
    for placed in chosen:
        for connection, targets in (declared if placed.connection is not None else used).items():
            if targets and placed.connection in (None, connection):
                yield from _of(authored, placed, connection, targets, scope)


def _shell(placed: PlacedStep) -> object:
    return (placed.step.with_ or {}).get("shell") or placed.step.shell


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
