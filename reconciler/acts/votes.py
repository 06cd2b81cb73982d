"""What people say of what waits for approvals: one word a person, of those whose word counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.authority.permits import Want
from reconciler.acts.answers import Answer
from schemas.act import Approval


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody said."""

    by: str
    approves: bool
    act: str
    reason: str = ""


def shown(wants: Sequence[Want], votes: Sequence[Vote]) -> dict[str, Any]:
    """As the status branch shows it and the journal keeps it."""
    return {
        "wants": [
            {
                "documents": list(want.documents),
                "approvals": want.count,
                "notRequester": want.not_requester,
                "given": list(want.given),
                "by": list(want.by),
            }
            for want in wants
        ],
        "votes": [
            {
                "by": vote.by,
                "decision": "approve" if vote.approves else "reject",
                "request": vote.act,
                "reason": vote.reason,
            }
            for vote in votes
        ],
    }


def wants_of(value: Mapping[str, Any]) -> tuple[Want, ...]:
    """What was `shown`."""
    return tuple(
        Want(tuple(one["documents"]), one["approvals"], tuple(one["given"]), tuple(one["by"]), one["notRequester"])
        for one in value["wants"]
    )


def votes_of(value: Mapping[str, Any]) -> tuple[Vote, ...]:
    """What was `shown`."""
    return tuple(Vote(one["by"], one["decision"] == "approve", one["request"], one["reason"]) for one in value["votes"])


def word(
    act: Approval,
    who: str | None,
    wants: Sequence[Want],
    votes: Sequence[Vote],
    requesters: Sequence[str],
    *,
    made: str,
) -> Answer | Vote:
    """One person's word, or why it is not heard. `who` is the User who signed it, None where that is nobody; `made`
    says what the requesters did, as `made the change`."""
    if who is None:
        return Answer("refused", "notAllowed", "only a User may approve this, by a signature of theirs")
    if any(vote.by == who for vote in votes):
        return Answer("refused", "twice", f"{who} has answered this before")
    if who in requesters and act.spec.decision == "reject":
        return Vote(who, False, act.name, act.spec.reason)  # who asked may take it back
    able = {name for want in wants for name in want.by}
    if who not in able:
        if who in requesters and any(want.not_requester for want in wants):
            return Answer("refused", "requester", f"{who} {made}, and it wants somebody else")
        names = ", ".join(sorted(able)[:10]) or "nobody who has not yet"
        return Answer("refused", "notAllowed", f"{who} may not approve this: {names} may")
    return Vote(who, act.spec.decision == "approve", act.name, act.spec.reason)
