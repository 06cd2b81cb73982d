"""Who answers for a commit that brings an act: by what was trusted when that commit arrived.

Not when another of the same name did, and not when it says itself that it was made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engine.authority.trust import Mode, Signature, Unsigned, Untrusted, signers
from reconciler.acts.actgate import OpenAct
from reconciler.authority.signingprograms import TrustUnavailable
from reconciler.repository.objects import CommitInfo
from schemas.policy import User

Signed = Callable[[str, Mapping[str, User], datetime], Signature]
"""Who answers for a commit, given the Users in force and when it arrived."""


Refused = Callable[[CommitInfo, datetime], Untrusted | None]
"""Why the signature of a commit that arrived then counts for nothing here; None: it counts."""


def nobody(commit: str, users: Mapping[str, User], at: datetime) -> Signature:
    return Unsigned()


def everybody(commit: CommitInfo, arrived: datetime) -> None:
    """Any commit counts."""


@dataclass(slots=True)
class Arrivals:
    """When commits that bring acts were seen first. One caller at a time.

    It is remembered until everything is answered; of what waits by the journal. A commit that was seen by an earlier
    process, and not answered, arrives anew: whoever's key has expired meanwhile signs again.
    """

    signed: Signed = nobody
    refused: Refused = everybody
    _seen: dict[str, datetime] = field(default_factory=dict)

    def of(self, commit: str, waits: OpenAct | None, now: datetime) -> datetime:
        """When it arrived; `waits` is what waits under the name of its act."""
        if waits is not None and waits.commit == commit and waits.since is not None:
            return waits.since
        return self._seen.setdefault(commit, now)

    def answered(self) -> None:
        """Everything that came has its answer, or waits."""
        self._seen.clear()


@dataclass(slots=True)
class Signers:
    """Who signed, for one pass: each commit is looked at once for each time at which it arrived."""

    arrivals: Arrivals
    users: Mapping[str, User]
    mode: Mode
    kept: Mapping[str, OpenAct]
    now: datetime
    _known: dict[tuple[str, datetime], Signature] = field(default_factory=dict)

    def arrived(self, commit: CommitInfo, name: str) -> datetime:
        """When the commit that brings an act of this name arrived."""
        return self.arrivals.of(commit.id, self.kept.get(name), self.now)

    def __call__(self, commit: CommitInfo, name: str) -> Signature:
        """Raises TrustUnavailable where signatures are asked for and it cannot be known."""
        at = self.arrived(commit, name)
        if (by := self._known.get((commit.id, at))) is None:
            by = self._signature(commit, at)
            self._known[commit.id, at] = by
        if self.mode != "none" and isinstance(by, Untrusted) and by.reason == "unverifiable":
            raise TrustUnavailable(by.message)
        return by

    def _signature(self, commit: CommitInfo, at: datetime) -> Signature:
        if not commit.signed:
            return Unsigned()
        by = self.arrivals.signed(commit.id, self.users, at)
        if self.mode != "none" and signers(by) and (refused := self.arrivals.refused(commit, at)) is not None:
            return refused
        return by
