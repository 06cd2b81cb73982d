"""Files put into a folder that somebody else owns, who swaps what is half written: nothing beyond it is touched."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncssh
import pytest

from runners.connections import Limits
from runners.connections.files import FileRefused, Files, Owner
from runners.connections.localfiles import LocalFiles
from runners.connections.sshfiles import opened as over_ssh
from runners.sessions import SshConnections
from runners.steps import placing
from runners.steps.placing import Progress, Wanted, place
from tests import openssh as servers
from tests.integration.test_runner_ssh import place_of
from tests.openssh import OpenSsh


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    made = servers.start(tmp_path_factory.mktemp("races"), options="Subsystem sftp internal-sftp")
    yield made
    made.stop()


@contextlib.asynccontextmanager
async def leased(connections: SshConnections, host: OpenSsh) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with connections.lease(place_of(host)) as (connection, _):
        yield connection


@contextlib.asynccontextmanager
async def opened(kind: str, host: OpenSsh) -> AsyncIterator[Files]:
    if kind == "local":
        yield LocalFiles()
        return
    connections = SshConnections(Limits())
    try:
        async with over_ssh(lambda: leased(connections, host), None) as files:
            yield files
    finally:
        await connections.close()


@pytest.mark.parametrize("kind", ["local", "ssh"])
async def test_what_was_half_written_is_swapped_for_a_link(
    kind: str, host: OpenSsh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual authorized_keys with an owner: whoever owns the folder would get the file that his link names."""
    victim, folder = tmp_path / "shadow", tmp_path / "home"
    victim.write_text("root:x")
    victim.chmod(0o600)
    folder.mkdir()

    async def swapping(content: bytes) -> AsyncIterator[bytes]:
        yield content
        (half,) = folder.iterdir()
        half.rename(folder / "kept")
        half.symlink_to(victim)

    monkeypatch.setattr(placing, "pieces", swapping)
    wanted = Wanted(b"ssh-ed25519 AAAA", mode=0o644, owner="1", group="1")
    async with opened(kind, host) as files:
        with pytest.raises(FileRefused, match="something else was put there meanwhile"):
            await place(files, str(folder / "keys"), wanted, Progress())
    told = victim.stat()
    assert (told.st_mode & 0o777, told.st_uid, victim.read_text()) == (0o600, os.getuid(), "root:x")
    kept = (folder / "kept").stat()
    assert (kept.st_mode & 0o777, kept.st_uid, kept.st_gid) == (0o644, 1, 1)


@pytest.mark.parametrize("kind", ["local", "ssh"])
async def test_mode_and_owner_are_never_set_through_a_link(kind: str, host: OpenSsh, tmp_path: Path) -> None:
    victim = tmp_path / "shadow"
    victim.write_text("root:x")
    victim.chmod(0o600)
    (tmp_path / "link").symlink_to(victim)
    async with opened(kind, host) as files:
        with pytest.raises(FileRefused, match="a link is there"):
            await files.own(str(tmp_path / "link"), mode=0o666, owner="1", group=None)
        await files.make_folder(str(tmp_path / "made"), mode=0o777)
        await files.write(str(tmp_path / "setuid"), placing.pieces(b"x"), mode=0o4755, owner=Owner("1", None))
    assert (victim.stat().st_mode & 0o777, victim.stat().st_uid) == (0o600, os.getuid())
    assert (tmp_path / "made").stat().st_mode & 0o7777 == 0o777
    told = (tmp_path / "setuid").stat()
    assert (told.st_mode & 0o7777, told.st_uid) == (0o4755, 1)
