"""Programs that people use instead, each in an environment of its own below the user's cache folder.

Our own lock knows nothing of them.
"""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no figure."""

    reason: str


async def environment(name: str, *requirements: str) -> Path | Missing:
    """The folder of the programs of an environment that has what is required; made where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "opsconductor-bench" / name
    programs, stamp = root / "bin", root / "installed"
    if stamp.exists() and stamp.read_text() == " ".join(requirements):
        return programs
    print(f"installing {name} into an environment of its own, once ...", file=sys.stderr, flush=True)
    for command in (
        (sys.executable, "-m", "venv", "--clear", str(root)),
        (str(programs / "python"), "-m", "pip", "install", "--quiet", "--no-input", *requirements),
    ):
        code, _, complained = await run(*command)
        if code != 0:
            return Missing(f"it cannot be installed: {last_line(complained)}")
    stamp.write_text(" ".join(requirements))
    return programs


async def run(*command: str, extra: dict[str, str] | None = None) -> tuple[int, str, str]:
    """The exit code of a program, what it said, and what it complained of; -1 where it took longer than 10 minutes."""
    # Where this is set, what is not compiled yet is compiled at every start.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = await asyncio.create_subprocess_exec(
        *command, env={**inherited, **(extra or {})}, stdin=asyncio.subprocess.DEVNULL,
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


def last_line(text: str) -> str:
    """Of a complaint, the line that most likely says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("WARNING")]
    errors = [line for line in lines if "Error" in line and " | " not in line]
    return (errors or lines or ["it said nothing"])[-1][:80]
