"""Steps over SSH, by asyncssh. What is trusted comes from the target's document, who logs in from its credential.

No configuration file, agent, default key or known_hosts file of this host is read. A host key is accepted only when the
target's `hostKeys` have it, or its certificate is signed by one of their `@cert-authority` lines; nothing turns that
off.
"""

import asyncio
import contextlib
import socket
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import asyncssh
from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

from journal import points
from runners.bootstrap import ENTRY, GREETING, KILL_NOW, NO_SETSID, Command, Unsendable, payload, proof
from runners.connections import DRAIN, GRACE, PROOF, Ended, Exited, Finish, Lost, NotSent, Refused, Stop
from runners.limits import Capture
from runners.masking import visible

_NOISE = 64 * 1024
"""Bytes that a login shell may print before the step starts."""

_LATE = 1.5
"""Seconds that an exit status may take to arrive after the last process was killed."""


@dataclass(frozen=True, slots=True)
class SshLimits:
    """Seconds. A connection that carries nothing is noticed after (`alive_count` + 1) times `alive_every`."""

    connect: float = 10.0
    login: float = 20.0
    alive_every: float = 5.0
    alive_count: int = 3


@dataclass(frozen=True, slots=True)
class SshPlace:
    """Where and as whom. Equal places share connections. `target` is the document's name, for messages."""

    target: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...]
    private_key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


class Unreached(Exception):  # noqa: N818 - named after what it means: nothing was sent
    """No connection, or no login. The message is for people, and holds no secret."""


class Unusable(Exception):  # noqa: N818
    """The document or the credential cannot work, whatever the host does."""


class Connected(Protocol):
    """Lends open connections; see runners.sessions."""

    def lease(
        self, place: SshPlace, *, fresh: bool = False
    ) -> AbstractAsyncContextManager[tuple[asyncssh.SSHClientConnection, bool]]:
        """An open connection for one user at a time, and whether it was in use before. Raises Unreached, Unusable."""
        ...


async def connect(place: SshPlace, limits: SshLimits) -> asyncssh.SSHClientConnection:
    """Open a connection and log in. Raises Unreached or Unusable, both with a message that says what to do."""
    trusted, authorities = _host_keys(place.host_keys, place.target)
    keys = [_private_key(place.private_key)] if place.private_key else None
    seen = _Seen()
    algorithms = [*(algorithm for key in trusted for algorithm in key.sig_algorithms), *get_default_public_key_algs()]
    if authorities:
        algorithms = [*get_default_certificate_algs(), *algorithms]
    try:
        async with asyncio.timeout(limits.connect + limits.login):
            return await asyncssh.connect(
                place.host,
                place.port,
                config=None,
                client_factory=lambda: seen,
                known_hosts=(trusted, authorities, []),
                server_host_key_algs=[name.decode() for name in dict.fromkeys(algorithms)],
                username=place.user,
                client_keys=keys,
                password=place.password,
                public_key_auth=keys is not None,
                password_auth=place.password is not None,
                kbdint_auth=place.password is not None,
                host_based_auth=False,
                gss_host=None,
                gss_auth=False,
                gss_kex=False,
                agent_path=None,
                agent_forwarding=False,
                pkcs11_provider=None,
                x509_trusted_certs=None,
                connect_timeout=limits.connect,
                login_timeout=limits.login,
                keepalive_interval=limits.alive_every,
                keepalive_count_max=limits.alive_count,
                client_version="OpsConductor",
                compression_algs=None,
            )
    except (OSError, asyncssh.Error, TimeoutError, ValueError) as error:
        raise Unreached(_why(error, place, seen)) from error


def _why(error: Exception, place: SshPlace, seen: "_Seen") -> str:
    where = f"{place.host}:{place.port}"
    match error:
        case asyncssh.HostKeyNotVerifiable() if seen.key is not None:
            return (
                f"{where} shows the {seen.key.get_algorithm()} host key {seen.key.get_fingerprint()}, which is not in "
                f"the definitions; if that key is right (compare it on the host), add it to "
                f"spec.connections.ssh.hostKeys of Target {place.target}"
            )
        case asyncssh.HostKeyNotVerifiable():
            return f"{where} shows a host key that cannot be verified: {error.reason}"
        case asyncssh.PermissionDenied():
            means = " and ".join(
                name for name, given in (("key", place.private_key), ("password", place.password)) if given
            )
            return f"{where} refused the login of '{place.user}' with the {means or 'credential'} of its Credential"
        case socket.gaierror():
            return f"the name {place.host} cannot be resolved: {error.strerror or error}"
        case ConnectionRefusedError():
            return f"{where} refused the connection; is its SSH server running?"
        case asyncssh.ConnectionLost() if seen.connected:
            return f"{where} took the connection and ended it before the login was complete: {error.reason}"
        case TimeoutError() | asyncssh.ConnectionLost():
            stage = "took the connection and did not answer" if seen.connected else "did not answer"
            return f"{where} {stage} within the time limit"
        case asyncssh.DisconnectError():
            return f"{where} ended the connection: {error.reason}"
        case OSError():
            return f"cannot connect to {where}: {error.strerror or error}"
        case _:
            return f"cannot connect to {where}: {error}"


class _Seen(asyncssh.SSHClient):
    """Remembers what a server showed that was refused."""

    def __init__(self) -> None:
        self.key: asyncssh.SSHKey | None = None
        self.connected = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.key = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.key = key
        return False


@lru_cache(maxsize=4096)
def _host_keys(lines: tuple[str, ...], target: str) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
    trusted: list[asyncssh.SSHKey] = []
    authorities: list[asyncssh.SSHKey] = []
    for line in lines:
        found = authorities if line.startswith("@cert-authority") else trusted
        try:
            found.append(asyncssh.import_public_key(line.removeprefix("@cert-authority").strip()))
        except (asyncssh.KeyImportError, ValueError) as error:
            raise Unusable(f"Target {target} has a host key that cannot be read ({error}): {line[:40]}") from error
    return trusted, authorities


@lru_cache(maxsize=256)
def _private_key(text: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(text)
    except asyncssh.KeyEncryptionError as error:
        raise Unusable("the private key has a passphrase; give one without, the secret folder protects it") from error
    except (asyncssh.KeyImportError, ValueError) as error:
        raise Unusable("the credential does not hold a private key that can be read") from error


class SshSession:
    """A `Session` over SSH. Connects when the first command is executed."""

    def __init__(self, place: SshPlace, connections: Connected, capture: Capture, stop: Stop) -> None:
        self.capture = capture
        self.stop = stop
        self._place = place
        self._connections = connections

    async def execute(self, command: Command) -> Finish:
        """See Session. An order to end that comes before anything was sent gives NotSent."""
        try:
            line = payload(command)
        except Unsendable as error:
            return Refused(str(error))
        sent = asyncio.Event()
        attempt = asyncio.ensure_future(self._attempt(line, sent))
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

    async def _attempt(self, line: bytes, sent: asyncio.Event) -> Finish:
        fresh = False
        while True:
            async with self._connections.lease(self._place, fresh=fresh) as (connection, used):
                step = _Exec(self.capture)
                try:
                    channel, _ = await connection.create_session(lambda: step, ENTRY, encoding=None)  # noqa: B023
                except (asyncssh.Error, OSError) as error:
                    if not used:
                        return NotSent(f"{self._place} takes no session: {error}")
                    # a warm connection had died unnoticed; nothing was sent on it
                    fresh = True
                    continue
                sent.set()
                try:
                    channel.write(line)
                    points.reach("step.sent")
                    return await self._follow(connection, channel, step)
                except asyncio.CancelledError:
                    with contextlib.suppress(OSError, asyncssh.Error):
                        channel.write(KILL_NOW)
                    raise
                finally:
                    step.deaf = True
                    channel.close()

    async def _follow(
        self, connection: asyncssh.SSHClientConnection, channel: "asyncssh.SSHClientChannel[bytes]", step: "_Exec"
    ) -> Finish:
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
        return Ended(step.code)

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
        if step.no_setsid:
            return Refused("the host has no 'setsid' (util-linux or busybox), without which a step cannot be ended")
        said = visible(self.capture.output().stderr).strip().splitlines()
        return Refused(f"it could not be started on the host (exit code {code}): {said[-1] if said else 'no message'}")

    async def _broken(self, connection: asyncssh.SSHClientConnection, step: "_Exec") -> Finish:
        how = f"its shell was killed by {step.signal}" if step.signal else "the connection broke while it ran"
        if step.group is None:
            return Lost(f"{how}, before it had reported its start; it may have run")
        problem = await self._prove(connection, step.group, kill=True, seconds=PROOF)
        if problem is None:
            return Lost(f"{how}; none of its processes is left, and what it had done by then is not known")
        return Lost(f"{how}, and that its processes have ended is not proven: {problem}")

    async def _prove(
        self, connection: asyncssh.SSHClientConnection, group: int, *, kill: bool, seconds: float
    ) -> str | None:
        """None when no process of the group is left; else why that is not known."""
        try:
            async with asyncio.timeout(max(seconds, 1.0)):
                with contextlib.suppress(asyncssh.Error, OSError):
                    return await _asked(connection, group, kill=kill, patience=int(seconds))
                async with self._connections.lease(self._place, fresh=True) as (other, _):
                    return await _asked(other, group, kill=kill, patience=int(seconds))
        except TimeoutError:
            return f"no answer within {PROOF:.0f} s"
        except (asyncssh.Error, OSError, Unreached, Unusable) as error:
            return str(error)


async def _asked(connection: asyncssh.SSHClientConnection, group: int, *, kill: bool, patience: int) -> str | None:
    result = await connection.run(
        ENTRY, input=proof(group, kill=kill, patience=max(0, patience - 2)), encoding=None, check=False
    )
    said = result.stdout if isinstance(result.stdout, bytes) else b""
    if b"OC1 gone" in said.splitlines():
        return None
    if b"OC1 alive" in said.splitlines():
        return f"processes of its group {group} still live"
    raise asyncssh.ConnectionLost("the check gave no answer")


class _Exec(asyncssh.SSHClientSession[bytes]):
    """One step's channel. Output is handled before the call returns, so the SSH window gives backpressure."""

    def __init__(self, capture: Capture) -> None:
        loop = asyncio.get_running_loop()
        self.group: int | None = None
        self.no_setsid = False
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

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if self.deaf:
            return
        if datatype is not None:
            self._capture.feed("stderr", data)
        elif self._before is None:
            self._capture.feed("stdout", data)
        else:
            self._greeted(self._before + data)

    def exit_status_received(self, status: int) -> None:
        self.code = status
        self._done(self.over)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.signal = signal
        self._done(self.over)

    def eof_received(self) -> bool:
        self._done(self._quiet)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._done(self._quiet)
        self._done(self.over)

    def _greeted(self, data: bytes) -> None:
        """Look for the bootstrap's first line. What a login shell prints before it is dropped."""
        *lines, rest = data.split(b"\n")
        for at, line in enumerate(lines):
            if found := GREETING.match(line):
                self.group = int(found[1])
                self._before = None
                self._capture.feed("stdout", b"\n".join([*lines[at + 1 :], rest]))
                return
            self.no_setsid = self.no_setsid or NO_SETSID.match(line) is not None
        self._before = rest[-_NOISE:]

    @staticmethod
    def _done(future: "asyncio.Future[None]") -> None:
        if not future.done():
            future.set_result(None)
