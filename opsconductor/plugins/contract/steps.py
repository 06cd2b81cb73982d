"""The contract of step types."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from engine.expressions.contexts import RunFacts
from engine.identity import Cause, RunId
from engine.plugins import problem_of
from engine.runs.outcome import Outcome, Skipped, Succeeded, Unreachable
from engine.runs.pinned import PlannedStep, Use
from engine.userschema import faults_of
from opsconductor.plugins import (
    PROOF,
    Around,
    Capture,
    Command,
    NoRepository,
    ReadyStep,
    Refused,
    RunFiles,
    Session,
    Stop,
)
from opsconductor.plugins.contract.ground import run, sealed, this_host
from opsconductor.plugins.installed import declaration
from runners.connections.local import LocalSession
from runners.connections.noting import Note, noted
from runners.masking import Masker
from runners.steps import DOOR as STEPS
from schemas.steps import STEP_TYPES, StepType
from schemas.steps.declared import declared


class StepContract:
    """What a step type promises. `name` is that of its entry point."""

    name: ClassVar[str]
    examples: ClassVar[tuple[Mapping[str, Any], ...] | None] = None
    """Values of `with` that succeed here; those that the step type declares where this is None."""

    @asynccontextmanager
    async def session(self, capture: Capture, stop: Stop) -> AsyncIterator[Session]:
        """Where the step runs: this host, unless the type needs more."""
        async with this_host() as host:
            yield LocalSession(host, capture, stop)

    def around(self) -> Around:
        """What a type that talks to servers knows of its run."""
        cause = Cause("request", "contract", datetime(2026, 11, 21, tzinfo=UTC))
        facts = RunFacts(RunId("contract-20261121T000000Z-0123456789"), "contract", "0" * 40, cause.instant, 1, cause)
        return Around(facts, None, (), sealed, RunFiles(NoRepository(), facts.commit))

    def apart(self, number: int) -> tuple[Mapping[str, Any], ...]:
        """The examples for one of several steps at once; with another place for each where two would be in the way."""
        return self._examples()

    def test_it_is_found_and_makes_a_step_type(self) -> None:
        assert callable(STEPS.factory(self.name)().run)

    def test_what_it_says_of_itself_can_be_used(self) -> None:
        assert self.name in STEP_TYPES or problem_of(self.name, declaration(self.name)) is None
        assert self._type().description
        assert self._type().examples, "an example shows people, and these tests, how it is used"

    def test_its_examples_fit_its_inputs(self) -> None:
        kind = self._type()
        for example in (*kind.examples, *self._examples()):
            assert kind.required <= example.keys() <= kind.inputs.keys()
            for name, value in example.items():
                if "${{" not in str(value):
                    assert not faults_of(kind.inputs[name], value), name

    def test_its_examples_succeed_with_the_outputs_that_it_declares(self) -> None:
        for example in self._examples():
            outcome = run(self._ran(example))
            assert isinstance(outcome, Succeeded), outcome
            values = outcome.output.values
            assert not values.keys() - self._type().outputs
            json.dumps(values, allow_nan=False)

    def test_one_instance_does_many_steps_at_once(self) -> None:
        async def many() -> list[Outcome]:
            kind = STEPS.factory(self.name)()
            return await asyncio.gather(
                *(self._ran(example, kind) for number in range(5) for example in self.apart(number))
            )

        assert [outcome for outcome in run(many()) if not isinstance(outcome, Succeeded)] == []

    def test_an_order_to_end_ends_it_in_time(self) -> None:
        """The order is there before it begins: it may still succeed, if it does so at once."""
        for example in self._examples():
            stop = Stop()
            stop.order("cancelled", "the run was cancelled", kill_after=1.0)
            outcome = run(self._ran(example, stop=stop), PROOF + 5.0)
            assert not isinstance(outcome, Skipped)

    def test_what_has_sent_something_is_not_unreachable(self) -> None:
        """The order comes right after the first thing that went out by its session: a step that is Unreachable begins
        anew, whatever it does, and would do that a second time."""
        for example in self._examples():
            stop = Stop()
            note = _Ordering(stop)
            outcome = run(self._ran(example, stop=stop, note=note), PROOF + 5.0)
            assert not (note.sent and isinstance(outcome, Unreachable)), "it has sent something, and says it has not"

    def test_inputs_of_any_kind_raise_nothing(self) -> None:
        """An expression may give anything: what does not fit is an outcome, never an error of the program."""
        names = sorted(self._type().inputs)
        values: tuple[Any, ...] = (None, "", "\0", "x" * 70_000, -1, [[]], {"a": {}})
        for odd in values:
            run(self._soon_ended(dict.fromkeys(names, odd)), PROOF + 5.0)

    async def _soon_ended(self, example: Mapping[str, Any]) -> Outcome:
        stop = Stop()
        asyncio.get_running_loop().call_later(0.2, stop.order, "cancelled", "the run was cancelled")
        return await self._ran(example, stop=stop)

    def _type(self) -> StepType:
        return STEP_TYPES.get(self.name) or declared(declaration(self.name)).step_type(self.name)

    def _examples(self) -> tuple[Mapping[str, Any], ...]:
        return self._type().examples if self.examples is None else self.examples

    async def _ran(
        self, example: Mapping[str, Any], kind: Any = None, stop: Stop | None = None, note: Note | None = None
    ) -> Outcome:
        capture, stop, known = Capture(Masker()), stop or Stop(), self._type()
        command = Command("sh", str(example["run"])) if known.is_script and "run" in example else None
        planned = PlannedStep("only", "steps", Use(self.name, dict(example), None if command else known))
        ready = ReadyStep(planned, command, example, around=self.around())
        async with self.session(capture, stop) as session:
            here = _Nothing(capture, stop) if known.needs == "nothing" else noted(session, note or Note())
            outcome: Outcome = await (kind or STEPS.factory(self.name)()).run(ready, here)
        assert isinstance(outcome, Outcome), outcome
        return outcome


class _Ordering(Note):
    """Gives the order to end as soon as something was sent."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop

    def sends(self) -> None:
        super().sends()
        self._stop.order("lost", "its runner could not renew its lease", kill_after=1.0)


class _Nothing:
    """The session of a type that needs nothing."""

    def __init__(self, capture: Capture, stop: Stop) -> None:
        self.capture = capture
        self.stop = stop

    async def take_over(self) -> None:
        """Nothing can have run."""

    async def execute(self, command: Command) -> Refused:
        return Refused("this step type has said that it needs nothing, so it can run no commands")
