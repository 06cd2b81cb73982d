"""Trying a place: a harmless command over a session of its own."""

import asyncio
from collections.abc import Callable
from typing import assert_never

from runners.bootstrap import Command
from runners.connections import (
    Answered,
    Ended,
    Exited,
    Finish,
    Lost,
    NotSent,
    Probe,
    Refused,
    Session,
    Stop,
)
from runners.limits import Capture
from runners.masking import Masker, visible

PATIENCE = 60.0
"""Seconds that the command may take, its login included."""

HARMLESS = Command("sh", "uname -sr\n")


async def asked(session: Callable[[Capture, Stop], Session], command: Command = HARMLESS) -> Probe:
    """Execute the command, and give the first line of what it prints. Raises what opening the session raises."""
    capture, stop = Capture(Masker()), Stop()
    timer = asyncio.get_running_loop().call_later(
        PATIENCE, stop.order, "timedOut", f"no answer within {PATIENCE:.0f} s"
    )
    try:
        finish = await session(capture, stop).execute(command)
    finally:
        timer.cancel()
        capture.close()
    said = [line.strip() for line in visible(capture.output().stdout).splitlines() if line.strip()]
    return _meaning(finish, said[0] if said else "", stop)


def _meaning(finish: Finish, said: str, stop: Stop) -> Probe:
    match finish:
        case Exited(code=0):
            return Answered(said)
        case Exited(code=code):
            return Refused(f"it was reached, and a harmless command there ended with exit code {code}")
        case Ended() | Lost():
            return NotSent(stop.message or "the connection broke while a harmless command ran")
        case NotSent() | Refused():
            return NotSent(stop.message) if stop.message else finish
        case _:
            assert_never(finish)
