"""`notify`: sends a message by a channel, and waits for what becomes of it. Only `retry` repeats it."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any, assert_never

from engine.runs.outcome import Failed, Outcome, Succeeded, Unknown, Unreachable
from runners.certificates import certificate
from runners.connections import Session
from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never, channel, deliverer
from runners.doors import NoPart
from runners.repository import NoFile
from runners.steps import ReadyStep
from runners.steps.exchange import heeding
from runners.steps.inputs import Given, Unfit, given
from schemas.quantities import format_instant


class Notify:
    """Hands the message to the channel that the plan pins. `outputs.id` is the same in every attempt."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            found = given(step)
            name = str(found.inputs["channel"])
            spec = found.around.channels.get(name)
            if spec is None:
                raise Unfit(f"there is no channel '{name}' in the run's plan")
            if isinstance(ca := spec.get("caCert"), str):
                spec = {**spec, "caCert": await asyncio.to_thread(certificate, ca, found.around.files.read)}
            kind, settings = deliverer(spec)
            by = channel(kind, Limits(found.around.networks, step.restricted))
        except (Unfit, NoPart, NoFile) as error:
            return Failed(str(error))
        if session.stop.why in ("drained", "lost"):  # once it is handed over, nobody knows how far the channel is
            return Unreachable(session.stop.message)
        message = message_of(step, found)
        work = asyncio.ensure_future(by.deliver(message, settings, found.around.opened))
        done = await heeding(session.stop, work)
        if not done:
            why = f"{session.stop.message}; whether the message was sent is not known"
            return Unknown(why, session.capture.output())
        output = replace(session.capture.output(), values={"id": message.id})
        return meaning(name, work.result(), lambda: output)


def meaning(name: str, delivery: Delivery, output: Any) -> Outcome:
    """What a delivery is for its step."""
    match delivery:
        case Delivered():
            return Succeeded(output())
        case Later(error=error, fate="notSent"):
            return Unreachable(f"channel '{name}': {error}")
        case Later(error=error, fate="unknown"):
            return Unknown(f"channel '{name}': {error}", output())
        case Later(error=error) | Never(error=error):
            return Failed(f"channel '{name}': {error}", output())
        case _:
            assert_never(delivery)


def message_of(step: ReadyStep, found: Given) -> Message:
    """The message, its id computed from run, target and step: a repetition has the same."""
    run, target, inputs = found.around.run, found.around.target, found.inputs
    place = (str(run.id), run.commit, target.name if target else "-", step.planned.phase, step.planned.id)
    made = hashlib.sha256("\0".join(place).encode()).hexdigest()[:32]
    data = {"run": str(run.id), "job": run.job, "commit": run.commit, "step": step.planned.id}
    if target is not None:
        data["target"] = target.name
    event = {"source": f"/jobs/{run.job}", "subject": str(run.id), "time": format_instant(run.instant), "data": data}
    subject = str(inputs.get("subject") or run.job)
    return Message(made, subject, str(inputs["text"]), inputs.get("format") or "text", event)
