"""Connections of targets: settings that trust too much together, and defaults that are not there."""

from collections.abc import Iterator

from engine.checks.files import connections_of
from engine.checks.scope import Path, Scope
from schemas.diagnostic import Diagnostic, Related
from schemas.reader import Authored
from schemas.target import Target, WinrmConnection

_ONLY_OVER_TLS = {
    "basic": "the password would cross the network in plain text",
    "certificate": "a certificate is shown while TLS is set up",
}


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    for connections, path in connections_of(document):
        if connections.winrm is not None:
            yield from _winrm(authored, connections.winrm, (*path, "winrm"))
    if isinstance(document, Target):
        yield from _default(authored, document)
        yield from _jump(authored, document, scope)


JUMP: Path = ("spec", "connections", "ssh", "jump")


def jump_of(target: Target) -> str | None:
    """The target that another one is reached through."""
    return target.spec.connections.ssh.jump if target.spec.connections.ssh is not None else None


def _jump(authored: Authored, target: Target, scope: Scope) -> Iterator[Diagnostic]:
    name = jump_of(target)
    through = scope.catalog.targets.get(name) if name is not None else None
    if name is not None and through is not None and through.spec.connections.ssh is None:
        related = (Related(scope.authored("Target", name).span("spec", "connections", key=True), f"target '{name}'"),)
        message, hint = (
            f"target '{name}' has no ssh connection to jump through",
            "declare it under its spec.connections",
        )
        yield Diagnostic(authored.span(*JUMP), "OC322", message, hint, related=related)


def _winrm(authored: Authored, winrm: WinrmConnection, path: Path) -> Iterator[Diagnostic]:
    why = _ONLY_OVER_TLS.get(winrm.transport)
    if why is not None and winrm.scheme != "https":
        place = Related(authored.span(*path, "transport"), "the transport")
        message = f"transport {winrm.transport} needs scheme https: {why}"
        hint = "write scheme: https, or transport: ntlm or kerberos, which encrypt every message"
        yield Diagnostic(authored.span(*path, "scheme"), "OC209", message, hint, related=(place,))


def _default(authored: Authored, target: Target) -> Iterator[Diagnostic]:
    name, has = target.spec.default_connection, target.spec.connections.declared
    if name is not None and name not in has:
        hint = f"it has {', '.join(has)}" if has else "declare it under spec.connections"
        message = f"the target has no connection '{name}'"
        yield Diagnostic(authored.span("spec", "defaultConnection"), "OC311", message, hint)
