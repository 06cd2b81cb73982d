"""Work whose time and memory nobody knows beforehand, done by a process of its own that is killed when it is too long.

The child runs one of our modules as a script: it reads what is asked from its standard input, sets its own limits, and
answers on its standard output. It has nothing of the runner's environment.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

_NOTHING: Mapping[str, str] = {}


async def answer_of(script: ModuleType, asked: bytes, env: Mapping[str, str] = _NOTHING) -> bytes:
    """What the child says; less than it should where it ended early. It is killed when this is cancelled.

    Raises OSError where no process can be started.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(Path(str(script.__file__))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(env),
        cwd="/",
        start_new_session=True,
    )
    try:
        answer, _ = await process.communicate(asked)
        return answer
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
