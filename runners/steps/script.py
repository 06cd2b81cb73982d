"""Scripts: `run`, `ssh.exec`, `winrm.exec`, `local.exec`. Which connection they take is the session's matter."""

from typing import assert_never

from engine.runs.outcome import Cancelled, Failed, Outcome, Output, Succeeded, TimedOut, Unknown, Unreachable
from runners.connections import Ended, Exited, Finish, Lost, NotSent, Refused, Session, Stop
from runners.steps import ReadyStep


class Script:
    """Runs a script to its end. Exit code 0 is success here; `okExitCodes` are judged by the caller."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        if step.command is None:
            return Failed("a script step without a script", ran=False)
        finish = await session.execute(step.command)
        session.capture.close()
        return outcome_of(finish, session.capture.output(_code(finish)), session.stop)


def outcome_of(finish: Finish, output: Output, stop: Stop) -> Outcome:
    """What a command's end means for its step."""
    match finish:
        case Exited(code=0):
            return Succeeded(output)
        case Exited(code=code):
            return Failed(f"exit code {code}", output)
        case Ended():
            return ended_by(stop, output)
        case NotSent(error=error):
            return Cancelled(stop.message) if stop.why == "cancelled" else Unreachable(stop.message or error)
        case Refused(error=error):
            return Failed(error, output, ran=False)
        case Lost(error=error):
            return Unknown(f"{stop.message}; {error}" if stop.message else error, output)
        case _:
            assert_never(finish)


def ended_by(stop: Stop, output: Output, *, told: str = "") -> Outcome:
    """The outcome of work that was ended on order, its end proven; `told` is what else is to be said of it.

    Ended because its runner stops, or cannot renew its lease, is a failure: nobody cancelled it, and no time limit of
    its own passed.
    """
    message = f"{stop.message}{told}"
    match stop.why:
        case "timedOut":
            return TimedOut(message, output)
        case "cancelled":
            return Cancelled(message, output)
        case "drained" | "lost":
            return Failed(message, output, ended=True)
        case None:
            return Unknown("it ended on an order that nobody gave", output)
        case _:
            assert_never(stop.why)


def ended_unsent(stop: Stop, output: Output) -> Outcome:
    """The same of work of which it is proven that nothing was sent: what its runner alone is the reason for, a limit of
    its own time and nobody's wish, begins anew."""
    return Unreachable(stop.message) if stop.why in ("drained", "lost") else ended_by(stop, output)


def _code(finish: Finish) -> int | None:
    return finish.code if isinstance(finish, Exited | Ended) else None
