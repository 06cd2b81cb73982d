"""Which commit is in force, as far as it must outlive the process."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

ACCEPTED = "accepted"
"""The journal's fact that holds it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The facts that must outlive the process. `trusted` is the last commit that history was followed to."""

    applied: str | None = None
    trusted: str | None = None
    baseline: tuple[str, ...] = ()
    """The names of the acts that were there when the first commit was judged: who knows what became of those."""
    looked: bool = False
    """A commit was judged, accepted or not, so that `baseline` is known."""

    def looking_at(self, acts: Iterable[str]) -> "Accepted":
        """With these acts as those that were there, where none was looked at before."""
        if self.looked or self.applied is not None:
            return self
        return replace(self, baseline=tuple(sorted({*self.baseline, *acts})), looked=True)

    @classmethod
    def of(cls, value: dict[str, object] | None) -> "Accepted":
        value = value or {}
        baseline = value.get("baseline")
        return cls(
            applied=text_of(value.get("applied")),
            trusted=text_of(value.get("trusted")),
            baseline=tuple(baseline) if isinstance(baseline, list) else (),
            looked=value.get("looked") is True,
        )

    def to_json(self) -> dict[str, object]:
        looked = {"looked": True} if self.looked else {}
        return {"applied": self.applied, "trusted": self.trusted, "baseline": list(self.baseline), **looked}


def text_of(value: object) -> str | None:
    """A fact that is a text; None where it is another thing or not there."""
    return value if isinstance(value, str) else None
