"""Which commit is in force, as far as it must outlive the process."""

from dataclasses import dataclass

ACCEPTED = "accepted"
"""The journal's fact that holds it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The facts that must outlive the process. `trusted` is the last commit that history was followed to."""

    applied: str | None = None
    trusted: str | None = None
    baseline: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: dict[str, object] | None) -> "Accepted":
        value = value or {}
        baseline = value.get("baseline")
        return cls(
            applied=text_of(value.get("applied")),
            trusted=text_of(value.get("trusted")),
            baseline=tuple(baseline) if isinstance(baseline, list) else (),
        )

    def to_json(self) -> dict[str, object]:
        return {"applied": self.applied, "trusted": self.trusted, "baseline": list(self.baseline)}


def text_of(value: object) -> str | None:
    """A fact that is a text; None where it is another thing or not there."""
    return value if isinstance(value, str) else None
