"""How far the branch of definitions is trusted: the chain of commits since the last that was, folded step by step."""

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from engine.authority.trust import (
    Authority,
    Change,
    MergedBy,
    Mode,
    Permits,
    Signature,
    SignedBy,
    Stopped,
    Unsigned,
    Untrusted,
    anybody,
    judge,
    stricter,
    unproven,
)
from engine.catalog import Catalog
from engine.compile import PROJECT_FILE
from journal.errors import Refused, Unavailable
from reconciler.authority.authorities import Authorities
from reconciler.authority.keyfiles import KeyFiles
from reconciler.authority.signatures import OneSignature, Signatures, SignedByForge
from reconciler.authority.signingprograms import TrustUnavailable
from reconciler.authority.trust import TrustSettings
from reconciler.definitions import Definitions
from reconciler.repository.differences import TooManyFiles
from reconciler.repository.history import History
from schemas.policy import User

log = structlog.get_logger(__name__)

_LONGEST = 10_000
"""Commits of a chain: more are for a person to accept at once."""
_MOST_MERGED = 1_000
_PORTION = 32
"""Commits whose signatures are checked beside each other."""
_AT_ONCE = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Trusted:
    """The last commit that is trusted. `mode` is what its Project asks for, or the one before where it cannot be read.

    `named`: a person on the server accepted it by name.
    """

    commit: str
    mode: Mode = "none"
    signature: Signature | None = None
    """Who answers for it; None: it was not judged now."""
    named: bool = False


@dataclass(frozen=True, slots=True)
class Followed:
    """How far the chain is trusted. `stopped` says why not to its end; then `trusted` may be what it was before."""

    trusted: Trusted | None
    stopped: Stopped | None = None
    mode: Mode = "none"
    """The mode in force where the chain ended or was stopped."""
    named: bool = False
    """The commit that a person accepted by name was made use of."""


@dataclass(frozen=True, slots=True)
class _Step:
    base: str
    commit: str
    authority: Authority
    mode: Mode


class Chain:
    """Follows a branch. One caller at a time."""

    def __init__(
        self,
        authorities: Authorities,
        history: History,
        signatures: Signatures,
        *,
        mode: Mode = "none",
        permits: Permits = anybody,
    ) -> None:
        """`mode` is that of the settings; the stricter of it and the trusted commit's is in force."""
        self._authorities = authorities
        self._history = history
        self._signatures = signatures
        self.mode = mode
        self._permits = permits

    def stamp(self) -> object:
        """Changes when the trust file does: then what was stopped is judged again."""
        return self._signatures.files.stamp()

    def follow(
        self, head: str, trusted: Trusted | None, *, by_name: str | None, now: datetime, good: Catalog | None = None
    ) -> Followed:
        """Judge what the branch gained since the commit that is trusted, at the time that it arrived.

        `by_name` is the commit that a person accepted, where it was not made use of before. `good` are the
        definitions in force. What was trusted once is not judged again.
        """
        if by_name == head:
            taken = self._by_name(head, trusted, good)
            return Followed(taken, mode=self._in_force(taken), named=True)
        try:
            self._signatures.files.keys()
        except TrustUnavailable as error:
            return Followed(trusted, Stopped(head, "TrustUnavailable", str(error)), self._in_force(trusted))
        if by_name is not None and self._leads_on(by_name, trusted, head):
            return replace(self._since(self._by_name(by_name, trusted, good), head, now, good), named=True)
        if trusted is None:
            return self._first(head, now)
        if not self._history.contains(head, trusted.commit):
            return Followed(trusted, rewritten(head, trusted.commit), self._in_force(trusted))
        return self._since(trusted, head, now, good)

    def begins(self, head: str) -> bool:
        """Whether the settings let a commit in as the first one."""
        return self.mode == "none" or self._unproven_first(head, datetime.now(UTC))[1] is None

    def signed(self, commit: str, users: Mapping[str, User], at: datetime) -> Signature:
        """Who answers for a commit outside the chain, as one that brings an act."""
        return self._signatures_of([(commit, None, users)], at)[0]

    def bug(self, head: str, trusted: Trusted | None, error: Exception) -> Followed:
        """A bug of ours on the way is no reason to believe anything, nor to say that less is asked."""
        message = f"it cannot be judged, by a bug of ours: {type(error).__name__}: {error}"
        return Followed(trusted, Stopped(head, "Bug", message), self._in_force(trusted))

    def _in_force(self, trusted: Trusted | None) -> Mode:
        """Which commits must be signed on top of what is trusted."""
        return self.mode if trusted is None else stricter(self.mode, trusted.mode)

    # --- steps --------------------------------------------------------------------------------------------------

    def _first(self, head: str, now: datetime) -> Followed:
        """The first commit of all is judged by the settings alone: nobody is there who could speak for it."""
        signature, stopped = self._unproven_first(head, now)
        if stopped is not None:
            return Followed(None, stopped, self.mode)
        first = Trusted(head, self._authorities.of(head, "none", None).mode, signature)
        return Followed(first, mode=self._in_force(first))

    def _unproven_first(self, head: str, now: datetime) -> tuple[Signature | None, Stopped | None]:
        if self.mode == "none":
            return None, None
        signature = self._signatures_of([(head, None, {})], now)[0]
        return signature, unproven(head, self.mode, signature)

    def _since(self, trusted: Trusted, head: str, now: datetime, good: Catalog | None) -> Followed:
        if trusted.commit == head:
            return Followed(trusted, mode=self._in_force(trusted))
        line = self._history.line(head, trusted.commit, _LONGEST)
        if line is None:
            message = f"the branch gained more than {_LONGEST} commits at once; accept its head by name, or push less"
            return Followed(trusted, Stopped(head, "TooMany", message), self._in_force(trusted))
        left = self._from(trusted.commit, line)
        mode = self._in_force(trusted)
        while trusted.commit != head:
            steps = self._steps(trusted, left, good)
            asked = [(step.commit, step.base, step.authority.users) for step in steps]
            for step, signature in zip(steps, self._signatures_of(asked, now), strict=True):
                mode = step.mode
                if (stopped := self._judged(step, signature, now)) is not None:
                    return Followed(trusted, stopped, mode)
                asks = self._authorities.of(step.commit, step.authority.mode, good).mode
                trusted = Trusted(step.commit, asks, signature)
            left = left[left.index(steps[-1].commit) + 1 :]
        return Followed(trusted, mode=self._in_force(trusted))

    def _from(self, base: str, line: Sequence[str]) -> Sequence[str]:
        """The part of a line whose commits contain the base: where it was merged into the branch, all from there on."""
        if self._history.parents(line[0])[:1] == (base,):
            return line
        return line[bisect_left(line, True, key=lambda commit: self._history.contains(commit, base)) :]

    def _steps(self, trusted: Trusted, line: Sequence[str], good: Catalog | None) -> list[_Step]:
        """The next steps. What a commit says of people is known without trusting it; whether it counts is not."""
        steps: list[_Step] = []
        base, before = trusted.commit, trusted.mode
        for commit in line[:_PORTION]:
            authority = self._authorities.of(base, before, good)
            mode = stricter(self.mode, authority.mode)
            if mode != "range":
                if steps:
                    return steps
                end = self._until_asked(base, line) if mode == "none" else line[-1]
                return [_Step(base, end, authority, mode)]
            steps.append(_Step(base, commit, authority, mode))
            base, before = commit, authority.mode
        return steps

    def _until_asked(self, base: str, line: Sequence[str]) -> str:
        """The first commit of a line that asks for signatures, else its last: those after it are judged by what it
        asks, also where all were fetched at once."""
        known = self._history.blob(base, PROJECT_FILE)
        for commit in line:
            blob = self._history.blob(commit, PROJECT_FILE)
            if blob != known and self._authorities.asks(commit) not in ("none", None):
                return commit
            known = blob
        return line[-1]

    def _judged(self, step: _Step, signature: Signature, now: datetime) -> Stopped | None:
        change = Change(step.base, step.commit, step.authority, step.mode, signature, now)
        if step.authority.policies and unproven(step.commit, step.mode, signature) is None:
            try:
                paths = tuple(one.path for one in self._history.differing(step.base, step.commit))
            except TooManyFiles as error:
                return Stopped(step.commit, "TooMany", f"commit {step.commit[:12]} changes too much: {error}")
            change = replace(change, paths=paths)
        return judge(change, self._permits)

    def _by_name(self, commit: str, trusted: Trusted | None, good: Catalog | None) -> Trusted:
        before = trusted.mode if trusted is not None else "none"
        return Trusted(commit, self._authorities.of(commit, before, good).mode, named=True)

    def _leads_on(self, named: str, trusted: Trusted | None, head: str) -> bool:
        """Whether the commit that was named lies between what is trusted and the head: a name is of use once."""
        if trusted is not None and self._history.contains(trusted.commit, named):
            return False
        return self._history.is_on_line(head, named, _LONGEST)

    # --- signatures ---------------------------------------------------------------------------------------------

    def _signatures_of(
        self, asked: Iterable[tuple[str, str | None, Mapping[str, User]]], at: datetime
    ) -> list[Signature]:
        """Who answers for each commit, given the commit it starts from and the Users there."""
        wanted = list(asked)
        found = self._checked([(commit, users) for commit, _, users in wanted], at)
        return [
            self._merged(commit, base, users, one, at) if isinstance(one, SignedByForge) else one
            for (commit, base, users), one in zip(wanted, found, strict=True)
        ]

    def _checked(self, commits: Sequence[tuple[str, Mapping[str, User]]], at: datetime) -> list[OneSignature]:
        raw = [(self._history.raw(commit), commit, users) for commit, users in commits]
        with ThreadPoolExecutor(_AT_ONCE) as threads:  # the work is done by programs
            return list(threads.map(lambda one: self._signatures.check(one[0], one[1], one[2], at), raw))

    def _merged(
        self, commit: str, base: str | None, users: Mapping[str, User], forge: SignedByForge, at: datetime
    ) -> Signature:
        """Who answers for what a forge signed: those whose commits it merged, where it did nothing but merge them."""
        named = f"it is by the forge '{forge.forge}'"
        if len(self._history.parents(commit)) < 2:
            why = f"{named}, which answers for nobody, and merges nothing; merge with a merge commit, do not squash"
            return Untrusted("forgeAlone", why)
        within = self._history.merged(commit, base, _MOST_MERGED)
        if within is None:
            return Untrusted("forgeAlone", f"{named} and merges more than {_MOST_MERGED} commits")
        people: dict[str, SignedBy] = {}
        for one, signature in zip(within, self._checked([(one, users) for one in within], at), strict=True):
            match signature:
                case SignedBy():
                    people.setdefault(signature.key, signature)
                case SignedByForge():
                    if not self._history.only_merges(one):
                        return Untrusted("forgeAlone", f"{named}, and so is {one[:12]}, which is not only a merge")
                case Unsigned():
                    return Untrusted("forgeAlone", f"{named} and merges {one[:12]}, which is not signed")
                case Untrusted(reason=reason, message=message):
                    return Untrusted(
                        reason, f"{named} and merges {one[:12]}, whose signature is not trusted: {message}"
                    )
        if not self._history.only_merges(commit):
            return Untrusted("forgeAlone", f"{named} and holds more than a merge makes by itself; merge it by hand")
        if not people:
            return Untrusted("forgeAlone", f"{named}, and nobody signed what it merges")
        return MergedBy(forge.forge, forge.key, tuple(people.values()))


def rewritten(head: str, trusted: str) -> Stopped:
    """The branch does not contain any more what was trusted."""
    message = f"the branch was rewritten: {head[:12]} does not descend from {trusted[:12]}, which was trusted last"
    return Stopped(head, "HistoryRewritten", message)


def chain_of(mirror: Path, definitions: Definitions, trust: TrustSettings, permits: Permits) -> Chain:
    """The chain of the mirror's branch, as the settings have it."""
    history = History(mirror)
    signatures = Signatures(KeyFiles(trust.file, mirror.parent / "trust"))
    return Chain(Authorities(definitions, history), history, signatures, mode=trust.mode, permits=permits)


def followed_or_stopped(
    chain: Chain, head: str, end: Trusted | None, *, by_name: str | None, now: datetime, good: Catalog | None
) -> Followed:
    """As `Chain.follow`; a bug of ours on the way is no reason to believe anything."""
    try:
        return chain.follow(head, end, by_name=by_name, now=now, good=good)
    except (Unavailable, Refused):
        raise
    except Exception as error:
        log.exception("a bug of ours: the commit is not trusted", commit=head)
        return chain.bug(head, end, error)
