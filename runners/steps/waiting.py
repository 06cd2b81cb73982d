"""`wait.until`: waits for a time, or until an address answers. A new attempt begins anew."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from engine.runs.outcome import Failed, Outcome, Succeeded, Unreachable
from engine.runs.pinned import Use
from engine.userschema import faults_of
from runners.connections import Session
from runners.steps import Around, ReadyStep
from runners.steps.exchange import Broken, Progress, Request, TooLong, exchange, heeding
from runners.steps.inputs import Unfit
from runners.steps.reaching import Forbidden, Unreached, addresses_of, is_of_target, writes_host
from runners.steps.script import ended_by
from schemas.quantities import parse_duration, parse_instant
from schemas.steps import STEP_TYPES

LOOK = 10.0
"""Seconds that one look may take."""
SHORTEST = 0.1
"""Seconds between two looks, at least."""
_NAP = 30.0
"""Seconds after which the clock is looked at again while waiting for an instant: it may be set meanwhile."""
_PLACE = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:]+):)?(?P<port>[0-9]{1,5})")

Look = Callable[[], Awaitable[str | None]]
"""Looks once: None where it answers, else why not. Raises Forbidden where that is hopeless."""


class WaitUntil:
    """Waits. The step's `timeout` bounds it, and an order to end ends it at once: nothing of it runs elsewhere."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        action, around = step.planned.action, step.around
        if not isinstance(action, Use) or around is None:
            return Failed("it was planned for something else than a step type", ran=False)
        inputs = {name: value for name, value in step.inputs.items() if value is not None}
        known = STEP_TYPES["wait.until"].inputs
        for name, value in inputs.items():
            for _, message in faults_of(known[name], value):
                return Failed(f"'{name}': {message}", ran=False)
        work = asyncio.ensure_future(_wait(inputs, action, around, session))
        done = await heeding(session.stop, work)
        session.capture.close()
        if session.stop.why in ("drained", "lost") and not done:
            return Unreachable(session.stop.message)  # it has changed nothing: who goes on with the run waits anew
        if not done:
            return ended_by(session.stop, session.capture.output())
        try:
            work.result()
        except (Unfit, ValueError) as error:
            return Failed(str(error), ran=False)
        except Forbidden as error:
            return Failed(str(error))
        return Succeeded(session.capture.output())


async def _wait(inputs: dict[str, Any], action: Use, around: Around, session: Session) -> None:
    if "duration" in inputs:
        await asyncio.sleep(parse_duration(inputs["duration"]).total_seconds())
    elif "instant" in inputs:
        await _for_instant(parse_instant(inputs["instant"]))
    elif "tcp" in inputs:
        await _for_looks(_tcp(inputs["tcp"], action, around), inputs, session)
    elif "url" in inputs:
        await _for_looks(_http(inputs, action, around), inputs, session)
    else:
        raise Unfit("one of duration, instant, tcp, url is needed; all are null")


async def _for_instant(instant: datetime) -> None:
    while (left := (instant - datetime.now(UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - no event tells the time
        await asyncio.sleep(min(left, _NAP))


async def _for_looks(look: Look, inputs: dict[str, Any], session: Session) -> None:
    """Look until enough looks in a row succeed. What is new about a failure is printed."""
    interval = max(SHORTEST, parse_duration(inputs.get("interval", "5s")).total_seconds())
    needed, row, said, first = inputs.get("successes", 1), 0, None, True
    while True:
        try:
            async with asyncio.timeout(LOOK):
                why = await look()
        except TimeoutError:
            why = f"no answer within {LOOK:.0f} s"
        except Forbidden as error:
            raise Unfit(str(error)) if first else error from error
        first = False
        row = row + 1 if why is None else 0
        if row >= needed:
            return
        if why is not None and why != said:
            session.capture.feed("stderr", f"{why}\n".encode())
        said = why
        await asyncio.sleep(interval)


def _tcp(given: str, action: Use, around: Around) -> Look:
    found = _PLACE.fullmatch(given)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise Unfit(f"'tcp': '{given}' is no host:port, and no port")
    named = found["host"]
    host = (named or (around.target.host if around.target is not None else None) or "").strip("[]")
    if not host:
        raise Unfit("'tcp' names a port, and there is no target with a host; write host:port")
    port = int(found["port"])
    authored = named is None or is_of_target(host, around.target) or writes_host(action.inputs.get("tcp"), url=False)

    async def look() -> str | None:
        try:
            addresses = await addresses_of(host, port, authored=authored, networks=around.networks)
        except Unreached as error:
            return str(error)
        why = ""
        for address in addresses:
            try:
                _, writer = await asyncio.open_connection(address, port)
            except OSError as error:
                why = f"no connection to {host} ({address}) port {port}: {error.strerror or error}"
                continue
            writer.transport.abort()
            return None
        return why

    return look


def _http(inputs: dict[str, Any], action: Use, around: Around) -> Look:
    literal = writes_host(action.inputs.get("url"), url=True)
    request = Request(
        "GET",
        inputs["url"],
        authored=lambda host: literal or is_of_target(host.strip("[]"), around.target),
        networks=around.networks,
        ok=frozenset(inputs["okStatus"]) if "okStatus" in inputs else None,
        max_redirects=0,
    )

    async def look() -> str | None:
        try:
            answer = await exchange(request, Progress())
        except (Unreached, Broken, TooLong) as error:
            return str(error)
        return None if request.is_ok(answer.status) else f"status {answer.status}"

    return look
