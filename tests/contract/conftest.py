"""Every adapter of a port passes one suite: each test that takes a journal runs on all databases."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.identity import Cause, RunId, run_id
from engine.runs.pinned import PinnedSpec, PinnedTarget, PlannedStep, Script
from journal import leases, runs
from journal.clock import Clock
from journal.databases import leaseclock
from journal.leases import Claim
from journal.runs import Enqueue, NewRun
from journal.store import Journal
from tests.postgresql import for_postgresql, postgresql_database, postgresql_url

__all__ = ["for_postgresql", "postgresql_database", "postgresql_url"]

DATABASES = ("sqlite", "postgresql")
START = datetime(2026, 11, 21, 0, 15, tzinfo=UTC)


@dataclass
class GivenClock:
    """A clock that a test moves."""

    instant: datetime = START
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)
        self.seconds += seconds


def a_spec(job: str = "rotate", *targets: str) -> PinnedSpec:
    steps = tuple(PlannedStep(id=name, phase="steps", action=Script("sh", "true")) for name in ("space", "rotate"))
    places = tuple(PinnedTarget(name) for name in targets)
    return PinnedSpec(job=job, commit="1f0c" * 10, steps=steps, targets=places, on_targets=bool(targets))


def a_run(
    name: str = "one", *, job: str = "rotate", targets: tuple[str, ...] = ("web-01", "web-02"), **more: Any
) -> NewRun:
    cause = Cause("request", name, START, requested_by="ann@example.org")
    plain = NewRun(
        id=run_id(job, cause), cause=cause, spec=a_spec(job, *targets), params={"keepDays": 14}, pool="default"
    )
    return replace(plain, **more)


def opened(url: str, clock: Clock) -> Journal:
    """A journal whose leases count on the given clock, wherever it is."""
    return Journal.open(url, clock=clock, lease_clock=leaseclock.of_this_machine(clock))


@dataclass
class Desk:
    """A journal with short words for what tests do to it."""

    journal: Journal
    clock: GivenClock
    runner: str = "default/7b2e"
    claims: list[Claim] = field(default_factory=list)

    async def enqueue(self, new: NewRun) -> Enqueue:
        return await self.journal.write(lambda tx: runs.enqueue(tx, new, self.clock.now()))

    async def claim(self, runner: str | None = None, limit: int = 1) -> tuple[Claim, ...]:
        by = runner or self.runner
        return await self.journal.write(lambda tx: leases.claim(tx, by, ("default",), limit, self.clock.now()))

    async def running(self, name: str = "one", **more: Any) -> Claim:
        await self.enqueue(a_run(name, **more))
        (claim,) = await self.claim()
        return claim

    async def reap(self) -> tuple[leases.Reaped, ...]:
        return await self.journal.write(lambda tx: leases.reap(tx, self.clock.now()))

    async def do(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """Call a function of the journal's modules in a transaction of its own."""
        return await self.journal.write(lambda tx: function(tx, *args, **more))

    async def see(self, function: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return await self.journal.read(lambda conn: function(conn, *args, **more))

    async def state(self, run: RunId) -> str:
        view = await self.see(runs.get, run)
        return "gone" if view is None else str(view.state)


@pytest.fixture
def clock() -> GivenClock:
    return GivenClock()


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/journal.db"
        case "postgresql":
            return str(request.getfixturevalue("postgresql_url"))
        case other:
            raise LookupError(f"no database {other}")


@pytest.fixture
async def desk(url: str, clock: GivenClock) -> AsyncIterator[Desk]:
    journal = opened(url, clock)
    yield Desk(journal, clock)
    await journal.close()


@pytest.fixture
def new_run() -> Callable[..., NewRun]:
    return a_run
