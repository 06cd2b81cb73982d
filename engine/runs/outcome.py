"""What happened to a step. Exit 1 on the target is `Failed`; no connection is `Unreachable`; no proof is `Unknown`."""

from dataclasses import dataclass, field
from typing import Any

from engine.states import StepState


@dataclass(frozen=True, slots=True)
class Output:
    """What a step gave: masked text, at most 64 KiB of each stream, its end where there was more.

    `cut` says that more came on stdout than is kept. `values` are results of step types that are no program. `found` is
    what a scan saw, as `engine.discovery.seen` writes it.
    """

    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    cut: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    found: bytes | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    output: Output = Output()


@dataclass(frozen=True, slots=True)
class Failed:
    """It ran and said no, or could not be run for a reason of its own (`error`): `ran` tells which."""

    error: str
    output: Output = Output()
    ran: bool = True
    """False where nothing of it ran: what it declares as outputs is null then."""
    ended: bool = False
    """True where it was ended for its runner's sake: an exit code that it has says nothing of what it was to do."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """It was ended at its time limit, and its end is proven."""

    error: str
    output: Output = Output()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It was ended on order, and its end is proven."""

    error: str
    output: Output = Output()


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Nothing was sent: repeating is always safe."""

    error: str


@dataclass(frozen=True, slots=True)
class Skipped:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have run, or may still run."""

    error: str
    output: Output = Output()


Outcome = Succeeded | Failed | TimedOut | Cancelled | Unreachable | Skipped | Unknown

STATE_OF: dict[type[Outcome], StepState] = {
    Succeeded: StepState.SUCCEEDED,
    Failed: StepState.FAILED,
    TimedOut: StepState.TIMED_OUT,
    Cancelled: StepState.CANCELLED,
    Unreachable: StepState.UNREACHABLE,
    Skipped: StepState.SKIPPED,
    Unknown: StepState.UNKNOWN,
}


def state_of(outcome: Outcome) -> StepState:
    return STATE_OF[type(outcome)]


def output_of(outcome: Outcome) -> Output:
    match outcome:
        case Unreachable() | Skipped():
            return Output()
        case _:
            return outcome.output


def error_of(outcome: Outcome) -> str | None:
    match outcome:
        case Succeeded():
            return None
        case Skipped(reason=reason):
            return reason or None
        case _:
            return outcome.error
