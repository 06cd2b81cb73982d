"""Shells of the endpoint: what Create, Command, Send, Receive, Signal, Delete and Get do (MS-WSMV 3.1.4)."""

import base64
import re
import signal
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

import psrpcore
from psrpcore.types import HostMethodIdentifier, NETException, PSInvocationState

from runners.connections.winrm import scripts
from tests.wsman.windows import Command, Windows, new_id

RSP = "{http://schemas.microsoft.com/wbem/wsman/1/windows/shell}"
STATE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/"
MOST = 100_000
"""Bytes of output in one answer, less than what clients take."""


class Fault(Exception):  # noqa: N818
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass
class Shell:
    """A shell for processes."""

    windows: Windows
    resource: str
    env: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    id: str = field(default_factory=new_id)
    commands: dict[str, Command] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, bytes] = field(default_factory=dict)

    def create(self, body: ET.Element) -> None:
        for variable in body.iter(f"{RSP}Variable"):
            self.env[variable.attrib["Name"]] = variable.text or ""
        self.folder = next((one.text or "" for one in body.iter(f"{RSP}WorkingDirectory")), "")

    def command(self, body: ET.Element) -> str:
        line = " ".join([_text(body, "Command"), *(one.text or "" for one in body.iter(f"{RSP}Arguments"))])
        command = Command(new_id())
        self.commands[command.id], self.lines[command.id], self.inputs[command.id] = command, line, b""
        if not line.startswith("powershell.exe") and "%TEMP%" not in line:
            self._start(command)  # clients that send no input
        return command.id

    def send(self, stream: ET.Element) -> None:
        name = stream.attrib["CommandId"]
        self.inputs[name] += base64.b64decode(stream.text or "")
        if stream.attrib.get("End", "").lower() == "true" and self.commands[name].process is None:
            self._start(self.commands[name])

    def _start(self, command: Command) -> None:
        line, stdin = self.lines[command.id], self.inputs[command.id]
        if line == " ".join(scripts.STARTED):
            self.windows.powershell(stdin.decode(), command)
            return
        found = re.match(r"powershell -encodedcommand (\S+)$", line)
        text = base64.b64decode(found[1]).decode("utf-16-le") if found else line
        if not command.ended and command.process is None:
            self.windows.cmd(text, command, self.env, stdin, self.folder)

    def receive(self, name: str | None, seconds: float) -> Iterator[ET.Element]:
        command = self.commands[name or ""]
        taken, over = command.take(MOST, seconds)
        if not taken and not over:
            raise Fault(2150858793, "The WS-Management service cannot complete the operation within the time given.")
        for stream, data in taken:
            one = ET.Element(f"{RSP}Stream", Name=stream, CommandId=command.id)
            one.text = base64.b64encode(data).decode()
            yield one
        state = ET.Element(f"{RSP}CommandState", CommandId=command.id, State=STATE + ("Done" if over else "Running"))
        if over:
            ET.SubElement(state, f"{RSP}ExitCode").text = str(command.code)
        yield state

    def signal(self, name: str, code: str) -> None:
        if name in self.commands:
            self.windows.signalled(self.commands[name], code)

    def delete(self) -> None:
        for command in self.commands.values():
            command.kill(signal.SIGKILL)
            if command.process is not None:
                command.process.wait()


class Runspace(Shell):
    """A PowerShell runspace pool."""

    def create(self, body: ET.Element) -> None:
        self.lock = threading.RLock()
        self.partial: dict[tuple[str, str], bytes] = {}
        self.pool = psrpcore.ServerRunspacePool()
        self.pipelines: dict[str, psrpcore.ServerPipeline] = {}
        content = next(one for one in body.iter() if one.tag.endswith("creationXml"))
        self._took(base64.b64decode(content.text or ""), None)

    def command(self, body: ET.Element) -> str:
        made = next(body.iter(f"{RSP}CommandLine")).attrib["CommandId"]
        with self.lock:
            pipeline = psrpcore.ServerPipeline(self.pool, uuid.UUID(made))
            self.pipelines[made] = pipeline
            self.commands[made], self.lines[made] = Command(made), ""
        self._took(base64.b64decode(next(body.iter(f"{RSP}Arguments")).text or ""), made)
        return made

    def send(self, stream: ET.Element) -> None:
        self._took(base64.b64decode(stream.text or ""), stream.attrib.get("CommandId"))

    def _took(self, data: bytes, pipeline: str | None) -> None:
        with self.lock:
            of = uuid.UUID(pipeline) if pipeline else None
            self.pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, of))
            while (event := self.pool.next_event()) is not None:
                name = str(event.pipeline_id).upper() if event.pipeline_id else ""
                match event:
                    case psrpcore.CreatePipelineEvent():
                        self._created(name, event.pipeline)
                    case psrpcore.PipelineInputEvent():
                        self.lines[name] += str(event.data)
                    case psrpcore.EndOfPipelineInputEvent():
                        self._start(self.commands[name])

    def _created(self, name: str, pipeline: object) -> None:
        first = pipeline.commands[0]  # type: ignore[attr-defined]
        if first.command_text == "Invoke-Expression":
            self.lines[name] = scripts.line_of(dict(first.parameters)["Command"])
            self._start(self.commands[name])
        else:
            assert first.command_text == scripts.BOOTSTRAP

    def _start(self, command: Command) -> None:
        with self.lock:
            self.pipelines[command.id].start()
        self.windows.powershell(self.lines[command.id], command)

    def receive(self, name: str | None, seconds: float) -> Iterator[ET.Element]:
        over = False
        if name is not None and self.pipelines[name].state == PSInvocationState.Running:
            taken, over = self.commands[name].take(MOST, seconds)
            with self.lock:
                self._tell(name, taken, over)
        with self.lock:
            payload = self.pool.data_to_send(MOST * 3)
        if payload is None:
            raise Fault(2150858793, "The WS-Management service cannot complete the operation within the time given.")
        one = ET.Element(f"{RSP}Stream", Name="stdout")
        one.text = base64.b64encode(payload.data).decode()
        yield one
        if name is not None:
            done = self.pipelines[name].state != PSInvocationState.Running
            yield ET.Element(f"{RSP}CommandState", CommandId=name, State=STATE + ("Done" if done else "Running"))

    def _tell(self, name: str, taken: list[tuple[str, bytes]], over: bool) -> None:
        pipeline, command = self.pipelines[name], self.commands[name]
        for stream in ("stdout", "stderr"):
            held = self.partial.pop((name, stream), b"") + b"".join(data for of, data in taken if of == stream)
            lines, newline, rest = held.rpartition(b"\n")
            if rest and not over:
                self.partial[name, stream] = rest
            for text in [lines] * bool(newline) + [rest] * bool(rest and over):
                said = text.decode("utf-8", "replace")
                pipeline.write_output(said) if stream == "stdout" else pipeline.write_error(NETException(Message=said))
        if not over:
            return
        if command.code:
            pipeline.host_call(HostMethodIdentifier.SetShouldExit, [command.code])
        pipeline.complete()

    def signal(self, name: str, code: str) -> None:
        command = self.commands.get(name)
        if command is None or command.ended:
            return
        self.windows.signalled(command, code)
        if code.endswith("ctrl_c") and not self.windows.stubborn:
            limit = time.monotonic() + 5
            with command.news:
                command.news.wait_for(lambda: command.ended, timeout=limit - time.monotonic())
            with self.lock:
                if self.pipelines[name].state == PSInvocationState.Running:
                    self.pipelines[name].stop()


def _text(body: ET.Element, name: str) -> str:
    return next((one.text or "" for one in body.iter(f"{RSP}{name}")), "")
