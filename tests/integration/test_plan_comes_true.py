"""Random pairs of commits in a real repository, taken in by the real loop under a simulated clock: what the plan of the
pair said is what the journal then holds."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.changes.plan import Plan, plan
from engine.judge import Launch, scheduled
from engine.status.views import RunView
from engine.times.recurrence import TICK
from journal import runs
from journal.store import Journal
from reconciler.loop import Loop
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import Objects
from reconciler.wake import Wake
from tests.catalogs import HEAD, PROJECT
from tests.planned import document_sets, tree

HORIZON = timedelta(hours=30)
LATE = timedelta(seconds=7)
STARTS = ("2026-03-28T22:00:00Z", "2026-10-24T21:30:00Z", "2026-06-01T00:00:00Z", "2026-06-01T11:59:30Z")
PEOPLE = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass
class GivenTime:
    """A clock that stands where it is put."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


class World:
    """A repository, and an engine without runners on it: every run ends as soon as it was seen."""

    def __init__(self, folder: Path, start: datetime) -> None:
        self.source = folder / "ops"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **PEOPLE}
        self.git("init", "-q", "-b", "main", str(self.source))
        self.clock = GivenTime(start)
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=self.clock)
        mirror = Mirror(folder / "mirror.git", str(self.source), environment=self.environment)
        self.loop = Loop(
            journal=self.journal,
            mirror=mirror,
            objects=Objects(mirror.path),
            wake=Wake(self.source),
            clock=self.clock,
            branch="main",
        )
        self.ran: list[RunView] = []

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], check=True, env=self.environment, capture_output=True)

    def commit(self, documents: Iterable[str]) -> None:
        """The whole tree of the next commit."""
        folder = self.source / "definitions"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        (self.source / "opsconductor.yaml").write_text(PROJECT)
        for number, text in enumerate(documents):
            (folder / f"{number}.yaml").write_text(HEAD + text)
        self.git("-C", str(self.source), "add", "-A")
        self.git("-C", str(self.source), "commit", "-q", "--allow-empty", "-m", "change")

    async def accept(self, documents: Iterable[str], moment: datetime) -> None:
        self.commit(documents)
        self.clock.moment = moment
        await self.loop.look()
        await self.turn()

    async def turn(self) -> None:
        """One pass; what it started is noted and ended, so that nothing is in the way of what comes."""
        await self.loop.once()
        for run in await self.journal.read(runs.open_runs):
            view = await self.journal.read(lambda conn, run=run: runs.get(conn, run))  # type: ignore[misc]
            assert view is not None
            self.ran.append(view)
            await self.journal.write(
                lambda tx, run=run: runs.cancel(tx, run, reason="seen", by="a test", now=self.clock.now())  # type: ignore[misc]
            )

    async def live(self, until: datetime) -> None:
        """As the engine does: sleep to what is due, and come a little late."""
        while (due := self.loop.schedules.next_due) is not None and due < until:
            self.clock.moment = min(due + LATE, until - TICK)
            await self.turn()


@pytest.mark.slow
@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(document_sets(), document_sets(), st.sampled_from(STARTS).map(datetime.fromisoformat))
def test_what_a_plan_says_is_what_the_engine_then_does(
    base: tuple[str, ...], head: tuple[str, ...], start: datetime
) -> None:
    before, after = tree(*base), tree(*head)
    assert before.catalog is not None and after.catalog is not None
    said = plan(before, after, start, HORIZON, names=("base", "head"))
    with tempfile.TemporaryDirectory() as folder:
        ran = asyncio.run(_history(Path(folder), base, head, start))
    assert _runs(ran, said) == _promised(said, after.catalog, start)
    for change in said.targets:
        for run in ran:
            if run.job == change.job and change.schedule == (run.cause.name if change.schedule else None):
                assert not set(change.lost) & set(run.targets)


async def _history(folder: Path, base: tuple[str, ...], head: tuple[str, ...], start: datetime) -> list[RunView]:
    """What runs from the acceptance of `head` on."""
    world = World(folder, start - timedelta(hours=1))
    try:
        await world.accept(base, start - timedelta(hours=1))
        await world.live(start - TICK)
        world.ran.clear()
        await world.accept(head, start - TICK)
        assert world.loop.catalog is not None and world.loop.sync.rejected is False
        await world.live(start + HORIZON)
        return world.ran
    finally:
        await world.journal.close()


def _runs(ran: list[RunView], said: Plan) -> set[tuple[str, str, tuple[str, ...]]]:
    listed = {change.name for change in said.schedules}
    return {
        (f"{run.cause.kind}/{run.cause.name}", _when(run), run.targets)
        for run in ran
        if run.cause.kind == "request" or run.cause.name in listed
    }


def _when(run: RunView) -> str:
    return run.cause.instant.isoformat() if run.cause.kind == "schedule" else "at once"


def _promised(said: Plan, head: Catalog, start: datetime) -> set[tuple[str, str, tuple[str, ...]]]:
    """The fires that run, where there is a target to run on, and what starts at once."""
    promised = {
        (one.cause.replace("RunRequest/", "request/"), "at once", one.targets)
        for one in said.starts_at_once
        if one.verdict in ("starts", "waits") and one.cause.startswith("RunRequest/")
    }
    for change in said.schedules:
        for fire in (one.fire for one in change.after.listed if one.fire.decision == "run"):
            launch = scheduled(head, change.name, fire.instant)
            if isinstance(launch, Launch):
                targets = tuple(target.name for target in launch.planned.spec.targets)
                promised.add((f"schedule/{change.name}", fire.instant.isoformat(), targets))
    assert all(fire.fire.instant >= start for change in said.schedules for fire in change.after.listed)
    return promised
