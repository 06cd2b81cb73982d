"""One command on a Windows host, from the login to an end that is proven or known not to be. Runs in a thread.

The event loop's side is `session`. What it may do at any time: give `Orders`, and abort.
"""

import base64
import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runners.bootstrap import Command
from runners.connections import GRACE, PROOF, Ended, Exited, Finish, Lost, NotSent, Refused, Unreached, Unusable
from runners.connections.winrm import scripts
from runners.connections.winrm.errors import Broken, Garbled, NoLogin
from runners.connections.winrm.place import WinrmLimits, WinrmPlace
from runners.connections.winrm.shells import Fault, Feed, Process, Runspace, Shell, delete, is_there
from runners.connections.winrm.wire import Wire, wsman_over
from runners.limits import Stream

_LOOK_AGAIN = 0.5
_LARGEST = 8 * 1024 * 1024
BROKEN = (Broken, Garbled, NoLogin)


class Orders:
    """What a command is told from outside, safe for threads. Times are of time.monotonic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._kill_at: float | None = None
        self._sent = False
        self._changed = threading.Event()

    def end(self, kill_after: float) -> bool:
        """End it; a second order may only hurry. True when nothing was sent, and now never will be."""
        with self._lock:
            now = time.monotonic()
            self._asked = now if self._asked is None else self._asked
            at = now + kill_after
            self._kill_at = at if self._kill_at is None else min(self._kill_at, at)
            self._changed.set()
            return not self._sent

    def may_send(self) -> bool:
        """To be asked right before the command is sent."""
        with self._lock:
            self._sent = self._asked is None
            return self._sent

    @property
    def sent(self) -> bool:
        return self._sent

    @property
    def given(self) -> bool:
        return self._asked is not None

    @property
    def overdue(self) -> bool:
        """Whether the time to end by itself is over."""
        return self._kill_at is not None and time.monotonic() >= self._kill_at

    @property
    def left(self) -> float:
        """Seconds within which the end must be proven."""
        return PROOF if self._asked is None else max(1.0, self._asked + PROOF - time.monotonic())


class Work:
    """One command. `run` is called once, in a thread of its own; `abort` from anywhere.

    `wire` is a warm connection, or None. After `run` it is the connection that may be used again, or None.
    """

    def __init__(self, place: WinrmPlace, limits: WinrmLimits, shell: str, session: str, wire: Wire | None) -> None:
        self.orders = Orders()
        self.wire = wire
        self._place = place
        self._limits = limits
        self._shell = shell
        self._session = session
        self._warm = wire is not None
        self._aborted = False

    def abort(self) -> None:
        """Break what is under way; `run` returns soon after."""
        self._aborted = True
        if self.wire is not None:
            self.wire.abort()

    def run(self, command: Command, feed: Feed) -> Finish:
        """See runners.connections.Session.execute."""
        try:
            return self._run(command, feed)
        except Unreached as error:
            return NotSent(str(error))
        except Unusable as error:
            return Refused(str(error))
        finally:
            if self.wire is not None and not self.wire.works:
                self.wire.close()
                self.wire = None

    def end_earlier(self) -> Finish | None:
        """See runners.connections.Session.take_over."""
        try:
            problem = self._prove(self._connected, PROOF)
        except Unreached as error:
            return NotSent(str(error))
        except Unusable as error:
            return Refused(str(error))
        if problem is None:
            return None
        return Lost(f"it was not started again, because its earlier attempt is not proven to have ended: {problem}")

    # --- from the login to the start ---------------------------------------------------------------------------------

    def _run(self, command: Command, feed: Feed) -> Finish:
        try:
            wsman = self._connected()
            shell = self._opened(wsman, command, feed)
        except BROKEN as error:
            return NotSent(self._place.at(error))
        except Fault as error:
            return NotSent(f"{self._place.netloc} opens no shell: {error}")
        try:
            finish = self._executed(shell, command)
        except BROKEN as error:
            finish = self._lost(f"the connection broke while it ran ({error})")
        except Fault as error:
            finish = self._lost(f"the host ended it: {error}") if self.orders.sent else Refused(str(error))
        if isinstance(finish, Exited | Refused | NotSent):
            with contextlib.suppress(*BROKEN, Fault):
                shell.remove()  # the host would do it by itself later
        return finish

    def _connected(self) -> Any:
        if self.wire is None:
            wire = self.wire = Wire(self._place, self._limits)
            if self._aborted:
                wire.abort()
            wire.open()
        return wsman_over(self.wire, self._limits, self._session)

    def _opened(self, wsman: Any, command: Command, feed: Feed) -> Shell:
        try:
            return self._open(wsman, command, feed)
        except BROKEN:
            if not self._warm or self._aborted:
                raise
            # a warm connection had died unnoticed; nothing was sent on it but an empty shell
            self._warm, self.wire = False, None
            return self._open(self._connected(), command, feed)

    def _open(self, wsman: Any, command: Command, feed: Feed) -> Shell:
        shell: Shell
        if command.shell == "cmd":
            folder = {"working_directory": command.working_dir} if command.working_dir else {}
            shell = Process(wsman, self._shell, self._limits, feed, environment=dict(command.env), **folder)
        elif self._place.protocol == "psrp":
            shell = Runspace(wsman, self._shell, self._limits, feed)
        else:
            shell = Process(wsman, self._shell, self._limits, feed)
        assert self.wire is not None
        self.wire.until = time.monotonic() + self._limits.login
        shell.open()
        self.wire.until = None
        if shell.id.upper() != self._shell.upper():
            raise Garbled("a shell under another id than the one it was given")
        return shell

    def _executed(self, shell: Shell, command: Command) -> Finish:
        if command.shell == "cmd":
            assert isinstance(shell, Process)
            return self._batch(shell, command)
        line = scripts.line_of(command.script, env=command.env, stdin=command.stdin, folder=command.working_dir)
        return self._followed(shell, lambda: shell.start(line))

    def _batch(self, shell: Process, command: Command) -> Finish:
        """A script for cmd: put into a file of the host, called, and removed."""
        name = f"oc-{self._shell.lower()}.cmd"
        text = "@echo off\r\n" + command.script.replace("\r\n", "\n").replace("\n", "\r\n") + "\r\n"
        put = scripts.arguments(name, base64.b64encode(text.encode()).decode())
        told = aside(shell, scripts.line_of(scripts.BATCH, stdin=put), lambda: self.orders.given)
        if told.problem is not None and not self.orders.given:
            return Refused(f"the script could not be put onto the host: {told.problem}")
        path = f'"%TEMP%\\{name}"'
        stdin = None if command.stdin is None else command.stdin.encode("utf-8", "surrogatepass")
        finish = self._followed(shell, lambda: shell.begin(path, [], stdin))
        if isinstance(finish, Exited):
            shell.begin("del", ["/q", path], None)
            to_its_end(shell)
        elif isinstance(finish, Ended):
            self._cleared(path)
        return finish

    def _cleared(self, path: str) -> None:
        """Remove the script of a command that was ended. Its shell is gone: another one does it, or a later script."""
        with contextlib.suppress(*BROKEN, Fault, Unreached, Unusable):
            shell = Process(self._connected(), str(uuid.uuid4()).upper(), self._limits, lambda stream, data: None)
            wire = self.wire
            assert wire is not None
            wire.until = time.monotonic() + self.orders.left
            try:
                shell.open()
                shell.begin("del", ["/q", path], None)
                to_its_end(shell)
                shell.remove()
            finally:
                wire.until = None

    # --- from the start to the end -----------------------------------------------------------------------------------

    def _followed(self, shell: Shell, start: Callable[[], None]) -> Finish:
        if not self.orders.may_send():
            return NotSent("the order to end came before it was sent")
        start()
        while not shell.over and not self.orders.given:
            shell.poll()
        if shell.over and shell.code is not None:
            return Exited(shell.code)
        return self._ended(shell)

    def _ended(self, shell: Shell) -> Finish:
        """End it on order: ask, wait as long as it may take, and delete its shell. Ended is what is proven to be."""
        try:
            if not self.orders.overdue:
                shell.ask()
            began = time.monotonic()
            while not shell.over and not self.orders.overdue and time.monotonic() - began < GRACE:
                shell.poll()
            if not shell.over:
                shell.terminate()
        except (*BROKEN, Fault):
            shell.over = False  # what counts is the proof
        problem = self._proven()
        if problem is None:
            return Ended(shell.code)
        return Lost(f"it was ordered to end, and its end is not proven: {problem}")

    def _lost(self, how: str) -> Finish:
        if not self.orders.sent:
            self._proven()
            return NotSent(how)
        problem = self._proven()
        if problem is not None:
            return Lost(f"{how}, and that its processes have ended is not proven: {problem}")
        if self.orders.given:
            return Ended()
        return Lost(f"{how}; none of its processes is left, and what it had done by then is not known")

    def _proven(self) -> str | None:
        """None when the shell is gone with all that ran in it. Asks over a new connection where the old one broke."""
        try:
            if self.wire is not None and self.wire.works:
                with contextlib.suppress(*BROKEN):
                    return self._prove(self._connected, self.orders.left)
            if self._aborted:
                return "it was broken off"
            self.wire = None
            return self._prove(self._connected, self.orders.left)
        except (*BROKEN, Unreached, Unusable) as error:
            return str(error)

    def _prove(self, connected: Callable[[], Any], seconds: float) -> str | None:
        until = time.monotonic() + seconds
        try:
            wsman = connected()
            delete(wsman, self._shell)
            while is_there(wsman, self._shell):
                if time.monotonic() >= until or self._aborted:
                    return "the host still has its shell"
                time.sleep(_LOOK_AGAIN)
                delete(wsman, self._shell)
        except Fault as error:
            return str(error)
        return None


@dataclass(frozen=True, slots=True)
class Aside:
    """What one of our own small scripts said. `problem` is None where it went well."""

    said: bytes
    problem: str | None


def aside(shell: Shell, line: str, stopped: Callable[[], bool] = lambda: False) -> Aside:
    """Run one of our own small scripts in an open shell. Raises what its methods raise."""
    said: list[bytes] = []
    complaint: list[bytes] = []
    outer = shell.feed

    def collect(stream: Stream, data: bytes) -> None:
        into = said if stream == "stdout" else complaint
        into.append(data)
        if sum(map(len, into)) > _LARGEST:
            raise Garbled("more output than was asked for")

    shell.feed = collect
    try:
        shell.start(line)
        to_its_end(shell, stopped)
    finally:
        shell.feed = outer
    words = b"".join(complaint).decode("utf-8", "replace").split()
    problem = None if shell.code == 0 else " ".join(words)[:300] or f"exit code {shell.code}"
    return Aside(b"".join(said), problem)


def to_its_end(shell: Shell, stopped: Callable[[], bool] = lambda: False) -> None:
    """Wait for the end of what runs in a shell, or for the order to stop."""
    while not shell.over and not stopped():
        shell.poll()
