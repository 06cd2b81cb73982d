"""Step types."""

from opsconductor.plugins import (
    Command,
    Exited,
    Failed,
    Outcome,
    Output,
    ReadyStep,
    Session,
    Succeeded,
    outcome_of_command,
)


class Greet:
    """Prints a greeting, and gives it as an output."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        name, times = step.inputs.get("name"), step.inputs.get("times") or 1
        # an expression may have given anything
        if not isinstance(name, str) or not name or not isinstance(times, int) or not 1 <= times <= 9:
            return Failed("'name' is a text that is not empty, and 'times' a number from 1 to 9")
        greeting = " ".join(["hello"] * times) + f", {name}"
        session.capture.feed("stdout", f"{greeting}\n".encode())
        session.capture.close()
        text = session.capture.output(0)
        return Succeeded(Output(exit_code=0, stdout=text.stdout, values={"greeting": greeting}))


class Load:
    """Asks the host for its load, and as whom. `become` is none of its business: the session sees to it."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        finish = await session.execute(Command("sh", "cut -d ' ' -f 1 /proc/loadavg; id -un"))
        session.capture.close()
        output = session.capture.output(finish.code if isinstance(finish, Exited) else None)
        outcome = outcome_of_command(finish, output, session.stop)
        if not isinstance(outcome, Succeeded):
            return outcome
        try:
            load, user = output.stdout.split()
            return Succeeded(Output(exit_code=0, stdout=output.stdout, values={"load": float(load), "user": user}))
        except ValueError:
            return Failed("the host printed no number and no user", output)
