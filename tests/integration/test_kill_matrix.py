"""What ends a step, on every kind of host that it may run on: each shell, each way to a user, each end, each program.

The hosts are real: OpenSSH, and for each kind of shell one server on which that shell is everybody's login shell and
/bin/sh as well. A step begins a process of every sort that is hard to end, each of which says its number. Whatever the
end is called, none of them may be left; and what has gone into a session of its own is left alone, as is promised.
"""

import asyncio
import shutil
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncssh
import pytest
import pytest_asyncio

from engine.runs.outcome import Cancelled, Outcome, TimedOut, Unknown, output_of
from runners.bootstrap import Command
from runners.connections import Stop, Unreached
from runners.connections.become import Becoming
from runners.connections.login import SshPlace
from runners.connections.ssh import SshSession
from runners.limits import Capture
from runners.masking import Masker
from runners.sessions import SshConnections
from runners.steps import ReadyStep
from runners.steps.script import Script
from tests import openssh as servers
from tests.openssh import OpenSsh
from tests.running import PATIENCE, Pipe, end, ends, lives, script

pytestmark = pytest.mark.slow

PASSWORD = "of-opsask"
WAYS = {
    "plain": ("opsplain", None),
    "sudo": ("opsfree", Becoming("root")),
    "sudo with password and use_pty": ("opsask", Becoming("root", PASSWORD)),
    "noise": ("opsnoise", None),
    "noise without an end": ("opstitle", None),
    "sudo and noise without an end": ("opstitle", Becoming("root")),
}
SHELLS = {"dash": "/bin/dash", "bash": "/bin/bash", "busybox": "/etc/ops/sh"}
ACCOUNTS = """
mkdir /etc/ops
ln -s "$(command -v busybox)" /etc/ops/sh
for user in opsplain opsfree opsask opsnoise opstitle; do
  useradd --no-create-home --home-dir / --shell {shell} --password '*' "$user"
done
echo opsask:{password} | chpasswd
cat >/etc/sudoers.d/test <<'END'
Defaults:opsfree !use_pty
Defaults:opsask use_pty
opsfree ALL=(ALL:ALL) NOPASSWD: /bin/sh
opsask ALL=(ALL:ALL) /bin/sh
opstitle ALL=(ALL:ALL) NOPASSWD: /bin/sh
END
chmod 440 /etc/sudoers.d/test
"""
LOGINS = r"""
Match User ops*
AuthorizedKeysFile /etc/opskeys
Match User opsnoise
ForceCommand echo 'welcome to web-01'; eval "$SSH_ORIGINAL_COMMAND"
Match User opstitle
ForceCommand printf '\033]0;web-01\007'; eval "$SSH_ORIGINAL_COMMAND"
"""
"""What a login may print before the step, as a .bashrc does."""
HAS_ANOTHER_SH = """#!/bin/bash
exec unshare --mount --propagation private bash -ec 'mount --bind "$0" "$1"; shift; exec "$@"' \\
  {program} {sh} {sshd} "$@"
"""

FAMILY = """
{deaf}
sh -c 'echo $$ >{pids}; exec sleep 600' &
sh -c 'echo $$ >{pids}; exec sleep 600 <&- >&- 2>&-' &
sh -c 'trap "" HUP INT; echo $$ >{pids}; while :; do sleep 600; done' &
(sh -c 'echo $PPID >{pids}'; while :; do sleep 600; done) | sh -c 'echo $$ >{pids}; exec cat' &
(exec >{tidied} 2>&1; trap 'echo tidied; exit 3' TERM; sh -c 'echo $PPID' >{pids}; while :; do sleep 0.1; done) &
setsid sh -c 'echo $$ >{left}; exec sleep 600' >/dev/null 2>&1 </dev/null &
echo $$ >{pids}
while :; do sleep 0.1; done
"""
"""The step; a child in the background; one that has closed its descriptors, and one that holds them open; two in a
pipe; one that ends in its own way; and one that has left."""

DEAF = """
trap '' TERM HUP INT
python3 -c 'import os, time; os.setpgid(0, 0); open("{pids}", "w").write(str(os.getpid()) + chr(10)); time.sleep(600)' &
python3 -c 'import ctypes, os, time; ctypes.CDLL(None).prctl(15, b"a" + bytes([10]) + b") S", 0, 0, 0)
open("{pids}", "w").write(str(os.getpid()) + chr(10)); time.sleep(600)' &
"""
"""With it nobody but one of the family heeds TERM, one is in a group that TERM does not reach, and one has a
name of two lines."""


@dataclass(frozen=True, slots=True)
class Host:
    server: OpenSsh
    shell: str

    def place(self, way: str) -> SshPlace:
        at = self.server
        return SshPlace("web-01", at.host, at.port, WAYS[way][0], (at.host_key,), at.private_key)


@pytest.fixture(scope="module", params=list(SHELLS))
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host where one kind of shell is the only one."""
    folder = tmp_path_factory.mktemp("host")
    setup = ACCOUNTS.format(shell=SHELLS[request.param], password=PASSWORD)
    with servers.in_its_own_etc(folder, setup) as etc, pytest.MonkeyPatch.context() as patch:
        if request.param != "dash":
            wrapper = folder / "has-another-sh"
            program, sh = shutil.which(request.param), Path("/bin/sh").resolve()
            wrapper.write_text(HAS_ANOTHER_SH.format(program=program, sh=sh, sshd=servers.SSHD))
            wrapper.chmod(stat.S_IRWXU)
            patch.setattr(servers, "SSHD", str(wrapper))
        made = servers.started_for_all(etc, folder / "sshd", LOGINS)
        yield Host(made, request.param)
        made.stop()


class Family:
    """A step's processes, which have all begun."""

    def __init__(self, folder: Path, *, deaf: bool, plain: bool) -> None:
        self._pids = Pipe(folder / "pids")
        self._left = Pipe(folder / "left")
        self._tidied = Pipe(folder / "tidied")
        for pipe in (self._pids, self._left, self._tidied):
            pipe.path.chmod(0o666)
        self._count = 9 if deaf else 7
        self.text = FAMILY.format(
            pids=self._pids, left=self._left, tidied=self._tidied, deaf=DEAF.format(pids=self._pids) if deaf else ""
        )
        if plain:
            (folder / "family").write_text(self.text)
            self.text = f"sh {folder}/family"
        self.members: list[int] = []
        self.left = 0

    async def begun(self) -> None:
        self.members = await self._pids.pids(self._count)
        (self.left,) = await self._left.pids(1)
        assert all(map(lives, self.members))

    async def was_asked(self) -> None:
        """One of them has heard TERM, and had the time to tidy up."""
        await self._tidied.lines(1)

    def survivors(self) -> list[int]:
        return [pid for pid in self.members if lives(pid)]

    def close(self) -> None:
        for pid in [*self.members, *([self.left] if self.left else [])]:
            end(pid)
        for pipe in (self._pids, self._left, self._tidied):
            pipe.close()


@pytest.fixture
def families() -> Iterator[dict[str, Family]]:
    """One for each way, where every user may write. What a test leaves of them is ended."""
    made: dict[str, Family] = {}
    yield made
    for family in made.values():
        family.close()


@pytest_asyncio.fixture
async def connections() -> AsyncIterator[SshConnections]:
    made = SshConnections()
    yield made
    await made.close()


async def run(session: SshSession, text: str) -> Outcome:
    return await Script().run(ReadyStep(script(text), command=Command("sh", text)), session)


async def begun(families: dict[str, Family], way: str, *, deaf: bool, plain: bool) -> Family:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    families[way] = Family(folder, deaf=deaf, plain=plain)
    return families[way]


End = Literal["timedOut", "cancelled"]


@pytest.mark.parametrize("way", list(WAYS))
async def test_each_host_has_its_shell(host: Host, connections: SshConnections, way: str) -> None:
    session = SshSession(host.place(way), connections, Capture(Masker()), Stop(), become=WAYS[way][1])
    outcome = await run(session, "cat /proc/$PPID/exe | cksum; cat /proc/$$/exe | cksum")
    program = Path(f"/bin/{host.shell}").read_bytes()
    of_it = subprocess.run(["cksum"], input=program, capture_output=True, check=True)
    assert output_of(outcome).stdout == of_it.stdout.decode() * 2, outcome


@pytest.mark.parametrize("deaf", [False, True], ids=["heeds TERM", "deaf"])
@pytest.mark.parametrize("plain", [False, True], ids=["script", "plain command"])
@pytest.mark.parametrize(("why", "kind"), [("timedOut", TimedOut), ("cancelled", Cancelled)])
async def test_an_order_ends_every_member(
    host: Host,
    connections: SshConnections,
    families: dict[str, Family],
    why: End,
    kind: type[Outcome],
    deaf: bool,
    plain: bool,
) -> None:
    async def one(way: str) -> None:
        family, stop = await begun(families, way, deaf=deaf, plain=plain), Stop()
        session = SshSession(host.place(way), connections, Capture(Masker()), stop, mark="m" * 32, become=WAYS[way][1])
        work = asyncio.create_task(run(session, family.text))
        await family.begun()
        stop.order(why, "because", kill_after=0.5 if deaf else 10)
        outcome = await work
        # at once: what is called ended has ended by then
        assert (way, family.survivors()) == (way, [])
        assert isinstance(outcome, kind), (way, outcome)
        await family.was_asked()
        assert lives(family.left), way

    await asyncio.gather(*map(one, WAYS))


@pytest.mark.parametrize("deaf", [False, True], ids=["heeds TERM", "deaf"])
@pytest.mark.parametrize("plain", [False, True], ids=["script", "plain command"])
async def test_a_connection_that_is_lost_is_followed_up(
    host: Host, connections: SshConnections, families: dict[str, Family], deaf: bool, plain: bool
) -> None:
    """Over another connection: nothing is left, and what the step had done by then is not known."""
    working: dict[str, asyncio.Task[Outcome]] = {}
    for way in WAYS:
        family = await begun(families, way, deaf=deaf, plain=plain)
        session = SshSession(
            host.place(way), connections, Capture(Masker()), Stop(), mark="m" * 32, become=WAYS[way][1]
        )
        working[way] = asyncio.create_task(run(session, family.text))
        await family.begun()
    host.server.drop_connections()
    for way, work in working.items():
        outcome = await work
        assert (way, families[way].survivors()) == (way, [])
        assert isinstance(outcome, Unknown), (way, outcome)
        assert "none of its processes is left" in outcome.error, (way, outcome)
        assert lives(families[way].left), way


@pytest.mark.parametrize("hidepid", [1, 2])
async def test_what_another_user_runs_is_not_called_ended_where_proc_hides_it(
    tmp_path: Path, connections: SshConnections, families: dict[str, Family], hidepid: int
) -> None:
    """By sudo within the step. Of a step that has none it is known that it has ended."""
    setup = ACCOUNTS.format(shell="/bin/dash", password=PASSWORD)
    with servers.in_its_own_etc(tmp_path, setup) as etc:
        wrapper = Path(servers.SSHD)
        mount = f"mount -t proc -o hidepid={hidepid} proc /proc\n  exec /"
        wrapper.write_text(wrapper.read_text().replace("exec /", mount, 1))
        made = servers.started_for_all(etc, tmp_path / "sshd", LOGINS)
        at = made
        place = SshPlace("web-01", at.host, at.port, "opsfree", (at.host_key,), at.private_key)
        try:
            for hidden in (True, False):
                folder = Path(tempfile.mkdtemp())
                folder.chmod(0o777)
                pids = Pipe(folder / "pids")
                pids.path.chmod(0o666)
                stop, looks = Stop(), f"sh -c 'trap \"\" TERM HUP INT; echo $$ >{pids}; exec sleep 600'"
                session = SshSession(place, connections, Capture(Masker()), stop, mark="m" * 32)
                work = asyncio.create_task(run(session, f"{'sudo /bin/' if hidden else ''}{looks}; true"))
                (pid,) = await pids.pids(1)
                stop.order("timedOut", "because", kill_after=0.5)
                outcome = await work
                lived = lives(pid)
                end(pid)
                pids.close()
                assert (lived, isinstance(outcome, Unknown)) == (hidden, hidden), outcome
        finally:
            made.stop()


class OneConnection:
    """Lends one connection, and no other: as for a runner that is lost together with it."""

    def __init__(self, connections: SshConnections) -> None:
        self._connections = connections
        self.lent: asyncssh.SSHClientConnection | None = None

    @asynccontextmanager
    async def lease(
        self, place: SshPlace, *, fresh: bool = False
    ) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, bool]]:
        if self.lent is not None:
            raise Unreached("there is nobody to come back")
        async with self._connections.lease(place, fresh=True) as (self.lent, used):
            yield self.lent, used


@pytest.mark.parametrize("deaf", [False, True], ids=["heeds TERM", "deaf"])
@pytest.mark.parametrize("plain", [False, True], ids=["script", "plain command"])
async def test_a_host_that_is_left_alone_ends_every_member_by_itself(
    host: Host, connections: SshConnections, families: dict[str, Family], deaf: bool, plain: bool
) -> None:
    """With TERM, and after ten seconds with KILL. Nobody can say so, and nobody does."""

    async def one(way: str) -> None:
        family, lending = await begun(families, way, deaf=deaf, plain=plain), OneConnection(connections)
        session = SshSession(host.place(way), lending, Capture(Masker()), Stop(), mark="m" * 32, become=WAYS[way][1])
        work = asyncio.create_task(run(session, family.text))
        await family.begun()
        assert lending.lent is not None
        lending.lent.abort()
        outcome = await work
        assert isinstance(outcome, Unknown), (way, outcome)
        assert "not proven" in outcome.error, (way, outcome)
        for pid in family.members:
            assert await asyncio.to_thread(ends, pid, PATIENCE), (way, pid)
        await family.was_asked()
        assert lives(family.left), way

    await asyncio.gather(*map(one, WAYS))
