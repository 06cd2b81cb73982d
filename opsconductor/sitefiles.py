"""A site of pages in a folder: written whole beside it, then put in its place."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from journal.errors import Refused
from opsconductor.settings import StateFolder

_MARK = ".opsconductor-site"
"""In the root of a site: only a folder that has it is replaced."""


def build_site(state: StateFolder, folder: Path) -> int:
    """Write the pages of a state folder; gives the number of files.

    Raises Refused where the folder holds something else, or nothing can be shown.
    """
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there and is no earlier site; name a folder that is not there yet")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        count = asyncio.run(_written(state, made))
        made.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return count


async def _written(state: StateFolder, root: Path) -> int:
    from opsconductor.dashboard.app import pages_alone
    from opsconductor.dashboard.export import exported
    from opsconductor.dashboard.still import sources_of

    async with sources_of(state) as sources:
        found = await exported(pages_alone(sources))
    for one in found:
        file = root / one.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one.content)
    (root / _MARK).write_text("made by 'opsconductor site build'; the next one replaces all of this folder\n")
    return len(found)
