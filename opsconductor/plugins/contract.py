"""Tests that every part must pass, built in or not. Plug-in authors derive from these classes in their own tests:

    from opsconductor.plugins.contract import StepContract

    class TestGreet(StepContract):
        name = "sample.greet"

Any test runner that collects `Test*` classes and `test_*` methods runs them. The part is found by its entry point, so
the package must be installed. Nothing is simulated: commands run, connections connect.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from engine.contexts import RunFacts
from engine.identity import Cause, RunId
from engine.outcome import Outcome, Output, Skipped, Succeeded
from engine.pinned import PlannedStep, Use
from engine.plugins import problem_of
from engine.userschema import faults_of
from opsconductor.plugins import (
    PROOF,
    Answered,
    Around,
    Capture,
    Channel,
    ChannelSettings,
    Command,
    Connection,
    ConnectionSettings,
    Delivered,
    Ended,
    Exited,
    Later,
    Limits,
    Lost,
    Message,
    Never,
    NoRepository,
    NotSent,
    Opened,
    ReadyStep,
    Refused,
    RunFiles,
    Sealed,
    SecretSettings,
    SecretSource,
    Session,
    Site,
    Stop,
)
from opsconductor.plugins.installed import declaration
from runners.connections.local import Guardian, LocalHost, LocalSession, LocalSettings
from runners.connections.ways import DOOR as CONNECTIONS
from runners.deliveries import DOOR as CHANNELS
from runners.masking import Masker
from runners.secrets.sources import DOOR as SECRETS
from runners.steps import DOOR as STEPS
from schemas.steps import STEP_TYPES, StepType
from schemas.steps.declared import declared

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds for one call that nothing holds up."""
MARK = "0123456789abcdef0123456789abcdef"


def run(work: Awaitable[T], seconds: float = PATIENCE) -> T:
    """The result of the work, in a loop of its own. Raises TimeoutError."""

    async def limited() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(limited())


@asynccontextmanager
async def this_host(**settings: Any) -> AsyncIterator[LocalHost]:
    """This host, as steps may use it."""
    with tempfile.TemporaryDirectory(prefix="opsconductor-contract-") as folder:
        guardian = Guardian(Path(folder) / "lock")
        try:
            yield LocalHost(LocalSettings(**settings), guardian)
        finally:
            await guardian.close()


def sealed(name: str) -> Opened:
    """Opens no credential."""
    raise Sealed(f"there is no credential '{name}' here")


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

    async def _ran(self, example: Mapping[str, Any], kind: Any = None, stop: Stop | None = None) -> Outcome:
        capture, stop, known = Capture(Masker()), stop or Stop(), self._type()
        command = Command("sh", str(example["run"])) if known.is_script and "run" in example else None
        planned = PlannedStep("only", "steps", Use(self.name, dict(example), None if command else known))
        ready = ReadyStep(planned, command, example, around=self.around())
        async with self.session(capture, stop) as session:
            here = _Nothing(capture, stop) if known.needs == "nothing" else session
            outcome: Outcome = await (kind or STEPS.factory(self.name)()).run(ready, here)
        assert isinstance(outcome, Outcome), outcome
        return outcome


class _Nothing:
    """The session of a type that needs nothing."""

    def __init__(self, capture: Capture, stop: Stop) -> None:
        self.capture = capture
        self.stop = stop

    async def take_over(self) -> None:
        """Nothing can have run."""

    async def execute(self, command: Command) -> Refused:
        return Refused("this step type has said that it needs nothing, so it can run no commands")


class ConnectionContract:
    """What a connection promises. It must lead to a place with a POSIX shell; others test what they have of this."""

    name: ClassVar[str]
    limits: ClassVar[Limits] = Limits(connect=5.0, login=5.0)

    def site(self) -> Site:
        """A place that can be reached now."""
        raise NotImplementedError

    def nowhere(self) -> Site | None:
        """A place that cannot be reached; None where there can be none, as on this host."""
        raise NotImplementedError

    def test_a_command_is_run_with_its_input_and_its_environment(self) -> None:
        command = Command("sh", 'read -r l; echo "$l $V"; echo no >&2; exit 7', env={"V": "a b'\"$"}, stdin="in\n")
        finish, capture = run(self._executed(command))
        output = capture.output()
        assert (finish, output.stdout, output.stderr) == (Exited(7), "in a b'\"$\n", "no\n")

    def test_commands_follow_each_other_in_one_session(self) -> None:
        async def two() -> tuple[object, object]:
            async with self._opened() as connection:
                session = connection.open(self.site(), Capture(Masker()), Stop(), mark=MARK)
                return await session.execute(Command("sh", "exit 1")), await session.execute(Command("sh", "exit 2"))

        assert run(two()) == (Exited(1), Exited(2))

    def test_many_sessions_are_open_at_once(self) -> None:
        async def many() -> list[object]:
            async with self._opened() as connection:
                sessions = [connection.open(self.site(), Capture(Masker()), Stop(), mark=MARK) for _ in range(8)]
                commands = [Command("sh", f"exit {n}") for n in range(8)]
                pairs = zip(sessions, commands, strict=True)
                return await asyncio.gather(*(session.execute(command) for session, command in pairs))

        assert run(many()) == [Exited(n) for n in range(8)]

    def test_what_is_printed_passes_in_bounded_memory(self) -> None:
        finish, capture = run(self._executed(Command("sh", "head -c 3000000 /dev/zero | tr '\\0' x; echo end")))
        output = capture.output()
        assert finish == Exited(0)
        assert output.cut and output.stdout.endswith("xend\n") and len(output.stdout) <= 65536

    def test_an_order_ends_the_command_and_proves_it(self) -> None:
        async def ordered() -> object:
            async with self._opened() as connection:
                stop, capture = Stop(), Capture(Masker())
                session = connection.open(self.site(), capture, stop, mark=MARK)
                work = asyncio.ensure_future(session.execute(Command("sh", "echo up; sleep 60")))
                while "up" not in capture.output().stdout:  # noqa: ASYNC110 - the suite needs no help of the session
                    await asyncio.sleep(0.02)
                stop.order("cancelled", "the run was cancelled", kill_after=1.0)
                return await work

        finish = run(ordered(), PROOF + 10.0)
        assert isinstance(finish, Ended | Lost), finish

    def test_an_order_that_comes_first_sends_nothing(self) -> None:
        stop = Stop()
        stop.order("cancelled", "the run was cancelled")
        finish, capture = run(self._executed(Command("sh", "echo ran"), stop=stop))
        assert isinstance(finish, NotSent), finish
        assert capture.output() == Output()

    def test_nothing_is_left_of_an_attempt_that_never_was(self) -> None:
        async def taken() -> object:
            async with self._opened() as connection:
                session = connection.open(self.site(), Capture(Masker()), Stop(), mark=os.urandom(16).hex())
                return await session.take_over()

        assert run(taken()) is None

    def test_a_place_can_be_tried(self) -> None:
        found = run(self._with(lambda connection: connection.probe(self.site())), 90.0)
        assert isinstance(found, Answered), found
        assert "\n" not in found.said

    def test_a_place_that_is_not_there_is_not_reached(self) -> None:
        nowhere = self.nowhere()
        if nowhere is None:
            return
        found = run(self._with(lambda connection: connection.probe(nowhere)), 90.0)
        assert isinstance(found, NotSent), found
        finish, _ = run(self._executed(Command("sh", "echo ran"), nowhere), 90.0)
        assert isinstance(finish, NotSent), finish

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Connection]:
        async with this_host() as host:
            connection = CONNECTIONS.factory(self.name)(ConnectionSettings(self.limits, host))
            try:
                yield connection
            finally:
                await connection.close()

    async def _with(self, use: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._opened() as connection:
            return await use(connection)

    async def _executed(
        self, command: Command, site: Site | None = None, stop: Stop | None = None
    ) -> tuple[object, Capture]:
        capture = Capture(Masker())
        async with self._opened() as connection:
            session = connection.open(site or self.site(), capture, stop or Stop(), mark=MARK)
            finish = await session.execute(command)
        capture.close()
        return finish, capture


class SecretContract:
    """What a source of secrets promises."""

    name: ClassVar[str]

    def settings(self) -> SecretSettings:
        """A runner's, by which the references below lead somewhere."""
        raise NotImplementedError

    def known(self) -> tuple[Any, str | Mapping[str, str]]:
        """A reference, and what it must give."""
        raise NotImplementedError

    def unknown(self) -> tuple[Any, ...]:
        """References to nothing, or to what may not be read."""
        raise NotImplementedError

    def test_it_reads_what_a_reference_names(self) -> None:
        reference, secret = self.known()
        assert self._source().read(reference) == secret

    def test_it_reads_anew_each_time(self) -> None:
        reference, secret = self.known()
        source = self._source()
        assert [source.read(reference) for _ in range(3)] == [secret] * 3

    def test_what_cannot_be_read_is_said_without_any_secret(self) -> None:
        _, secret = self.known()
        texts = (secret,) if isinstance(secret, str) else tuple(secret.values())
        for reference in self.unknown():
            try:
                found = self._source().read(reference)
            except (ValueError, OSError) as error:
                assert str(error)
                assert not [text for text in texts if text.strip() in str(error)]
            else:
                raise AssertionError(f"{reference!r} gave {type(found).__name__}")

    def _source(self) -> SecretSource:
        return SECRETS.factory(self.name)(self.settings())


class ChannelContract:
    """What a channel promises."""

    name: ClassVar[str]
    message = Message("0123456789", "Logs rotated", "rotate: web-01 ✓\n", event={"type": "run.succeeded"})

    def settings(self) -> Mapping[str, Any]:
        """`spec` of a NotificationChannel by which messages arrive."""
        raise NotImplementedError

    def received(self) -> list[str]:
        """The ids of the messages that have arrived, in their order, each as often as people see it."""
        raise NotImplementedError

    def nowhere(self) -> Mapping[str, Any]:
        """Settings by which nothing can arrive, now or ever."""
        raise NotImplementedError

    def test_a_message_arrives(self) -> None:
        assert run(self._channel().deliver(self.message, self.settings(), sealed)) == Delivered()
        assert self.message.id in self.received()

    def test_messages_may_be_sent_side_by_side(self) -> None:
        async def several() -> list[object]:
            channel, settings = self._channel(), self.settings()
            messages = [replace(self.message, id=f"side-{n}") for n in range(5)]
            return await asyncio.gather(*(channel.deliver(message, settings, sealed) for message in messages))

        assert run(several()) == [Delivered()] * 5
        assert {f"side-{n}" for n in range(5)} <= {*self.received()}

    def test_what_cannot_arrive_is_said(self) -> None:
        outcome = run(self._channel().deliver(self.message, self.nowhere(), sealed), 60.0)
        assert isinstance(outcome, Later | Never), outcome
        assert outcome.error

    def _channel(self) -> Channel:
        return CHANNELS.factory(self.name)(ChannelSettings())
