"""Where the parts meet: everything is made here, once, and handed what it needs."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_address
from typing import Protocol

import structlog

from journal import spans
from journal.clock import Clock, SystemClock
from journal.errors import Refused
from journal.store import Journal
from opsconductor import exits, traces
from opsconductor.checking.garbage import settled
from opsconductor.committed import MirroredFiles
from opsconductor.lock import held
from opsconductor.service import loglines
from opsconductor.service.address import Address
from opsconductor.service.askedfiles import AskedFiles, FirstOf
from opsconductor.service.controller import Controller
from opsconductor.service.health import alive
from opsconductor.service.loglines import Format
from opsconductor.service.runner import LoneRunner, RunnerProcess
from opsconductor.service.running import Running
from opsconductor.service.servicemanager import ServiceManager
from opsconductor.service.up import Engine
from opsconductor.settings import Settings, StateFolder

log = structlog.get_logger(__name__)

_SECOND_SIGNAL_EXIT = 143
_THREADS = 64
"""So many calls that block go on at once; a thread is made when it is needed."""


def serve(settings: Settings, *, begun: Callable[[str | None], None] | None = None) -> int:
    """Run the engine until it is told to stop; gives the exit code. Raises Refused where it cannot start.

    `begun` is called with the dashboard's address, if there is one, once the source was read and its branch is ours.
    """
    _begin(settings.log_format, settings.state)
    with held(settings.state.lock):
        return asyncio.run(_serve(settings, begun))


def work(settings: RunnerProcess) -> int:
    """Work on runs until it is told to stop; gives the exit code. Raises Refused where it cannot start."""
    _begin(settings.log_format, settings.running.state)
    with held(settings.running.state.lock):
        return asyncio.run(_work(settings))


def _begin(log_format: Format, state: StateFolder) -> None:
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    loglines.configure(log_format, colours=colours)
    _install_crash_points()
    state.root.parent.mkdir(parents=True, exist_ok=True)
    state.root.mkdir(exist_ok=True, mode=0o700)
    # Also where somebody else made it: the store and the logs are nobody else's business.
    state.root.chmod(0o700)
    state.secrets.mkdir(exist_ok=True, mode=0o700)


def _make_room_for_threads() -> None:
    """Of its own the loop has six on two processors: a few secrets that are slow to open would hold all else up."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="asyncio"))


async def _work(settings: RunnerProcess) -> int:
    _make_room_for_threads()
    clock = SystemClock()
    journal = Journal.open(settings.database, clock=clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(journal.close)
        if (end_traces := traces.begin(os.environ)) is not None:
            stack.push_async_callback(asyncio.to_thread, end_traces)
        manager = ServiceManager(os.environ)
        runner = LoneRunner(settings, journal, clock)
        signals = Signals(runner, manager)
        signals.install()
        settled()
        manager.ready(f"works on runs of {', '.join(sorted(settings.pools))}")
        if settings.probes is not None:
            await stack.enter_async_context(_probes(settings.probes, runner))
        lives = manager.watching(lambda: all(part.trouble is None for part in runner.alive()))
        await stack.enter_async_context(lives)
        code = await runner.run()
        return exits.INTERRUPTED if signals.interrupted and code == exits.OK else code


@asynccontextmanager
async def _probes(address: Address, runner: LoneRunner) -> AsyncIterator[None]:
    """The answers to probes, on a thread of their own: who asks hears of an event loop that hangs too."""
    from opsconductor.dashboard import probes
    from opsconductor.dashboard.server import Server, listening_at

    listening = listening_at("--probes", address)
    asked = {"/healthz": runner.is_alive, "/readyz": runner.is_ready}
    server = Server(probes.application(asked), listening, name="probes")
    server.start()
    log.info("probes are answered", address=f"http://{Address(*listening.getsockname()[:2])}")
    try:
        yield
    finally:
        await server.stop()


async def _serve(settings: Settings, begun: Callable[[str | None], None] | None) -> int:
    _make_room_for_threads()
    clock = SystemClock()
    journal = Journal.open(settings.database or f"sqlite:///{settings.state.journal}", clock=clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(journal.close)
        if (end_traces := traces.begin(os.environ)) is not None:
            stack.push_async_callback(asyncio.to_thread, end_traces)
        await stack.enter_async_context(_loopback_targets(settings))
        listening = _listening(settings)
        pages = None if listening is None else f"http://{Address(*listening.getsockname()[:2])}/"

        manager = ServiceManager(os.environ)

        def told() -> None:
            settled()
            manager.doing(f"serves {settings.source.address}, branch {settings.branch}")
            if begun is not None:
                begun(pages)

        engine = _engine(settings, journal, clock, told)
        engine.show_at(settings.public_url or (None if listening is None else _for_others(listening)))
        signals = Signals(engine, manager)
        signals.install()
        if listening is not None:
            shown = _dashboard(listening, settings, engine, journal, clock)
            await stack.enter_async_context(shown)
            log.info("the dashboard listens", address=pages)
        lives = manager.watching(lambda: all(part.trouble is None for part in alive(engine.pulse())))
        await stack.enter_async_context(lives)
        # Up is who can be asked how he is: a git host that is away at the start is waited for, and said to be.
        manager.ready(f"reads {settings.source.address}")
        code = await engine.run()
        return exits.INTERRUPTED if signals.interrupted and code == exits.OK else code


def _engine(settings: Settings, journal: Journal, clock: Clock, told: Callable[[], None]) -> Engine | Controller:
    if settings.database is None:
        return Engine(settings, journal, clock, begun=told, adopted=settled)
    running = None
    if settings.runs:
        files = FirstOf(MirroredFiles(settings.state.mirror), AskedFiles(journal, clock))
        running = Running(settings.running, journal, clock, pools=None, repository=files)
    return Controller(settings, journal, clock, running=running, begun=told, adopted=settled)


class Stopped(Protocol):
    """What a signal stops."""

    def stop(self) -> None:
        """Begin the drained stop."""


class Signals:
    """SIGTERM and Ctrl-C stop in order; the second one stops at once."""

    def __init__(self, engine: Stopped, manager: ServiceManager) -> None:
        self._engine = engine
        self._manager = manager
        self._seen = 0
        self.interrupted = False

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: signal.Signals) -> None:
        self._seen += 1
        self.interrupted = self.interrupted or number == signal.SIGINT
        if self._seen > 1:
            log.warning("stopped at once; what ran is called unknown unless its end was recorded")
            os._exit(exits.INTERRUPTED if self.interrupted else _SECOND_SIGNAL_EXIT)
        log.info("stopping: running steps may end; once more stops at once", signal=signal.Signals(number).name)
        self._manager.stopping()
        self._engine.stop()


@asynccontextmanager
async def _loopback_targets(settings: Settings) -> AsyncIterator[None]:
    """The sample's own SSH servers, where `init` made some for this state folder."""
    if not (settings.state.demo / "servers.json").exists():
        yield
        return
    from opsconductor.loopback_targets import serve as serve_targets

    async with serve_targets(settings.state.demo):
        log.info("the sample's own SSH servers listen on 127.0.0.1")
        yield


def _listening(settings: Settings) -> socket.socket | None:
    """Where the pages will be. Raises Refused where the address that was asked for cannot be had."""
    pages = settings.dashboard
    if pages is None or settings.once:
        return None
    from opsconductor.dashboard.server import listener

    try:
        return listener(pages)
    except Refused as error:
        if pages.chosen:
            raise
        log.warning("there are no pages: " + error.message, hint="--dashboard HOST:PORT chooses another address")
        return None


def _for_others(listening: socket.socket) -> str | None:
    """The pages' address as messages give it; None where only who sits at this machine could open it."""
    host, port = listening.getsockname()[:2]
    place = ip_address(host)
    return None if place.is_loopback or place.is_unspecified else f"http://{Address(host, port)}"


@asynccontextmanager
async def _dashboard(
    listening: socket.socket, settings: Settings, engine: Engine | Controller, journal: Journal, clock: Clock
) -> AsyncIterator[None]:
    """The pages, while the engine is at work."""
    from opsconductor.dashboard.access import Access, host_of
    from opsconductor.dashboard.app import application
    from opsconductor.dashboard.lately import Lately
    from opsconductor.dashboard.server import Server
    from opsconductor.dashboard.sources import Sources
    from opsconductor.metrics.meter import Meter
    from opsconductor.metrics.scraping import Metrics

    state, public = settings.state, settings.public_url
    access = Access(settings.dashboard.token if settings.dashboard is not None else None, host_of(public))
    reader = journal.reader("dashboard")
    meter = Meter(clock.monotonic)
    lately = Lately(clock)
    unwatches = [spans.watch(each.watch) for each in (meter, lately)]
    metrics = Metrics(engine, reader, clock, journal_file=state.journal, meter=meter)
    sources = Sources(engine, reader, clock, state.logs, state.journal, lately, engine.log_store, state.tests, public)
    server = Server(application(sources, access, metrics), listening)
    server.start()
    try:
        yield
    finally:
        for unwatch in unwatches:
            unwatch()
        reader.stop_watching()  # who follows what happens would keep the listener open
        await server.stop()
        reader.close()


def _install_crash_points() -> None:
    """For the chaos tests: OPSCONDUCTOR_CRASH_POINT=NAME[:N] ends the process, as a power cut would, at that point."""
    wanted = os.environ.get("OPSCONDUCTOR_CRASH_POINT")
    if not wanted:
        return
    from journal import points

    name, _, count = wanted.partition(":")
    left = int(count or 1)

    def hook(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    points.install(hook)
