"""Logs at the place where an engine keeps them besides its state folder, one at a time on this machine's disk."""

import asyncio
import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.identity import RunId
from opsconductor.runlog import named_logs
from runners.logstore import LogStore

_ROOT = Path("/")


class KeptLogs:
    """What `--logs` names. Not for several threads at once. Every method raises Unavailable."""

    def __init__(self, url: str) -> None:
        """Raises Refused for what is no such place. Connects to nothing yet."""
        self._store = LogStore.open(url, os.environ)
        self._folder = TemporaryDirectory(prefix="opsconductor-logs-")
        self._last: Path | None = None

    def of(self, run: str) -> list[tuple[str, str, Path]]:
        """The logs of a run that is called so: target, name, and where `fetched` finds it."""
        names = asyncio.run(self._store.names(RunId(run)))
        return sorted(named_logs([_ROOT / name for name in names], _ROOT))

    def fetched(self, where: Path) -> Path:
        """The file; the one before it goes. No name is a path here: others may have put it into the bucket."""
        file = Path(self._folder.name) / hashlib.sha256(os.fsencode(where)).hexdigest()
        if not file.exists():
            if self._last is not None:
                self._last.unlink(missing_ok=True)
            asyncio.run(self._fetch(where.relative_to(_ROOT).as_posix(), file))
            self._last = file
        return file

    async def _fetch(self, name: str, file: Path) -> None:
        part = file.with_suffix(".part")
        try:
            await self._store.fetch(name, part)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
