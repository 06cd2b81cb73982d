"""Prefect 3 in an environment of its own below the user's cache folder: our own lock knows nothing of it."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# Prefect asks for any FastAPI below 1.0; from 0.140 on an argument is gone that Prefect 3 uses.
REQUIREMENTS = ("prefect>=3,<4", "fastapi<0.140")
_TASKS, _ROUNDS = 80, 5
_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Added:
    """Seconds that Prefect adds to a task: until the flow goes on, and until its server has the task's record."""

    version: str
    returned: float
    recorded: float


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no figure."""

    reason: str


async def measured(folder: Path) -> Added | Missing:
    """Install Prefect where it is not, and measure it with its default settings, on a server of its own."""
    environment = await _environment()
    if isinstance(environment, Missing):
        return environment
    program = Path(__file__).with_name("prefect_tasks.py")
    settings = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # on a busy machine it takes long
    }
    code, said, complained = await _run(str(environment), str(program), str(_TASKS), str(_ROUNDS), extra=settings)
    figures = next((json.loads(line) for line in said.splitlines() if line.startswith('{"version"')), None)
    if figures is None:
        return Missing(f"it ended with code {code}: {_last_line(complained)}")
    return Added(figures["version"], median(figures["returned"]), median(figures["recorded"]))


async def _environment() -> Path | Missing:
    """The interpreter that has Prefect."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "opsconductor-bench" / "prefect"
    interpreter, stamp = root / "bin" / "python", root / "installed"
    if stamp.exists() and stamp.read_text() == " ".join(REQUIREMENTS):
        return interpreter
    print("installing Prefect 3 into an environment of its own, once ...", file=sys.stderr, flush=True)
    for command in (
        (sys.executable, "-m", "venv", "--clear", str(root)),
        (str(interpreter), "-m", "pip", "install", "--quiet", "--no-input", *REQUIREMENTS),
    ):
        code, _, complained = await _run(*command)
        if code != 0:
            return Missing(f"it cannot be installed: {_last_line(complained)}")
    stamp.write_text(" ".join(REQUIREMENTS))
    return interpreter


async def _run(*command: str, extra: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **(extra or {})}, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT):
            said, complained = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, "", f"it took longer than {_LIMIT} seconds"
    return process.returncode or 0, said.decode(), complained.decode(errors="replace")


def _last_line(text: str) -> str:
    """Of a complaint, the line that most likely says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("WARNING")]
    errors = [line for line in lines if "Error" in line and " | " not in line]
    return (errors or lines or ["it said nothing"])[-1][:80]
