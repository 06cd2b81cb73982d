"""Credentials that stop working soon, by what their documents say and the clock. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from engine.catalog import Catalog
from schemas.credential import Credential, CredentialSpec

THRESHOLDS = (30, 7, 1, 0)
"""Days before the end at which it is told, each once; 0: it has come."""


What = Literal["expiresAt", "rotateAfter"]


@dataclass(frozen=True, slots=True)
class Expiring:
    """A credential that stops working at an instant, or is old then, and the threshold that was passed last.

    `days` are left, whole.
    """

    credential: str
    what: What
    at: datetime
    threshold: int
    days: int


def expiring(catalog: Catalog, now: datetime) -> Iterator[Expiring]:
    """Those that have passed a threshold, by name."""
    for name, credential in sorted(catalog.credentials.items()):
        if (at := credential.spec.expires_at) is not None:
            left = at - now
            passed = [days for days in THRESHOLDS if left <= timedelta(days=days)]
            if passed:
                yield Expiring(name, "expiresAt", at, min(passed), max(0, -(-left // timedelta(days=1))))
        if (at := _old_at(credential)) is not None and at <= now:
            yield Expiring(name, "rotateAfter", at, 0, 0)


def has_expired(spec: CredentialSpec, now: datetime) -> bool:
    """Whether the document says that the credential has stopped working."""
    return spec.expires_at is not None and spec.expires_at <= now


def _old_at(credential: Credential) -> datetime | None:
    """When it has the age of `rotateAfter`: what sops wrote says when it was made; of others nobody knows."""
    made = (credential.sops or {}).get("lastmodified")
    if credential.spec.rotate_after is None or not isinstance(made, str):
        return None
    try:
        at = datetime.fromisoformat(made)
        return at + credential.spec.rotate_after if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
