"""`notify`: sends a message by a channel, and waits for what becomes of it.

Only `retry` repeats it, and for nobody who has it: each attempt hands on to the next, in `outputs.reached`, which of
several recipients those are. That is in the journal, so that another runner may go on.
"""

import asyncio
import hashlib
from dataclasses import replace
from typing import assert_never

from engine.runs.outcome import Failed, Outcome, Output, Succeeded, Unknown, Unreachable
from runners.certificates import certificate
from runners.connections import Session, Stop
from runners.deliveries import Delivered, Delivery, Later, Limits, Message, Never, channel, deliverer
from runners.doors import NoPart
from runners.repository import NoFile
from runners.steps import ReadyStep
from runners.steps.exchange import heeding
from runners.steps.inputs import Given, Unfit, given
from schemas.quantities import format_instant

_REACHED = "reached"
_MOST_NAMED = 5
"""So many recipients are named in an error."""


class Notify:
    """Hands the message to the channel that the plan pins. `outputs.id` is the same in every attempt.

    `outputs.reached` are the recipients who have it where others have not.
    """

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        before = step.before.get(_REACHED)
        had = frozenset(map(str, before)) if isinstance(before, list) else frozenset()
        return kept(await self._sent(step, session, had), had, session.stop)

    async def _sent(self, step: ReadyStep, session: Session, had: frozenset[str]) -> Outcome:
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
            return Failed(str(error), ran=False)
        if session.stop.why in ("drained", "lost"):  # once it is handed over, nobody knows how far the channel is
            return Unreachable(session.stop.message)
        message = replace(message_of(step, found), reached=had)
        work = asyncio.ensure_future(by.deliver(message, settings, found.around.opened))
        done = await heeding(session.stop, work)
        if not done:
            why = f"{session.stop.message}; whether the message was sent is not known"
            return Unknown(why, session.capture.output())
        return meaning(name, work.result(), replace(session.capture.output(), values={"id": message.id}))


def meaning(name: str, delivery: Delivery, output: Output) -> Outcome:
    """What a delivery is for its step."""
    match delivery:
        case Delivered():
            return Succeeded(output)
        case Later(error=error, fate="notSent"):
            return Unreachable(f"channel '{name}': {error}")
        case Later(error=error, fate="unknown"):
            return Unknown(f"channel '{name}': {error}", output)
        case Later(error=error, fate="unable", reached=reached) if not reached:
            return Failed(f"channel '{name}': {error}", output, ran=False)
        case Later(error=error, reached=reached) | Never(error=error, reached=reached):
            values = {**output.values, _REACHED: sorted(reached)} if reached else output.values
            return Failed(f"channel '{name}': {error}", replace(output, values=values))
        case _:
            assert_never(delivery)


def kept(outcome: Outcome, had: frozenset[str], stop: Stop) -> Outcome:
    """The outcome of an attempt after one that reached those: it says so, and hands it on."""
    if not had:
        return outcome
    match outcome:
        case Unreachable() if stop.why in ("drained", "lost"):
            return outcome  # its start is taken back, and the attempt before it is the last one
        case Unreachable(error=error):  # it has no outputs, and what came before it was sent
            return Failed(f"{error}; {_named(had)}", Output(values={_REACHED: sorted(had)}))
        case Failed(error=error, output=output) | Unknown(error=error, output=output) if _REACHED not in output.values:
            values = {**output.values, _REACHED: sorted(had)}
            return replace(outcome, error=f"{error}; {_named(had)}", output=replace(output, values=values))
        case _:
            return outcome


def _named(had: frozenset[str]) -> str:
    names = sorted(had)
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(names[:_MOST_NAMED])}{more} had it before"


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
