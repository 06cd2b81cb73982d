"""The ends of many targets of a run, recorded in a few statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from engine.states import StepState, is_final
from journal import evidence, happenings, outbox, points
from journal.databases.tables import run_targets, runs
from journal.databases.upsert import Upsert
from journal.evidence import Evidence
from journal.fence import Fence


@dataclass(frozen=True, slots=True)
class TargetEnd:
    """Nothing is left to do on a target. `reason`: why, where its steps do not say it."""

    target: str
    state: StepState
    outputs: Mapping[str, Any]
    reason: str | None = None

    def __post_init__(self) -> None:
        if not is_final(self.state):
            raise ValueError(f"a target cannot end as {self.state}")


_NEW = Upsert(run_targets, lambda new: new.on_conflict_do_nothing().returning(run_targets.c.target))


def record(
    tx: Connection, seq: int, fence: Fence, ends: Sequence[TargetEnd], now: datetime, *, runner: str | None
) -> tuple[TargetEnd, ...]:
    """Record that nothing is left to do on these targets; gives those of which nobody had said so before.

    The caller has made sure of the fence in this transaction. `runner` is whose slice of the run they were in.
    """
    if not ends:
        return ()
    points.record("target-end")
    rows = [
        {
            "run": seq,
            "target": end.target,
            "state": end.state.value,
            "outputs": dict(end.outputs) or None,
            "reason": end.reason,
            "ended_at": now,
            "runner": runner,
        }
        for end in ends
    ]
    recorded = set(tx.execute(_NEW.on(tx), rows).scalars())
    new = tuple(end for end in ends if end.target in recorded)
    if new:
        told = (("run", fence.run), *(("target", end.target) for end in new))
        outbox.add_all(tx, told, work=False)
        happenings.targets_ended(tx, {end.target: end.state for end in new}, fence.run, now)
    return new


def refused(fence: Fence, ends: Sequence[TargetEnd], now: datetime) -> evidence.Aftermath:
    """Keep ends as evidence that came too late; those that had been recorded then are none."""

    def write(tx: Connection) -> None:
        query = select(run_targets).join(runs, runs.c.seq == run_targets.c.run).where(runs.c.id == fence.run)
        named = query.where(run_targets.c.target.in_([end.target for end in ends]))
        known = {(row.target, row.state, row.ended_at) for row in tx.execute(named)}
        for end in ends:
            if (end.target, end.state.value, now) not in known:
                detail = {"outputs": dict(end.outputs)}
                about = (end.target, None, None, None, end.state.value, detail, now)
                evidence.keep(Evidence(fence.run, fence.token, "target", *about))(tx)

    return write
