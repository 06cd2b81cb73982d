"""What people say at gates: heard or refused in the transaction that answers the act."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from engine.workflows import gates
from engine.workflows.graphfacts import Verdict
from journal import graphs
from reconciler.acts import actgate, changegate
from reconciler.acts.answers import Answer
from schemas.act import Approval

ADVISORY = "advisory: nothing proves who made the commit"


Leave = Callable[[str], Answer | None]
"""Why somebody may not answer a gate of a workflow, given as `Workflow/x`; None: they may."""


def heard(tx: Connection, act: Approval, who: gates.Person, now: datetime, leave: Leave, *, proven: bool) -> Answer:
    """Take one person's word at a gate, or on a change. `proven`: a signature says who it is, and not the commit's own
    claim."""
    asked = graphs.asked(tx, act.spec.gate)
    if asked is None:
        user = who.user.name if proven and who.user is not None else None
        if (answer := changegate.heard(tx, act, user) or actgate.heard(tx, act, user)) is not None:
            return answer
        message = "no gate is known by this digest; 'opsconductor get gates' shows those that wait"
        return Answer("refused", "unknownGate", message)
    if not asked.waits or (asked.until is not None and now >= asked.until):
        why = asked.reason or "its time is over"
        return Answer("refused", "gateClosed", f"the gate is closed already: {why}", asked.run)
    if (forbidden := leave(f"Workflow/{asked.workflow}")) is not None:
        return replace(forbidden, run=asked.run)
    if (unheard := gates.heard(asked.gate, who)) is not None:
        return Answer("refused", unheard.reason, unheard.message, asked.run)
    approved = act.spec.decision == "approve"
    graphs.vote(tx, act.spec.gate, Verdict(who.name, approved, now, act.name, act.spec.reason, proven))
    count = sum(one.approved for one in asked.gate.verdicts) + 1
    said = f"{who.name} approved, {count} of {asked.gate.shown.get('count', 1)}" if approved else f"{who.name} rejected"
    return Answer("done", None, said if proven else f"{said} ({ADVISORY})", asked.run)
