"""Rendering a template of the repository in a process of its own, with little memory, little time and no files."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Literal

from runners import renderer
from runners.childprocess import answer_of

LONGEST = 15.0
"""Seconds, the start of the process included; it has 3 seconds of a processor."""
MOST = 4 * 1024 * 1024
"""Bytes of what may come of it."""


class NotRendered(Exception):  # noqa: N818 - named after the template
    """Why not; for people. It says nothing of the values but names that the template has."""


async def rendered(
    template: str, values: Mapping[str, Any], *, escape: Literal["html", "markdown"] | None = None, most: int = MOST
) -> str:
    """The text that a template gives with these values, which must be plain data. Raises NotRendered.

    `escape`: values become text that says nothing to readers of this markup. `most`: bytes of the text.
    """
    asked = json.dumps({"template": template, "values": dict(values), "most": most, "escape": escape}).encode()
    try:
        async with asyncio.timeout(LONGEST):
            answer = await answer_of(renderer, asked)
    except TimeoutError:
        raise NotRendered(f"it took longer than {LONGEST:.0f} s") from None
    try:
        said = json.loads(answer)
    except ValueError:
        raise NotRendered("it needed more memory or time than a template may take") from None
    if "error" in said:
        raise NotRendered(str(said["error"]))
    return str(said["text"])
