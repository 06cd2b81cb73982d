"""Logs that only the place for logs has, on this machine's disk for as long as somebody may look at them again.

Who reads a log asks for many of its windows, and its lines are counted meanwhile: the file must stay for that.
"""

import asyncio
import hashlib
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

from runners.logstore import LogStore

_MOST = 512 << 20
"""Bytes of all of them together; the one that was asked for last stays whatever it has."""


class Fetched:
    """Those that were asked for last, in a folder that goes with the engine. To be asked from one event loop.

    What is kept under a name is that of a run that has ended, and is not fetched again while it is here.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._turn = asyncio.Lock()
        self._folder: TemporaryDirectory[str] | None = None
        self._sizes: OrderedDict[Path, int] = OrderedDict()

    async def file(self, store: LogStore, name: str) -> Path:
        """The file of a name. One is fetched at a time. Raises Unavailable."""
        file = self._place(name)
        if not file.exists():
            async with self._turn:
                if not file.exists():  # somebody else may have fetched it meanwhile
                    await self._fetch(store, name, file)
        if file in self._sizes:
            self._sizes.move_to_end(file)
        return file

    def _place(self, name: str) -> Path:
        """No name is a path here: others may have put it into the bucket."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="opsconductor-logs-")
        return Path(self._folder.name) / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()

    async def _fetch(self, store: LogStore, name: str, file: Path) -> None:
        part = file.with_suffix(".part")
        try:
            await store.fetch(name, part)
            self._sizes[file] = part.stat().st_size
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
        self._sizes.move_to_end(file)
        while sum(self._sizes.values()) > self._most and len(self._sizes) > 1:
            oldest, _ = self._sizes.popitem(last=False)
            oldest.unlink(missing_ok=True)
