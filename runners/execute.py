"""Executing one run: walk its plan on every target, each start durable before its effect and each end after it.

`runners.walk` does what is to be done on one target. Here is what concerns the run as a whole: its credentials, its
time limit, the orders it is given, and its end.

Draining: nothing new starts. Running steps have the grace time to end; then they are ended. One whose end is proven is
recorded as failed ("ended because its runner stopped"): nobody cancelled it and no limit of its own passed, and what is
proven must not become unknown. If it is `idempotent` no end is recorded, so that the next runner repeats it. One whose
end is not proven is unknown, and one of which nothing was sent has not begun: its start is taken back, here and where
a lease could not be renewed in time. A run with targets that are not done is handed over (`journal.leases.release`).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from engine.expressions.contexts import RunFacts, success_of
from engine.runs.pinned import RUNNER, Phase, PinnedTarget
from engine.runs.progress import Ending, StepRecord, cannot_succeed
from engine.runs.strategy import Halt
from engine.states import StepState, run_state
from journal import points, runs
from journal.errors import FenceLost
from journal.leases import Claim
from journal.spans import span
from journal.spreads import Taken
from journal.targetends import TargetEnd
from runners.attempt import Reach
from runners.certificates import names_certificates, with_certificates
from runners.connections import GRACE
from runners.keyring import Keyring
from runners.masking import Masker
from runners.orders import Orders
from runners.record import Record, Unwritten
from runners.slice import Slice
from runners.spread import AtOnce, Spread, Turns
from runners.walk import Walk
from runners.work import Tools, Work
from schemas.quantities import format_duration

log = structlog.get_logger()


class Execution:
    """One claimed run, from its claim to its end or its hand-over.

    `run` returns when nothing of the run goes on here. The other methods may be called at any time, from the same loop;
    none of them waits.
    """

    def __init__(self, claim: Claim, tools: Tools) -> None:
        self.run_id, self.fence = claim.fence.run, claim.fence
        self._claim = claim
        self._spec = claim.spec
        self._tools = tools
        self._orders = Orders(claim.ending)
        self._masker = Masker()
        self.note: Callable[..., None] = lambda **_: None
        """Is told how the run ended."""
        self._keys = Keyring(tools.secrets, self._masker)
        self._ended: dict[str, StepState] = dict(claim.ended_targets)
        self._outputs: dict[str, Mapping[str, Any]] = {}
        self._last: TargetEnd | None = None
        self._log = log.bind(run=self.run_id, job=claim.spec.job)
        slice_of, urgent = claim.runner if claim.sliced else None, claim.priority > 0
        journal, clock = tools.journal, tools.clock
        self._record = Record(journal, clock, claim.fence, self._keys, self._log, slice_of=slice_of, urgent=urgent)
        # the id alone comes from the job's name and its cause: two engines with the same job would share it
        identity = f"{self.run_id} {claim.spec.commit} {claim.started_at.isoformat()}"
        reach = Reach(tools.ways, self._keys, identity, jumps={target.name: target for target in claim.spec.jumps})
        facts = RunFacts(
            self.run_id, claim.spec.job, claim.spec.commit, claim.cause.instant, claim.attempt, claim.cause
        )
        self._work = Work(
            claim,
            tools,
            self._orders,
            self._record,
            facts,
            reach,
            self._keys,
            self._masker,
            self._log,
            self.abandon,
        )

    def when_begun(self, told: Callable[[], None]) -> None:
        """Have `told` called whenever something of the run has been recorded: it has begun here."""
        self._record.told = told

    @property
    def facts(self) -> Mapping[str, Any]:
        """What its span is told: which run it is, of which definitions."""
        return {
            "run": self.run_id,
            "job": self._spec.job,
            "commit": self._spec.commit,
            "cause": self._claim.cause.kind,
            "attempt": self._claim.attempt,
            "targets": len(self._spec.targets),
        }

    def masked(self, text: str) -> str:
        """A text about the run, without its secrets."""
        return self._masker.mask(text)

    # --- what others tell it ---------------------------------------------------------------------------------------

    def wish(self, ending: Ending) -> None:
        """End the run: running steps are ended, no further one starts, `finally` runs. The first wish counts."""
        if self._orders.ending is not None or self._record.lost:
            return
        self._orders.ending = ending
        message = (
            "the run was cancelled"
            if ending == "cancelled"
            else f"the run's time limit of {format_duration(self._spec.timeout)} passed"
        )
        self._orders.stop(ending, message, only=lambda step: step.phase != "finally")

    def abandon(self) -> None:
        """The run is another runner's: end what runs of it here, and write nothing but evidence."""
        if self._record.lost:
            return
        self._record.lost = True
        self._log.warning("run lost to another runner")
        self._orders.stop("lost", "its runner had lost the run to another", kill_after=2.0)

    def give_way(self, seconds: float) -> None:
        """The lease cannot be renewed: end, within `seconds`, what must not run when another runner takes over."""
        self._orders.stop(
            "lost",
            "it was ended because its runner could not renew its lease",
            only=lambda step: not step.idempotent,
            kill_after=max(0.2, min(GRACE, seconds / 2)),
        )

    def drain(self) -> None:
        """Start nothing new."""
        self._orders.draining = True
        self._orders.tell()

    def end_running(self, *, kill_after: float = GRACE) -> None:
        """The grace time of draining is over."""
        self._orders.draining = True
        self._orders.stop("drained", "it was ended because its runner stopped", kill_after=kill_after)

    # --- the run -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until the run has ended, or is handed over, or is lost. Raises what is a bug of ours."""
        if self._spec.credentials:  # a source may ask a server, or start a program
            await asyncio.to_thread(self._keys.open_all, self._spec, self._claim.pool)
        deadline = self._claim.started_at + self._spec.timeout - self._tools.clock.now()
        timer = asyncio.get_running_loop().call_later(max(0.0, deadline.total_seconds()), self.wish, "timedOut")
        try:
            if self._claim.sliced:
                await self._work_on_slice()
                return
            halt = await self._walk_all()
            if self._record.lost:
                return
            if self._unfinished():
                await self._hand_over()
                return
            await self._finish(halt)
        except (FenceLost, Unwritten):
            self.abandon()
        finally:
            timer.cancel()

    async def _hand_over(self) -> None:
        if not self._orders.draining:  # the next runner would find what this one found, and so for ever
            raise AssertionError("targets are left over, and nobody asked to hand them over")
        points.reach("drain.handed-over")
        await self._record.release()

    async def give_up(self) -> None:
        """After a bug of ours: say that the run's end is unknown, so that it does not stay open for ever."""
        try:
            await self._record.give_up("internalError")
        except (FenceLost, Unwritten):
            self.abandon()

    def _places(self) -> list[tuple[str, PinnedTarget | None]]:
        if not self._spec.on_targets:
            return [(RUNNER, None)]
        return [(target.name, target) for target in self._spec.targets]

    def _unfinished(self) -> bool:
        return any(name not in self._ended for name, _ in self._places())

    async def _walk_all(self) -> Halt | None:
        """Work on the targets in their turn. Gives why something of the run was not started, where that is so."""
        targets = {name: await self._trusting(target) for name, target in self._places()}
        begun = {*self._ended, *(name for name, known in self._claim.records.items() if _began_here(known))}
        failed = {name for name, known in self._claim.records.items() if cannot_succeed(self._spec.steps, known)}
        spread = Spread(self._spec, list(targets), self._ended, begun, failed, self._orders)

        async def visit(name: str) -> None:
            begun.add(name)
            if self._record.lost:
                return
            try:
                records = {record.key: record for record in self._claim.records.get(name, ())}
                end = await self._walk(name, targets[name], records, spread.turns)
                if end is not None:
                    await self._end(end)
            except (FenceLost, Unwritten):
                self.abandon()

        halt = await spread.run(visit)
        left_out = [name for name in targets if name not in begun]
        if halt is None or self._record.lost:
            return None
        before = self._left_out_before()
        await asyncio.gather(*(self._end(TargetEnd(name, StepState.SKIPPED, {}, halt)) for name in left_out))
        return halt if left_out or before or spread.turns.halted else None

    def _left_out_before(self) -> bool:
        """Whether an earlier runner has ended targets that had not begun."""
        skipped = (name for name, state in self._claim.ended_targets.items() if state is StepState.SKIPPED)
        return any(not _began_here(self._claim.records.get(name, ())) for name in skipped)

    async def _work_on_slice(self) -> None:
        """Work on those of the targets that fall to this runner; whoever sees the last of all ends the run."""
        targets = dict(self._places())

        async def visit(taken: Taken) -> TargetEnd | None:
            records = {record.key: record for record in taken.records}
            if cannot_succeed(self._spec.steps, taken.records):
                part.failing(taken.target)
            try:
                target = await self._trusting(targets[taken.target])
                return await self._walk(taken.target, target, records, AtOnce(part.failing))
            except (FenceLost, Unwritten):
                self.abandon()
            return None

        tools = self._tools
        part = Slice(tools.journal, self._record, self._claim.fence, self._orders, visit, self.abandon)
        match await part.work():
            case "handed over":
                await self._hand_over()
            case "over":
                await self._finish_together()
            case "lost":
                pass

    async def _finish_together(self) -> None:
        view = await self._tools.journal.read(lambda conn: runs.get(conn, self.run_id)) if self._spec.outputs else None
        found = {result.name: result.outputs for result in view.results} if view else {}
        points.reach("run.walked")
        state = await self._record.finish_together(self._by_output(found))
        if state is not None:
            self.note(state=state.value)
            self._log.info("run finished", state=state.value)

    async def _trusting(self, target: PinnedTarget | None) -> PinnedTarget | None:
        """The target with the text of the certificates that it names by their path."""
        if target is None or not names_certificates(target):
            return target
        return await asyncio.to_thread(with_certificates, target, self._work.read)

    async def _end(self, end: TargetEnd) -> None:
        if len(self._places()) == 1:  # its end is the run's: one commit says both
            self._last = end
        else:
            await self._record.end_target(end)
        self._ended[end.target] = end.state
        self._outputs[end.target] = end.outputs

    async def _finish(self, halt: Halt | None) -> None:
        state = run_state(self._ended.values())
        outputs = await self._run_outputs()
        points.reach("run.walked")
        await self._record.finish(state, outputs, halt, last=self._last)
        self.note(state=state.value)
        self._log.info("run finished", state=state.value)

    async def _run_outputs(self) -> dict[str, Any]:
        if not self._spec.outputs:
            return {}
        found = dict(self._outputs)
        if self._claim.ended_targets:
            view = await self._tools.journal.read(lambda conn: runs.get(conn, self.run_id))
            for result in view.results if view else ():
                found.setdefault(result.name, result.outputs)
        if not self._spec.on_targets:
            return dict(found.get(RUNNER, {}))
        return self._by_output(found)

    def _by_output(self, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        return {
            key: {name: found[name].get(key) for name, _ in self._places() if name in found}
            for key in self._spec.outputs
        }

    # --- one target --------------------------------------------------------------------------------------------------

    async def _walk(
        self, name: str, target: PinnedTarget | None, records: dict[tuple[Phase, str], StepRecord], turns: Turns
    ) -> TargetEnd | None:
        """How the target has ended; None where another runner is to go on."""
        walk = Walk(self._work, name, target, self._spec.steps, records, turns=turns)
        with span("target", target=name if target else None) as note:
            state = await walk.run()
            note(state=state and state.value)
        if state is None:
            return None
        if state is StepState.SKIPPED and turns.halted is not None:  # it never began
            return TargetEnd(name, state, {}, turns.halted)
        stopped = turns.halted if state is StepState.FAILED and success_of(list(walk.records.values())) else None
        return TargetEnd(name, state, walk.outputs(), stopped)


def _began_here(records: Iterable[StepRecord]) -> bool:
    """Whether this run has begun on the target: results that it took over from another do not say so."""
    return any(not record.inherited for record in records)
