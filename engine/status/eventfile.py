"""Events of triggers as they stand in a trigger's status file."""

from typing import Any

from engine.status.views import EventView, TriggerView
from engine.status.yamltext import plain, stamp

REJECTED = "rejected/"
"""How the keys of what was turned away begin: requests that nobody proved to have sent."""
_STATES = ("pending", "started", "ignored", "refused")


def status(view: TriggerView) -> dict[str, Any]:
    """The newest events, the last one first; there is at least one. `lastEvent` is what came last and was proven."""
    shown = [_event(one) for one in view.events]
    proven = (one for one in shown if not one["event"].startswith(REJECTED))
    counts = {state: view.counts.get(state, 0) for state in _STATES}
    return {"lastEvent": next(proven, shown[0]), "counts": counts, "events": shown}


def _event(view: EventView) -> dict[str, Any]:
    facts = {
        "event": view.key,
        "at": stamp(view.at),
        "state": view.state,
        "type": view.type,
        "delivery": view.delivery,
        "reason": view.reason,
        "message": view.message,
        "run": view.run,
        "times": view.times if view.times > 1 else None,
    }
    return {key: plain(value) for key, value in facts.items() if value is not None}
