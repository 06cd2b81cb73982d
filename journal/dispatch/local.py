"""Dispatch inside one process: runners wake on the commits of their own journal."""

from journal.store import Journal


class LocalDispatch:
    """Wakes one runner after any commit of this process. Other processes are heard of at the timeout."""

    def __init__(self, journal: Journal) -> None:
        self._watch = journal.watch()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - part of the port
        await self._watch.changed(timeout)

    def close(self) -> None:
        self._watch.close()
