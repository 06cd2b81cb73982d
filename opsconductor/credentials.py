"""Credentials that are encrypted in place, written by a person, and what can be said of all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.catalog import Catalog
from engine.changes.impact import unread
from engine.compile import Compiled
from engine.expiry import expiring
from opsconductor.authoring import wholefile
from opsconductor.exits import UsageError
from runners.secretforms import SHORTEST
from runners.secrets import TEXT_FIELD, Sealed, Secrets
from runners.secrets.agekeys import Identities
from runners.secrets.file import CAP, text_of
from runners.secrets.sops import NotOpened, seal, unseal
from schemas.credential import FIELDS, Credential
from schemas.diagnostic import Diagnostic
from schemas.quantities import format_instant
from schemas.reader import read

_FORM = ("OC605", "OC607", "OC610", "OC611")
"""What `engine.checks.encrypted` finds."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a credential. `opens` is None where nobody asked; `problems` are sentences without secrets."""

    name: str
    type: str
    source: str
    expires: str | None
    opens: bool | None
    problems: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "source": self.source,
            "expiresAt": self.expires,
            "opens": self.opens,
            "problems": list(self.problems),
        }


def secret_from(data: bytes, field: str) -> str:
    """What came on standard input, without the line end that only the text of a key needs. Raises UsageError."""
    if len(data) > CAP:
        raise UsageError(f"a secret has at most {CAP // 1024} KiB")
    try:
        text = text_of(data, "standard input")
    except ValueError as error:
        raise UsageError(str(error)) from None
    text = text if field == "privateKey" else text.removesuffix("\n").removesuffix("\r")
    if len(text.strip()) < (SHORTEST if field != "username" else 1):
        raise UsageError(f"a secret has at least {SHORTEST} characters: a shorter one cannot be kept out of logs")
    return text


def recipients(catalog: Catalog, pools: Sequence[str]) -> tuple[str, ...]:
    """For whom a credential of these pools is encrypted: all pools where it names none. Raises UsageError."""
    if unknown := sorted(set(pools) - set(catalog.pools)):
        raise UsageError(f"there is no RunnerPool '{unknown[0]}'")
    named = pools or sorted(catalog.pools)
    found = dict.fromkeys(one for name in named for one in catalog.pools[name].spec.recipients)
    if not found:
        which = f"pool {', '.join(named)}" if named else "a RunnerPool"
        raise UsageError(
            f"nobody could open it: give {which} spec.recipients; 'age-keygen -o FILE', where the engine runs, makes a "
            "key and prints its public half"
        )
    return tuple(found)


def fresh(name: str, kind: str, username: str | None, pools: Sequence[str]) -> str:
    """A new document, without its secret."""
    lines = ["apiVersion: opsconductor/v1", "kind: Credential", "metadata:", f"  name: {name}", "spec:"]
    lines += [f"  type: {kind}"]
    lines += [f"  username: {username}"] if username is not None else []
    lines += ["  pools:", *(f"    - {pool}" for pool in pools)] if pools else []
    return "\n".join(lines) + "\n"


def with_field(text: str, field: str, value: str, keys: Identities, *, alone: bool) -> Mapping[str, str]:
    """The fields of a document with one more, or changed. `alone`: the others are given up unread. Raises
    UsageError."""
    others = {name for name in _encrypted_fields(text) if name != field}
    if not others or alone:
        return {field: value}
    try:
        return {**unseal(text, keys).fields, field: value}
    except NotOpened as error:
        kept = ", ".join(sorted(others))
        hint = "set it where the key is, with --identity, or give the others up with --alone"
        raise UsageError(f"it holds {kept} too, and cannot be opened here to keep that: {error}; {hint}") from error


def default_field(kind: str) -> str:
    """The field of a secret of one text."""
    return TEXT_FIELD[kind]


def _encrypted_fields(text: str) -> Iterator[str]:
    document = next((one.document for one in read(text.encode(), "credential.yaml").documents), None)
    if isinstance(document, Credential):
        yield from document.data or {}


def sealed(text: str, fields: Mapping[str, str], wanted: Iterable[str], now: datetime) -> str:
    """The document with these fields encrypted. Raises UsageError for what would be no Credential."""
    try:
        written = seal(text, fields, wanted, now)
    except NotOpened as error:
        raise UsageError(f"it cannot be encrypted: {error}") from error
    for finding in read(written.encode(), "credential.yaml").findings:
        raise UsageError(f"it would be no Credential: {finding.message}")
    return written


def reopened(text: str, keys: Identities) -> Mapping[str, str]:
    """Its fields. Raises UsageError."""
    try:
        return unseal(text, keys).fields
    except NotOpened as error:
        raise UsageError(f"it cannot be opened here: {error}") from error


def replaced(file: Path, text: str) -> None:
    """Write the file whole or not at all; what is written is encrypted."""
    file.parent.mkdir(parents=True, exist_ok=True)
    wholefile.replace(file, text.encode())


def checked(compiled: Compiled, names: Sequence[str], now: datetime, secrets: Secrets | None) -> tuple[Checked, ...]:
    """What is known of these, in the order of their names. `secrets` None: none is opened."""
    catalog = _readable(compiled)
    findings = [one for one in compiled.findings if one.code in _FORM or one.severity == "error"]
    old: dict[str, list[str]] = {name: [] for name in names}
    for one in expiring(catalog, now):
        if one.credential in old:
            old[one.credential].append(_told(one.what, format_instant(one.at), one.days))
    found = [_checked(catalog, name, findings, old[name], secrets) for name in names]
    return tuple(sorted(found, key=lambda one: one.name))


def unreadable(compiled: Compiled) -> tuple[Diagnostic, ...]:
    """What keeps further credentials from being read at all: nobody can say of them whether they are in order."""
    catalog = _readable(compiled)
    places = [_lines(catalog, name) for name in catalog.credentials]
    return tuple(one for one in unread(compiled, "Credential") if not any(_stands_in(one, place) for place in places))


def _readable(compiled: Compiled) -> Catalog:
    assert compiled.readable is not None
    return compiled.readable


def _told(what: str, at: str, days: int) -> str:
    if what == "rotateAfter":
        return f"it is old since {at}: give it a new secret with 'opsconductor credential set'"
    return f"it ended at {at}" if days == 0 else f"it ends at {at}, in {days} day{'s' * (days != 1)}"


def _checked(
    catalog: Catalog, name: str, findings: Sequence[Diagnostic], old: Sequence[str], secrets: Secrets | None
) -> Checked:
    credential = catalog.credentials[name]
    place = _lines(catalog, name)
    form = [
        f"{one.code} {one.message}{f' ({one.hint})' if one.hint else ''}" for one in findings if _stands_in(one, place)
    ]
    opens, why = (None, ()) if secrets is None else _opens(catalog, name, secrets)
    expires = credential.spec.expires_at
    return Checked(
        name,
        credential.spec.type,
        _source(credential),
        format_instant(expires) if expires is not None else None,
        opens,
        (*form, *old, *why),
    )


def _lines(catalog: Catalog, name: str) -> tuple[str, int, int]:
    """The file of a credential, its first line and its last."""
    at = catalog.origin[f"Credential/{name}"]
    root = at.places.layout.roots[at.index]
    return at.file, at.span().line, root.range[2] if root is not None else 1


def _stands_in(one: Diagnostic, place: tuple[str, int, int]) -> bool:
    file, first, last = place
    return one.span.file == file and first <= one.span.line <= last


def _source(credential: Credential) -> str:
    source = credential.spec.from_
    if source is None:
        return "encrypted"
    if source.plugin is not None:
        return f"plug-in {source.plugin.name}"
    return next(name for name in ("file", "env", "vault", "command") if getattr(source, name) is not None)


def _opens(catalog: Catalog, name: str, secrets: Secrets) -> tuple[bool, tuple[str, ...]]:
    try:
        spec = catalog.credentials[name].spec
        replace(secrets, for_jobs=False).open(name, spec, sealed=catalog.sealed([name]).get(name))
    except Sealed as error:
        return False, (str(error),)
    return True, ()


def fields_of(kind: str) -> tuple[str, ...]:
    """What a credential of a type may hold."""
    return tuple(sorted(FIELDS[kind]))
