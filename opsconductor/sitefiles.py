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

    A link to a folder stays one. Raises Refused where the folder holds something else, and where nothing can be shown
    or written.
    """
    folder = folder.resolve()
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
        _put(made, folder)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise Refused(f"the site cannot be written to {folder}: {error}") from error
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return count


def _put(made: Path, folder: Path) -> None:
    """In the place of what is there, by renaming: whoever reads meanwhile finds one or the other, but for a moment."""
    if not folder.exists():
        made.rename(folder)
        return
    before = made.with_name(f"{made.name}-before")
    folder.rename(before)
    try:
        made.rename(folder)
    except OSError:
        before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)  # the new one is there


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
