"""Who is told of what after a merge, in words and as data."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from engine.changes.plan_told import Told, ToldChange

_NAMED = 5


def told_as_data(change: ToldChange) -> dict[str, Any]:
    """One entry of `told`."""
    return {
        "objects": list(change.objects),
        "gained": [one.to_json() for one in change.gained],
        "lost": [one.to_json() for one in change.lost],
    }


def told_text(change: ToldChange, mark: Callable[[str], str] = str) -> str:
    """`Job/backup: run.failed also by chat; run.failed no longer by mail (ana)`. `mark` displays names."""
    named = ", ".join(mark(name) for name in change.objects[:_NAMED])
    more = f" and {len(change.objects) - _NAMED} more" if len(change.objects) > _NAMED else ""
    parts = [f"{events} {word} {by}" for told, word in ((change.gained, "told by"), (change.lost, "no longer told by"))
             for by, events in _by_channel(told, mark)]  # fmt: skip
    return f"{named}{more}: {'; '.join(parts)}"


def _by_channel(told: Sequence[Told], mark: Callable[[str], str]) -> list[tuple[str, str]]:
    """Channels, each with its events."""
    ordered = sorted(told, key=lambda one: (one.channel, one.user or "", one.event))
    found = []
    for (channel, user), ones in groupby(ordered, key=lambda one: (one.channel, one.user)):
        by = mark(channel) + (f" ({mark(user)})" if user else "")
        found.append((by, ", ".join(one.event for one in ones)))
    return found
