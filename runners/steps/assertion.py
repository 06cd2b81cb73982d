"""`assert`: fails when something does not hold."""

from engine.runs.outcome import Failed, Outcome, Succeeded
from runners.connections import Session
from runners.steps import ReadyStep


class Assert:
    """Succeeds when `that` is true, fails when it is false or anything else, with `message` where there is one."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        that = step.inputs.get("that")
        if that is True:
            return Succeeded()
        message = step.inputs.get("message")
        if message is not None:
            return Failed(str(message))
        return Failed("the assertion does not hold" if that is False else f"'that' is {that!r}, not true or false")
