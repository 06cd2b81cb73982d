"""Who answers for a commit, and whether it may come into force. Pure: keys and signatures are looked at elsewhere.

Trust is folded over commits. Each step goes from the last commit that is trusted to the next that is judged: in mode
`range` commit by commit along first parents, else at once to the head. A step is judged over its own difference, under
the Users and Policies of the commit it starts from, at the time it arrived. One that passes is trusted whether or not
its documents are valid; one that does not stops the chain until a person accepts a commit by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, assert_never

if TYPE_CHECKING:  # the command line reads the settings before it knows whether documents will be
    from schemas.policy import Policy, User

Mode = Literal["none", "head", "range"]
MODES: tuple[Mode, ...] = ("none", "head", "range")
"""From the laxest to the strictest."""


def stricter(one: Mode, other: Mode) -> Mode:
    """The mode that asks for more."""
    return max(one, other, key=MODES.index)


MADE_FOR = "OpsConductor-Engine"
"""The key of the line in a commit's message that says for which engine it was made, by the id in its `sync.yaml`."""


# --- who answers for a commit -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Signed by a key that was trusted when the commit arrived."""

    principal: str
    """As the trust file names it; of a User's own key, the User's name."""
    user: str | None
    """The User who has the key, or whose name or address the principal is. None: no User is known for it."""
    key: str
    """`SHA256:…` of an SSH key, `gpg:…` with the fingerprint of an OpenPGP key."""


@dataclass(frozen=True, slots=True)
class MergedBy:
    """Signed by a forge, which answers for nothing itself: `signers` are those of every commit that it merged."""

    forge: str
    key: str
    signers: tuple[SignedBy, ...]


@dataclass(frozen=True, slots=True)
class Unsigned:
    """It carries no signature."""


Reason = Literal[
    "badSignature",  # it is of another content, or no signature at all
    "unknownKey",
    "revoked",
    "expired",  # or not valid yet, at the time it arrived
    "notForGit",  # the key may sign other things only
    "forgeAlone",  # a forge's key, and nobody's who could answer
    "ambiguous",  # two people have the key
    "unsupported",  # a kind of signature that is not read
    "oddObject",
    "stale",  # of an act: too old when it arrived
    "foreign",  # of an act: not known to be made for this repository
    "unverifiable",  # the trust file or a program that is needed is missing: nothing is believed
]


@dataclass(frozen=True, slots=True)
class Untrusted:
    """It carries a signature that proves nothing here. `message` says what to do, for people."""

    reason: Reason
    message: str


Signature = SignedBy | MergedBy | Unsigned | Untrusted


def signers(signature: Signature) -> tuple[SignedBy, ...]:
    """The people who answer for the commit, all of them together; nobody where it proves nothing."""
    match signature:
        case SignedBy():
            return (signature,)
        case MergedBy(signers=people):
            return people
        case Unsigned() | Untrusted():
            return ()
        case _:
            assert_never(signature)


def actor(signature: Signature) -> SignedBy | None:
    """The one person who did it; None where nobody is known, or where several answer together."""
    people = signers(signature)
    return people[0] if len({(one.user, one.principal) for one in people}) == 1 else None


# --- a step of the chain ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authority:
    """What a commit says about who may do what. `mode` is what its Project asks for."""

    mode: Mode = "none"
    users: "Mapping[str, User]" = field(default_factory=dict)
    policies: "Mapping[str, Policy]" = field(default_factory=dict)
    earlier: "Authority | None" = None
    """What the commit before it said that could be read whole, where this one cannot be."""


@dataclass(frozen=True, slots=True)
class Change:
    """A step of the chain. `paths` are those that differ, where Policies hold and it is signed."""

    base: str
    """The commit it starts from, which is trusted; `authority` is that of this commit."""
    commit: str
    authority: Authority
    mode: Mode
    """The mode in force: the stricter of the settings and `authority`."""
    signature: Signature
    arrived: datetime
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """The commit does not pass, and nothing after it is looked at. `reason` is a word for programs."""

    commit: str
    reason: str
    message: str


Permits = Callable[[Change], Stopped | None]
"""Whether those who answer for a change may make it; None: they may. Asked of what passed the mode in force."""


def anybody(change: Change) -> Stopped | None:
    """Whoever can push, and signs where that is asked for, may change everything."""
    del change
    return None


def judge(change: Change, permits: Permits = anybody) -> Stopped | None:
    """Why the step does not pass; None: it does."""
    return unproven(change.commit, change.mode, change.signature) or permits(change)


def unproven(commit: str, mode: Mode, signature: Signature) -> Stopped | None:
    """Why a signature does not do where the mode asks for one; None: it does."""
    match signature:
        case _ if mode == "none":
            return None
        case SignedBy() | MergedBy():
            return None
        case Unsigned():
            return Stopped(commit, "Unsigned", f"commit {commit[:12]} is not signed, and verify: {mode} asks for it")
        case Untrusted(reason="unverifiable", message=message):
            return Stopped(commit, "TrustUnavailable", message)
        case Untrusted(message=message):
            return Stopped(commit, "Untrusted", f"the signature of commit {commit[:12]} is not trusted: {message}")
        case _:
            assert_never(signature)
