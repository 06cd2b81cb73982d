"""Shells on a Windows host: what a step runs in, and what is deleted to end it. Used by one thread.

Each shell has an id that we choose, so that a later attempt can end what an earlier one left.
"""

import base64
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runners.connections.winrm import scripts
from runners.connections.winrm.errors import Broken, Garbled, NoLogin
from runners.connections.winrm.place import WinrmLimits
from runners.limits import Stream

Feed = Callable[[Stream, bytes], None]

TIMED_OUT = 0x80338029
"""The fault that says: nothing to tell within the time that was asked for."""
NO_SHELL = 0x8033805B
"""The fault that says: there is no such shell."""

_ANY_SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
_CMD = f"{_ANY_SHELL}/cmd"
_POWERSHELL = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
_LARGEST = 16 * 1024 * 1024
"""Bytes of one object that a host sends in parts."""
_PIECE = 96 * 1024
"""Bytes of input in one message, of which a host takes 150 KiB."""
_OPENED = 2
_ENDED = {3: 1, 4: 0, 5: 1}
"""States in which a pipeline is over (MS-PSRP 2.2.3.5): stopped, completed, failed; and the least exit code of each."""
_LEVELS = ("warning", "verbose", "debug")


class Fault(Exception):  # noqa: N818 - named after what the host answers with
    """The host says no. `code` is that of WS-Management, where it gave one."""

    def __init__(self, code: int | None, said: str) -> None:
        super().__init__(said)
        self.code = code


@contextmanager
def understood() -> Iterator[None]:
    """Whatever a host's answer does to the library that reads it, becomes Fault, Broken, Garbled or NoLogin."""
    from pypsrp.exceptions import WinRMTransportError, WSManFaultError

    try:
        yield
    except (Broken, Garbled, NoLogin, Fault):
        raise
    except WSManFaultError as error:
        code = error.code if isinstance(error.code, int) else None
        raise Fault(
            code, " ".join(str(error.reason or error.provider_fault or error.code or "no reason").split())
        ) from error
    except WinRMTransportError as error:
        raise Garbled("a fault that cannot be read") from error
    except Exception as error:  # a hostile or broken answer may fail anywhere within the library
        raise Garbled(f"an answer that cannot be understood ({type(error).__name__})") from error


def delete(wsman: Any, shell: str) -> None:
    """Order the end of a shell and of all that runs in it, whatever kind it is. `is_there` tells what became of it.

    Raises Broken, Garbled and NoLogin.
    """
    for resource in (_POWERSHELL, _CMD):
        with contextlib.suppress(Fault), understood():
            wsman.delete(resource, selector_set=_selector(shell))


def is_there(wsman: Any, shell: str) -> bool:
    """Whether a host knows the shell. Raises what `understood` does."""
    try:
        with understood():
            wsman.get(_ANY_SHELL, selector_set=_selector(shell))
    except Fault as error:
        if error.code == NO_SHELL:
            return False
        raise
    return True


def _selector(shell: str) -> Any:
    from pypsrp.wsman import SelectorSet

    selectors = SelectorSet()
    selectors.add_option("ShellId", shell)
    return selectors


class Process:
    """One command of a shell for processes, such as cmd and powershell.exe."""

    def __init__(self, wsman: Any, shell: str, limits: WinrmLimits, feed: Feed, **settings: Any) -> None:
        """`settings` are those of pypsrp's WinRS: environment, working_directory."""
        from pypsrp.shell import WinRS

        self.code: int | None = None
        self.over = False
        self._limits = limits
        self.feed = feed
        self._shell = WinRS(wsman, id=shell, codepage=65001, idle_time_out=limits.orphan, **settings)
        self._command: Any = None
        self._errors = _ErrorText(feed)

    def open(self) -> None:
        """Raises what `understood` does, as all that follow."""
        with understood():
            self._shell.open()
            if self._shell.id is None or self._shell._selector_set is None:
                raise Garbled("a shell without an id")

    @property
    def id(self) -> str:
        return str(self._shell.id)

    def start(self, line: str) -> None:
        """Start PowerShell and give it a line of input; see `scripts.line_of`."""
        program, *arguments = scripts.STARTED
        self.begin(program, arguments, line.encode() + b"\r\n")

    def begin(self, program: str, arguments: list[str], stdin: bytes | None) -> None:
        from pypsrp.shell import Process as Command

        self.code, self.over = None, False
        self._errors = _ErrorText(self.feed)
        with understood():
            self._command = Command(self._shell, program, arguments)
            self._command.begin_invoke()
            pieces = [stdin[at : at + _PIECE] for at in range(0, len(stdin), _PIECE)] if stdin else [b""]
            for number, piece in enumerate(pieces, start=1):
                self._command.send(piece, end=number == len(pieces))

    def poll(self) -> None:
        """Wait shortly for what the command says, and pass it on."""
        command = self._command
        with understood():
            command.poll_invoke(timeout=self._limits.poll)
            said, errors = command.stdout, command.stderr
            command.stdout, command.stderr = b"", b""
        self.feed("stdout", said)
        self._errors.feed(errors)
        if command.state.endswith("/Done"):
            self.over = True
            self._errors.finish()
            if command.rc is None:
                raise Garbled("the end of a command without an exit code")
            self.code = command.rc & 0xFFFFFFFF if command.rc < 0 else command.rc

    def remove(self) -> None:
        """Delete the shell, after its last command."""
        with understood():
            self._shell.close()

    def ask(self) -> None:
        """Ask the command to end, as Ctrl+C does."""
        self._signal("ctrl_c")

    def terminate(self) -> None:
        self._signal("Terminate")

    def _signal(self, code: str) -> None:
        with understood():
            self._command.signal(f"{_ANY_SHELL}/signal/{code}")


class Runspace:
    """A PowerShell runspace of its own; one pipeline after the other."""

    def __init__(self, wsman: Any, shell: str, limits: WinrmLimits, feed: Feed) -> None:
        from pypsrp.host import PSHost
        from pypsrp.powershell import RunspacePool

        self.code: int | None = None
        self.over = False
        self._limits = limits
        self.feed = feed
        # A host without a user interface: what is written to it comes as records, and nothing can ask for input.
        self._host = PSHost(None, None, False, "OpsConductor", None, None, "1.0")
        self._pool = RunspacePool(wsman, host=self._host, idle_timeout=limits.orphan)
        self._pool.id = self._pool.shell.id = shell
        self._pipeline: Any = None

    def open(self) -> None:
        with understood():
            self._pool.open()
            if self._pool.state != _OPENED:
                raise Garbled("a runspace that does not open")

    @property
    def id(self) -> str:
        return str(self._pool.shell.id)

    def start(self, line: str) -> None:
        from pypsrp.powershell import PowerShell

        self.code, self.over, self._host.rc = None, False, None
        with understood():
            self._pipeline = PowerShell(self._pool)
            self._pipeline.add_script(scripts.BOOTSTRAP)
            self._pipeline.begin_invoke([line])

    def poll(self) -> None:
        with understood():
            self._pipeline.poll_invoke(timeout=self._limits.poll)
            held = sum(len(part["data"]) for part in self._pool._fragmenter.incoming_buffer.values())
            if held > _LARGEST:
                raise Garbled(f"an object of more than {_LARGEST} bytes")
            self._pass_on()
            state = self._pipeline.state
        if state in _ENDED:
            self.over = True
            self.code = self._exit_code(_ENDED[state])

    def remove(self) -> None:
        """Delete the runspace, after its last pipeline."""
        with understood():
            self._pool.close()

    def ask(self) -> None:
        """Stop the pipeline, as Ctrl+C does; it is over when it says so."""
        from pypsrp.shell import SignalCode

        with understood():
            self._pool.shell.signal(SignalCode.PS_CTRL_C, str(self._pipeline.id).upper())

    def terminate(self) -> None:
        """Deleting the shell is all that ends a pipeline which does not stop."""

    def _pass_on(self) -> None:
        pipeline = self._pipeline
        streams, output = pipeline.streams, pipeline.output
        pipeline.clear_streams()
        for item in output:
            self._say("stdout", item if isinstance(item, str) else str(item))
        for record in streams.information:
            data = record.message_data
            partial = getattr(data, "extended_properties", {}).get("NoNewLine") is True
            self._say("stdout", str(data), end="" if partial else "\n")
        for error in streams.error:
            self._say("stderr", str(error))
        for level in _LEVELS:
            for record in getattr(streams, level):
                self._say("stderr", f"{level.upper()}: {record.message}")

    def _say(self, stream: Stream, text: str, end: str = "\n") -> None:
        self.feed(stream, (text + end).encode("utf-8", "replace"))

    def _exit_code(self, at_least: int) -> int:
        """What the script gave to `exit`; a script that failed never has 0."""
        said = self._host.rc
        code = said & 0xFFFFFFFF if isinstance(said, int) else 0
        return max(code, at_least)


Shell = Process | Runspace


class _ErrorText:
    """What powershell.exe writes to standard error: as it is, or its errors taken out of the XML it may put them in."""

    _MARK = b"#< CLIXML"
    _MOST = 1024 * 1024

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._held: bytes | None = b""

    def feed(self, data: bytes) -> None:
        if self._held is None:
            self._feed("stderr", data)
            return
        self._held += data
        undecided = self._MARK.startswith(self._held) or self._held.startswith(self._MARK)
        if not undecided or len(self._held) > self._MOST:
            held, self._held = self._held, None
            self._feed("stderr", held)

    def finish(self) -> None:
        if not self._held:
            return
        from pypsrp.client import Client

        text = self._held.decode("utf-8", "replace")
        if self._held.startswith(self._MARK) and b"<!" not in self._held:
            with understood():
                text = Client.sanitise_clixml(text)
        self._feed("stderr", text.encode("utf-8", "replace"))
        self._held = b""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
