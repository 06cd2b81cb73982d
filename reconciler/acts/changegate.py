"""The change of the definitions that waits for approvals: one at most, and what people have said of it.

People approve it as they approve a gate of a workflow, by an `Approval` on the requests branch. Its digest names the
commit and the one it builds on, so that an approval is of that change only, and of no later one like it.

Whoever may push can take a change off the branch and put another there, or something that nobody signed. What was said
of it is kept while the commit it builds on is the end of what is trusted: only then the same change can wait again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from engine.authority.permits import Want
from journal import facts
from reconciler.acts import votes
from reconciler.acts.answers import Answer
from reconciler.acts.votes import Vote
from schemas.act import Approval

_FACT = "changeWaits"
_PAST = "changesWaited"
"""Those that do not wait now, the one that did last at the end."""
_MOST = 20


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that waits. `requesters` are those who signed it."""

    digest: str
    base: str
    commit: str
    requesters: tuple[str, ...]
    wants: tuple[Want, ...]
    votes: tuple[Vote, ...] = ()
    over: bool = False
    """What is trusted does not end any more where it builds on: it is in force, or another took its place."""

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


def keep(tx: Connection, change: OpenChange | None, end: str | None) -> None:
    """From now on this one waits, or none. A vote that came meanwhile is kept, and what was said when it waited before.

    `end` is the last commit that is trusted: of a change that builds on another nothing that was said counts again.
    """
    before, past = kept(tx), _past(tx)
    known = {one.digest: one for one in (*past, *((before,) if before is not None else ()))}
    if change is not None and (same := known.pop(change.digest, None)) is not None:
        change = replace(change, votes=same.votes)
    gone = tuple(one if one.base == end else replace(one, votes=(), over=True) for one in known.values())[-_MOST:]
    if change != before:
        facts.put(tx, _FACT, change.shown() if change is not None else None)
    if gone != past:
        _put_past(tx, gone)


def take_in(tx: Connection, change: Mapping[str, Any]) -> None:
    """What `sync.yaml` shows of a change, into a store that knows of none. It is judged again; its votes count."""
    if facts.get(tx, _FACT, None) is None:
        facts.put(tx, _FACT, OpenChange.of(change).shown())


def _past(conn: Connection) -> tuple[OpenChange, ...]:
    return tuple(replace(OpenChange.of(one), over=one["over"]) for one in facts.get(conn, _PAST, []))


def heard(tx: Connection, act: Approval, who: str | None) -> Answer | None:
    """Take one person's word on the change that waits; None where the approval is of another thing.

    `who` is the User who signed it, None where that is nobody.
    """
    change = kept(tx)
    past = _past(tx)
    asked = next((one for one in (*filter(None, (change,)), *past) if one.digest == act.spec.gate), None)
    if asked is None:
        return None
    short = asked.commit[:12]
    if asked.over:
        why = "it is in force, or another came in its place"
        return Answer("refused", "gateClosed", f"commit {short} does not wait any more: {why}")
    said = votes.word(act, who, asked.wants, asked.votes, asked.requesters, made="made the change")
    if isinstance(said, Answer):
        return said
    now = replace(asked, votes=(*asked.votes, said))
    message = f"{said.by} {'approved' if said.approves else 'rejected'} commit {short}"
    if asked is change:
        facts.put(tx, _FACT, now.shown())
        return Answer("done", None, message)
    # Whoever may push takes a change off the branch for a moment: nobody's word is lost by that.
    _put_past(tx, tuple(now if one is asked else one for one in past))
    return Answer("done", None, f"{message}; it is not what stops the branch now, and this counts once it is again")


def _put_past(tx: Connection, past: Sequence[OpenChange]) -> None:
    facts.put(tx, _PAST, [{**one.shown(), "over": one.over} for one in past])
