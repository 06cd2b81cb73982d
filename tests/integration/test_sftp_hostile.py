"""File servers that mean harm, or break off: what they name and say is refused, and nothing half done is in place."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh import SFTPAttrs, SFTPName
from asyncssh.constants import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR

from engine.runs.outcome import Unknown
from engine.states import StepState
from runners.connections import Stop, sshfiles
from runners.connections.files import FileRefused, Files
from runners.connections.ssh import SshSession
from runners.limits import Capture
from runners.masking import Masker
from runners.rendering import NotRendered, rendered
from runners.sessions import SshConnections
from runners.steps import filework
from runners.steps.placing import Progress
from tests.integration.test_runner_ssh import place_of
from tests.integration.test_sftp_steps import digest, done, host, step
from tests.openssh import OpenSsh
from tests.running import Bench, bench

__all__ = ["bench", "host"]

OK, FAILED, UNREACHABLE = StepState.SUCCEEDED, StepState.FAILED, StepState.UNREACHABLE


class Hostile(asyncssh.SFTPServer):
    """Below /names it lists what the last part of the path says; /deep never ends; /large sends what it likes."""

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        folder = SFTPAttrs(type=FILEXFER_TYPE_DIRECTORY, permissions=0o40755)
        if path == b"/itself":
            while True:
                yield SFTPName(b".", attrs=folder)
        elif path.startswith(b"/deep"):
            yield SFTPName(b"more", attrs=folder)
        elif path == b"/endless":
            number = 0
            while True:
                yield SFTPName(b"x%d" % number, attrs=SFTPAttrs(type=FILEXFER_TYPE_REGULAR))
                number += 1
        else:
            names = {
                b"/dots": b"..x/../../etc",
                b"/line": b"a\nb",
                b"/nul": b"a\0b",
                b"/slash": b"/etc/passwd",
                b"/raw": b"\xff",
            }
            yield SFTPName(names[path], attrs=folder)

    def lstat(self, path: bytes) -> SFTPAttrs:
        if path in (b"/new", b"/file") or b".opsconductor-" in path:
            raise asyncssh.SFTPNoSuchFile("none")
        return SFTPAttrs(type=FILEXFER_TYPE_DIRECTORY, permissions=0o40755, size=5, uid=0, gid=0)

    def stat(self, path: bytes) -> SFTPAttrs:
        return SFTPAttrs(type=FILEXFER_TYPE_REGULAR, permissions=0o100644, size=3)

    def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        return path

    def fstat(self, file: object) -> SFTPAttrs:
        return SFTPAttrs(type=FILEXFER_TYPE_REGULAR, permissions=0o100644, size=3)

    def read(self, file: object, offset: int, size: int) -> bytes:
        return b"x" * size

    def write(self, file: object, offset: int, data: bytes) -> int:
        raise asyncssh.SFTPNoSpaceOnFilesystem("full")

    def fsetstat(self, file: object, attrs: SFTPAttrs) -> None:
        """As it likes."""

    def close(self, file: object) -> None:
        """As it likes."""


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


@contextlib.asynccontextmanager
async def serving(folder: Path, **more: Any) -> AsyncIterator[OpenSsh]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Anybody, server_host_keys=[key], sftp_factory=Hostile, allow_scp=False, **more
    )
    shown = key.export_public_key().decode().strip()
    mine = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    nobody: Any = None
    yield OpenSsh(folder, server.get_port(), "ops", mine, shown, nobody)
    server.close()
    await server.wait_closed()


async def test_names_that_lead_elsewhere_and_endless_answers_are_refused(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sshfiles, "MOST_LISTED", 300)
    (bench.files / "site").mkdir()
    (bench.files / "site" / "a").write_text("a")
    names = ("dots", "line", "nul", "slash", "raw", "endless", "deep")
    async with serving(tmp_path) as server:
        ran = await done(
            bench,
            server,
            *(step("sftp.sync", name, source="site", destination=f"/{name}", delete=True) for name in names),
            step("sftp.download", "lies", source="/large", destination="large", maxSize="5MiB"),
            step("sftp.upload", "full", content="abc", destination="/new"),
            step("sftp.sync", "itself", source="site", destination="/itself", delete=True),
        )
    steps = ran.steps()
    assert set(ran.states().values()) == {FAILED}, steps
    for name in names[:5]:
        assert "no name that can be used" in (steps[name].error or ""), name
    for name in ("endless", "itself"):
        assert "more than 300 entries" in (steps[name].error or ""), name
    assert "deep" in (steps["deep"].error or "")
    assert "maxSize" in (steps["lies"].error or ""), "the size it tells is not believed"
    assert steps["full"].error
    assert not [file for file in bench.logs.rglob("*") if file.is_file()]


async def test_who_a_host_says_a_user_is_is_read_as_far_as_it_may_be_long(tmp_path: Path) -> None:
    """A host that never ends its answer is left, with what it had sent by then."""
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def endless(process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            while not process.stdout.is_closing():
                process.stdout.write(b"0" * 65536)
                await process.stdout.drain()
        except (OSError, asyncssh.Error):
            pass
        finally:
            told.set_result(None)

    async with serving(tmp_path, process_factory=endless, encoding=None) as server:
        session = SshSession(place_of(server), SshConnections(), Capture(Masker()), Stop())
        async with asyncio.timeout(20), session.files() as files:
            with pytest.raises(FileRefused, match="says more than 64 KiB"):
                await files.own("/there", mode=None, owner="ops", group=None)
            await told


async def test_a_server_that_gives_no_files_is_no_mystery(bench: Bench, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen("127.0.0.1", 0, server_factory=Anybody, server_host_keys=[key])
    mine = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    nobody: Any = None
    there = OpenSsh(tmp_path, server.get_port(), "ops", mine, key.export_public_key().decode().strip(), nobody)
    ran = await done(bench, there, step("sftp.upload", "put", content="x", destination="/x"))
    server.close()
    await server.wait_closed()
    assert ran.states() == {"put": FAILED}
    assert "SFTP" in (ran.steps()["put"].error or "")


async def test_an_upload_that_is_cut_off_leaves_the_old_file(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    """The server is killed while the content travels."""
    (bench.files / "big").write_bytes(b"x" * 60_000_000)
    path = tmp_path / "there"
    path.write_text("old")
    running = asyncio.create_task(done(bench, host, step("sftp.upload", "put", source="big", destination=str(path))))
    async with asyncio.timeout(20):
        while not list(tmp_path.glob(".there.*")):
            await asyncio.sleep(0.005)
    host.drop_connections()
    ran = await running
    assert ran.states() == {"put": FAILED}, ran.steps()
    assert "nothing half done" in (ran.steps()["put"].error or "")
    assert path.read_text() == "old"


async def test_a_sync_that_is_cut_off_says_what_stays(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    """Files that were synced before the server was killed are in place, and are counted."""
    (bench.files / "site" / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (bench.files / "site" / name).write_text(name)
    (bench.files / "site" / "z").write_bytes(b"x" * 60_000_000)
    there = tmp_path / "there"
    running = asyncio.create_task(done(bench, host, step("sftp.sync", "sync", source="site", destination=str(there))))
    async with asyncio.timeout(20):
        while not list(there.glob(".z.*")):
            await asyncio.sleep(0.005)
    host.drop_connections()
    ran = await running
    assert ran.states() == {"sync": FAILED}, ran.steps()
    error = ran.steps()["sync"].error or ""
    assert error.endswith(
        "; until then 3 files put and 2 folders made, each file whole; run the step again for the rest"
    ), error
    assert (there / "sub" / "c").read_text() == "sub/c"


@pytest.mark.slow
async def test_a_large_file_takes_little_memory(bench: Bench, host: OpenSsh, tmp_path: Path) -> None:
    size = 256 * 1024 * 1024
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ran = await done(
        bench, host, step("sftp.download", "get", source=str(tmp_path / "large"), destination="large", maxSize="1GiB")
    )
    assert ran.states() == {"get": OK}, ran.steps()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert ran.steps()["get"].outputs["checksum"] == digest(bytes(size))


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(
            "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", marks=pytest.mark.slow
        ),
        "{% set x = 'xxxxxxxxxx' * 99 %}{% for a in range(9000) %}{{ x * 99 }}{% endfor %}",
        "{{ self._TemplateReference__context }}{{ cycler.__init__.__globals__ }}",
        "{% import 'os' as os %}",
        "{{ values.append(1) }}",
    ],
)
async def test_a_template_has_little_time_little_memory_and_nothing_else(template: str) -> None:
    with pytest.raises(NotRendered):
        await rendered(template, {"values": [1]})


@pytest.mark.parametrize(
    "expression",
    [
        "values[secret]",
        "{}[secret].x",
        "{}[secret] ~ ''",
        "secret | list | join | int + secret",
        "'%d' % secret",
        "[1][secret].x",
        "range(secret)",
        "secret.x.y[secret]",
        "'x'.index(secret)",
    ],
)
async def test_why_a_template_is_not_rendered_quotes_no_value(expression: str) -> None:
    template = "line one\n{% set found = " + expression + " %}{{ found.bit_length() }}"
    with pytest.raises(NotRendered, match="line 2: ") as found:
        await rendered(template, {"values": {}, "secret": "geheim4711"})
    assert "geheim" not in str(found.value)


async def test_why_a_template_is_not_rendered_names_what_it_asked_for() -> None:
    with pytest.raises(NotRendered, match=r"^line 2: 'portt' is undefined; give it in the step's 'vars'"):
        await rendered("a\n{{ portt }}", {"port": 1})


async def test_a_change_that_a_host_has_not_answered_is_not_known(host: OpenSsh, tmp_path: Path) -> None:
    """The step is ended while the host hangs: it may make the change as soon as it wakes."""
    victim = tmp_path / "victim"
    victim.write_text("x")
    stop = Stop()
    session = SshSession(place_of(host), SshConnections(), Capture(Masker()), stop)

    async def work(files: Files, progress: Progress) -> dict[str, Any]:
        with pytest.raises(FileRefused), progress.changing():
            await files.remove(str(tmp_path))  # it holds something: the answer is no
        assert (progress.begun, progress.open) == (True, False)
        host.freeze()
        asyncio.get_running_loop().call_soon(stop.order, "timedOut", "its time limit of 1s passed")
        with progress.changing():
            await files.remove(str(victim))
        return {}

    try:
        outcome = await filework.done(session, work)
    finally:
        host.thaw()
    assert isinstance(outcome, Unknown)
    assert outcome.error == "its time limit of 1s passed; whether its last change was made is not known"
