"""Programs that drive and work on no-ops, of whatever queue: started, asked by lines of JSON, and ended."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

_STARTS_WITHIN = 90.0
_ANSWERS_WITHIN = 90.0


class Programs:
    """Processes of their own groups; at the end each is asked to stop, and then made to."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Programs":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def start(self, *command: str, extra: Mapping[str, str] | None = None, driven: bool = False) -> "Driven":
        """Start one. What it says goes to the log; one that is `driven` is asked by its input and output."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, env={**inherited, **(extra or {})}, start_new_session=True, stderr=log,
                stdin=asyncio.subprocess.PIPE if driven else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if driven else log,
            )  # fmt: skip
        self._stack.push_async_callback(_ended, process)
        return Driven(process)


class Driven:
    """A process that answers questions about no-ops."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ready(self) -> None:
        """Once it can be asked. Raises TimeoutError and RuntimeError."""
        async with asyncio.timeout(_STARTS_WITHIN):
            await self._answer()

    async def ask(self, *question: Any) -> Any:
        """Raises TimeoutError, and RuntimeError where it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        async with asyncio.timeout(_ANSWERS_WITHIN):
            return await self._answer()

    async def _answer(self) -> Any:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if line.strip().startswith((b"[", b'"')) or line.strip().replace(b".", b"").isdigit():
                return json.loads(line)
        raise RuntimeError("it ended without an answer")


async def _ended(process: asyncio.subprocess.Process) -> None:
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        if process.returncode is None:
            os.killpg(process.pid, number)
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=patience)
