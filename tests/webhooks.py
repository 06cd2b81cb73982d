"""Senders of webhooks, as the forges are: what they sign, and in which headers they say so."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

CASES = Path(__file__).parent / "cases" / "webhooks"
SECRET = "correct-horse-battery"
JSON = {"content-type": "application/json"}


def hex_of(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(body: bytes, event: str = "push", delivery: str = "d-1", secret: str = SECRET) -> dict[str, str]:
    signature = f"sha256={hex_of(body, secret)}"
    return {**JSON, "x-github-event": event, "x-github-delivery": delivery, "x-hub-signature-256": signature}


def gitea(body: bytes, event: str = "push", delivery: str = "d-1", secret: str = SECRET) -> dict[str, str]:
    signature = hex_of(body, secret)
    return {**JSON, "x-gitea-event": event, "x-gitea-delivery": delivery, "x-gitea-signature": signature}


def gitlab(event: str = "Push Hook", delivery: str = "d-1", secret: str = SECRET) -> dict[str, str]:
    return {**JSON, "x-gitlab-event": event, "x-gitlab-token": secret, "idempotency-key": delivery}


def standard(body: bytes, at: datetime, identity: str = "msg-1", key: bytes = SECRET.encode()) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    signed = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(signed).decode()}"
    return {**JSON, "webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": signature}


def bearer(delivery: str | None = None, secret: str = SECRET) -> dict[str, str]:
    named = {} if delivery is None else {"idempotency-key": delivery}
    return {**JSON, "authorization": f"Bearer {secret}", **named}


def many(headers: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: (value,) for name, value in headers.items()}
