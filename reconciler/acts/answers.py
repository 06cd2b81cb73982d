"""What an act comes to."""

from dataclasses import dataclass

from engine.identity import RunId
from journal.acts import ActState


@dataclass(frozen=True, slots=True)
class Answer:
    """As `requests/<name>.yaml` shows it."""

    state: ActState
    reason: str | None = None
    message: str | None = None
    run: RunId | None = None
