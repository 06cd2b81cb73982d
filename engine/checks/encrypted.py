"""Credentials encrypted in place, in the form of SOPS: everything that can be seen without a secret."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.checks.scope import Path, Scope
from schemas.credential import FIELDS, Credential
from schemas.diagnostic import Diagnostic, Related
from schemas.places import Node
from schemas.reader import Authored

_LEAF = re.compile(
    r"ENC\[AES256_GCM,data:[A-Za-z0-9+/]*={0,2},iv:[A-Za-z0-9+/]+={0,2},tag:[A-Za-z0-9+/]+={0,2},type:(str|int|float|bool|bytes|time)\]"
)
_REGEX = "^data$"
_OTHERS = ("pgp", "kms", "gcp_kms", "azure_kv", "hc_vault", "key_groups")
"""Where sops keeps recipients that are no age recipients of a pool."""
_CHOOSING = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex")
"""Other ways to say what is encrypted; only one of them holds."""


def about(authored: Authored, scope: Scope) -> Iterator[Diagnostic]:
    document = authored.document
    if not isinstance(document, Credential) or document.data is None or document.sops is None:
        return
    yield from _form(authored, document.sops)
    yield from _data(authored, document, document.data)
    yield from _recipients(authored, document, document.sops, scope)


def _form(authored: Authored, sops: Mapping[str, Any]) -> Iterator[Diagnostic]:
    if sum(root is not None and root.children is not None for root in authored.places.layout.roots) > 1:
        hint = "sops encrypts a file as a whole: move the other documents to another file"
        message = "an encrypted credential is alone in its file"
        yield Diagnostic(authored.span("kind"), "OC610", message, hint)
    for path in _called_data(authored):
        hint = "give the key another name: sops encrypts every value below a key of that name"
        yield Diagnostic(authored.span(*path, key=True), "OC610", "a second key is called 'data'", hint)
    if sops.get("encrypted_regex") != _REGEX:
        hint = f"encrypt it with: sops --encrypt --encrypted-regex '{_REGEX}'"
        yield _wrong(authored, "encrypted_regex", f"'encrypted_regex' must be '{_REGEX}'", hint)
    for key in _CHOOSING:
        if sops.get(key):
            yield _wrong(authored, key, f"'{key}' does not go with 'encrypted_regex'", "remove it, and encrypt again")
    if not isinstance(sops.get("mac"), str) or not _LEAF.fullmatch(sops["mac"]):
        hint = "encrypt it again with sops; the MAC proves that nobody changed the rest of the document"
        yield _wrong(authored, "mac", "the document has no MAC", hint)
    if sops.get("mac_only_encrypted"):
        hint = "encrypt it again without --mac-only-encrypted: the MAC is over the whole document"
        yield _wrong(authored, "mac_only_encrypted", "a MAC over 'data' alone lets anybody change the rest", hint)


def _called_data(authored: Authored) -> Iterator[Path]:
    root = authored.places.layout.roots[authored.index]
    waiting: list[tuple[Path, Node]] = [((), root)] if root is not None else []
    while waiting:
        path, node = waiting.pop()
        for key, below in (node.children or {}).items():
            here = (*path, key)
            if key == "data" and path:
                yield here
            waiting.append((here, below))


def _wrong(authored: Authored, key: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic(authored.span("sops", key, key=True), "OC610", message, hint)


def _data(authored: Authored, credential: Credential, data: Mapping[str, Any]) -> Iterator[Diagnostic]:
    fields = FIELDS[credential.spec.type]
    if not data:
        hint = f"it holds {' or '.join(sorted(fields))}"
        yield Diagnostic(authored.span("data", key=True), "OC610", "there is no secret in 'data'", hint)
    for name in data:
        if name not in fields:
            message = f"a credential of type {credential.spec.type} has no '{name[:80]}'"
            span = authored.span("data", name, key=True)
            yield Diagnostic(span, "OC607", message, f"it has {', '.join(sorted(fields))}")
        if isinstance(data[name], dict | list):
            hint = "write one text, and encrypt again"
            yield Diagnostic(authored.span("data", name), "OC610", f"'{name[:80]}' is not one text", hint)
    for path, value in _leaves(data, ("data",)):
        name = str(path[1])
        if not isinstance(value, str) or not _LEAF.fullmatch(value):
            message = f"'{name[:80]}' is {'empty' if value in (None, '') else 'not encrypted'}"
            hint = (
                "put a new secret in its place (git keeps this one), and encrypt the file with sops before you commit"
            )
            yield Diagnostic(authored.span(*path), "OC605", message, hint)


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    waiting: list[tuple[Path, Any]] = [(path, value)]
    while waiting:
        here, one = waiting.pop()
        match one:
            case dict():
                waiting += [((*here, key), below) for key, below in reversed(one.items())]
            case list():
                waiting += [((*here, index), below) for index, below in reversed(list(enumerate(one)))]
            case _:
                yield here, one


def _recipients(
    authored: Authored, credential: Credential, sops: Mapping[str, Any], scope: Scope
) -> Iterator[Diagnostic]:
    """The runners of its pools can open it: no fewer, or some could not; no more, or others could."""
    for key in _OTHERS:
        if sops.get(key):
            message = f"'{key}' lets others than the runners of its pools open it"
            hint = "encrypt it for age recipients alone"
            yield Diagnostic(authored.span("sops", key, key=True), "OC611", message, hint)
    pools = credential.spec.pools or tuple(scope.catalog.pools)
    if any(name not in scope.catalog.pools for name in credential.spec.pools):
        return  # a finding of its own, or the pool of `up`
    if not credential.spec.pools and scope.lacks("RunnerPool"):
        return  # its recipients may be theirs
    wanted = {one: name for name in pools for one in scope.catalog.pools[name].spec.recipients}
    found = _given(sops)
    for index, recipient in enumerate(found):
        if recipient not in wanted:
            which = f"of pools {', '.join(pools)}" if pools else "of any pool"
            message = f"recipient '{recipient[:80]}' is none {which}"
            hint = "sops rotate --in-place --rm-age …, and change the secret if they should not know it"
            yield Diagnostic(authored.span("sops", "age", index), "OC611", message, hint)
    for recipient, pool in wanted.items():
        if recipient not in found:
            place = scope.authored("RunnerPool", pool).span("spec", "recipients", key=True)
            message = f"a runner of pool '{pool}' cannot open it: '{recipient[:80]}' is no recipient"
            hint = f"sops rotate --in-place --add-age {recipient[:80]} {authored.file}"
            span = authored.span("sops", "age", key=True)
            yield Diagnostic(span, "OC611", message, hint, related=(Related(place, "its recipients"),))
    if not wanted:
        message = "no pool that may open it has recipients"
        hint = "give the RunnerPool spec.recipients: age-keygen -y prints the one of a runner's key file"
        yield Diagnostic(authored.span("sops", key=True), "OC611", message, hint)


def _given(sops: Mapping[str, Any]) -> list[str]:
    entries = sops.get("age")
    found = [entry.get("recipient") if isinstance(entry, dict) else None for entry in entries or ()]
    return [one if isinstance(one, str) else "" for one in found]
