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
    reached = scope.reached(authored)
    for placed in steps_of(authored):
        if not placed.is_script:
            continue
        for connection, targets in _ways(placed, reached, scope):
            yield from _of(authored, placed, connection, targets, scope)


def _ways(placed: PlacedStep, reached: Targets, scope: Scope) -> Iterator[tuple[str, Targets]]:
    """The connections that the step runs over, and where."""
    for connection in _RUNS:
        names = scope.by_connection if placed.connection is not None else scope.by_default_connection
        if placed.connection in (None, connection) and (here := reached & names.get(connection, frozenset[str]())):
            yield connection, here


def _of(
    authored: Authored, placed: PlacedStep, connection: str, targets: Targets, scope: Scope
) -> Iterator[Diagnostic]:
    first = scope.authored("Target", targets.first)
    related = (Related(first.span("spec", "connections", connection, key=True), f"target '{targets.first}'"),)
    given = placed.step.with_ or {}
    of_type = given.get("shell")
    shell = of_type or placed.step.shell
    if isinstance(shell, str) and shell in _POSIX | _WINDOWS and shell not in _RUNS[connection]:
        path = (*placed.path, "with", "shell") if of_type else (*placed.path, "shell")
        message = f"shell '{shell}' does not run over {connection}, which target '{targets.first}' is reached by"
        hint = f"one of {', '.join(sorted(_RUNS[connection]))}; or leave it out: each target has its own"
        yield Diagnostic(authored.span(*path), "OC406", message, hint, "warning", related)
    if placed.step.become is not None and connection == "winrm":
        message = f"'become' does not work over winrm, which target '{targets.first}' is reached by"
        hint = "the step runs as the user that logs in; name another credentialRef for the connection"
        yield Diagnostic(authored.span(*placed.path, "become"), "OC406", message, hint, "warning", related)
