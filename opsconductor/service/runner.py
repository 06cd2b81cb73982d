"""A runner apart: it works on runs and messages of its pools, and knows nobody but the database."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex

import structlog

from journal import facts
from journal.attendance import Runner as Sign
from journal.clock import Clock
from journal.errors import Unavailable
from journal.store import Journal
from opsconductor.service import ending, runnerhealth
from opsconductor.service.address import Address
from opsconductor.service.answering import PUSHED
from opsconductor.service.askedfiles import AskedFiles
from opsconductor.service.ending import Ending
from opsconductor.service.health import TURN, Part
from opsconductor.service.loglines import Format
from opsconductor.service.pinnedhooks import PinnedHooks
from opsconductor.service.running import Running
from opsconductor.service.signs import Signs
from opsconductor.settings import RunningSettings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunnerProcess:
    """How `runner` runs."""

    database: str = field(repr=False)
    pools: frozenset[str]
    running: RunningSettings
    labels: Mapping[str, str] = field(default_factory=dict)
    log_format: Format = "text"
    probes: Address | None = None
    """Where /healthz and /readyz are answered, if anywhere."""


class LoneRunner:
    """Runs until `stop` is called, or the journal refuses something that a person must mend."""

    def __init__(self, settings: RunnerProcess, journal: Journal, clock: Clock) -> None:
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._stop = asyncio.Event()
        self._since = clock.now()
        files = AskedFiles(journal, clock)
        self._running = Running(
            settings.running, journal, clock, pools=lambda: settings.pools, repository=files, labels=settings.labels
        )
        self._hooks = PinnedHooks(journal, settings.pools)
        self._telling: set[asyncio.Task[None]] = set()
        self._turned = clock.monotonic()

    # --- what others ask, from threads of their own ---

    def alive(self) -> tuple[Part, ...]:
        """Whether starting this process anew could help."""
        return runnerhealth.alive(self._running.pulse, self._since_turn)

    async def is_alive(self) -> tuple[Part, ...]:
        """As `alive`, for a probe."""
        return self.alive()

    async def is_ready(self) -> tuple[Part, ...]:
        """Whether it takes runs now."""
        return runnerhealth.ready(self._running.pulse, self._since_turn, await self._journal.unwritable())

    @property
    def _since_turn(self) -> float:
        return self._clock.monotonic() - self._turned

    async def _turn(self) -> None:
        while True:
            self._turned = self._clock.monotonic()
            await asyncio.sleep(TURN)

    # --- from the start to the end ---

    def stop(self) -> None:
        """Begin the drained stop: nothing more is claimed, and what runs may end within the grace time."""
        self._stop.set()

    async def run(self) -> int:
        """Until the stop; gives the exit code."""
        settings, end = self._settings, Ending()
        log.info("this runner works", name=self._running.name, pools=sorted(settings.pools))
        stopped = asyncio.create_task(self._until_stopped())
        turning = asyncio.create_task(self._turn())
        signs = asyncio.create_task(Signs(self._journal, self._clock).runner(self._sign))
        parts = {
            stopped,
            signs,
            *self._running.start(known=self._hooks.known, pushed=self._pushed),
            *((asyncio.create_task(self._hooks.keep_up()),) if self._running.receives else ()),
        }
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            failed = next((part.exception() for part in done if part.exception() is not None), None)
            if failed is not None:
                end = ending.of(failed)
            await self._running.close_door()
            await self._running.drain()
            await self._running.finish()
        finally:
            for part in (turning, *parts):
                part.cancel()
            await asyncio.gather(turning, *parts, *self._telling, return_exceptions=True)
            self._running.close()
        if end.bug is not None:
            raise end.bug
        log.info("stopped in order") if not end.reason else log.error("stopped", reason=end.reason)
        return end.code

    async def _until_stopped(self) -> None:
        await self._stop.wait()

    def _sign(self, now: datetime) -> Sign:
        return self._running.sign(now, since=self._since)

    def _pushed(self) -> None:
        """Tell who leads, who looks at the source then."""
        task = asyncio.create_task(self._tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        try:
            await self._journal.write(lambda tx: facts.put(tx, PUSHED, token_hex(8)))
        except Unavailable as error:
            log.warning("who leads is not told of a push; the next look sees it", error=error.message)
