"""Whether a request comes from who knows the secret, and which event it is. Pure: the time is told.

An event is its delivery id and its body together: a sender that repeats a delivery sends the same of both, and two
events with the same bytes have two ids (ADR 0034). Sources: GitHub "Validating
webhook deliveries"; GitLab "Webhooks" (secret token, signing token); Gitea "Webhooks"; the Standard Webhooks
specification.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from schemas.trigger import Provider

REPLAY_WINDOW = timedelta(minutes=5)
"""How far the time that a sender signed may lie from ours."""
SHORTEST_SECRET = 8
"""Bytes of a secret that proves anything; what is shorter can be guessed from outside."""
SHORTEST_KEY = 16
"""Bytes of a key that is written as `whsec_...`; Standard Webhooks asks for 24, and some senders make do with less."""
_MOST_SIGNATURES = 10
_BASE64 = "whsec_"
_ID = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_ONE_ALPHABET = str.maketrans("-_", "+/")
_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request. `headers` have lower-case names, each with all its values in order."""

    headers: Mapping[str, tuple[str, ...]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """It comes from who knows the secret. `key` tells the event from all others of this sender."""

    key: str
    delivery: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Unproven:
    """It does not, or nobody can tell. `reason` is one word; the message is for the log, not for the sender."""

    reason: str
    message: str


class _Odd(Exception):  # noqa: N818 - named after the header
    """A header stands twice, or holds what no sender writes."""


class _Unfit(Exception):  # noqa: N818 - named after the secret
    """The secret that we have can prove nothing. The message says what to do and quotes none of it."""


def prove(provider: Provider, secret: str, incoming: Incoming, now: datetime) -> Proven | Unproven:
    """Judge a request by the scheme of its provider. Never raises, whatever the request and the secret hold.

    A secret that anybody could guess, or that cannot be read as what it says it is, proves nothing: `badSecret`.
    """
    try:
        if len(_bytes(secret.strip())) < SHORTEST_SECRET:
            raise _Unfit(f"the secret has fewer than {SHORTEST_SECRET} characters; make a longer one at the sender")
        return _SCHEMES[provider](secret, incoming, now)
    except _Odd as odd:
        return Unproven("badHeader", str(odd))
    except _Unfit as unfit:
        return Unproven("badSecret", str(unfit))


def _github(secret: str, incoming: Incoming, now: datetime) -> Proven | Unproven:
    delivery, kind = _named(incoming, "x-github-delivery"), _named(incoming, "x-github-event")
    return _by_body(secret, incoming, "x-hub-signature-256", "sha256=", delivery, kind)


def _gitea(secret: str, incoming: Incoming, now: datetime) -> Proven | Unproven:
    """Forgejo is a Gitea with names of its own beside the old ones."""
    delivery = _named(incoming, "x-gitea-delivery") or _named(incoming, "x-forgejo-delivery")
    kind = _named(incoming, "x-gitea-event") or _named(incoming, "x-forgejo-event")
    header = "x-gitea-signature" if "x-gitea-signature" in incoming.headers else "x-forgejo-signature"
    return _by_body(secret, incoming, header, "", delivery, kind)


def _gitlab(secret: str, incoming: Incoming, now: datetime) -> Proven | Unproven:
    kind = _named(incoming, "x-gitlab-event")
    if "webhook-signature" in incoming.headers:
        return _standard(secret, incoming, now, kind)
    given = _value(incoming, "x-gitlab-token")
    if given is None:
        return Unproven("notSigned", "there is neither a webhook-signature nor an x-gitlab-token")
    if not _same(given, secret):
        return Unproven("badSignature", "the token is another one")
    if (delivery := _named(incoming, "idempotency-key")) is not None:
        return _by_delivery(delivery, kind)
    # An older GitLab gives this alone, and the same to all webhooks that one of them leads to ("Delivery headers").
    shared = _named(incoming, "x-gitlab-event-uuid")
    return _by_delivery(None, kind) if shared is None else Proven(_signed_key(incoming, shared, kind), shared, kind)


def _generic(secret: str, incoming: Incoming, now: datetime) -> Proven | Unproven:
    if "webhook-signature" in incoming.headers:
        return _standard(secret, incoming, now, None)
    if "x-hub-signature-256" in incoming.headers:
        return _by_body(secret, incoming, "x-hub-signature-256", "sha256=", _any_delivery(incoming), None)
    given = _value(incoming, "authorization")
    if given is None:
        return Unproven("notSigned", "there is neither a webhook-signature, an x-hub-signature-256 nor a bearer token")
    scheme, _, token = given.partition(" ")
    if not _same(token.strip(), secret) or scheme.lower() != "bearer":
        return Unproven("badSignature", "the token is another one")
    return _by_delivery(_any_delivery(incoming), None)


def _by_delivery(delivery: str | None, kind: str | None) -> Proven:
    """Of a token, which signs nothing: the sender's id alone tells events apart; without one each is another."""
    return Proven(f"delivery/{delivery}" if delivery else f"unnamed/{uuid4()}", delivery, kind)


def _any_delivery(incoming: Incoming) -> str | None:
    """The id that a sender of whom nothing is known gives to what it may send again."""
    return next((found for header in _DELIVERY if (found := _named(incoming, header)) is not None), None)


_DELIVERY = ("idempotency-key", "webhook-id", "x-github-delivery", "x-gitea-delivery", "x-gitlab-event-uuid")
_SCHEMES: Mapping[Provider, Callable[[str, Incoming, datetime], Proven | Unproven]] = {
    "github": _github,
    "gitlab": _gitlab,
    "gitea": _gitea,
    "generic": _generic,
}


def _by_body(
    secret: str, incoming: Incoming, header: str, mark: str, delivery: str | None, kind: str | None
) -> Proven | Unproven:
    """HMAC-SHA256 over the bytes of the body, in hexadecimal digits."""
    given = _value(incoming, header)
    if given is None:
        return Unproven("notSigned", f"there is no {header}")
    if not given.startswith(mark) or not _HEX.fullmatch(given[len(mark) :]):
        return Unproven("badSignature", f"{header} is not {mark or 'the hexadecimal digits of'} an HMAC-SHA256")
    wanted = hmac.digest(_bytes(secret), incoming.body, "sha256").hex()
    if not hmac.compare_digest(wanted, given[len(mark) :].lower()):
        return Unproven("badSignature", "the signature is not that of this body by this secret")
    return Proven(_signed_key(incoming, delivery, kind), delivery, kind)


def _standard(secret: str, incoming: Incoming, now: datetime, kind: str | None) -> Proven | Unproven:
    """Standard Webhooks: HMAC-SHA256 over id, time and body, in base64; several while a secret is being changed."""
    identity, stamp = _named(incoming, "webhook-id"), _value(incoming, "webhook-timestamp")
    given = _value(incoming, "webhook-signature") or ""
    if identity is None or stamp is None or not re.fullmatch(r"[0-9]{1,12}", stamp, re.ASCII):
        return Unproven("badHeader", "webhook-id or webhook-timestamp is not there, or is none")
    signed = f"{identity}.{stamp}.".encode() + incoming.body
    wanted = hmac.digest(_standard_key(secret), signed, "sha256")
    # All of them are looked at, so that the time taken says nothing about which one was right.
    right = [
        hmac.compare_digest(wanted, _decoded(one.removeprefix("v1,")) or b"")
        for one in given.split(" ")[:_MOST_SIGNATURES]
        if one.startswith("v1,")
    ]
    if not any(right):
        return Unproven("badSignature", "no signature is that of this body by this secret")
    if abs(now.timestamp() - int(stamp)) > REPLAY_WINDOW.total_seconds():
        return Unproven("tooOld", "it was signed more than five minutes ago, or the clocks differ by as much")
    return Proven(f"id/{identity}", identity, kind)


def _standard_key(secret: str) -> bytes:
    """The key that a secret is. Raises _Unfit: no key at all would be one that everybody has."""
    if not secret.startswith(_BASE64):
        return _bytes(secret)
    # Senders write either alphabet of base64, with its padding or without: one text is the same key in all of them.
    text = secret.removeprefix(_BASE64).translate(_ONE_ALPHABET).rstrip("=")
    key = _decoded(text + "=" * (-len(text) % 4))
    if key is None:
        raise _Unfit(f"what follows {_BASE64} in the secret is no base64; copy all of it from the sender again")
    if len(key) < SHORTEST_KEY:
        raise _Unfit(
            f"the secret after {_BASE64} has fewer than {SHORTEST_KEY} bytes; copy all of it, or make a longer one"
        )
    return key


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _bytes(text: str) -> bytes:
    """Every text has some, also one with halves of characters in it, which no sender writes."""
    return text.encode("utf-8", "surrogatepass")


def _same(given: str, secret: str) -> bool:
    """In a time that says nothing about either, their lengths included."""
    one, other = (hashlib.sha256(_bytes(text)).digest() for text in (given, secret))
    return hmac.compare_digest(one, other)


def _signed_key(incoming: Incoming, delivery: str | None, kind: str | None) -> str:
    """The same delivery with the same body is the same event; without an id the same body of the same name is."""
    named = f"{delivery or ''}\n{kind or ''}\n".encode()
    return f"{'delivery' if delivery else 'body'}/{hashlib.sha256(named + incoming.body).hexdigest()}"


def _value(incoming: Incoming, header: str) -> str | None:
    values = incoming.headers.get(header, ())
    if len(values) > 1:
        raise _Odd(f"{header} stands there {len(values)} times")
    return values[0] if values else None


def _named(incoming: Incoming, header: str) -> str | None:
    """An id or a name: printable ASCII, at most 200 characters; GitLab's names of events have blanks."""
    value = _value(incoming, header)
    if value is not None and not _ID.fullmatch(value.replace(" ", "_")):
        raise _Odd(f"{header} holds what no sender writes")
    return value
