"""`dummy`: does what its inputs say, for tests of everything around a step."""

import asyncio
import os
import signal

from engine.runs.outcome import Failed, Outcome, Succeeded
from runners.connections import Session
from runners.steps import ReadyStep
from runners.steps.script import ended_by
from schemas.quantities import parse_duration


class Dummy:
    """Prints `stdout` and `stderr`, sleeps, and ends with `exit`. `hang` heeds no order; `die` kills its runner."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        inputs = step.inputs
        for stream in ("stdout", "stderr"):
            session.capture.feed(stream, str(inputs.get(stream) or "").encode())
        if inputs.get("die") is True:
            if step.restricted:
                return Failed("this runner is restricted: it does not die on order")
            os.kill(os.getpid(), signal.SIGKILL)
        if inputs.get("hang") is True:
            await asyncio.Event().wait()
        try:
            seconds = parse_duration(inputs.get("sleep") or "0s").total_seconds()
        except ValueError as error:
            return Failed(f"sleep: {error}")
        slept = await _slept(seconds, session)
        code = inputs.get("exit") or 0
        session.capture.close()
        output = session.capture.output(int(code) if slept else None)
        if not slept:
            return ended_by(session.stop, output)
        return Succeeded(output) if code == 0 else Failed(f"exit code {code}", output)


async def _slept(seconds: float, session: Session) -> bool:
    """False when the order to end came first."""
    if seconds <= 0:
        return True
    try:
        async with asyncio.timeout(seconds):
            await session.stop.given()
    except TimeoutError:
        return True
    return False
