"""When to look at the source: soon after its refs change, every interval in any case, and when asked to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import structlog
from watchfiles import Change, awatch

from reconciler.repository.source import git_folder

log = structlog.get_logger(__name__)

Reason = Literal["refs", "poked", "interval"]
_NAMES = frozenset({"HEAD", "packed-refs"})
_GATHER_MS = 50  # a push renames several files; one look is enough for all
_WATCH_AGAIN = timedelta(seconds=10)


class Wake:
    """Wakes whoever waits. Several causes before a wait end one wait; none is lost. One waiter at a time.

    The watch is a convenience, the interval is the promise: on a file system that reports nothing, or without watches
    left, only the interval wakes. It needs no start; `close` (or `async with`) ends the watch.
    """

    def __init__(self, source: Path | None = None) -> None:
        """`source` is a repository on this machine: bare, with a work tree, or a work tree of another (`.git` file)."""
        self._source = source
        self._causes: set[Reason] = set()
        self._event = asyncio.Event()
        self._stop = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def wait(self, timeout: timedelta) -> frozenset[Reason]:  # noqa: ASYNC109 - running out is an answer
        """Returns at the next cause, at once for one since the last wait, at the latest after `timeout`."""
        self._start()
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._event.wait()
        except TimeoutError:
            return frozenset({"interval"})
        causes = frozenset(self._causes)
        self._causes.clear()
        self._event.clear()
        return causes

    def poke(self) -> None:
        """Wake up now. Call it from the event loop."""
        self._wake("poked")

    async def close(self) -> None:
        """End the watch; its thread is gone when this returns."""
        self._stop.set()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None

    def _start(self) -> None:
        if self._source is not None and self._watching is None and not self._stop.is_set():
            self._watching = asyncio.create_task(self._watch(self._source))

    def _wake(self, cause: Reason) -> None:
        self._causes.add(cause)
        self._event.set()

    async def _watch(self, source: Path) -> None:
        """Watch until closed; a repository that is not there (yet, or any more) is tried again."""
        said = False
        while not self._stop.is_set():
            folder = await asyncio.to_thread(git_folder, source)
            if folder is not None:
                try:
                    await self._watched(folder)
                except* (OSError, RuntimeError) as error:  # no watches left, or the folder went away
                    if not said:
                        reason = first_cause(error)
                        log.warning("the source is not watched, only polled", source=str(source), reason=reason)
                    said = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _WATCH_AGAIN.total_seconds())

    async def _watched(self, folder: Path) -> None:
        # Not the whole folder: `objects` may hold more folders than there are watches.
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relay(_changes(folder, self._stop, recursive=False)))
            group.create_task(self._relay(_changes(folder / "refs", self._stop, recursive=True)))

    async def _relay(self, changes: AsyncIterator[set[tuple[Change, str]]]) -> None:
        async for _ in changes:
            self._wake("refs")


def first_cause(error: BaseException) -> str:
    """What a group of errors is about: its first one, however deep. watchfiles has a group of tasks of its own."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _changes(folder: Path, stop: asyncio.Event, *, recursive: bool) -> AsyncIterator[set[tuple[Change, str]]]:
    return awatch(
        folder,
        watch_filter=_below_refs if recursive else _named,
        debounce=_GATHER_MS,
        step=_GATHER_MS // 2,
        stop_event=stop,
        recursive=recursive,
        ignore_permission_denied=True,
    )


def _named(_: Change, path: str) -> bool:
    return Path(path).name in _NAMES


def _below_refs(_: Change, path: str) -> bool:
    """Lock files come and go around every change; the change itself is the rename onto the ref."""
    return not path.endswith(".lock")
