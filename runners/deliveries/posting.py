"""One POST of a message, and what its answer means for the delivery."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from runners.deliveries import Delivered, Delivery, Later, Limits, Never, unable
from runners.secrets import Opened, Sealed
from runners.steps.exchange import Answer, Broken, Progress, Request, TooLong, exchange, trusting
from runners.steps.reaching import Forbidden, Unreached

_LATER = frozenset({408, 421, 425, 429})
_LONGEST = timedelta(hours=1)
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is posted. `written`: whether the URL stands in the document, and is no secret."""

    url: str = field(repr=False)
    written: bool
    ca: str | None = None


def place_of(settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Place:
    """The URL of a channel, or of the credential that is one. Raises Sealed."""
    if (url := settings.get("url")) is not None:
        return Place(str(url), True, settings.get("caCert"))
    return Place(secret_of(settings, opened).strip(), False)


def secret_of(settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> str:
    """The token or value of the channel's credential. Raises Sealed."""
    credential = opened(str(settings["credentialRef"]))
    return credential.fields.get("token") or credential.get("value")


def signed(body: bytes, key: str) -> tuple[str, str]:
    """The header that proves who sent a body."""
    return "X-Hub-Signature-256", f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"


async def posted(place: Place, body: bytes, headers: Headers, limits: Limits) -> Delivery:
    """Post it, within the limits. No redirect is followed. No error holds a URL that is a secret."""
    answer = await answered(place, body, headers, limits)
    return meaning(answer) if isinstance(answer, Answer) else answer


async def answered(
    place: Place, body: bytes | None, headers: Headers, limits: Limits, *, method: str = "POST"
) -> Answer | Later | Never:
    """The same, for who reads answers in a way of their own. Of one that broke off, its status and headers alone."""
    try:
        tls = trusting(place.ca)
    except ValueError as error:
        return unable(error)
    request = Request(
        method,
        place.url,
        headers,
        body,
        authored=lambda host: place.written,
        networks=limits.networks,
        public=True,
        max_redirects=0,
        tls=tls,
    )
    progress = Progress()
    try:
        async with asyncio.timeout(limits.total):
            return await exchange(request, progress)
    except (TimeoutError, Broken, TooLong) as error:
        if progress.head is not None:
            return progress.head  # it said what became of it: the rest cannot change that
        if not isinstance(error, TimeoutError):
            return Later(f"{_said(error, place)}; whether it arrived is not known", fate="unknown")
        fate = "unknown" if progress.open else "notSent"
        return Later(f"no answer within {limits.total:.0f} s", fate=fate)  # type: ignore[arg-type]  # one of the words
    except Unreached as error:
        return Later(_said(error, place), fate="notSent")
    except Forbidden as error:
        return unable(_said(error, place))


def meaning(answer: Answer) -> Delivery:
    """What a full answer says."""
    if 200 <= answer.status <= 299:
        return Delivered()
    words = f"status {answer.status}"
    if answer.status in _LATER or answer.status >= 500:
        return Later(words, after_of(dict(answer.headers).get("retry-after", "")))
    return Never(f"{words}: {line_of(answer.body)}" if answer.body else words)


def after_of(text: str) -> timedelta | None:
    """Retry-After in seconds, an hour at most; a date is not heeded."""
    if text.isascii() and text.isdigit() and len(text) <= 6:
        return min(timedelta(seconds=int(text)), _LONGEST)
    return None


def line_of(body: bytes) -> str:
    """The beginning of a body, on one line."""
    text = body[:200].decode("utf-8", "replace").strip()
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _said(error: Exception, place: Place) -> str:
    # Words about a secret URL might hold parts of it: its host, or a piece that is no longer the whole secret.
    if place.written:
        return str(error)
    if isinstance(error, Forbidden):
        return (
            "the URL of the credential leads where channels do not go: to no address of the internet (name its network"
            " in 'networks' of the RunnerPool where that is meant), or it is no plain URL of http or https"
        )
    return f"the URL of the credential: {type(error).__name__.lower()}"


def sealed(error: Sealed) -> Later:
    return unable(error)
