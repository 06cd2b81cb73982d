"""Becoming another user on the way in: sudo starts the bootstrap, which then starts, watches and ends the step.

So whoever ends the step has the right to. The first line on standard input is a script that runs sudo; what the
bootstrap reads follows. sudo is told what is fixed text, and the user: nothing else stands in arguments, and nothing at
all in the environment. The password is sent when sudo has asked for it, once, and at no other time: where sudo does
not ask, nobody is told it, and nothing else is ever taken for it.
"""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from typing import Protocol

import asyncssh

from runners.bootstrap import READ, UNFIT, Unsendable, line_of, quoted
from runners.connections.heard import Heard
from runners.limits import Stream

PROMPT = b"OC1 password for sudo:"
READY = b"OC1 ready"
ASKED_WITHIN = 30.0
"""Seconds that sudo may take to ask and to judge a password, its pause after a wrong one included."""

_NOISE = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9_.#][A-Za-z0-9_.@\\+-]*\$?", re.ASCII)


class Channel(Protocol):
    """The writing side of a channel."""

    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...


class NotBecome(Exception):  # noqa: N818 - named after what it means: nothing of the step ran
    """sudo did not let us. The message is for people, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Becoming:
    """Whom to become. Without a password sudo is told not to ask for one."""

    user: str
    password: str | None = field(default=None, repr=False)

    def checked(self) -> "Becoming":
        """Itself. Raises Unsendable for what sudo cannot take."""
        if not _NAME.fullmatch(self.user):
            raise Unsendable(f"'{self.user}' is not the name of a user to become")
        if self.password is not None and not {"\n", "\r", "\0"}.isdisjoint(self.password):
            raise Unsendable(f"the password to become '{self.user}' has more than one line, which sudo cannot take")
        return self

    def opening(self, then: str = READ) -> bytes:
        """The first line of standard input; `then` is what runs as the user. Raises Unsendable."""
        self.checked()
        # -k: nothing that was cached is used, and nothing is cached for the processes of the user who logged in.
        how = "-n" if self.password is None else f"-k -S -p {quoted(PROMPT.decode())}"
        inner = f"echo; echo {quoted(READY.decode())}; {then}"  # what the login has printed may have no end
        return line_of(
            "command -v sudo >/dev/null 2>&1 || { echo 'the host has no sudo' >&2; exit 127; }\n"
            f"exec sudo -H {how} -u {quoted(self.user)} -- /bin/sh -c {quoted(inner)}\n"
        )

    def refused(self, said: str, printed: str = "") -> str:
        """What people are told when sudo said this and ended; `printed` is what the login did, should sudo say nothing.

        It is not masked.
        """
        hint = ""
        if "password is required" in said and self.password is None:
            hint = "; name a Credential of type password in become.credentialRef, or allow it without a password"
        silent = f"sudo said nothing, and the login printed: {printed}" if printed else "sudo said nothing"
        return f"cannot become '{self.user}' on the host: {said or silent}{hint}"


def send(channel: Channel, data: bytes) -> None:
    """Write to a channel; where its other end is gone already, whoever listens hears of that."""
    with contextlib.suppress(BrokenPipeError):
        channel.write(data)


class Dialog(asyncssh.SSHClientSession[bytes]):
    """A channel on which sudo may come first. What comes after it goes to `took`.

    `channel` is set by whoever opened it, before anything is written.
    """

    def __init__(self, becoming: Becoming | None) -> None:
        self.channel: Channel | None = None
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the bootstrap has started as the user, or at once where nobody else is to become."""
        self.said = b""
        """What came on standard error before that."""
        self.heard = Heard()
        """What came on standard output before anything of ours reported itself."""
        self._becoming = becoming
        self._noise = b""
        self._asked = 0
        if becoming is None:
            self.admitted.set_result(None)

    def took(self, stream: Stream, data: bytes) -> None:
        raise NotImplementedError

    @property
    def is_admitted(self) -> bool:
        return self.admitted.done() and self.admitted.exception() is None

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        stream: Stream = "stdout" if datatype is None else "stderr"
        if self.is_admitted:
            self.took(stream, data)
        elif stream == "stdout":
            self._greeted(data)
        else:
            self._told(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._refuse(self.problem())

    def is_refused(self, code: int) -> bool:
        """Whether this exit code, and what was said, are those of a sudo that did not let us; see sudo(8)."""
        return not self.is_admitted and (code in (126, 127) or (code == 1 and bool(self.said.strip())))

    def problem(self) -> str:
        """Why the user was not become, as far as it is known."""
        said = "; ".join(self.said.decode(errors="replace").split("\n")[-4:]).strip("; ")
        return "" if self._becoming is None else self._becoming.refused(said, self.heard.last_line)

    def _greeted(self, data: bytes) -> None:
        """Look for the line of the bootstrap's shell. What a login shell prints before it is dropped."""
        *lines, rest = (self._noise + data).split(b"\n")
        if READY not in lines:
            self.said += b"".join(UNFIT[line].encode() for line in lines if line in UNFIT)
            self._noise = rest[-_NOISE:]
            self.heard.feed(data)
            return
        at = lines.index(READY)
        if not self.admitted.done():
            self.admitted.set_result(None)
            self.took("stdout", b"\n".join([*lines[at + 1 :], rest]))

    def _told(self, data: bytes) -> None:
        self.said = (self.said + data)[-_NOISE:]
        while PROMPT in self.said:
            before, _, after = self.said.partition(PROMPT)
            self.said = before + after
            self._answer()

    def _answer(self) -> None:
        becoming = self._becoming
        if becoming is None or becoming.password is None or self.channel is None:
            return
        self._asked += 1
        if self._asked == 1:
            send(self.channel, becoming.password.encode() + b"\n")
            return
        self._refuse(f"cannot become '{becoming.user}' on the host: sudo refused the password of its Credential")
        self.channel.close()

    def _refuse(self, message: str) -> None:
        if not self.admitted.done():
            self.admitted.set_exception(NotBecome(message))
            self.admitted.exception()  # whoever waits is told; nobody need wait


async def admit(dialog: Dialog, becoming: Becoming | None) -> None:
    """Say who is to be become, and wait where a password may be asked for. Raises NotBecome or TimeoutError.

    Without a password nobody need wait: sudo reads nothing, so that the next line is the bootstrap's in any case.
    """
    if becoming is None or dialog.channel is None:
        return
    send(dialog.channel, becoming.opening())
    if becoming.password is None:
        return
    async with asyncio.timeout(ASKED_WITHIN):
        await asyncio.shield(dialog.admitted)
