"""Requests that wait for approvals, and what people have said of them.

Such a request is not answered yet: it is judged anew at every pass, with what was said of it, until it may be done, is
rejected, or has expired. People approve it as they approve a change, by an `Approval` on the requests branch. Its
digest names the request and the commit that brought it: the same words in another commit are another request.

What waits is what that commit holds, whatever is done to its file afterwards: who may push the branch cannot end it by
a file of the same name, nor by taking it away. Only those who signed it can put another in its place.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from engine.authority.permits import Want
from journal import facts
from reconciler.acts import votes
from reconciler.acts.answers import Answer
from reconciler.acts.votes import Vote
from schemas.act import Approval
from schemas.quantities import format_instant, parse_instant

MOST = 100
"""Requests that wait at once."""
MOST_OF_ONE = 20
"""Of them those of one person: nobody takes the place of everybody else's."""
LONGEST = timedelta(days=7)
"""How long a request waits at most, whatever its `expiresAt` says."""
_FACT = "requestsWait"
_PAST = "requestsWaited"
"""The names of those that do not wait any more, by digest, the last ones at the end."""
_MOST_PAST = 100


@dataclass(frozen=True, slots=True)
class OpenAct:
    """A request that waits. `asks` is what it asks for, as `run Job/x`; `requesters` are those who signed it."""

    digest: str
    request: str
    commit: str
    asks: str
    requesters: tuple[str, ...]
    wants: tuple[Want, ...]
    votes: tuple[Vote, ...] = ()
    file: str = ""
    """Where it stands in the commit."""
    until: datetime | None = None
    """When it expires."""
    since: datetime | None = None
    """When its commit arrived: by what was trusted then its signature is judged."""

    def shown(self) -> dict[str, Any]:
        """As the status branch shows it and the journal keeps it."""
        return {
            "gate": self.digest,
            "request": self.request,
            "commit": self.commit,
            "asks": self.asks,
            "file": self.file,
            **({"expiresAt": format_instant(self.until)} if self.until is not None else {}),
            **({"since": format_instant(self.since)} if self.since is not None else {}),
            "requestedBy": list(self.requesters),
            **votes.shown(self.wants, self.votes),
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "OpenAct":
        requesters = tuple(value["requestedBy"])
        known = (value["gate"], value["request"], value["commit"], value["asks"], requesters)
        # An earlier version kept neither file nor time; the command line writes them there.
        file, until = value.get("file") or f"requests/{value['request']}.yaml", value.get("expiresAt")
        since = value.get("since")
        ends = parse_instant(until) if until is not None else None
        began = parse_instant(since) if since is not None else None
        return cls(*known, votes.wants_of(value), votes.votes_of(value), file, ends, began)


def kept(conn: Connection) -> Mapping[str, OpenAct]:
    """Those that wait, by digest, with the votes on them."""
    return {digest: OpenAct.of(value) for digest, value in facts.get(conn, _FACT, {}).items()}


def keep(tx: Connection, act: OpenAct) -> None:
    """It waits. A vote that came meanwhile is kept; what was said of the same name in another commit is void."""
    known = kept(tx)
    before = known.get(act.digest)
    now = act if before is None else replace(act, votes=before.votes)
    if now != before:
        others = {digest: one for digest, one in known.items() if one.request != act.request}
        _put(tx, {**others, act.digest: now})


def room_for(known: Mapping[str, OpenAct], people: Collection[str]) -> str | None:
    """Why another request of these people may not wait; None: it may."""
    for who in people:
        if sum(who in one.requesters for one in known.values()) >= MOST_OF_ONE:
            return f"{MOST_OF_ONE} requests of {who} wait for approvals already; ask again once some are answered"
    if len(known) >= MOST:
        return f"{MOST} requests wait for approvals already; ask again later"
    return None


def take_in(tx: Connection, shown: Iterable[Mapping[str, Any]]) -> None:
    """What `sync.yaml` shows of requests, where this store knows of none. They are judged again; their votes count."""
    if not (known := kept(tx)):
        acts = (OpenAct.of(one) for one in shown)
        _put(tx, {**known, **{act.digest: act for act in islice(acts, MOST)}})


def forget(tx: Connection, requests: Collection[str]) -> None:
    """These have their answers."""
    known = kept(tx)
    left = {digest: act for digest, act in known.items() if act.request not in requests}
    if len(left) != len(known):
        _put(tx, left)


def heard(tx: Connection, act: Approval, who: str | None) -> Answer | None:
    """Take one person's word on a request that waits; None where the approval is of another thing."""
    known = kept(tx)
    open_ = known.get(act.spec.gate)
    if open_ is None:
        request = facts.get(tx, _PAST, {}).get(act.spec.gate)
        if request is None:
            return None
        why = "it has its answer, or who signed it put another in its place"
        return Answer("refused", "gateClosed", f"request {request} does not wait any more: {why}")
    said = votes.word(act, who, open_.wants, open_.votes, open_.requesters, made="asked for it")
    if isinstance(said, Answer):
        return said
    _put(tx, {**known, open_.digest: replace(open_, votes=(*open_.votes, said))})
    return Answer("done", None, f"{said.by} {'approved' if said.approves else 'rejected'} request {open_.request}")


def _put(tx: Connection, acts: Mapping[str, OpenAct]) -> None:
    gone = {digest: one.request for digest, one in kept(tx).items() if digest not in acts}
    if gone:
        past = {digest: name for digest, name in facts.get(tx, _PAST, {}).items() if digest not in gone}
        facts.put(tx, _PAST, dict([*past.items(), *gone.items()][-_MOST_PAST:]))
    facts.put(tx, _FACT, {digest: act.shown() for digest, act in acts.items()})
