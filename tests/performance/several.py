"""Runs on PostgreSQL, with runners apart, beside queues that people use instead: each does the same no-ops.

Ours is a run with one step that does nothing: claimed, its step's start durable before, its end after, the run ended
and counted, all fenced. Procrastinate has a job, Celery a message, Prefect a background task. All take fifty at once,
except where their own way is a process for each processor, and use the same server of PostgreSQL, which makes
every commit durable, as RabbitMQ does with messages that last.
"""

import asyncio
import os
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from journal.clock import SystemClock
from journal.store import Journal
from tests.performance import noop_measures, prefect_peer, recorded_steps
from tests.performance.driven import Driven, Programs
from tests.performance.installed_engine import MAIN, Source
from tests.performance.latency import definitions
from tests.performance.measuring import milliseconds, percentile, times
from tests.performance.noop_ours import Runs
from tests.performance.peers import Missing, environment
from tests.performance.table import Row, Verdict
from tests.postgresql import Server
from tests.rabbitmq import broker

PROCRASTINATE = ("procrastinate==3.10.0", "psycopg[binary]==3.3.9")
CELERY = ("celery==5.7.0",)
_HERE = Path(__file__).parent
_ROUNDS = 3
_PROBES, _EVERY = 30, 0.05
_WAITING, _URGENT, _URGENT_EVERY = 1_000, 30, 0.02
_MANY = 500
_OF_PREFECT = 20
_MOST_LATENCY, _LEAST_RATE = 1.5, 1 / 3
Ask = Callable[..., Awaitable[Any]]
"""Measure something of one queue: `ask("rate", mark, count)`; the measures are those of `noop_measures`."""


@dataclass
class Seen:
    """Of one queue, with one process at work: what each round found."""

    idle: list[list[float]] = field(default_factory=list)
    behind: list[list[float]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    """Seconds of processors that a no-op took of those who work on it and of PostgreSQL."""

    def half(self, rounds: list[list[float]], hundredth: int = 50) -> float:
        return percentile([one for found in rounds for one in found], hundredth)

    @property
    def rate(self) -> float:
        return median(self.rates)


async def rows(folder: Path) -> list[Row]:
    server = Server(fast=False)
    # What listens on a socket needs a short path, and RabbitMQ a folder of its own.
    with tempfile.TemporaryDirectory(prefix="mq-") as short:
        try:
            server.start()
            async with Programs(folder / "log") as programs:
                with broker(Path(short)) as rabbit:
                    return await _measured(folder, server, programs, f"amqp://guest:guest@127.0.0.1:{rabbit.port}//")
        finally:
            server.remove()


async def _measured(folder: Path, server: Server, programs: Programs, amqp: str) -> list[Row]:
    ours = await _ours(folder, server, programs)
    bare = await _procrastinate(folder, server, programs)
    celery = await _celery(folder, programs, amqp)
    try:
        peers = {"bare": bare, "celery": celery}
        there = {name: peer for name, peer in peers.items() if not isinstance(peer, Missing)}
        seen = await _one_process_each({"ours": ours, **there}, server)
        made = [*_latencies(seen, bare, celery), *_rates(seen, bare, celery), *_spent(seen, bare)]
        if not isinstance(celery, Missing):
            celery.stop()
        made += await _more(ours, bare)
        made += await recorded_steps.rows(server)
        return [*made, *await _beside_prefect(folder, server, programs, seen["ours"])]
    finally:
        await ours.close()


async def _one_process_each(queues: "Mapping[str, Ours | Peer]", server: Server) -> dict[str, Seen]:
    seen = {name: Seen() for name in queues}
    order = list(queues)
    for number in range(_ROUNDS + 1):
        for name in order if number % 2 else reversed(order):
            ask, found, mark, many = queues[name].ask, seen[name], f"{number}", _MANY if number else 50
            idle = await ask("idle", mark, _PROBES, _EVERY)
            behind = await ask("behind", mark, _WAITING if number else 50, _URGENT, _URGENT_EVERY)
            before = processor_time(server, queues[name].processes)
            rate = await ask("rate", mark, many)
            spent = processor_time(server, queues[name].processes) - before
            if number:  # the first round does not count
                found.idle.append(idle)
                found.behind.append(behind)
                found.rates.append(rate)
                found.spent.append(spent / many)
    return seen


# --- the table --------------------------------------------------------------------------------------------------------


def _latencies(seen: dict[str, Seen], bare: "Peer | Missing", celery: "Peer | Missing") -> list[Row]:
    made = []
    for what, of in (
        ("from being queued to the work of its step, nothing else to do", lambda one: one.idle),
        (f"the same, urgent, while {_WAITING:,} others are queued and worked on", lambda one: one.behind),
    ):
        mine = seen["ours"]
        said = _p50_p99(mine, of(mine))
        for number, (name, words, peer) in enumerate(
            (("bare", "Procrastinate", bare), ("celery", "Celery on RabbitMQ", celery))
        ):
            goal = f"at most {_MOST_LATENCY}x" if name == "bare" else ""
            label = what if number == 0 else ""
            if isinstance(peer, Missing):
                made.append(Row(label, said, f"{words}: {peer.reason}", "", goal, Verdict.UNMEASURED))
                continue
            other = seen[name]
            # One that was done with the others before enough urgent ones had come has nothing to compare.
            rounds = [pair for pair in zip(of(mine), of(other), strict=True) if min(map(len, pair)) > 1]
            if not rounds:
                made.append(Row(label, said, f"{words}: was done too soon", "", goal, Verdict.UNMEASURED))
                continue
            ratio = median(percentile(one, 50) / percentile(two, 50) for one, two in rounds)
            verdict = Verdict.of(ratio <= _MOST_LATENCY) if goal else Verdict.NONE
            made.append(Row(label, said, f"{words} {_p50_p99(other, of(other))}", times(ratio), goal, verdict))
    return made


def _p50_p99(seen: Seen, rounds: list[list[float]]) -> str:
    return f"p50 {milliseconds(seen.half(rounds))}, p99 {milliseconds(seen.half(rounds, 99))}"


def _rates(seen: dict[str, Seen], bare: "Peer | Missing", celery: "Peer | Missing") -> list[Row]:
    made = []
    for name, words, peer in (("bare", "Procrastinate", bare), ("celery", "Celery on RabbitMQ", celery)):
        goal = "at least a third" if name == "bare" else ""
        label = "no-op runs a second, 1 runner" if name == "bare" else ""
        ours = f"{seen['ours'].rate:,.0f}"
        if isinstance(peer, Missing):
            made.append(Row(label, ours, f"{words}: {peer.reason}", "", goal, Verdict.UNMEASURED))
        else:
            made.append(_rate_row(label, words, seen["ours"].rates, seen[name].rates, goal))
    return made


def _rate_row(label: str, words: str, ours: list[float], theirs: list[float], goal: str) -> Row:
    ratio = median(one / two for one, two in zip(ours, theirs, strict=True))
    verdict = Verdict.of(ratio >= _LEAST_RATE) if goal else Verdict.NONE
    return Row(label, f"{median(ours):,.0f}", f"{words} {median(theirs):,.0f}", times(ratio), goal, verdict)


def _spent(seen: dict[str, Seen], bare: "Peer | Missing") -> list[Row]:
    """It says most where others want the processors too."""
    what = "processor time of such a run, of its runner and of PostgreSQL"
    ours = milliseconds(median(seen["ours"].spent))
    if isinstance(bare, Missing):
        return [Row(what, ours, bare.reason, "", "", Verdict.UNMEASURED)]
    ratio = median(one / two for one, two in zip(seen["ours"].spent, seen["bare"].spent, strict=True))
    return [Row(what, ours, f"Procrastinate {milliseconds(median(seen['bare'].spent))}", times(ratio))]


def processor_time(server: Server, processes: Iterable[int]) -> float:
    """Seconds that these and the server's have used so far, those that have ended among them."""
    assert server.process is not None
    top = server.process.pid
    children = Path(f"/proc/{top}/task/{top}/children").read_text().split()
    return sum(map(_used, (top, *processes))) + sum(_used(int(one), ended=False) for one in children)


def _used(process: int, *, ended: bool = True) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[number]) for number in (11, 12, *((13, 14) if ended else ()))) / os.sysconf("SC_CLK_TCK")


async def _more(ours: "Ours", bare: "Peer | Missing") -> list[Row]:
    """With more processes, and at last with a controller that publishes all of it."""
    made = []
    for number in (2, 4):
        await ours.workers(number)
        if not isinstance(bare, Missing):
            await bare.workers(number)
        made.append(await _rates_of(f"the same, {number} runners", f"Procrastinate, {number} workers", ours, bare))
    await ours.lead()
    words = "Procrastinate, 4 workers"
    made.append(await _rates_of("the same, 4 runners, and a controller that publishes them", words, ours, bare))
    return made


async def _rates_of(label: str, words: str, ours: "Ours", bare: "Peer | Missing") -> Row:
    mine, theirs = [], []
    for number in range(_ROUNDS):
        mark = f"{label[-12:].replace(' ', '')}{number}"
        mine.append(await ours.ask("rate", mark, _MANY))
        if not isinstance(bare, Missing):
            theirs.append(await bare.ask("rate", mark, _MANY))
    goal = "at least a third"
    if isinstance(bare, Missing):
        return Row(label, f"{median(mine):,.0f}", bare.reason, "", goal, Verdict.UNMEASURED)
    return _rate_row(label, words, mine, theirs, goal)


# --- ours -------------------------------------------------------------------------------------------------------------


class Ours:
    """The installed program: runners, and a controller where one is wanted."""

    def __init__(self, journal: Journal, url: str, folder: Path, programs: Programs) -> None:
        self._runs = Runs(journal)
        self._journal = journal
        self._url = url
        self._folder = folder
        self._programs = programs
        self.processes: list[int] = []

    async def ask(self, what: str, *arguments: Any) -> Any:
        """A measure of `noop_measures`, taken by this process."""
        measures: dict[str, Any] = {
            "idle": noop_measures.idle, "behind": noop_measures.behind, "rate": noop_measures.rate,
        }  # fmt: skip
        return await measures[what](self._runs, *arguments)

    async def workers(self, count: int) -> None:
        """As many runners as that, at work."""
        while (number := len(self.processes)) < count:
            self.processes.append(await self._start("runner", "--pool", "default", state=f"runner-{number}"))
        async with asyncio.timeout(90):
            while await self._journal.read(self._runs.runners) < count:
                await asyncio.sleep(0.1)

    async def lead(self) -> None:
        """With a controller that leads, and has published everything so far."""
        source = Source(self._folder / "source.git")
        source.push(MAIN, source.commit(MAIN, definitions()))
        await self._start("controller", str(source.path), "--dashboard", "off", state="controller")
        async with asyncio.timeout(90):
            while not source.applied():
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        await self._journal.close()

    async def _start(self, *arguments: str, state: str) -> int:
        program = str(Path(sys.executable).with_name("opsconductor"))
        where = ("--database", self._url, "--state", str(self._folder / state))
        return (await self._programs.start(program, *arguments, *where)).process.pid


async def _ours(folder: Path, server: Server, programs: Programs) -> Ours:
    url = server.url(server.database())
    ours = Ours(Journal.open(url, clock=SystemClock()), url, folder, programs)
    await ours.workers(1)
    return ours


# --- the others -------------------------------------------------------------------------------------------------------


class Peer:
    """A queue that another program drives, whose workers are started here."""

    def __init__(self, driver: Driven, work: Callable[[], Awaitable[Driven]]) -> None:
        self._driver = driver
        self._work = work
        self._working: list[Driven] = []
        self.ask: Ask = driver.ask

    @property
    def processes(self) -> list[int]:
        return [one.process.pid for one in self._working]

    async def workers(self, count: int) -> None:
        while len(self._working) < count:
            self._working.append(await self._work())
        await asyncio.sleep(3)  # none of them says when it is at work; a round that does not count comes first

    def stop(self) -> None:
        """Stop working, as it would share the processors."""
        for one in (*self._working, self._driver):
            one.process.terminate()


async def _procrastinate(folder: Path, server: Server, programs: Programs) -> Peer | Missing:
    where = f"host={server.folder} user=ops dbname={server.database()}"
    return await _peer(folder, programs, "procrastinate", PROCRASTINATE, where)


async def _celery(folder: Path, programs: Programs, amqp: str) -> Peer | Missing:
    return await _peer(folder, programs, "celery", CELERY, amqp)


async def _peer(
    folder: Path,
    programs: Programs,
    name: str,
    packages: tuple[str, ...],
    *where: str,
    extra: dict[str, str] | None = None,
) -> Peer | Missing:
    found = await environment(name, *packages)
    if isinstance(found, Missing):
        return found
    program, notes = str(_HERE / f"{name}_noops.py"), str(folder / f"{name}.notes")
    start = partial(programs.start, str(found / "python"), program, extra={"PYTHONPATH": "", **(extra or {})})
    driver = await start("drive", *where, notes, driven=True)
    try:
        await driver.ready()
    except (TimeoutError, RuntimeError) as error:
        return Missing(f"it did not start: {error}")
    peer = Peer(driver, partial(start, "work", *where, notes))
    await peer.workers(1)
    return peer


async def _beside_prefect(folder: Path, server: Server, programs: Programs, mine: Seen) -> list[Row]:
    latency, rate = "from being queued to the work of its step, nothing else to do", "no-op runs a second, 1 runner"
    ours = _p50_p99(mine, mine.idle), f"{mine.rate:,.0f}"
    found = await _prefect(folder, server, programs)
    try:
        if isinstance(found, Missing):
            raise RuntimeError(found.reason)
        await found.ask("idle", "first", 2, 0.5)
        seen = Seen(idle=[await found.ask("idle", "a", 10, 0.5)], rates=[await found.ask("rate", "a", _OF_PREFECT)])
    except (TimeoutError, RuntimeError) as error:
        why = f"Prefect: {error or 'it took too long'}"
        return [
            Row(what, said, why, "", "", Verdict.UNMEASURED) for what, said in zip((latency, rate), ours, strict=True)
        ]
    started = seen.half(seen.idle)
    return [
        Row(latency, ours[0], f"Prefect {_p50_p99(seen, seen.idle)}", times(mine.half(mine.idle) / started)),
        Row(rate, ours[1], f"Prefect {seen.rate:,.1f}", times(mine.rate / seen.rate)),
    ]


async def _prefect(folder: Path, server: Server, programs: Programs) -> Peer | Missing:
    found = await environment("prefect", *prefect_peer.REQUIREMENTS)
    if isinstance(found, Missing):
        return found
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    settings = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://ops@/{server.database()}?host={server.folder}",
    }
    served = ("server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui")
    await programs.start(str(found / "prefect"), *served, extra={"PYTHONPATH": "", **settings})
    try:
        async with asyncio.timeout(90):
            while not await asyncio.to_thread(_answers, f"{url}/health"):
                await asyncio.sleep(0.2)
    except TimeoutError:
        return Missing("its server did not start within 90 s")
    return await _peer(folder, programs, "prefect", prefect_peer.REQUIREMENTS, extra=settings)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False
