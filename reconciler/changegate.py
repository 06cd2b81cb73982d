"""The change of the definitions that waits for approvals: one at most, and what people have said of it.

People approve it as they approve a gate of a workflow, by an `Approval` on the requests branch. Its digest names the
commit and the one it builds on, so that an approval is of that change only, and of no later one like it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from engine.permits import Want
from journal import facts
from reconciler import votes
from reconciler.answers import Answer
from reconciler.votes import Vote
from schemas.act import Approval

_FACT = "changeWaits"


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that waits. `requesters` are those who signed it."""

    digest: str
    base: str
    commit: str
    requesters: tuple[str, ...]
    wants: tuple[Want, ...]
    votes: tuple[Vote, ...] = ()

    def shown(self) -> dict[str, Any]:
        """As the status branch shows it and the journal keeps it."""
        return {
            "gate": self.digest,
            "commit": self.commit,
            "base": self.base,
            "requestedBy": list(self.requesters),
            **votes.shown(self.wants, self.votes),
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "OpenChange":
        known = (value["gate"], value["base"], value["commit"], tuple(value["requestedBy"]))
        return cls(*known, votes.wants_of(value), votes.votes_of(value))


def kept(conn: Connection) -> OpenChange | None:
    """The change that waits, with the votes on it."""
    value = facts.get(conn, _FACT, None)
    return OpenChange.of(value) if value is not None else None


def keep(tx: Connection, change: OpenChange | None) -> None:
    """From now on this one waits, or none. A vote that came meanwhile is kept."""
    before = kept(tx)
    if change is not None and before is not None and before.digest == change.digest:
        change = replace(change, votes=before.votes)
    if change != before:
        facts.put(tx, _FACT, change.shown() if change is not None else None)


def heard(tx: Connection, act: Approval, who: str | None) -> Answer | None:
    """Take one person's word on the change that waits; None where the approval is of another thing.

    `who` is the User who signed it, None where that is nobody.
    """
    change = kept(tx)
    if change is None or change.digest != act.spec.gate:
        return None
    said = votes.word(act, who, change.wants, change.votes, change.requesters, made="made the change")
    if isinstance(said, Answer):
        return said
    facts.put(tx, _FACT, replace(change, votes=(*change.votes, said)).shown())
    return Answer("done", None, f"{said.by} {'approved' if said.approves else 'rejected'} commit {change.commit[:12]}")
