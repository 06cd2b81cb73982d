"""Whether those who answer for a change, or an act, may: by what `engine.authority.needs` says it needs. Pure."""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from engine.authority.needs import Need
from engine.authority.needwords import permission_text, permissions_of, some
from engine.authority.permissions import Allowed, Answer, Denied, Terms, together
from engine.authority.trust import SignedBy


@dataclass(frozen=True, slots=True)
class Permitted:
    """They may."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """They may not, whoever approves. `needs` are those that they lack."""

    message: str
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """Approvals that documents wait for."""

    documents: tuple[str, ...]
    count: int
    """How many are wanted, those that were given included."""
    given: tuple[str, ...]
    by: tuple[str, ...]
    """Users whose approvals count and who have not approved, sorted."""
    not_requester: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """They may as soon as others approve."""

    wants: tuple[Want, ...]

    @property
    def able(self) -> frozenset[str]:
        """Users whose approvals would count."""
        return frozenset(name for want in self.wants for name in want.by)

    @property
    def message(self) -> str:
        """What is waited for, for people."""
        return "; ".join(_wanted(want) for want in self.wants)


Verdict = Permitted | Forbidden | Waiting


def judged(needs: Iterable[Need], people: Sequence[SignedBy], approved: Collection[str] = ()) -> Verdict:
    """Whether all of `people`, who signed together, may do what needs these permissions.

    `approved` are Users who have approved it. Where nothing is needed everybody may; otherwise somebody must have
    signed, since nobody may do what nobody answers for.
    """
    lacking: list[Need] = []
    wants: dict[tuple[int, tuple[str, ...], tuple[str, ...], bool], list[str]] = {}
    users = {person.user for person in people if person.user is not None}
    for need in needs:
        answer = together(_answer(need, person) for person in people) if people else Denied()
        if isinstance(answer, Denied):
            lacking.append(need)
        elif (want := _least_wanted(answer.terms, need, users, frozenset(approved))) is not None:
            wants.setdefault(want, []).append(need.about)
    if lacking:
        return Forbidden(_refusal(lacking, people), tuple(lacking))
    if wants:
        return Waiting(tuple(Want(tuple(about), *want) for want, about in wants.items()))
    return Permitted()


def _answer(need: Need, person: SignedBy) -> Answer:
    for grant in need.grants:
        if person.user in grant.users:
            return Allowed(grant.terms)
    return Denied(need.denied)


def _least_wanted(
    terms: Iterable[Terms], need: Need, users: Collection[str], approved: frozenset[str]
) -> tuple[int, tuple[str, ...], tuple[str, ...], bool] | None:
    """What the easiest of the terms still asks for; None where one asks for no more. Who answers has signed."""
    found = []
    for one in terms:
        counted = [name for name in need.approvers if not (one.not_requester and name in users)]
        given = tuple(name for name in counted if name in approved)
        if one.approvals <= len(given):
            return None
        missing = tuple(name for name in counted if name not in approved)
        found.append((one.approvals - len(given), (one.approvals, given, missing, one.not_requester)))
    return min(found)[1]


def _refusal(lacking: Sequence[Need], people: Sequence[SignedBy]) -> str:
    who = some([named(person) for person in people]) or "whoever did not sign"
    return f"{who} may not: " + "; ".join(permission_text(one) for one in permissions_of(lacking))


def named(person: SignedBy) -> str:
    """Somebody who signed, for people."""
    return person.user if person.user is not None else f"{person.principal} (no User)"


def _wanted(want: Want) -> str:
    others = " of others than the requester" if want.not_requester else ""
    so_far = f" (so far {some(want.given)})" if want.given else ""
    able = some(want.by) or "nobody who has not yet"
    return f"{some(want.documents)} wants {want.count} approval{'s' * (want.count != 1)}{others}{so_far}: {able} may"


def digest_of_act(name: str, commit: str) -> str:
    """What people approve when they approve a request: this one, as this commit brought it.

    `sha256:` and the SHA-256, in hex, of `{"act":"…","commit":"…"}`.
    """
    return _digest({"act": name, "commit": commit})


def digest_of(base: str, commit: str) -> str:
    """What people approve when they approve a change: this commit upon that one, and no other way to say the same.

    `sha256:` and the SHA-256, in hex, of `{"base":"…","commit":"…"}`. Its ids name all that is in both; the base is
    there but once in a history, so that an approval cannot be used for the same change when it is made again.
    """
    return _digest({"base": base, "commit": commit})


def _digest(value: dict[str, str]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
