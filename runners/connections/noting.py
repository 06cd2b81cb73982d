"""Sessions that note what goes out by them: an attempt of which nothing was sent may be repeated, no other."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from runners.bootstrap import Command
from runners.connections import Finish, Lost, NotSent, Refused, Session
from runners.connections.files import FileFacts, FileRefused, Files, FileSession, Owner
from runners.connections.process import Feed
from runners.connections.program import Program, ProgramSession, Running


class Note:
    """What of one attempt went out by its session. What a step type sends without its session is not in it."""

    def __init__(self) -> None:
        self.sent = False
        """Whether anything was sent that may have an effect: a command, a program, a change of a file."""
        self.open = 0
        """Of how much of it an end is not proven."""

    def sends(self) -> None:
        """Something was sent."""
        self.sent = True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Around what changes a file. Where the place does not answer, whether it was changed is not known."""
        self.open += 1
        self.sends()
        try:
            yield
        except FileRefused:
            self.open -= 1
            raise
        self.open -= 1


def noted(session: Session, note: Note) -> Session:
    """The same session, with the same abilities."""
    match isinstance(session, FileSession), isinstance(session, ProgramSession):
        case True, True:
            return _Both(session, note)
        case True, False:
            return _WithFiles(session, note)
        case False, True:
            return _WithPrograms(session, note)
        case _:
            return _Noted(session, note)


class _Noted:
    """What is not of `Session` is the connection's own. Whatever goes out by that is not noted."""

    def __init__(self, session: Session, note: Note) -> None:
        self.capture = session.capture
        self.stop = session.stop
        self._session = session
        self._note = note

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'{name}' of a session is not for step types", name=name, obj=self)
        return getattr(self._session, name)

    async def take_over(self) -> Finish | None:
        return await self._session.take_over()

    async def execute(self, command: Command) -> Finish:
        self._note.open += 1
        try:
            finish = await self._session.execute(command)
        except BaseException:
            self._note.sends()
            raise
        if not isinstance(finish, Lost):
            self._note.open -= 1
        if not isinstance(finish, NotSent | Refused):
            self._note.sends()
        return finish


class _WithFiles(_Noted):
    def files(self) -> AbstractAsyncContextManager[Files]:
        return self._files()

    @asynccontextmanager
    async def _files(self) -> AsyncIterator[Files]:
        assert isinstance(self._session, FileSession)
        async with self._session.files() as files:
            yield _Files(files, self._note)


class _WithPrograms(_Noted):
    async def start(self, program: Program, feed: Feed) -> Running:
        assert isinstance(self._session, ProgramSession)
        running = await self._session.start(program, feed)
        self._note.sends()
        return running


class _Both(_WithFiles, _WithPrograms):
    pass


class _Files:
    """See Files."""

    def __init__(self, files: Files, note: Note) -> None:
        self._files = files
        self._note = note

    async def stat(self, path: str) -> FileFacts | None:
        return await self._files.stat(path)

    def list(self, path: str) -> AsyncIterator[FileFacts]:
        return self._files.list(path)

    def read(self, path: str) -> AsyncIterator[bytes]:
        return self._files.read(path)

    async def write(self, path: str, content: AsyncIterator[bytes], *, mode: int, owner: Owner | None = None) -> int:
        with self._note.changing():
            return await self._files.write(path, content, mode=mode, owner=owner)

    async def rename(self, old: str, new: str) -> None:
        with self._note.changing():
            await self._files.rename(old, new)

    async def make_folder(self, path: str, *, mode: int) -> None:
        with self._note.changing():
            await self._files.make_folder(path, mode=mode)

    async def remove(self, path: str) -> None:
        with self._note.changing():
            await self._files.remove(path)

    async def own(self, path: str, *, mode: int | None, owner: str | None, group: str | None) -> None:
        with self._note.changing():
            await self._files.own(path, mode=mode, owner=owner, group=group)
