"""What happens next, said by an exception: come back later, wait for a human, or stop, for another has taken over."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # every command needs these names, and few need what they speak of
    from sqlalchemy import Connection

    from engine.identity import RunId
    from journal.leadership import Leader


class Unavailable(Exception):  # noqa: N818 - it is named after what happens next
    """It did not work now; come back after `retry_after`.

    Nothing of it happened, unless it was the answer to a commit that was lost: then all of it may have.
    """

    def __init__(self, message: str, retry_after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Refused(Exception):  # noqa: N818
    """It will not work until a human has changed something; the message says what."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class FenceLost(Exception):  # noqa: N818
    """The run is no longer this runner's: stop working on it. What the refused write said is kept as evidence.

    `aftermath` is written by the store after the refused change is rolled back.
    """

    def __init__(self, run: "RunId", aftermath: "Callable[[Connection], object] | None" = None) -> None:
        super().__init__(f"run {run} is held by another runner, or has ended")
        self.run = run
        self.aftermath = aftermath


class AlreadyStarted(Exception):  # noqa: N818
    """This attempt of the step is in the journal already: do not run it (again)."""

    def __init__(self, run: "RunId", target: str, step: str, attempt: int) -> None:
        super().__init__(f"run {run}: step {step} on {target}, attempt {attempt}, was started before")
        self.run, self.target, self.step, self.attempt = run, target, step, attempt


class LeadershipLost(Exception):  # noqa: N818
    """Another controller leads now: what this one was about to write has not happened, and it decides no more."""

    def __init__(self, leader: "Leader | None") -> None:
        who = "another controller" if leader is None else f"{leader.name} on {leader.host}"
        super().__init__(f"this controller does not lead any more: {who} does")
        self.leader = leader
