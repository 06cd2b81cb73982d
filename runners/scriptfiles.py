"""Scripts that steps name by their path in the repository: their text, at the run's commit."""

import asyncio
from dataclasses import replace

from runners.repository import NoFile, Read
from runners.steps import ReadyStep
from schemas.paths import is_inside

MOST = 1024 * 1024
"""Bytes of the largest script."""


async def with_script(step: ReadyStep, read: Read) -> ReadyStep:
    """The step with the text of the script that it names, if it names one. Raises NoFile."""
    if step.command is None or "file" not in step.inputs:
        return step
    path = step.inputs["file"]
    if not isinstance(path, str) or not is_inside(path):
        raise NoFile(f"'file': {str(path)[:200]!r} is no path within the repository")
    data = await asyncio.to_thread(read, path)
    if len(data) > MOST:
        raise NoFile(f"'{path}' is too large for a script: {len(data)} bytes, and at most {MOST} are possible")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise NoFile(f"'{path}' is no script: it is not UTF-8") from error
    if "\0" in text:
        raise NoFile(f"'{path}' is no script: it holds a NUL")
    return replace(step, command=replace(step.command, script=text))
