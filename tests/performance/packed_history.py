"""What a run costs in the history of the status branch: the real decisions, journal, projection and publisher."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pygit2

from journal.store import Journal
from reconciler.publication.projection import Projection
from reconciler.publication.publish import Publisher
from reconciler.repository.mirror import Mirror
from reconciler.schedules import Schedules
from tests.catalogs import catalog
from tests.performance.fleet import COMMIT, START, SYNC, PlayedClock, Player, documents, is_of_two_by_two
from tests.performance.table import Row, Verdict

IN_BURSTS = 1024
"""Budget in bytes of packed history a run of 2 steps on 2 targets, when 50 runs share their commits."""
ALONE = 4096
"""The same, when each run has two commits of its own: one for its start, one for its end."""

_REF = "refs/heads/opsconductor/status"
_RUNS = 1000
_A_BURST = 50
_JOBS_ALONE = 10
_APART = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Packed:
    """The history of so many runs, after `git repack -adf`."""

    runs: int
    commits: int
    bytes: int

    @property
    def per_run(self) -> float:
        return self.bytes / self.runs


@dataclass
class _Stage:
    clock: PlayedClock
    schedules: Schedules
    player: Player
    projection: Projection

    async def play(self, runs: int) -> None:
        """Let time pass: whatever is due is started and published, then ended and published."""
        done = 0
        while done < runs:
            due = self.schedules.next_due
            assert due is not None
            self.clock.advance((due - self.clock.now()).total_seconds() + self.player.chance.uniform(0.01, 0.4))
            await self.schedules.decide(self.clock.now())
            claims = await self.player.claim(_A_BURST)
            assert all(is_of_two_by_two(claim.spec) for claim in claims)
            await self.projection.publish()
            self.clock.advance(self.player.chance.uniform(0.5, 9))
            await self.player.finish(claims)
            await self.projection.publish()
            done += len(claims)


async def in_bursts(folder: Path, runs: int) -> Packed:
    """Fifty jobs that all start on the hour."""
    texts = documents(_A_BURST, every="1h", apart=timedelta(0))
    return await _measured(folder, texts, runs)


async def alone(folder: Path, runs: int) -> Packed:
    """Ten jobs, of which one starts every ten minutes."""
    texts = documents(_JOBS_ALONE, every=f"{int(_APART.total_seconds()) * _JOBS_ALONE // 60}m", apart=_APART)
    return await _measured(folder, texts, runs)


async def _measured(folder: Path, texts: tuple[str, ...], runs: int) -> Packed:
    remote = folder / "remote.git"
    pygit2.init_repository(str(remote), bare=True)
    async with _stage(folder, remote, texts) as stage:
        await stage.projection.rewrite()
        before = await asyncio.to_thread(packed_bytes, remote)
        await stage.play(runs)
    after = await asyncio.to_thread(packed_bytes, remote)
    return Packed(runs, _commits(remote) - 1, after - before)


@asynccontextmanager
async def _stage(folder: Path, remote: Path, texts: tuple[str, ...]) -> AsyncIterator[_Stage]:
    clock = PlayedClock()
    journal = Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=clock)
    mirror = Mirror(folder / "mirror.git", str(remote), environment=os.environ)
    try:
        schedules = Schedules(journal)
        await schedules.adopt(catalog(*texts, commit=COMMIT), START - timedelta(seconds=1))
        publisher = Publisher(mirror, _REF, engine_id=SYNC.engine.id if SYNC.engine else "", clock=clock)
        projection = Projection(journal, publisher, schedule=schedules.view, sync=lambda: SYNC)
        yield _Stage(clock, schedules, Player(journal, clock), projection)
    finally:
        mirror.close()
        await journal.close()


def packed_bytes(repository: Path) -> int:
    """Bytes of the packs of a repository after `git repack -adf`."""
    subprocess.run(["git", "repack", "-adfq"], cwd=repository, check=True, capture_output=True)
    return sum(pack.stat().st_size for pack in repository.glob("objects/pack/*.pack"))


def _commits(repository: Path) -> int:
    done = subprocess.run(
        ["git", "rev-list", "--count", _REF], cwd=repository, check=True, capture_output=True, text=True
    )
    return int(done.stdout)


async def rows(folder: Path) -> list[Row]:
    found = []
    for name, measure, budget in (("in bursts of 50", in_bursts, IN_BURSTS), ("alone", alone, ALONE)):
        here = folder / name.split()[0]
        here.mkdir()
        packed = await measure(here, _RUNS)
        found.append(
            Row(f"packed history a run, {name} ({_RUNS:,} runs)", f"{packed.per_run:,.0f} bytes",
                f"{packed.commits:,} commits", f"{packed.per_run / budget:.2f} of it", f"at most {budget:,} bytes",
                Verdict.of(packed.per_run <= budget))
        )  # fmt: skip
    return found
