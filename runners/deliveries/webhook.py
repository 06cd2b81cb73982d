"""Channel `webhook`: the event as a CloudEvent in JSON (structured mode), signed by HMAC over the bytes of the body."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from runners.deliveries import Delivery, Limits, Message
from runners.deliveries.posting import Headers, place_of, posted, sealed, secret_of, signed
from runners.secrets import Opened, Sealed


def event_body(message: Message) -> bytes:
    """The CloudEvent. Its `id` is the message's, so that a repetition can be told."""
    told = {"subject": message.subject, "text": message.text, "format": message.format}
    event: dict[str, Any] = {"specversion": "1.0", "type": "opsconductor.message", "source": "/opsconductor"}
    event |= {"datacontenttype": "application/json", **message.event, "id": message.id}
    data = message.event.get("data")
    event["data"] = {**(data if isinstance(data, dict) else {}), "message": told}
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def headers_of(message: Message, body: bytes, key: str | None) -> Headers:
    headers: Headers = (("Content-Type", "application/cloudevents+json"), ("Idempotency-Key", message.id))
    return headers if key is None else (*headers, signed(body, key))


class Webhook:
    """See Channel."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def deliver(self, message: Message, settings: Mapping[str, Any], opened: Callable[[str], Opened]) -> Delivery:
        try:
            key = secret_of(settings, opened) if settings.get("credentialRef") is not None else None
            place = place_of(settings, opened)
        except Sealed as error:
            return sealed(error)
        body = event_body(message)
        return await posted(place, body, headers_of(message, body, key), self._limits)
