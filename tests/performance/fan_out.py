"""A command on many hosts by SSH: ours beside what people use instead, and beside asyncssh by itself as the limit.

Ours is the installed program that is up: from a run's claim to its end in the journal, with its durable records. The
others count from their own start, as people start them. Whoever comes later in a round finds the server warm, so one
small round of everybody goes before.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, TypeVar

import pygit2

from tests.catalogs import HEAD
from tests.performance.fan_out_peers import (
    Ansible,
    Bare,
    Measured,
    Used,
    ansible,
    bare_asyncssh,
    parallel_ssh,
    plain_ssh,
    pyinfra,
)
from tests.performance.installed_engine import MAIN, REQUESTS, STATUS, Running, Source, up
from tests.performance.measuring import times
from tests.performance.peers import Missing
from tests.performance.ssh_fleet import STEPS, Fleet, definitions, fleet, limits
from tests.performance.table import Row, Verdict

_ROUNDS = 3
_IDLE = 16.0
"""Seconds after which our connections, and those of the run before, are closed."""
_FIFTY = 50
_GOALS_AT = 200
_MEMORY_AT = 500
_MOST_MEMORY = 160_000_000
_COMMAND_AT_MOST = 200
"""Beyond that ansible's command takes many minutes, and says nothing new."""
_TICKS = os.sysconf("SC_CLK_TCK")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ours:
    """One run: from claim to end, the processor time from the request to the end, and from commit to commit."""

    wall: float
    cpu: float
    published: float


class Engine:
    """The program, and the requests that it is given."""

    def __init__(self, source: Source, running: Running) -> None:
        self._source = source
        self._running = running
        self._count = 0

    async def run(self, job: str, count: int) -> Ours:
        """A run on so many targets; they must all succeed."""
        self._count += 1
        name = f"ask-{self._count}"
        names = ", ".join(f"t{number:04}" for number in range(count))
        spec = f"{{jobRef: {job}, limit: {{names: [{names}]}}}}"
        text = f"{HEAD}kind: RunRequest\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        commit = self._source.commit(REQUESTS, {f"requests/{name}.yaml": text})
        used, began = self._cpu(), time.time()
        self._source.push(REQUESTS, commit)
        ((run, state, claimed, ended),) = await self._running.asked(
            "SELECT id, state, started_at / 1e6, finished_at / 1e6 FROM runs "
            "WHERE cause_key = ? AND finished_at IS NOT NULL",
            f"request/{name}",
        )
        used = self._cpu() - used
        if state != "succeeded":
            raise RuntimeError(f"run {run} is {state}; nothing can be measured")
        published = await self._published(str(run))
        return Ours(float(str(ended)) - float(str(claimed)), used, published - began)

    def peak(self) -> int:
        lines = Path(f"/proc/{self._running.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def _cpu(self) -> float:
        """Of the process and of all that it has waited for."""
        fields = Path(f"/proc/{self._running.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[number]) for number in (11, 12, 13, 14)) / _TICKS

    async def _published(self, run: str) -> float:
        """When the status branch said that the run had ended."""
        async with asyncio.timeout(60):
            while not self._shows(run):
                await asyncio.sleep(0.05)
        return time.time()

    def _shows(self, run: str) -> bool:
        repository = pygit2.Repository(str(self._source.path))
        known = repository.references.get(STATUS)
        stamp = run.rsplit("-", 2)[1]
        day = f"{stamp[:4]}/{stamp[4:6]}/{stamp[6:8]}"
        if known is None:
            return False
        try:
            blob = repository[known.target].tree[f"runs/{day}/{run}.yaml"]  # type: ignore[attr-defined]
        except KeyError:
            return False
        return b"finishedAt: 2" in blob.data


async def rows(folder: Path) -> list[Row]:
    with fleet(folder) as found:
        source = Source(folder / "source.git")
        source.push(MAIN, source.commit(MAIN, definitions(found, max(*limits(), _FIFTY))))
        secrets = folder / "state" / "secrets"
        secrets.mkdir(parents=True, mode=0o700)
        (folder / "state").chmod(0o700)
        key = secrets / "fleet"
        key.touch(mode=0o600)
        key.write_text(found.server.private_key)
        theirs = await ansible(found, folder / "ansible")
        async with up(source, folder / "state") as running:
            engine = Engine(source, running)
            await _everybody_once(engine, found)
            made: list[Row] = []
            for count in limits():
                made += await _fan_out(engine, found, theirs, folder, count)
            steps = min(_FIFTY, max(limits()))
            return made + await _ten_steps(engine, found, theirs, folder, steps)


async def _everybody_once(engine: Engine, found: Fleet) -> None:
    await engine.run("one", 5)
    await bare_asyncssh(found, found.hosts(5), 1)
    await asyncio.sleep(_IDLE)


async def _fan_out(engine: Engine, found: Fleet, theirs: Ansible | Missing, folder: Path, count: int) -> list[Row]:
    hosts, here = found.hosts(count), count == _GOALS_AT
    cold: list[Ours] = []
    warm: list[Ours] = []
    limit: list[Bare] = []
    spent = _Spent(found)
    for number in range(_ROUNDS):
        if number % 2:
            limit.append(await spent.by("theirs", bare_asyncssh(found, hosts, 1)))
        cold.append(await spent.by("ours", engine.run("one", count)))
        warm.append(await spent.by("ours", engine.run("one", count)))
        await spent.by("ours", asyncio.sleep(_IDLE))
        if not number % 2:
            limit.append(await spent.by("theirs", bare_asyncssh(found, hosts, 1)))
    peak = engine.peak()
    table = _Table(f"{count} targets, cold", _middle(cold))
    part = median(one.wall / bare.cold.wall for one, bare in zip(cold, limit, strict=True))
    bare = sorted(limit, key=lambda one: one.cold.wall)[len(limit) // 2]
    table.limit("asyncssh by itself", bare.cold, part, 1.15 if here else None)
    raw, again, command = await _by_ansible(theirs, hosts)
    table.beside("ansible -m raw", raw, 5 if here else None)
    table.beside("ansible -m command", command, 11 if here else None)
    table.beside("pyinfra", await pyinfra(found, folder / "pyinfra", hosts, 1))
    table.beside("xargs -P ssh", await plain_ssh(found, hosts))
    table.beside("parallel-ssh", await parallel_ssh(found, hosts))
    table.processor(count, raw, 20 if here else None)
    warmed = _Table(f"{count} targets, warm", _middle(warm))
    warmed.limit("asyncssh by itself", bare.warm, warmed.ours.wall / bare.warm.wall)
    warmed.beside("ansible -m raw", again, 15 if here else None)
    what = f"{count} targets: from the request's commit to the status commit"
    published = Row(what, _s(median(one.published for one in cold)))
    hosts_spent = spent.row(f"{count} targets, cold and warm", 2 * count)
    return [*table.rows, *warmed.rows, hosts_spent, published, _memory(count, peak, bare)]


def _memory(count: int, peak: int, bare: Bare) -> Row:
    what, beside = f"{count} targets: most memory of `up` so far", f"asyncssh by itself {bare.cold.peak / 1e6:.0f} MB"
    if count != _MEMORY_AT:
        return Row(what, f"{peak / 1e6:.0f} MB", beside)
    return Row(what, f"{peak / 1e6:.0f} MB", beside, "", "at most 160 MB", Verdict.of(peak <= _MOST_MEMORY))


async def _by_ansible(theirs: Ansible | Missing, hosts: list[str]) -> tuple[Measured, Measured, Measured]:
    """Raw, cold and over the connections that it keeps; and command, cold."""
    if isinstance(theirs, Missing):
        return theirs, theirs, theirs
    raw = await theirs.ad_hoc(hosts, "raw")
    again = await theirs.ad_hoc(hosts, "raw")
    theirs.forget()
    if len(hosts) > _COMMAND_AT_MOST:
        return raw, again, Missing("not measured: it takes many minutes")
    command = await theirs.ad_hoc(hosts, "command")
    theirs.forget()
    return raw, again, command


async def _ten_steps(engine: Engine, found: Fleet, theirs: Ansible | Missing, folder: Path, count: int) -> list[Row]:
    hosts = found.hosts(count)
    runs: list[Ours] = []
    limit: list[Bare] = []
    spent = _Spent(found)
    for _ in range(_ROUNDS):
        runs.append(await spent.by("ours", engine.run("ten", count)))
        await spent.by("ours", engine.run("ten", count))  # as asyncssh does it: once more over what is open
        await spent.by("ours", asyncio.sleep(_IDLE))
        limit.append(await spent.by("theirs", bare_asyncssh(found, hosts, STEPS)))
    table = _Table(f"{STEPS} steps on {count} targets", _middle(runs))
    part = median(one.wall / bare.cold.wall for one, bare in zip(runs, limit, strict=True))
    bare = sorted(limit, key=lambda one: one.cold.wall)[len(limit) // 2]
    table.limit("asyncssh, a connection a target", bare.cold, part, 1.2)
    book: Measured = theirs if isinstance(theirs, Missing) else await theirs.playbook(hosts)
    if not isinstance(theirs, Missing):
        theirs.forget()
    table.beside("ansible-playbook, raw", book, 5.5)
    table.beside("pyinfra", await pyinfra(found, folder / "pyinfra", hosts, STEPS), 1.7)
    return [*table.rows, spent.row(f"{STEPS} steps on {count} targets, cold and warm", 2 * STEPS * count)]


def _middle(runs: list[Ours]) -> Ours:
    return sorted(runs, key=lambda one: one.wall)[len(runs) // 2]


class _Spent:
    """What the hosts' processors did for us and for the limit: they are the client's too, here.

    Cold and warm together, until the connections are closed: asyncssh closes its own when it ends.
    """

    def __init__(self, found: Fleet) -> None:
        self._found = found
        self._seconds = {"ours": 0.0, "theirs": 0.0}

    async def by(self, who: Literal["ours", "theirs"], work: Awaitable[T]) -> T:
        before = self._found.processor()
        done = await work
        self._seconds[who] += self._found.processor() - before
        return done

    def row(self, what: str, commands: int) -> Row:
        ours, theirs = (seconds / _ROUNDS / commands for seconds in self._seconds.values())
        beside = f"asyncssh by itself {_ms(theirs)}"
        return Row(f"{what}: host's processor a command", _ms(ours), beside, f"{times(ours / theirs)} of it")


class _Table:
    """Ours beside one contestant after another."""

    def __init__(self, what: str, ours: Ours) -> None:
        self.ours = ours
        self.rows: list[Row] = []
        self._what = what

    def limit(self, name: str, other: Used, part: float, most: float | None = None) -> None:
        """`part` is how many times as long ours takes."""
        verdict = Verdict.NONE if most is None else Verdict.of(part <= most)
        goal = "" if most is None else f"at most {most}x"
        self._add(_said(name, other), f"{times(part)} of it", goal, verdict)

    def beside(self, name: str, other: Measured, least: float | None = None) -> None:
        """`least` is how many times as fast ours should be."""
        goal = "" if least is None else f"at least {least}x"
        if isinstance(other, Missing):
            self._add(f"{name}: {other.reason}", "", goal, Verdict.UNMEASURED if goal else Verdict.NONE)
            return
        faster = other.wall / self.ours.wall
        verdict = Verdict.NONE if least is None else Verdict.of(faster >= least)
        self._add(_said(name, other), f"{times(faster)} faster", goal, verdict)

    def processor(self, count: int, other: Measured, least: float | None) -> None:
        """What the client's processors do for one target."""
        if isinstance(other, Missing):
            return
        less = other.cpu / self.ours.cpu
        verdict = Verdict.NONE if least is None else Verdict.of(less >= least)
        goal = "" if least is None else f"at least {least}x less"
        beside = f"ansible -m raw {_ms(other.cpu / count)}"
        what = f"{self._what}: client's processor a target"
        self.rows.append(Row(what, _ms(self.ours.cpu / count), beside, f"{times(less)} less", goal, verdict))

    def _add(self, beside: str, ratio: str, goal: str, verdict: Verdict) -> None:
        first = not self.rows
        ours = f"{_s(self.ours.wall)}, cpu {_s(self.ours.cpu)}" if first else ""
        self.rows.append(Row(self._what if first else "", ours, beside, ratio, goal, verdict))


def _said(name: str, other: Used) -> str:
    return f"{name} {_s(other.wall)}, cpu {_s(other.cpu)}, {other.peak / 1e6:.0f} MB"


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
