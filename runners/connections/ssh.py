"""Steps over SSH: a step's bootstrap on a channel of its own, followed to an end that is proven or known not to be."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import asyncssh

from journal import points
from runners.bootstrap import (
    ENTRY,
    GREETING,
    KILL_NOW,
    UNFIT,
    Command,
    Unsendable,
    entry,
    payload,
    proof,
    take_over,
)
from runners.connections import (
    DRAIN,
    GRACE,
    PROOF,
    Ended,
    Exited,
    Finish,
    Lost,
    NotSent,
    Refused,
    Stop,
    Unreached,
    Unusable,
    sshfiles,
)
from runners.connections.become import ASKED_WITHIN, Becoming, Channel, Dialog, NotBecome, admit, send
from runners.connections.files import Files
from runners.connections.login import SshPlace
from runners.limits import Capture, Stream
from runners.masking import visible

_NOT_FOUND = (126, 127)
"""What a login shell tells of a /bin/sh that it cannot start, and the bootstrap of a folder that it cannot enter."""

_NOISE = 64 * 1024
"""Bytes that a login shell may print before the step starts."""

_SESSION = 60.0
"""Seconds that a host may take to open a session: some wait half a minute for what their login asks."""

_SIGNAL = re.compile(r"[A-Z0-9]{1,12}(@[a-z0-9.]{1,40})?")
"""A signal by its name in RFC 4254, or one of the server's own."""

_SILENT = "its start was not reported, and it may have run: the login ended with exit code {}:"
"""Of a login that keeps to itself what runs in it, or runs something else."""

_LATE = 1.5
"""Seconds that an exit status may take to arrive after the last process was killed."""

_KILLED = 137
"""What a shell tells of a program that KILL has ended; of the shell itself SSH tells the signal."""

_TAKEN_OVER = 60.0
"""Seconds within which a host must have ended an earlier attempt, login included; it may take 25 of them."""


class Host(Protocol):
    """What a session needs of an open connection."""

    async def create_session(
        self, session_factory: Callable[[], asyncssh.SSHClientSession[bytes]], command: str, *, encoding: None
    ) -> tuple[Channel, object]:
        """Run a command on a channel of its own. Raises asyncssh.Error or OSError."""
        ...


class Connected(Protocol):
    """Lends open connections; see runners.sessions."""

    def lease(self, place: SshPlace, *, fresh: bool = False) -> AbstractAsyncContextManager[tuple[Host, bool]]:
        """An open connection for one user at a time, and whether it was in use before. Raises Unreached, Unusable."""
        ...


class SshSession:
    """A `Session` over SSH. Connects when the first command is executed."""

    def __init__(
        self,
        place: SshPlace,
        connections: Connected,
        capture: Capture,
        stop: Stop,
        *,
        mark: str = "",
        become: Becoming | None = None,
    ) -> None:
        """`mark` says on the host which step of which run this is, and is the same for all its attempts."""
        self.capture = capture
        self.stop = stop
        self._place = place
        self._connections = connections
        self._mark = mark
        self._become = become

    async def take_over(self) -> Finish | None:
        """See Session. Needs a mark."""
        try:
            if self._become is not None:
                self._become.checked()
        except Unsendable as error:
            return Refused(str(error))
        asked = asyncio.ensure_future(self._taken_over())
        try:
            if not await self.stop.first(asked):
                return NotSent("the order to end came before it was sent")
            return await asked
        except Unreached as error:
            return NotSent(str(error))
        except Unusable as error:
            return Refused(str(error))
        finally:
            if not asked.done():
                asked.cancel()
                await asyncio.wait({asked})

    async def _taken_over(self) -> Finish | None:
        try:
            async with (
                asyncio.timeout(_TAKEN_OVER),
                self._connections.lease(self._place, fresh=True) as (connection, _),
            ):
                problem = await _asked(connection, take_over(self._mark), self._become)
        except TimeoutError:
            problem = f"no answer within {_TAKEN_OVER:.0f} s"
        except (asyncssh.Error, OSError, NotBecome) as error:
            problem = str(error)
        if problem is None:
            return None
        return Lost(f"it was not started again, because its earlier attempt is not proven to have ended: {problem}")

    def files(self) -> AbstractAsyncContextManager[Files]:
        """See FileSession."""
        return sshfiles.opened(self._lent, self._become)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[asyncssh.SSHClientConnection]:
        async with self._connections.lease(self._place) as (connection, _):
            if not isinstance(connection, asyncssh.SSHClientConnection):
                raise Unusable("files are reached over SSH alone; write it as 'run'")
            yield connection

    async def execute(self, command: Command) -> Finish:
        """See Session. An order to end that comes before anything was sent gives NotSent."""
        try:
            line = payload(command, self._mark)
            begins = ENTRY if self._become is not None else entry(command, self._mark)
            if self._become is not None:
                self._become.checked()
        except Unsendable as error:
            return Refused(str(error))
        sent = asyncio.Event()
        attempt = asyncio.ensure_future(self._attempt(begins, line, sent))
        try:
            if not await self.stop.first(attempt) and not sent.is_set():
                return NotSent("the order to end came before it was sent")
            return await attempt
        except Unreached as error:
            return NotSent(str(error))
        except Unusable as error:
            return Refused(str(error))
        finally:
            if not attempt.done():
                attempt.cancel()
                with contextlib.suppress(asyncio.CancelledError, Unreached, Unusable):
                    await attempt

    async def _attempt(self, begins: str, line: bytes, sent: asyncio.Event) -> Finish:
        fresh = False
        while True:
            async with self._connections.lease(self._place, fresh=fresh) as (connection, used):
                step = _Exec(self.capture, self._become)
                try:
                    async with asyncio.timeout(_SESSION):
                        channel, _ = await connection.create_session(lambda: step, begins, encoding=None)  # noqa: B023
                except TimeoutError as error:  # raised, so that nobody is lent the connection again
                    raise Unreached(f"{self._place} opened no session within {_SESSION:.0f} s") from error
                except (asyncssh.Error, OSError) as error:
                    if not used:
                        return NotSent(f"{self._place} takes no session: {error}")
                    # a warm connection had died unnoticed; nothing was sent on it
                    fresh = True
                    continue
                step.channel = channel
                try:
                    try:
                        await admit(step, self._become)
                    except NotBecome as error:
                        return Refused(str(error))
                    except TimeoutError:
                        return NotSent(f"{self._place}: sudo gave no answer within {ASKED_WITHIN:.0f} s")
                    sent.set()
                    send(channel, line)
                    points.reach("step.sent")
                    return await self._follow(connection, channel, step)
                except asyncio.CancelledError:
                    if sent.is_set():
                        # A shell may have read it ahead (READ_AHEAD); then the end of the connection asks first.
                        with contextlib.suppress(OSError, asyncssh.Error):
                            channel.write(KILL_NOW)
                    raise
                finally:
                    step.deaf = True
                    channel.close()

    async def _follow(self, connection: Host, channel: Channel, step: "_Exec") -> Finish:
        if await self.stop.first(asyncio.shield(step.over)):
            if step.code is not None:
                await step.drained()
                return self._exited(step, step.code)
            return await self._broken(connection, step)
        began = asyncio.get_running_loop().time()
        with contextlib.suppress(OSError, asyncssh.Error):
            channel.write_eof()
        await self._settled(step, began)
        if step.code is not None and step.group is None:
            return Ended(step.code)
        if step.group is None:
            return Lost("it was ordered to end before it had reported its start, and gave no answer")
        passed = asyncio.get_running_loop().time() - began
        late = step.code is None or passed >= min(self.stop.kill_after, GRACE)
        problem = await self._prove(connection, step.group, kill=late, seconds=PROOF - passed)
        if problem is not None:
            return Lost(f"it was ordered to end, and its end is not proven: {problem}")
        await step.drained()
        return Ended(_KILLED if step.code is None and step.signal == "KILL" else step.code)

    async def _settled(self, step: "_Exec", began: float) -> None:
        """Wait for the end that was asked for, as long as the step may take between TERM and KILL."""
        loop = asyncio.get_running_loop()
        hurried = asyncio.ensure_future(self.stop.hurried())
        try:
            while not step.over.done():
                # the bootstrap kills by itself after GRACE; where that is too late, the proof does it
                limit = self.stop.kill_after if self.stop.kill_after < GRACE else GRACE + _LATE
                left = began + limit - loop.time()
                if left <= 0:
                    return
                waiting = {asyncio.shield(step.over)} | ({hurried} if not hurried.done() else set())
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurried.cancel()

    def _exited(self, step: "_Exec", code: int) -> Finish:
        if step.group is not None:
            return Exited(code)
        if step.unfit is not None:
            return Refused(step.unfit)
        if not step.is_admitted:
            if step.is_refused(code):
                return Refused(step.problem())
            return Lost(f"{_SILENT.format(code)} {step.problem()}")
        lines = visible(self.capture.output().stderr).strip().splitlines()
        said = lines[-1] if lines else step.heard.last_line or "no message"
        if code in _NOT_FOUND:
            return Refused(f"it could not be started on the host (exit code {code}): {said}")
        return Lost(f"{_SILENT.format(code)} {said}")

    async def _broken(self, connection: Host, step: "_Exec") -> Finish:
        how = f"its shell was killed by {step.signal}" if step.signal else "the connection broke while it ran"
        if step.group is None:
            return Lost(f"{how}, before it had reported its start; it may have run")
        problem = await self._prove(connection, step.group, kill=True, seconds=PROOF)
        if problem is None:
            return Lost(f"{how}; none of its processes is left, and what it had done by then is not known")
        return Lost(f"{how}, and that its processes have ended is not proven: {problem}")

    async def _prove(self, connection: Host, group: int, *, kill: bool, seconds: float) -> str | None:
        """None when no process of the group is left; else why that is not known."""
        check = proof(group, kill=kill, patience=max(0, int(seconds) - 2))
        try:
            async with asyncio.timeout(max(seconds, 1.0)):
                with contextlib.suppress(asyncssh.Error, OSError):
                    return await _asked(connection, check, self._become)
                async with self._connections.lease(self._place, fresh=True) as (other, _):
                    return await _asked(other, check, self._become)
        except TimeoutError:
            return f"no answer within {PROOF:.0f} s"
        except (asyncssh.Error, OSError, Unreached, Unusable, NotBecome) as error:
            return str(error)


async def _asked(connection: Host, check: bytes, become: Becoming | None) -> str | None:
    """None when the processes that a check is about are gone. Raises ConnectionLost where it gives no answer.

    Asked as the user who ran them: nobody else may end them, or see what they are. Raises NotBecome, TimeoutError.
    """
    answer = _Check(become)
    channel, _ = await connection.create_session(lambda: answer, ENTRY, encoding=None)
    answer.channel = channel
    try:
        await admit(answer, become)
        send(channel, check)
        await answer.over
    finally:
        channel.close()
    if not answer.is_admitted:
        raise NotBecome(answer.problem())
    said = answer.answer
    if said is None:
        raise asyncssh.ConnectionLost("the check gave no answer")
    return _MEANS[said]


_MEANS: Mapping[bytes, str | None] = {
    b"OC1 gone": None,
    b"OC1 alive": "processes of it still live",
    b"OC1 blind": "the host has no /proc to find its processes by, or one that hides those of other users",
}
"""What a check may answer, and the problem that is."""


class _Check(Dialog):
    """A question's channel. `over` is done when it is answered, or closed: what a login leaves behind holds it open."""

    def __init__(self, becoming: Becoming | None) -> None:
        super().__init__(becoming)
        self.text = b""
        self.answer: bytes | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def took(self, stream: Stream, data: bytes) -> None:
        if stream == "stdout":
            self.text = (self.text + data)[-_NOISE:]
            whole = self.text.rpartition(b"\n")[0].splitlines()
            self.answer = self.answer or next((answer for answer in _MEANS if answer in whole), None)
            if self.answer is not None and not self.over.done():
                self.over.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.over.done():
            self.over.set_result(None)


class _Exec(Dialog):
    """One step's channel. Output is handled before the call returns, so the SSH window gives backpressure."""

    def __init__(self, capture: Capture, becoming: Becoming | None = None) -> None:
        super().__init__(becoming)
        loop = asyncio.get_running_loop()
        self.group: int | None = None
        self.unfit: str | None = None
        self.code: int | None = None
        self.signal: str | None = None
        self.deaf = False
        self.over: asyncio.Future[None] = loop.create_future()
        """Done with the exit status, or without it when the channel is closed."""
        self._quiet: asyncio.Future[None] = loop.create_future()
        self._capture = capture
        self._before: bytes | None = b""

    async def drained(self) -> None:
        """Wait for the rest of the output, not longer than DRAIN."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await asyncio.shield(self._quiet)

    def took(self, stream: Stream, data: bytes) -> None:
        if self.deaf:
            return
        if stream == "stderr" or self._before is None:
            self._capture.feed(stream, data)
        else:
            self.heard.feed(data)
            self._reported(self._before + data)

    def exit_status_received(self, status: int) -> None:
        self.code = status
        self._done(self.over)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.signal = signal if _SIGNAL.fullmatch(signal) else "a signal without a proper name"
        self._done(self.over)

    def eof_received(self) -> bool:
        self._done(self._quiet)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._done(self._quiet)
        self._done(self.over)

    def _reported(self, data: bytes) -> None:
        """Look for the bootstrap's first line. What a login shell prints before it is dropped."""
        *lines, rest = data.split(b"\n")
        for at, line in enumerate(lines):
            if found := GREETING.match(line):
                self.group = int(found[1])
                self._before = None
                self._capture.feed("stdout", b"\n".join([*lines[at + 1 :], rest]))
                return
            self.unfit = self.unfit or UNFIT.get(line)
        self._before = rest[-_NOISE:]

    @staticmethod
    def _done(future: "asyncio.Future[None]") -> None:
        if not future.done():
            future.set_result(None)
