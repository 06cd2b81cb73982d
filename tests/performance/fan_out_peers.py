"""What people use instead to run a command on many hosts, each started as people start it."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.performance.peers import Missing, environment, last_line
from tests.performance.ssh_fleet import COMMAND, FORKS, STEPS, Fleet

_PSSH = """
import sys
from pssh.clients import ParallelSSHClient
key, port, user, command, *hosts = sys.argv[1:]
client = ParallelSSHClient(hosts, user=user, port=int(port), pkey=key, pool_size=%d)
for host in client.run_command(command):
    print(*host.stdout)
"""


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds on the wall and of the client's processors, and bytes of the largest of its processes."""

    wall: float
    cpu: float
    peak: int


Measured = Used | Missing


async def used(*command: str, count: int, said: str = "ok", env: Mapping[str, str] | None = None) -> Measured:
    """Run a program to its end; it must say so on so many lines, or what it did is not known."""
    return await asyncio.to_thread(_used, command, count, said, {**os.environ, **(env or {})})


def _used(command: Sequence[str], count: int, said: str, env: Mapping[str, str]) -> Measured:
    measuring = [sys.executable, "-S", str(Path(__file__).with_name("spent.py"))]
    done = subprocess.run([*measuring, *command], env=env, stdout=subprocess.PIPE, text=True, check=False)
    *output, spent = done.stdout.splitlines()
    _, wall, cpu, peak = json.loads(spent)
    answered = sum(said in line for line in output)
    if answered < count:
        return Missing(f"{answered} of {count} answered: {last_line(chr(10).join(output))}")
    return Used(wall, cpu, peak)


@dataclass(frozen=True, slots=True)
class Ansible:
    """ansible-core, with pipelining and connections that it keeps for a minute."""

    programs: Path
    fleet: Fleet
    folder: Path

    async def ad_hoc(self, hosts: Sequence[str], module: str) -> Measured:
        command = [str(self.programs / "ansible"), "all", "-i", self._inventory(hosts), "-f", str(FORKS)]
        return await used(*command, "-m", module, "-a", COMMAND, count=len(hosts), env=self._env())

    async def playbook(self, hosts: Sequence[str]) -> Measured:
        book = self.folder / "ten.yml"
        book.write_text("- hosts: all\n  gather_facts: false\n  tasks:\n" + f"    - raw: {COMMAND}\n" * STEPS)
        command = [str(self.programs / "ansible-playbook"), "-i", self._inventory(hosts), "-f", str(FORKS), str(book)]
        return await used(*command, count=len(hosts), said=f"ok={STEPS}", env=self._env())

    def forget(self) -> None:
        """Close the connections that it keeps, so that the next one is cold."""
        for socket in self._sockets.glob("*"):
            subprocess.run(["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "x"],
                           capture_output=True, check=False)  # fmt: skip
        shutil.rmtree(self._sockets, ignore_errors=True)

    @property
    def _sockets(self) -> Path:
        return Path(f"/tmp/oc-cp-{os.getpid()}")

    def _inventory(self, hosts: Sequence[str]) -> str:
        file = self.folder / f"inventory-{len(hosts)}"
        file.write_text("\n".join(hosts) + "\n")
        return str(file)

    def _env(self) -> dict[str, str]:
        self._sockets.mkdir(exist_ok=True, mode=0o700)
        ssh = f"-F none -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={self.fleet.known_hosts}"
        return {
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_SSH_ARGS": ssh,
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._sockets),
            "ANSIBLE_PRIVATE_KEY_FILE": str(self.fleet.key),
            "ANSIBLE_REMOTE_USER": self.fleet.server.user,
            "ANSIBLE_REMOTE_PORT": str(self.fleet.server.port),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_NOCOLOR": "1",
        }


async def ansible(fleet: Fleet, folder: Path) -> Ansible | Missing:
    programs = await environment("ansible-core", "ansible-core")
    folder.mkdir()
    return programs if isinstance(programs, Missing) else Ansible(programs, fleet, folder)


async def pyinfra(fleet: Fleet, folder: Path, hosts: Sequence[str], steps: int) -> Measured:
    """Its operations, one after another on all hosts; it asks for nothing about the hosts first."""
    programs = await environment("pyinfra", "pyinfra>=3")
    if isinstance(programs, Missing):
        return programs
    folder.mkdir(exist_ok=True)
    data = {
        "ssh_port": fleet.server.port, "ssh_user": fleet.server.user, "ssh_key": str(fleet.key),
        "ssh_known_hosts_file": str(fleet.known_hosts), "ssh_strict_host_key_checking": "accept-new",
        "ssh_allow_agent": False, "ssh_look_for_keys": False,
    }  # fmt: skip
    (folder / "inventory.py").write_text(f"hosts = [(host, {data!r}) for host in {list(hosts)!r}]\n")
    shell = f"server.shell(name='s', commands=[{COMMAND!r}])\n"
    (folder / "deploy.py").write_text("from pyinfra.operations import server\n" + shell * steps)
    command = [str(programs / "pyinfra"), "-y", "--parallel", str(FORKS), str(folder / "inventory.py")]
    return await used(*command, str(folder / "deploy.py"), count=len(hosts), said="Connected")


async def parallel_ssh(fleet: Fleet, hosts: Sequence[str]) -> Measured:
    programs = await environment("parallel-ssh", "parallel-ssh")
    if isinstance(programs, Missing):
        return programs
    server = fleet.server
    words = [str(fleet.key), str(server.port), server.user, COMMAND, *hosts]
    return await used(str(programs / "python"), "-c", _PSSH % FORKS, *words, count=len(hosts))


async def plain_ssh(fleet: Fleet, hosts: Sequence[str], sockets: Path | None = None) -> Measured:
    """`xargs -P ssh`; with `sockets` over connections that are kept for a minute."""
    if shutil.which("ssh") is None:
        return Missing("no ssh program here")
    kept = [] if sockets is None else ["-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o",
                                       f"ControlPath={sockets}/%C"]  # fmt: skip
    ssh = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={fleet.known_hosts}", "-i",
           str(fleet.key), "-p", str(fleet.server.port), "-l", fleet.server.user, *kept]  # fmt: skip
    listed = " ".join(hosts)
    words = " ".join([*ssh, "{}", *COMMAND.split()])
    return await used("sh", "-c", f"printf '%s\\n' {listed} | xargs -P {FORKS} -I {{}} {words}", count=len(hosts))


@dataclass(frozen=True, slots=True)
class Bare:
    """asyncssh by itself: logged in and run, then run again over what is open."""

    cold: Used
    warm: Used


async def bare_asyncssh(fleet: Fleet, hosts: Sequence[str], steps: int) -> Bare:
    """Raises RuntimeError where it does not get through: then nothing here can be measured."""
    server = fleet.server
    asked = {
        "hosts": list(hosts), "port": server.port, "user": server.user, "key": str(fleet.key), "forks": FORKS,
        "host_key": server.host_key, "command": COMMAND, "steps": steps,
    }  # fmt: skip
    program = str(Path(__file__).with_name("bare_asyncssh.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, json.dumps(asked), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"asyncssh: {last_line(complained.decode())}")
    found = json.loads(said)
    return Bare(Used(*found["cold"], found["peak"]), Used(*found["warm"], found["peak"]))
