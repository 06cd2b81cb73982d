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
from reconciler.answers import Answer
from schemas.act import Approval

_FACT = "changeWaits"


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody said."""

    by: str
    approves: bool
    act: str
    reason: str = ""


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
            "wants": [
                {
                    "documents": list(want.documents),
                    "approvals": want.count,
                    "notRequester": want.not_requester,
                    "given": list(want.given),
                    "by": list(want.by),
                }
                for want in self.wants
            ],
            "votes": [
                {
                    "by": vote.by,
                    "decision": "approve" if vote.approves else "reject",
                    "request": vote.act,
                    "reason": vote.reason,
                }
                for vote in self.votes
            ],
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "OpenChange":
        wants = tuple(
            Want(tuple(one["documents"]), one["approvals"], tuple(one["given"]), tuple(one["by"]), one["notRequester"])
            for one in value["wants"]
        )
        votes = tuple(
            Vote(one["by"], one["decision"] == "approve", one["request"], one["reason"]) for one in value["votes"]
        )
        return cls(value["gate"], value["base"], value["commit"], tuple(value["requestedBy"]), wants, votes)


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
    if who is None:
        return Answer("refused", "notAllowed", "only a User may approve a change, by a signature of theirs")
    if any(vote.by == who for vote in change.votes):
        return Answer("refused", "twice", f"{who} has answered this before")
    able = {name for want in change.wants for name in want.by}
    if who not in able:
        if who in change.requesters and any(want.not_requester for want in change.wants):
            return Answer("refused", "requester", f"{who} made the change, and it wants somebody else")
        names = ", ".join(sorted(able)[:10]) or "nobody who has not yet"
        return Answer("refused", "notAllowed", f"{who} may not approve this change: {names} may")
    approves = act.spec.decision == "approve"
    vote = Vote(who, approves, act.name, act.spec.reason)
    facts.put(tx, _FACT, replace(change, votes=(*change.votes, vote)).shown())
    said = "approved" if approves else "rejected"
    return Answer("done", None, f"{who} {said} commit {change.commit[:12]}")
