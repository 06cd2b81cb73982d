"""What people say at gates: heard or refused in the transaction that answers the act."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from engine import gates
from journal import graphs
from reconciler.answers import Answer
from schemas.act import Approval
from schemas.policy import User

ADVISORY = "advisory: nothing proves who made the commit"


def heard(tx: Connection, act: Approval, email: str, users: Mapping[str, User], now: datetime) -> Answer:
    """Take one person's word at a gate. `email` is that of the act's committer, `users` are those in force."""
    asked = graphs.asked(tx, act.spec.gate)
    if asked is None:
        message = "no gate has had this digest; 'opsconductor get gates' shows those that wait"
        return Answer("refused", "unknownGate", message)
    if not asked.waits or (asked.until is not None and now >= asked.until):
        why = asked.reason or "its time is over"
        return Answer("refused", "gateClosed", f"the gate is closed already: {why}", asked.run)
    who = gates.person(email, users)
    if (unheard := gates.heard(asked.gate, who)) is not None:
        return Answer("refused", unheard.reason, unheard.message, asked.run)
    approved = act.spec.decision == "approve"
    graphs.vote(tx, act.spec.gate, who.name, approved=approved, act=act.name, reason=act.spec.reason, now=now)
    count = sum(one.approved for one in asked.gate.verdicts) + 1
    said = f"{who.name} approved, {count} of {asked.gate.shown.get('count', 1)}" if approved else f"{who.name} rejected"
    return Answer("done", None, f"{said} ({ADVISORY})", asked.run)
