"""Rendering a template of the repository in a process of its own, with little memory, little time and no files."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runners import renderer

LONGEST = 15.0
"""Seconds, the start of the process included; it has 3 seconds of a processor."""
MOST = 4 * 1024 * 1024
"""Bytes of what may come of it."""


class NotRendered(Exception):  # noqa: N818 - named after the template
    """Why not; for people. It says nothing of the values but names that the template has."""


async def rendered(template: str, values: Mapping[str, Any]) -> str:
    """The text that a template gives with these values, which must be plain data. Raises NotRendered."""
    asked = json.dumps({"template": template, "values": dict(values), "most": MOST}).encode()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(Path(renderer.__file__)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(LONGEST):
            answer, _ = await process.communicate(asked)
    except TimeoutError:
        raise NotRendered(f"it took longer than {LONGEST:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        said = json.loads(answer)
    except ValueError:
        raise NotRendered("it needed more memory or time than a template may take") from None
    if "error" in said:
        raise NotRendered(str(said["error"]))
    return str(said["text"])
