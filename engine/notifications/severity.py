"""How bad an event is, compared with others that one message tells. Pure."""

from typing import Literal

_GOOD = frozenset({"run.started", "run.succeeded", "run.recovered", "target.recovered", "sync.recovered"})
_CALLS = frozenset(
    {"run.late", "run.cancelled", "run.noTargets", "run.waitingApproval", "credential.expiring", "discovery.changed"}
)
"""Events that somebody should look at, and of which nothing went wrong yet."""


def severity(event: str) -> Literal[0, 1, 2]:
    """Of an event by its name: 0 good news, 1 somebody should look, 2 something went wrong."""
    return 0 if event in _GOOD else 1 if event in _CALLS else 2
