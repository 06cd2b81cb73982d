"""`discovery.read`: the one step of a run that reads an inventory for a Discovery, and asks its hosts who they are.

It changes nothing. Only hosts in the networks of the pool are spoken to: an inventory is data, and names no place where
the runner would go otherwise. What it gives is handed over cleaned and bounded (`engine.discovery.inventory`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.discovery.inventory import LONGEST, Listing, listing
from engine.discovery.seen import Answer, Scan, SeenHost, Service, to_json
from engine.runs.outcome import Failed, Outcome, Succeeded, Unreachable
from runners.connections import Exited, Session
from runners.connections.program import NotStarted, Program, ProgramSession
from runners.limits import Stream
from runners.nmap.asking import told
from runners.repository import NoFile
from runners.secrets import Sealed
from runners.steps import ReadyStep
from runners.steps.exchange import Broken, Progress, TooLong, exchange, heeding
from runners.steps.httprequest import request_of, stopped
from runners.steps.inputs import Given, Unfit, given
from runners.steps.reaching import Forbidden, Unreached, addresses_of
from runners.steps.script import ended_by, outcome_of

_AT_ONCE = 32
"""Hosts that are asked at once."""
_TOLD = 200
"""Lines of the log about what was left out."""


class DiscoveryRead:
    """See StepType."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        progress = Progress()
        try:
            found = given(step)
            reading = _Reading(found, session)
            command = found.inputs.get("command")
            read = await (_answered(step, session, progress) if command is None else _printed(command, session))
            return await reading.outcome(read) if isinstance(read, bytes) else read
        except (Unfit, NotStarted, Sealed, NoFile) as error:
            return Failed(str(error), ran=False)
        except Forbidden as error:
            return Failed(str(error), ran=progress.answered > 0)
        except (TooLong, Broken) as error:
            return Failed(str(error), session.capture.output())
        except Unreached as error:
            return Unreachable(str(error))


async def _printed(command: Sequence[str], session: Session) -> bytes | Outcome:
    """What a program prints; an outcome where there is nothing to read. Raises NotStarted."""
    if not isinstance(session, ProgramSession):
        raise NotStarted("programs are started on the runner's own host only")
    printed, full = bytearray(), asyncio.Event()

    def feed(stream: Stream, data: bytes) -> None:
        if stream == "stderr":
            session.capture.feed("stderr", data)
        elif len(printed) <= LONGEST:
            printed.extend(data[: LONGEST + 1 - len(printed)])
            if len(printed) > LONGEST:
                full.set()

    running = await session.start(Program(tuple(command)), feed)
    ending = asyncio.ensure_future(running.finish(session.stop))
    flooded = asyncio.ensure_future(full.wait())
    try:
        await asyncio.wait({ending, flooded}, return_when=asyncio.FIRST_COMPLETED)
        finish = ending.result() if ending.done() else None
    finally:
        for work in (ending, flooded):
            work.cancel()
        await asyncio.wait({ending, flooded})
        running.close()
    if full.is_set():
        return Failed(f"the program prints more than {LONGEST // 1024**2} MiB", session.capture.output())
    assert finish is not None, "it has ended, or printed too much"
    if not isinstance(finish, Exited) or finish.code != 0:
        return outcome_of(finish, session.capture.output(), session.stop)
    return bytes(printed)


async def _answered(step: ReadyStep, session: Session, progress: Progress) -> bytes | Outcome:
    """What a server answers; an outcome where there is nothing to read. Raises what an exchange does."""
    request = await asyncio.to_thread(request_of, step)
    work = asyncio.ensure_future(exchange(request, progress))
    if not await heeding(session.stop, work):
        return stopped(request, progress, session.stop, session.capture.output())
    answer = work.result()
    return answer.body if request.is_ok(answer.status) else Failed(f"the server answers with status {answer.status}")


class _Reading:
    """One inventory, and its hosts."""

    def __init__(self, found: Given, session: Session) -> None:
        self._found, self._session = found, session
        self._began = datetime.now(UTC)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def outcome(self, data: bytes) -> Outcome:
        work = asyncio.ensure_future(self._made(data))
        if not await heeding(self._session.stop, work):
            return ended_by(self._session.stop, self._session.capture.output())
        return work.result()

    async def _made(self, data: bytes) -> Outcome:
        try:
            read = await asyncio.to_thread(listing, data, self._found.inputs.get("vars") or ())
        except ValueError as error:
            return Failed(f"what was read is no inventory: {error}", self._session.capture.output())
        self._say(f"{len(read.hosts):,} hosts are listed")
        self._tell_of(read)
        hosts = await asyncio.gather(*(self._asked(host) for host in read.hosts))
        return self._told(hosts, read)

    def _tell_of(self, read: Listing) -> None:
        for text in read.left_out[:_TOLD]:
            self._say(text)
        if len(read.left_out) > _TOLD:
            self._say(f"… and {len(read.left_out) - _TOLD:,} more such lines")

    async def _asked(self, host: SeenHost) -> SeenHost:
        """With what answers where the inventory says that it is reached."""
        listed, networks = host.listed, self._found.around.networks
        if listed is None or listed.way is None or listed.port is None or not networks:
            return host
        async with self._turns:
            try:
                addresses = await addresses_of(host.address, listed.port, authored=False, networks=networks)
            except (Forbidden, Unreached) as error:
                self._say(f"{listed.name}: not asked who it is: {error}")
                return host
            answer = await self._answer(addresses[0], listed.way, listed.port, host.names)
        self._say(f"{listed.name}: {answer.mark if answer is not None else 'does not answer'}")
        if answer is None:
            return host
        return replace(host, services=(Service(answer.port),), answers=(answer,))

    async def _answer(self, address: str, way: str, port: int, names: tuple[str, ...]) -> Answer | None:
        found = await told(address, Service(port), names)
        if found.trouble is not None:
            self._say(found.trouble)
        return found.answer if found.answer is not None and found.answer.kind == way else None

    def _told(self, hosts: Sequence[SeenHost], read: Listing) -> Outcome:
        around = self._found.around
        if not around.networks:
            self._say("no host was asked for its keys: the RunnerPool names no networks that its runners reach")
        seen = Scan(
            str(self._found.inputs["discovery"]),
            str(around.run.id),
            self._began,
            # by the same clock that it began by: how long it took is a difference
            datetime.now(UTC),
            len(hosts),
            tuple(hosts),
            listing=True,
        )
        self._session.capture.close()
        values: dict[str, Any] = {"hosts": len(hosts), "leftOut": len(read.left_out)}
        return Succeeded(replace(self._session.capture.output(), values=values, found=to_json(seen)))

    def _say(self, text: str) -> None:
        self._session.capture.feed("stdout", f"{text}\n".encode("utf-8", "replace"))
