"""What the settings say of trust, and what is said of it to people."""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from engine.authority.trust import MergedBy, Mode, Signature, SignedBy, Stopped, Unsigned, Untrusted

_MENDS = {
    "HistoryRewritten": "push a commit on top of that one",
    "Unsigned": "sign it and push it again",
    "Untrusted": "have it signed by somebody who is trusted and push it again",
    "NotPermitted": "have it signed by somebody who may and push that in its place",
    "WaitsForApproval": "run 'opsconductor approve {commit}'",
    "Rejected": "push another in its place",
}
UNAVAILABLE = "TrustUnavailable"
"""The reason where nothing can be judged at present: it is tried again at every look."""


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """`mode` is the least that is asked for; `file` the trust file."""

    mode: Mode = "none"
    file: Path | None = None


TRUST_NOBODY = TrustSettings()
"""Whoever can push is believed, but for what the Project asks for."""


def frozen(stopped: Stopped) -> tuple[str, str]:
    """The reason, and a sentence that says what to do."""
    if stopped.reason == UNAVAILABLE:
        return stopped.reason, stopped.message
    mends = _MENDS.get(stopped.reason, "push a commit that mends it").format(commit=stopped.commit[:12])
    message = f"{stopped.message}; {mends}, or run 'opsconductor accept {stopped.commit}' on the server"
    return stopped.reason, message


def proof(signature: Signature | None, *, named: bool) -> str:
    """Why a commit is trusted, in words."""
    if named:
        return "accepted by name on the server"
    match signature:
        case None:
            return "taken as the first one, with nobody to speak for it"
        case SignedBy():
            return f"signed by {who(signature)}"
        case MergedBy(forge=forge, signers=people):
            return f"merged by the forge '{forge}' and signed by {', '.join(map(who, people))}"
        case Unsigned():
            return "not signed"
        case Untrusted(message=message):
            return f"signed, and not by anybody who is trusted: {message}"
        case _:
            assert_never(signature)


def who(signer: SignedBy) -> str:
    """A person and the key."""
    user = f" (User {signer.user})" if signer.user not in (None, signer.principal) else ""
    return f"{signer.principal}{user} with {signer.key}"


def proves(signature: Signature | None) -> bool:
    """Whether somebody who is trusted answers for it."""
    return isinstance(signature, SignedBy | MergedBy)
