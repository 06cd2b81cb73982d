"""What documents write for the connections, secret sources and channels of plug-ins, as the lock file describes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.checks.files import connections_of
from engine.checks.scope import Path, Scope
from engine.plugins import RELOCK, WORDS
from engine.userschema import faults_of
from schemas.credential import Credential
from schemas.diagnostic import Diagnostic
from schemas.envelope import Document
from schemas.guesses import Guesses
from schemas.notification import NotificationChannel, PluginChannel
from schemas.parts import Kind, Part
from schemas.reader import Authored


@dataclass(frozen=True, slots=True)
class _Use:
    """Where a document uses a part of a plug-in, and what it writes for it.

    `named` is where it names the part, `within` where the settings stand, `login` where the Credential does.
    """

    kind: Kind
    name: str
    settings: Mapping[str, Any]
    named: Path
    within: Path
    credential: str | None = None
    login: Path = ()


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    guesses = Guesses()
    for use in _uses(authored.document):
        known = scope.catalog.parts.get(use.kind, {})
        if use.name in known:
            yield from _settings(authored, use, known[use.name], guesses)
            yield from _login(authored, use, known[use.name], scope)
        else:
            near = guesses.near(use.name, known)
            message = f"opsconductor.lock knows no {WORDS[use.kind]} '{use.name}', so that its settings are not checked"
            hint = f"did you mean '{near}'?" if near else RELOCK
            span = authored.span(*use.named, key=use.kind == "connections")
            yield Diagnostic(span, "OC325", message, hint, "warning")


def _uses(document: Document) -> Iterator[_Use]:
    for connections, path in connections_of(document):
        for name, settings in connections.plugins.items():
            place: Path = (*path, "plugins", name)
            login = connections.login_by_plugin(name)
            yield _Use("connections", name, settings, place, place, login, (*place, "credentialRef"))
    match document:
        case Credential() if document.spec.from_ is not None and document.spec.from_.plugin is not None:
            source, place = document.spec.from_.plugin, ("spec", "from", "plugin")
            yield _Use("secrets", source.name, source.with_, (*place, "name"), (*place, "with"))
        case NotificationChannel(spec=PluginChannel(name=name, with_=given, credential_ref=reference)):
            place = ("spec", "with")
            yield _Use("channels", name, given, ("spec", "name"), place, reference, ("spec", "credentialRef"))


def _settings(authored: Authored, use: _Use, part: Part, guesses: Guesses) -> Iterator[Diagnostic]:
    ours = {"credentialRef"} if use.kind == "connections" else set()
    for name in sorted({*part.required} - use.settings.keys()):
        hint = f"{name}: {part.settings[name].get('description', '')}"
        span = authored.span(*use.within, key=True)
        yield Diagnostic(span, "OC326", f"'{use.name}' needs '{name}'", hint)
    for name, value in use.settings.items():
        if name in part.settings:
            for below, message in faults_of(part.settings[name], value):
                hint = part.settings[name].get("description", "")
                yield Diagnostic(authored.span(*use.within, name, *below), "OC326", f"'{name}': {message}", hint)
        elif name not in ours:
            near = guesses.near(name, part.settings)
            takes = f"it takes {', '.join(sorted(part.settings))}" if part.settings else "it has no settings"
            hint = f"did you mean '{near}'?" if near else takes
            span = authored.span(*use.within, name, key=True)
            yield Diagnostic(span, "OC326", f"'{use.name}' takes no '{name}'", hint)


def _login(authored: Authored, use: _Use, part: Part, scope: Scope) -> Iterator[Diagnostic]:
    credential = scope.catalog.credentials.get(use.credential or "")
    if credential is not None and part.credentials and credential.spec.type not in part.credentials:
        message = f"credential '{credential.name}' is of type {credential.spec.type}"
        hint = f"{WORDS[use.kind]} {use.name} takes {' or '.join(part.credentials)}"
        yield Diagnostic(authored.span(*use.login), "OC609", message, hint)
