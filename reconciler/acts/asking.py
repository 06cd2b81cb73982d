"""Who asks: the person behind an act, by the signature of the commit that brought it, else by what that claims."""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from engine.authority.trust import MergedBy, Mode, Signature, SignedBy, Unsigned, Untrusted, actor
from engine.workflows.gates import Person, person
from reconciler.acts.answers import Answer
from reconciler.repository.objects import CommitInfo
from schemas.policy import User

UNPROVEN = Answer(
    "refused",
    "unproven",
    "nobody can tell which commit brought it: the branch has got thousands of commits since; ask again",
)
_UNKNOWN = "unknown"


def unknown_commit(at: datetime) -> CommitInfo:
    """Stands for a commit that was not found, where nothing need be proven: it is nobody's, and of no other time."""
    return CommitInfo("", _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, at, (), "")


def person_of(by: Signature, email: str, users: Mapping[str, User]) -> Person:
    """Whoever signed, where somebody did who is trusted; else whoever has the address that the commit claims."""
    signer = actor(by)
    if signer is None:
        return person(email, users)
    user = users.get(signer.user or "")
    return Person((user.spec.email if user is not None else None) or signer.user or signer.principal, user)


def unsigned(by: Signature, mode: Mode) -> Answer | None:
    """The refusal of an act that nobody answers for, where acts must be signed."""
    if mode == "none":
        return None
    match by:
        case SignedBy():
            return None
        case MergedBy():
            if actor(by) is not None:
                return None
            message = "several people's commits brought it in one merge; let one person push it to the requests branch"
            return Answer("refused", "unsigned", message)
        case Unsigned():
            message = f"verify: {mode} is in force, and nobody signed the commit that brought it; sign it (git -S)"
            return Answer("refused", "unsigned", message)
        case Untrusted(reason="stale" | "foreign" as reason, message=message):
            return Answer("refused", reason, f"the commit that brought it counts for nothing here: {message}")
        case Untrusted(message=message):
            return Answer(
                "refused", "unsigned", f"the signature of the commit that brought it proves nothing: {message}"
            )
        case _:
            assert_never(by)
