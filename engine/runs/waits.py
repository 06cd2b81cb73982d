"""What an open run has of its concurrency group, or waits for: as values, in its file, and as a sentence. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.runs import runnerlabels
from schemas.quantities import format_instant

SHOWN = 10
"""So many at the head of a line are told who is before them: whoever is further back has time."""


@dataclass(frozen=True, slots=True)
class Held:
    """The place that it has; `number` counts from 0."""

    group: str
    number: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a run waits: `until` its time has come, for a place of its `group` (`held_by` are ids of runs), or for a
    runner of its `pool` that has the labels that it `needs`."""

    until: datetime | None = None
    group: str | None = None
    held_by: tuple[str, ...] = ()
    pool: str | None = None
    needs: str | None = None


def held_file(held: Held | None) -> dict[str, Any]:
    """What a run's file says of it."""
    return {} if held is None else {"place": {"group": held.group, "number": held.number}}


def wait_file(wait: Wait | None) -> dict[str, Any]:
    """What a run's file says of it."""
    if wait is None:
        return {}
    if wait.until is not None:
        return {"waitsFor": {"time": format_instant(wait.until)}}
    if wait.pool is not None:
        return {"waitsFor": {"pool": wait.pool, "labels": runnerlabels.labels_of(wait.needs)}}
    return {"waitsFor": {"group": wait.group, **({"heldBy": list(wait.held_by)} if wait.held_by else {})}}


def sentence(waits_for: Mapping[str, Any] | None) -> str | None:
    """What a run waits for, in words, by the `waitsFor` of its file."""
    if not waits_for:
        return None
    if waits_for.get("time"):
        return f"waits for its time, {waits_for['time']}"
    if waits_for.get("pool"):
        labels = runnerlabels.text_of(waits_for.get("labels") or {})
        return f"waits for a runner of pool {waits_for['pool']}" + (f" with labels {labels}" if labels else "")
    others = [str(one) for one in waits_for.get("heldBy") or ()]
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"waits for a place in group {waits_for.get('group')}" + (f" (held by {others[0]}{more})" if others else "")
