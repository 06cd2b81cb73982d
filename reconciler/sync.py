"""What the engine knows of its source, as SyncStatus shows it; changed only when a fact changes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from engine.authority.trust import Mode
from engine.status.readmodel import MAX_FINDINGS
from engine.status.views import ConditionStatus, ConditionType, ConditionView, EngineView, SyncView
from reconciler.acts.actgate import OpenAct
from reconciler.acts.changegate import OpenChange
from schemas.diagnostic import Diagnostic, foremost
from schemas.quantities import format_instant


@dataclass(frozen=True, slots=True)
class Sync:
    """The facts behind SyncStatus."""

    engine: EngineView | None = None
    observed: str | None = None
    applied: str | None = None
    findings: tuple[Diagnostic, ...] = ()
    rejected: bool = False
    frozen: tuple[str, str] | None = None
    """Reason and message, where the head of the branch may not come into force."""
    unproven: str | None = None
    """Why it may not, alone, without what to do."""
    change: OpenChange | None = None
    """What waits for approvals, where a commit does."""
    asks: tuple[OpenAct, ...] = ()
    """Requests that wait for approvals."""
    trouble: tuple[str, str] | None = None
    """Reason and message, where the source cannot be read at present."""

    requests_trouble: str | None = None
    """Why the requests branch cannot be read, where it cannot."""

    status_trouble: str | None = None
    """Why the status does not go to the branch that the Project names, where it does not."""

    ahead: datetime | None = None
    """Until when schedules are decided, where the clock was set back and shows an earlier time."""

    verify: Mode = "none"
    """Which commits must be signed."""

    proof: str | None = None
    """Why the commit that is trusted is, in words."""

    policies: int = 0
    """How many are in force."""

    verified: bool = False
    """A signature, or a person on the server, speaks for that commit."""

    @property
    def clean(self) -> bool:
        """Whether the head of the branch is in force."""
        return not self.rejected and self.frozen is None and self.trouble is None and self.applied is not None


def view(sync: Sync, before: SyncView | None, now: datetime) -> SyncView:
    """SyncStatus: a condition keeps the time of its last transition while its status stays."""
    conditions = tuple(_condition(found, before, now) for found in _conditions(sync))
    return SyncView(
        engine=sync.engine,
        observed=sync.observed,
        applied=sync.applied,
        last_good=sync.applied,
        conditions=conditions,
        findings=foremost(sync.findings, MAX_FINDINGS),
        change=sync.change.shown() if sync.change is not None else None,
        requests=tuple(act.shown() for act in sync.asks),
        signed=sync.verify != "none",
    )


_Found = tuple[ConditionType, ConditionStatus, str, str]


def _conditions(sync: Sync) -> tuple[_Found, ...]:
    ready = _ready(sync)
    stalled: _Found = ("Stalled", "False", "Moving", "nothing waits for a person")
    if sync.frozen is not None:
        stalled = ("Stalled", "True", *sync.frozen)
    elif sync.rejected:
        stalled = ("Stalled", "True", "Invalid", "the head of the branch has errors; push a commit that mends them")
    elif sync.requests_trouble is not None:
        stalled = ("Stalled", "True", "RequestsUnreadable", sync.requests_trouble)
    elif sync.status_trouble is not None:
        stalled = ("Stalled", "True", "StatusBranchRefused", sync.status_trouble)
    elif sync.ahead is not None:
        until = format_instant(sync.ahead)
        stalled = ("Stalled", "True", "ClockSetBack", f"schedules are decided until {until}: until then none fires")
    return (ready, stalled, *_verified(sync))


def _verified(sync: Sync) -> Iterator[_Found]:
    """Nothing is said of signatures where nobody asks for them, and no Policy leans on them."""
    if sync.verify == "none":
        if sync.policies:
            message = f"policies ({sync.policies}) hold nobody: verify is none, so that anybody can be who they say"
            yield ("Verified", "False", "PoliciesNotEnforced", message)
        return
    if sync.frozen is not None:
        # What to do stands in Stalled.
        why = sync.unproven or "the head is not trusted"
        yield ("Verified", "False", sync.frozen[0], f"{why}; verify: {sync.verify}")
    elif sync.proof is None:
        yield ("Verified", "Unknown", "NothingTrusted", f"no commit was judged yet; verify: {sync.verify}")
    elif sync.verified:
        yield ("Verified", "True", "Trusted", f"the commit is {sync.proof}; verify: {sync.verify}")
    else:
        yield ("Verified", "Unknown", "TakenBefore", f"the commit was {sync.proof}; the next: verify: {sync.verify}")


def _ready(sync: Sync) -> _Found:
    short = (sync.applied or "")[:12]
    if sync.applied is None and sync.trouble is None:
        reason = "no commit was good yet" if sync.observed else "the branch was not found yet"
        return ("Ready", "False", "NothingAccepted", reason)
    if sync.trouble is not None:
        return ("Ready", "False", *sync.trouble)
    if sync.frozen is not None or sync.rejected:
        return ("Ready", "False", "LastGood", f"commit {short} stays in force")
    return ("Ready", "True", "InForce", f"commit {short} is in force")


def _condition(found: _Found, before: SyncView | None, now: datetime) -> ConditionView:
    kind, status, reason, message = found
    fresh = ConditionView(kind, status, reason, message, now)
    for old in before.conditions if before else ():
        if old.type == kind and old.status == status:
            return replace(fresh, last_transition=old.last_transition)
    return fresh
