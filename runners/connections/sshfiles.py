"""Files over SSH: the SFTP subsystem, or an sftp-server that sudo starts as another user.

A server is not trusted: what it names is looked at before it is used, no size that it tells is believed, and every
answer has a time limit.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TypeVar, cast

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_SYMLINK
from asyncssh.sftp import start_sftp_client

from runners.bootstrap import ENTRY, Unsendable, quoted
from runners.connections import Unreached, Unusable
from runners.connections.become import ASKED_WITHIN, PROMPT, READY, Becoming, send
from runners.connections.files import CHUNK, FileFacts, FileRefused, Kind, Owner
from runners.connections.heard import Heard
from runners.masking import visible

ANSWER = 60.0
"""Seconds that one answer of a server may take."""
MOST_LISTED = 20_000
"""Entries of one folder."""
_OWN_ENTRIES = 2
"""A server may list `.` and `..` among them."""
_LONGEST_ANSWER = 64 * 1024
"""Bytes that a host may say when it is asked for a user or a group, with what its login prints before."""
_ANSWER = re.compile(rb"^OC1 number ([0-9]{1,3}) ([0-9]{0,10})\n", re.MULTILINE)
"""The exit code of whoever was asked, and the number."""
_ASK = {
    "owner": 'n=$(id -u "$1" 2>/dev/null); s=$?',
    "group": 'n=$(getent group "$1" 2>/dev/null); s=$?; n=${n#*:*:}; n=${n%%:*}',
}
_NO_SUCH = {"owner": ("id", 1), "group": ("getent", 2)}
"""Who is asked, and what it ends with where it knows no such user or group."""
_NOISE = 64 * 1024
_KINDS: dict[int, Kind] = {
    FILEXFER_TYPE_REGULAR: "file",
    FILEXFER_TYPE_DIRECTORY: "folder",
    FILEXFER_TYPE_SYMLINK: "link",
}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?", re.ASCII)
_SERVER = (
    "for s in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server "
    '/usr/libexec/sftp-server /usr/local/libexec/sftp-server; do [ -x "$s" ] && exec "$s"; done; '
    "echo 'the host has no sftp-server where it is looked for' >&2; exit 127"
)
T = TypeVar("T")

Lease = Callable[[], AbstractAsyncContextManager[asyncssh.SSHClientConnection]]


@asynccontextmanager
async def opened(lease: Lease, become: Becoming | None) -> AsyncIterator["SshFiles"]:
    """The files of a place, as its user or as the one to become. Raises Unreached and Unusable."""
    async with lease() as connection:
        client = await _client(connection, become)
        try:
            yield SshFiles(client, connection)
        finally:
            client.exit()


async def _client(connection: asyncssh.SSHClientConnection, become: Becoming | None) -> SFTPClient:
    try:
        async with asyncio.timeout(ANSWER):
            if become is None:
                return await connection.start_sftp_client()
            return await _as_another(connection, become)
    except TimeoutError:
        raise Unreached(f"its file server gave no answer within {ANSWER:.0f} s") from None
    except (asyncssh.ChannelOpenError, asyncssh.SFTPError) as error:
        raise Unusable(f"the host gives no SFTP: {error}") from error
    except (asyncssh.Error, OSError) as error:
        raise Unreached(str(error)) from error
    except Unsendable as error:
        raise Unusable(str(error)) from error


async def _as_another(connection: asyncssh.SSHClientConnection, become: Becoming) -> SFTPClient:
    """An sftp-server that sudo starts. Raises Unusable where sudo does not let us, or the host has none."""
    line = become.opening(then=_SERVER)
    writer, reader, errors = await connection.open_session(ENTRY, encoding=None)
    said = bytearray()
    asked = 0

    async def told() -> None:
        nonlocal asked
        while chunk := await errors.read(4096):
            said.extend(chunk)
            del said[:-_NOISE]
            while PROMPT in said:
                at = said.index(PROMPT)
                del said[at : at + len(PROMPT)]
                asked += 1
                if asked > 1 or become.password is None:
                    writer.close()
                    return
                send(writer, become.password.encode() + b"\n")

    listening = asyncio.ensure_future(told())
    try:
        send(writer, line)
        async with asyncio.timeout(ASKED_WITHIN):
            seen, heard = 0, Heard()
            while READY not in (got := (await reader.readline())).rstrip(b"\n").split(b"\n"):
                seen += len(got)
                heard.feed(got)
                if not got or seen > _NOISE:
                    await asyncio.wait({listening}, timeout=1)
                    why = visible(bytes(said).decode(errors="replace")).strip().replace("\n", "; ")
                    raise Unusable(become.refused("sudo refused the password" if asked > 1 else why, heard.last_line))
        loop = asyncio.get_running_loop()
        client = await start_sftp_client(connection, loop, "strict", reader, writer, "utf-8", "strict", 3)
    except asyncssh.SFTPError as error:
        await asyncio.wait({listening}, timeout=1)
        why = visible(bytes(said).decode(errors="replace")).strip().replace("\n", "; ")
        raise Unusable(f"no files as '{become.user}': {why or error}") from error
    finally:
        # whatever it says later is nobody's business: the channel is SFTP's now
        listening.cancel()
    return client


class SshFiles:
    """See Files."""

    def __init__(self, client: SFTPClient, connection: asyncssh.SSHClientConnection) -> None:
        self._client = client
        self._connection = connection
        self._numbers: dict[tuple[str, str], int] = {}

    async def stat(self, path: str) -> FileFacts | None:
        try:
            attrs = await _answered(path, self._client.lstat(path), none=True)
        except FileNotFoundError:
            return None
        return _facts(path.rstrip("/").rpartition("/")[2], attrs)

    async def list(self, path: str) -> AsyncIterator[FileFacts]:
        entries = self._client.scandir(path.encode())
        count = 0
        while True:
            try:
                entry = await _answered(path, anext(entries))
            except StopAsyncIteration:
                return
            count += 1
            if count > MOST_LISTED + _OWN_ENTRIES:
                raise FileRefused(f"{path}: it has more than {MOST_LISTED} entries")
            if entry.filename in (b".", b".."):
                continue
            raw = entry.filename if isinstance(entry.filename, bytes) else entry.filename.encode()
            yield _facts(_safe(raw, path), entry.attrs)

    async def read(self, path: str) -> AsyncIterator[bytes]:
        attrs = await _answered(path, self._client.stat(path))
        if _kind(attrs) != "file":
            raise FileRefused(f"{path}: it is no regular file")
        file = await _answered(path, self._client.open(path, "rb"))
        try:
            offset = 0
            # asyncssh types it as text; of a file opened as "rb" it is bytes
            while chunk := cast("bytes", await _answered(path, file.read(CHUNK, offset))):
                if len(chunk) > CHUNK:
                    raise FileRefused(f"{path}: the server sent more than it was asked for")
                offset += len(chunk)
                yield chunk
        finally:
            await _quietly(file.close())

    async def write(self, path: str, content: AsyncIterator[bytes], *, mode: int, owner: Owner | None = None) -> int:
        if await self.stat(path) is not None:
            raise FileRefused(f"{path}: something is there already")
        file = await _answered(path, self._client.open(path, "xb", SFTPAttrs(permissions=0o600)))
        offset = 0
        done = False
        try:
            async for chunk in content:
                await _answered(path, file.write(chunk, offset))
                offset += len(chunk)
            await _answered(path, _where_known(file.fsync()))
            if owner is not None:
                await self._give(path, file, owner)
            await _answered(path, file.setstat(SFTPAttrs(permissions=mode)))  # after it: chown takes setuid away
            await _answered(path, file.close())
            done = True
        finally:
            if not done:
                await _quietly(file.close())
                await _quietly(self._client.remove(path))
        return offset

    async def rename(self, old: str, new: str) -> None:
        if await _answered(new, _where_known(self._client.posix_rename(old, new))):
            return
        if await self.stat(new) is not None:
            raise FileRefused(f"{new}: the server cannot replace a file at once (it lacks posix-rename)")
        await _answered(new, self._client.rename(old, new))

    async def _give(self, path: str, file: SFTPClientFile, owner: Owner) -> None:
        attrs = await _answered(path, file.stat())
        try:
            uid, gid = await self._numbers_of(path, attrs, owner.name, owner.group)
            if (uid, gid) != (attrs.uid, attrs.gid):
                await _answered(path, file.setstat(SFTPAttrs(uid=uid, gid=gid)))
        except FileRefused:
            if owner.must:
                raise

    async def make_folder(self, path: str, *, mode: int) -> None:
        await _answered(path, self._client.mkdir(path, SFTPAttrs(permissions=mode)))
        facts = await self.stat(path)
        if facts is not None and facts.mode != mode:  # the server's umask has taken some of it
            await self.own(path, mode=mode, owner=None, group=None)

    async def remove(self, path: str) -> None:
        facts = await self.stat(path)
        if facts is None:
            return
        gone = self._client.rmdir(path) if facts.kind == "folder" else self._client.remove(path)
        await _answered(path, gone)

    async def own(self, path: str, *, mode: int | None, owner: str | None, group: str | None) -> None:
        attrs = await _answered(path, self._client.lstat(path))
        if _kind(attrs) == "link":
            raise FileRefused(f"{path}: a link is there")
        if owner is not None or group is not None:
            uid, gid = await self._numbers_of(path, attrs, owner, group)
            if (uid, gid) != (attrs.uid, attrs.gid):
                await _answered(path, self._client.setstat(path, SFTPAttrs(uid=uid, gid=gid), follow_symlinks=False))
        if mode is not None:
            await _answered(path, self._client.setstat(path, SFTPAttrs(permissions=mode), follow_symlinks=False))

    async def _numbers_of(self, path: str, attrs: SFTPAttrs, owner: str | None, group: str | None) -> tuple[int, int]:
        uid = attrs.uid if owner is None else await self._number("owner", owner)
        gid = attrs.gid if group is None else await self._number("group", group)
        if uid is None or gid is None:
            raise FileRefused(f"{path}: the server tells no owner")
        return uid, gid

    async def _number(self, what: str, name: str) -> int:
        """The number of a user or group: SFTP knows no names."""
        if name.isascii() and name.isdigit() and len(name) < 11:
            return int(name)
        if (what, name) not in self._numbers:
            if not _NAME.fullmatch(name):
                raise FileRefused(f"'{name[:64]}' is not the name of {_A[what]}")
            with _translated(name):
                async with asyncio.timeout(ANSWER):
                    self._numbers[what, name] = await self._asked(what, name)
        return self._numbers[what, name]

    async def _asked(self, what: str, name: str) -> int:
        """What the host answers, behind whatever its login prints. Raises FileRefused."""
        whose = f"{_A[what].split()[1]} '{name}'"
        # csh and fish read it alike; the name is none that a shell sees anything in
        ask = f"exec /bin/sh -c '{_ASK[what]}; echo; echo \"OC1 number $s $n\"' sh {quoted(name)}"
        said, heard = b"", Heard()
        async with self._connection.create_process(ask, encoding=None, stderr=asyncssh.STDOUT) as process:
            while (found := _ANSWER.search(said)) is None and (part := await process.stdout.read(4096)):
                said += part
                heard.feed(part)
                if len(said) > _LONGEST_ANSWER:
                    process.close()
                    raise FileRefused(f"asked for {whose}, the host says more than {_LONGEST_ANSWER // 1024} KiB")
        if found is None:
            told = heard.last_line or "no message"
            raise FileRefused(f"the number of {whose} is not known: the host gave no answer that can be read: {told}")
        if found[2] and found[1] == b"0":
            return int(found[2])
        program, none = _NO_SUCH[what]
        if int(found[1]) == none:
            raise FileRefused(f"the host knows no {whose}")
        raise FileRefused(f"the number of {whose} is not known: '{program}' on the host ended with {int(found[1])}")


_A = {"owner": "a user", "group": "a group"}


def _kind(attrs: SFTPAttrs) -> Kind:
    return _KINDS.get(attrs.type, "other")


def _facts(name: str, attrs: SFTPAttrs) -> FileFacts:
    modified = attrs.mtime
    try:
        at = datetime.fromtimestamp(modified, UTC) if modified is not None else None
    except (OverflowError, ValueError, OSError):
        at = None
    return FileFacts(
        name=name,
        kind=_kind(attrs),
        size=attrs.size or 0,
        modified=at,
        mode=attrs.permissions & 0o7777 if attrs.permissions is not None else None,
        owner=str(attrs.uid) if attrs.uid is not None else None,
        group=str(attrs.gid) if attrs.gid is not None else None,
    )


def _safe(name: bytes, folder: str) -> str:
    """The name of an entry. Raises FileRefused for what is no plain name: a path, nothing, or what hides itself."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or "/" in text or not text.isprintable() or text in (".", ".."):
        shown = visible(name.decode(errors="replace"))[:100]
        raise FileRefused(f"{folder}: the server names an entry {shown!r}, which is no name that can be used")
    return text


async def _answered(path: str, answer: Awaitable[T], *, none: bool = False) -> T:
    """What the server answers. Raises FileRefused, Unreached, and with `none` FileNotFoundError."""
    with _translated(path, none=none):
        async with asyncio.timeout(ANSWER):
            return await answer
    raise AssertionError("unreachable")


@contextmanager
def _translated(path: str, *, none: bool = False) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise Unreached(f"{path}: no answer within {ANSWER:.0f} s") from None
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
        raise Unreached(f"the connection broke: {error}") from error
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
        if none:
            raise FileNotFoundError(path) from error
        raise FileRefused(f"{path}: there is no such file or folder") from error
    except asyncssh.SFTPError as error:
        raise FileRefused(f"{path}: {visible(str(error.reason))[:200] or 'refused'}") from error
    except (asyncssh.Error, OSError) as error:
        raise Unreached(f"the connection broke: {error}") from error
    except (ValueError, TypeError) as error:
        raise FileRefused(f"{path}: the server answers otherwise than SFTP has it: {error}") from error


async def _where_known(work: Awaitable[object]) -> bool:
    """False where the server does not know such a request."""
    try:
        await work
    except asyncssh.SFTPOpUnsupported:
        return False
    return True


async def _quietly(work: Awaitable[object]) -> None:
    """Tidy up, where that can be done."""
    try:
        async with asyncio.timeout(10):
            await work
    except (asyncssh.Error, OSError, TimeoutError, ValueError):
        return
