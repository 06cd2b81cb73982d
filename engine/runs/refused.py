"""Why there is no plan of a run that was asked for."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal["noTargets", "badParams", "notAllowed", "badSteps", "notSupported"]


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """Why there is no such run. `reason` is one word for programs, `message` a sentence for people.

    `badSteps`: a script or expression of an inline job that validation would have refused. `notSupported`: this version
    would run it otherwise than it is written.
    """

    reason: Reason
    message: str


class Refusal(Exception):  # noqa: N818 -- becomes a PlanRefused in engine/runs/planning.py
    """Raised where a run cannot be planned."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.refused = PlanRefused(reason, message)
