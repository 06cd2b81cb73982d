"""What stands for Windows: processes, and the few PowerShell scripts of ours that are not a step's own."""

import base64
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runners.connections.winrm import scripts

_BOUND = re.compile(r"^\$(OC[0-9]+) = \[System\.Text\.Encoding\]::UTF8\.GetString\(.*FromBase64String\('([^']*)'\)\)$")
_TICKS = 621_355_968_000_000_000
_BUFFER = 1 << 20


@dataclass
class Command:
    """A process with its output, as a client asks for it piece by piece."""

    id: str
    process: "subprocess.Popen[bytes] | None" = None
    code: int | None = None
    ended: bool = False
    output: list[tuple[str, bytes]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    ready: Callable[[], None] = lambda: None

    def say(self, stream: str, data: bytes) -> None:
        """Waits while there is much that nobody has asked for."""
        with self.news:
            self.news.wait_for(lambda: sum(len(one) for _, one in self.output) < _BUFFER or self.ended, timeout=60)
            if data:
                self.output.append((stream, data))
            self.news.notify_all()

    def end(self, code: int) -> None:
        with self.news:
            self.code, self.ended = code, True
            self.news.notify_all()

    def take(self, most: int, seconds: float) -> tuple[list[tuple[str, bytes]], bool]:
        """What there is, within the time, and whether that was all."""
        with self.news:
            self.news.wait_for(lambda: bool(self.output) or self.ended, timeout=seconds)
            taken: list[tuple[str, bytes]] = []
            while self.output and most > 0:
                stream, data = self.output.pop(0)
                if len(data) > most:
                    self.output.insert(0, (stream, data[most:]))
                taken.append((stream, data[:most]))
                most -= len(data[:most])
            self.news.notify_all()
            return taken, self.ended and not self.output

    def kill(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, number)


@dataclass
class Windows:
    """One host. `root` holds what its paths beginning with C: name."""

    root: Path
    asked: list[dict[str, object]] = field(default_factory=list)
    """What was run: script, env, stdin, folder, line."""
    stubborn: bool = False
    """Processes do not heed the order to end by themselves."""

    def path(self, text: str) -> Path:
        return self.root / re.sub(r"^[A-Za-z]:", "", text).replace("\\", "/").lstrip("/")

    def powershell(self, line: str, command: Command) -> None:
        """What the bootstrap does with a line of input."""
        fields = [base64.b64decode(one).decode("utf-8", "surrogatepass") for one in line.strip().split(",")]
        script, folder, fed, stdin = fields[:4]
        env = dict(zip(fields[4::2], fields[5::2], strict=True))
        ours = _OURS.get(script)
        if ours is not None:
            threading.Thread(target=self._ours, args=(ours, stdin.split("\n"), command), daemon=True).start()
            return
        self.asked.append({"script": script, "env": env, "stdin": stdin if fed else None, "folder": folder})
        bound, rest = {}, []
        for text in script.split("\n"):
            found = _BOUND.match(text)
            if found is None:
                rest.append(text)
            else:
                bound[found[1]] = base64.b64decode(found[2]).decode()
        self.run(["/bin/sh", "-c", "\n".join(rest)], command, {**env, **bound}, stdin.encode() if fed else b"", folder)

    def cmd(self, line: str, command: Command, env: Mapping[str, str], stdin: bytes, folder: str) -> None:
        self.asked.append({"line": line, "env": dict(env), "stdin": stdin})
        line = line.replace("%TEMP%", str(self.path("C:\\Temp"))).replace("\\", "/")
        if line.startswith("del /q "):
            Path(line.removeprefix("del /q ").strip('"')).unlink()
            command.end(0)
            return
        arguments = ["/bin/sh", "-c", line]
        if line.startswith('"') and line.endswith('.cmd"'):
            batch = Path(line.strip('"')).read_bytes().decode().removeprefix("@echo off\r\n").replace("\r\n", "\n")
            arguments = ["/bin/sh", "-c", batch]
        self.run(arguments, command, env, stdin, folder)

    def run(self, arguments: list[str], command: Command, env: Mapping[str, str], stdin: bytes, folder: str) -> None:
        where = self.path(folder) if folder else self.root
        if not where.is_dir():
            command.say("stderr", b"Cannot find path\n")
            command.end(1)
            return
        command.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=where,
            env={"PATH": os.environ["PATH"], **env}, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=_pumped, args=(command, command.process, stdin), daemon=True).start()

    def signalled(self, command: Command, code: str) -> None:
        gentle = code.endswith("ctrl_c")
        if not (gentle and self.stubborn):
            command.kill(signal.SIGTERM if gentle else signal.SIGKILL)

    def _ours(self, script: str, given: list[str], command: Command) -> None:
        try:
            said = "".join(f"{line}\n" for line in getattr(self, f"_{script}")(*given))
            command.say("stdout", said.encode())
            command.end(0)
        except (OSError, ValueError) as error:
            command.say("stderr", f"{type(error).__name__}: {error}\n".encode())
            command.end(1)

    def _version(self, _: str) -> Iterator[str]:
        yield "PowerShell 5.1.20348.2849 on Microsoft Windows NT 10.0.20348.0"

    def _stat(self, path: str) -> Iterator[str]:
        found = self.path(path)
        yield _told(found) if os.path.lexists(found) else "none"

    def _list(self, path: str) -> Iterator[str]:
        yield from (_told(one) for one in sorted(self.path(path).iterdir()))

    def _read(self, path: str, at: str, most: str) -> Iterator[str]:
        with self.path(path).open("rb") as file:
            file.seek(int(at))
            text = base64.b64encode(file.read(int(most))).decode()
        yield from (text[start : start + 76] for start in range(0, len(text), 76))

    def _create(self, path: str) -> Iterator[str]:
        self.path(path).open("xb").close()
        yield from ()

    def _append(self, path: str, data: str) -> Iterator[str]:
        with self.path(path).open("r+b") as file:
            file.seek(0, 2)
            file.write(base64.b64decode(data))
        yield from ()

    def _rename(self, old: str, new: str) -> Iterator[str]:
        self.path(old).replace(self.path(new))
        yield from ()

    def _make_folder(self, path: str) -> Iterator[str]:
        self.path(path).mkdir(parents=True, exist_ok=True)
        yield from ()

    def _remove(self, path: str) -> Iterator[str]:
        found = self.path(path)
        found.rmdir() if found.is_dir() else found.unlink()
        yield from ()

    def _batch(self, name: str, data: str) -> Iterator[str]:
        folder = self.path("C:\\Temp")
        folder.mkdir(exist_ok=True)
        for old in folder.glob("oc-*.cmd"):
            if old.stat().st_mtime < time.time() - 7 * 86400:
                old.unlink()
        (folder / name).write_bytes(base64.b64decode(data))
        yield from ()


_OURS = {
    getattr(scripts, name.upper()): name
    for name in ("version", "stat", "list", "read", "create", "append", "rename", "make_folder", "remove", "batch")
}


def new_id() -> str:
    return str(uuid.uuid4()).upper()


def _told(path: Path) -> str:
    facts = path.lstat()
    kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file"
    ticks = facts.st_mtime_ns // 100 + _TICKS
    return f"{kind} {facts.st_size if kind == 'file' else 0} {ticks} {base64.b64encode(path.name.encode()).decode()}"


def _pumped(command: Command, process: "subprocess.Popen[bytes]", stdin: bytes) -> None:
    def pump(stream: str, pipe: "object") -> None:
        while data := os.read(pipe.fileno(), 65536):  # type: ignore[attr-defined]
            command.say(stream, data)

    pumps = [
        threading.Thread(target=pump, args=("stdout", process.stdout), daemon=True),
        threading.Thread(target=pump, args=("stderr", process.stderr), daemon=True),
    ]
    for one in pumps:
        one.start()
    assert process.stdin is not None
    try:
        process.stdin.write(stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass
    code = process.wait()
    for one in pumps:
        one.join()
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()
    command.end(code if code >= 0 else 128 - code)
