"""Which commit is in force, as far as it must outlive the process."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from engine.authority.trust import MODES, Mode
from journal import facts
from reconciler.authority.chain import Trusted
from reconciler.authority.trust import proves

ACCEPTED = "accepted"
"""The journal's fact that holds it."""
ACCEPTANCE = "acceptance"
"""The fact that holds the commit that a person accepted by name, until use was made of it."""
OBSERVED = "observed"
"""The fact that holds the head that was looked at last and did not come into force, for who has no mirror to ask."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The facts that must outlive the process. `trusted` is the last commit that history was followed to."""

    applied: str | None = None
    trusted: str | None = None
    baseline: tuple[str, ...] = ()
    """The names of the acts that were there when the first commit was judged: who knows what became of those."""
    looked: bool = False
    """A commit was judged, accepted or not, so that `baseline` is known."""
    unread: bool = False
    """The requests branch could not be read then: acts that are on it once it can be belong to `baseline` too."""
    mode: Mode = "none"
    """Which signatures the trusted commit asks for."""
    proof: str | None = None
    """Why the trusted commit is trusted, in words."""
    verified: bool = False
    """A signature, or a person on the server, speaks for the trusted commit."""
    root: str | None = None
    """The first commit that was trusted, and in words why."""

    @property
    def end(self) -> Trusted | None:
        """Where the chain of trust ended."""
        return Trusted(self.trusted, self.mode) if self.trusted is not None else None

    def trusting(self, trusted: Trusted, proof: str) -> "Accepted":
        """With this commit as the one where the chain of trust ends."""
        root = self.root if self.trusted is not None else f"{trusted.commit} {proof}"
        verified = trusted.named or proves(trusted.signature)
        return replace(self, trusted=trusted.commit, mode=trusted.mode, proof=proof, verified=verified, root=root)

    def looking_at(self, acts: Iterable[str], *, unread: bool = False) -> "Accepted":
        """With these acts as those that were there, where none was looked at before."""
        if self.looked or self.applied is not None:
            return self
        return replace(self.knowing(acts), looked=True, unread=unread)

    def knowing(self, acts: Iterable[str]) -> "Accepted":
        """With these acts as well, which could not be read before."""
        return replace(self, baseline=tuple(sorted({*self.baseline, *acts})), unread=False)

    @classmethod
    def of(cls, value: dict[str, object] | None) -> "Accepted":
        value = value or {}
        baseline = value.get("baseline")
        return cls(
            applied=text_of(value.get("applied")),
            trusted=text_of(value.get("trusted")),
            baseline=tuple(baseline) if isinstance(baseline, list) else (),
            looked=value.get("looked") is True,
            unread=value.get("unread") is True,
            mode=mode_of(value.get("mode")),
            proof=text_of(value.get("proof")),
            root=text_of(value.get("root")),
            verified=value.get("verified") is True,
        )

    def to_json(self) -> dict[str, object]:
        looked = {"looked": True} if self.looked else {}
        looked |= {"unread": True} if self.unread else {}
        mode = {"mode": self.mode} if self.mode != "none" else {}
        said = {key: words for key, words in (("proof", self.proof), ("root", self.root)) if words is not None}
        found = {"applied": self.applied, "trusted": self.trusted, "baseline": list(self.baseline)}
        return {**found, **looked, **mode, **said, **({"verified": True} if self.verified else {})}


def forget_acceptance(tx: Connection, commit: str) -> None:
    """Use was made of a person's word: it must not bring the same commit in again when history is rewritten to it."""
    if facts.get(tx, ACCEPTANCE, None) == commit:
        facts.put(tx, ACCEPTANCE, None)


def mode_of(value: object) -> Mode:
    """A fact that is a mode of verification."""
    return next((mode for mode in MODES if mode == value), "none")


def text_of(value: object) -> str | None:
    """A fact that is a text; None where it is another thing or not there."""
    return value if isinstance(value, str) else None
