"""A journal on a server whose disk is full: nothing acknowledged is lost, and it goes on once there is room."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection

from journal import facts
from journal.errors import Unavailable
from journal.store import Journal
from tests.contract.conftest import GivenClock
from tests.journalwriter import get, put
from tests.postgresql import Server

pytestmark = pytest.mark.slow

SIZE = 96 * 1024 * 1024
MOUNTED = Path("/mnt")
"""Of the namespace, in which nothing else looks there."""
BALLAST = "ballast"
_SMALL = ("max_wal_size=4MB", "min_wal_size=2MB", "shared_buffers=16MB", "max_connections=20", "autovacuum=off")


@dataclass
class Small:
    """A server whose data lie in a small file system of their own, which ends with the process that has it."""

    server: Server
    within: tuple[str, ...]

    def fill(self, *, but: int) -> None:
        """Take all room but so many bytes."""
        free = int(self._said("stat", "--file-system", "--format=%a", str(self.server.data)))
        block = int(self._said("stat", "--file-system", "--format=%S", str(self.server.data)))
        self._said("fallocate", "--length", str(free * block - but), str(self.server.data / BALLAST))

    def make_room(self) -> None:
        self._said("rm", "-f", str(self.server.data / BALLAST))

    def again(self) -> None:
        """Where the server has ended over it, start it, as whoever watches over it would."""
        process = self.server.process
        if process is not None and process.poll() is not None:
            self.server.start()

    def _said(self, *argv: str) -> str:
        done = subprocess.run([*self.within, *argv], check=True, capture_output=True, text=True, timeout=20)
        return done.stdout


@pytest.fixture
def small() -> Iterator[Small]:
    user = pwd.getpwnam("nobody")
    mount = f"mount -t tmpfs -o size={SIZE},uid={user.pw_uid},gid={user.pw_gid},mode=700 none {MOUNTED}"
    place = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{mount} && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert place.stdout is not None
    assert place.stdout.readline() == b"up\n", "no mount namespace: it needs root"
    within = ("nsenter", f"--mount=/proc/{place.pid}/ns/mnt")
    try:
        server = Server(fast=False, within=within, data=MOUNTED, initial=("--wal-segsize=1",), settings=_SMALL)
        server.start()
        yield Small(server, within)
        server.remove()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(place.pid, signal.SIGKILL)
        place.wait()


@pytest.fixture
async def journal(small: Small, clock: GivenClock) -> AsyncIterator[Journal]:
    journal = Journal.open(small.server.url(small.server.database()), clock=clock)
    yield journal
    await journal.close()


@pytest.mark.parametrize("left", [512 * 1024, 3 * 1024 * 1024])
async def test_a_full_disk_is_unavailable_and_nothing_acknowledged_is_lost(
    small: Small, journal: Journal, left: int
) -> None:
    """Whether it was the tables that found no room, or the server's log, over which it ends itself."""
    await journal.write(put("before"))
    small.fill(but=left)
    kept: list[int] = []
    refused: list[str] = []
    for number in range(400):
        try:
            await journal.write(put(f"k{number}", os.urandom(30_000).hex()))
            kept.append(number)
        except Unavailable as error:
            refused.append(error.message)
            assert error.retry_after.total_seconds() > 0
            if len(refused) == 5:
                break
    assert len(refused) == 5, "the disk was full"
    small.make_room()
    async with asyncio.timeout(60):
        while await journal.unwritable() is not None:
            small.again()
            await asyncio.sleep(0.05)
    await journal.write(put("after"))

    def there(conn: Connection) -> list[int]:
        return [number for number in range(400) if facts.get(conn, f"k{number}") is not None]

    assert set(kept) <= set(await journal.read(there))
    assert [await journal.read(get(name)) for name in ("before", "after")] == [1, 1]
