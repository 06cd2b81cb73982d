"""Why a run exists, as JSON."""

from datetime import datetime
from typing import Any

from engine.identity import Cause


def cause_to_json(cause: Cause) -> dict[str, Any]:
    """The cause as the journal keeps it; what is not known is left out."""
    found = {
        "kind": cause.kind,
        "name": cause.name,
        "instant": cause.instant.isoformat(),
        "requestedBy": cause.requested_by,
        "reason": cause.reason,
        "node": cause.node,
        "item": cause.item,
        "event": cause.event,
        "chain": list(cause.chain) or None,
    }
    return {key: value for key, value in found.items() if value is not None}


def cause_from_json(data: dict[str, Any]) -> Cause:
    """Read what `cause_to_json` wrote."""
    return Cause(
        kind=data["kind"],
        name=data["name"],
        instant=datetime.fromisoformat(data["instant"]),
        requested_by=data.get("requestedBy"),
        reason=data.get("reason"),
        node=data.get("node"),
        item=data.get("item"),
        event=data.get("event"),
        chain=tuple(data.get("chain", ())),
    )
