"""A fleet for measurements: its definitions, and its life played through the public functions of the journal."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from engine.runs.pinned import PinnedSpec
from engine.states import RunState, StepState
from engine.status.views import EngineView, SyncView
from journal import leases, steps
from journal.clock import Clock
from journal.leases import Claim
from journal.steps import StepEnd
from journal.store import Journal
from runners.logs import reference
from tests.catalogs import local_target

RUNNER = "default/7b2e"
COMMIT = "1f0c" * 10
START = datetime(2026, 11, 21, tzinfo=UTC)
SYNC = SyncView(EngineView("4be1c0ffee55", "ops-1", START), observed=COMMIT, applied=COMMIT, last_good=COMMIT)


@dataclass
class PlayedClock:
    """A clock that the player of a life moves."""

    instant: datetime = START
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)
        self.seconds += seconds


def documents(jobs: int, *, every: str, apart: timedelta) -> tuple[str, ...]:
    """Jobs of two steps on two targets of their own, each with a schedule that starts `apart` after the one before."""
    found: list[str] = []
    for number in range(jobs):
        name = f"rotate-{number:02}"
        hosts = [f"web-{number:02}-{half}" for half in ("a", "b")]
        found += [local_target(host) for host in hosts]
        found.append(
            f"kind: Job\nmetadata: {{name: {name}}}\nspec:\n  targets: {{names: [{', '.join(hosts)}]}}\n  steps:\n"
            '    - {id: space, run: df, outputs: {used: "${{ int(stdout) }}"}}\n    - {id: rotate, run: logrotate}\n'
        )
        begins = (START + number * apart).strftime("%Y-%m-%dT%H:%M:%SZ")
        found.append(
            f"kind: Schedule\nmetadata: {{name: {name}-hourly}}\n"
            f"spec: {{jobRef: {name}, every: {every}, startAt: {begins}}}\n"
        )
    return tuple(found)


@dataclass
class Player:
    """Runs claimed runs in the journal as a runner would, without running anything. Seeded: every play is the same."""

    journal: Journal
    clock: Clock
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    async def claim(self, most: int) -> tuple[Claim, ...]:
        now = self.clock.now()
        return await self.journal.write(lambda tx: leases.claim(tx, RUNNER, None, most, now))

    async def finish(self, claims: Sequence[Claim]) -> None:
        """Every step on every target, then the run; all at the time it is."""
        for claim in claims:
            ends = {
                (target.name, step.id): self._end(claim, target.name, step.id)
                for target in claim.spec.targets
                for step in claim.spec.steps
            }
            await self.journal.write(lambda tx, claim=claim, ends=ends: self._all(tx, claim, ends))  # type: ignore[misc]

    def _end(self, claim: Claim, target: str, step: str) -> StepEnd:
        took = self.chance.uniform(0.02, 4)
        if step != "space":
            return StepEnd(StepState.SUCCEEDED, exit_code=0, duration=took)
        log = reference(claim.fence.run, claim.cause.instant, target, "steps", step, 1)
        used = self.chance.randint(5, 95)
        return StepEnd(StepState.SUCCEEDED, exit_code=0, duration=took, outputs={"used": used}, log=log)

    def _all(self, tx: Connection, claim: Claim, ends: dict[tuple[str, str], StepEnd]) -> None:
        now = self.clock.now()
        for target in claim.spec.targets:
            for step in claim.spec.steps:
                steps.start(tx, claim.fence, target.name, "steps", step.id, 1, now)
                steps.end(tx, claim.fence, target.name, "steps", step.id, 1, ends[target.name, step.id], now)
            steps.end_target(tx, claim.fence, target.name, StepState.SUCCEEDED, {}, now)
        leases.finish(tx, claim.fence, RunState.SUCCEEDED, now=now)


def is_of_two_by_two(spec: PinnedSpec) -> bool:
    """Two steps on two targets: the run that the budget of the status branch speaks of."""
    return len(spec.steps) == 2 and len(spec.targets) == 2
