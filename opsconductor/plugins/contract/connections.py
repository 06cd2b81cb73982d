"""The contract of connections: of those over which commands run, and of those that are only tried."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, TypeVar

from engine.runs.outcome import Output
from opsconductor.plugins import (
    PROOF,
    Answered,
    Capture,
    Command,
    Connection,
    ConnectionSettings,
    Ended,
    Exited,
    Limits,
    Lost,
    NotSent,
    Opened,
    Probe,
    Refused,
    Site,
    Stop,
    Target,
    Unusable,
)
from opsconductor.plugins.contract.ground import assert_declared, run, sealed, this_host
from runners.connections.ways import DOOR as CONNECTIONS
from runners.masking import Masker
from schemas.job import Shell
from schemas.target import Become

T = TypeVar("T")
PROBE = 90.0
"""Seconds within which a place has been tried, whatever it does."""


class _Contract:
    """What every connection promises."""

    name: ClassVar[str]
    limits: ClassVar[Limits] = Limits(connect=5.0, login=5.0)

    def site(self) -> Site:
        """A place that can be reached now."""
        raise NotImplementedError

    def nowhere(self) -> Site | None:
        """A place that cannot be reached; None where there can be none, as on this host."""
        raise NotImplementedError

    def silent(self, port: int) -> Site | None:
        """A place as that of `site()`, at this port of 127.0.0.1, where who connects is told nothing.

        None for a connection that goes to no port.
        """
        return None

    def without(self) -> Site | None:
        """A place that has no such connection; None where each has it."""
        return Site(Target("without"), sealed)

    def test_what_it_says_of_its_settings_fits_them(self) -> None:
        assert_declared("connections", self.name, self.site().settings(self.name))

    def test_a_place_can_be_tried(self) -> None:
        found = run(self._with(lambda connection: connection.probe(self.site())), PROBE)
        assert isinstance(found, Answered), found
        assert "\n" not in found.said

    def test_places_may_be_tried_side_by_side(self) -> None:
        async def several(connection: Connection) -> list[Probe]:
            return await asyncio.gather(*(connection.probe(self.site()) for _ in range(5)))

        found = run(self._with(several), PROBE)
        assert [one for one in found if not isinstance(one, Answered)] == []

    def test_a_place_that_is_not_there_is_not_reached_and_said(self) -> None:
        nowhere = self.nowhere()
        if nowhere is None:
            return
        watched, secrets = _watched(nowhere)
        found = run(self._with(lambda connection: connection.probe(watched)), PROBE)
        assert isinstance(found, NotSent), found
        _for_people(found, secrets)

    def test_a_place_that_says_nothing_is_given_up_in_time(self) -> None:
        """Within the limits of the connection, and those of this test are short."""

        async def tried() -> Probe | None:
            server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
            site = self.silent(server.sockets[0].getsockname()[1])
            async with server, self._opened(Limits(connect=1.0, login=1.0)) as connection:
                return await connection.probe(watched(site)) if site is not None else None

        def watched(site: Site) -> Site:
            there, opened = _watched(site)
            secrets.append(opened)
            return there

        secrets: list[list[str]] = []
        found = run(tried(), PROBE)
        assert found is None or isinstance(found, NotSent), found
        if found is not None:
            _for_people(found, secrets[0])

    def test_a_place_that_has_no_such_connection_is_unusable(self) -> None:
        site = self.without()
        if site is None:
            return
        try:
            run(self._with(lambda connection: connection.probe(site)), PROBE)
        except Unusable as error:
            assert str(error)
        else:
            raise AssertionError(f"{site.name} has no connection '{self.name}', and was tried")

    def test_what_it_opened_is_closed_with_it(self) -> None:
        async def counted() -> tuple[int, int]:
            async with this_host() as host:
                connection = CONNECTIONS.factory(self.name)(ConnectionSettings(self.limits, host))
                before = _sockets()
                await connection.probe(self.site())
                await connection.close()
                # some are closed by a thread, or by what the loop does next
                for _ in range(500):
                    if _sockets() <= before:
                        break
                    await asyncio.sleep(0.02)
                return before, _sockets()

        before, after = run(counted(), PROBE)
        assert after <= before

    @asynccontextmanager
    async def _opened(self, limits: Limits | None = None) -> AsyncIterator[Connection]:
        async with this_host() as host:
            connection = CONNECTIONS.factory(self.name)(ConnectionSettings(limits or self.limits, host))
            try:
                yield connection
            finally:
                await connection.close()

    async def _with(self, use: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._opened() as connection:
            return await use(connection)


class ProbeContract(_Contract):
    """What a connection promises that is only tried, and over which no commands run."""

    def test_that_no_commands_run_over_it_is_said(self) -> None:
        async def opened(connection: Connection) -> None:
            connection.open(self.site(), Capture(Masker()), Stop(), mark="")

        try:
            run(self._with(opened))
        except Unusable as error:
            assert str(error)
        else:
            raise AssertionError(f"connection '{self.name}' opens a session")


POSIX: Mapping[str, str] = MappingProxyType(
    {
        "echo": 'read -r l; echo "$l $V"; echo no >&2; exit 7',
        "end": "exit {}",
        "flood": "head -c 3000000 /dev/zero | tr '\\0' x; echo end",
        "wait": "echo up; sleep 60",
    }
)


class ConnectionContract(_Contract):
    """What a connection promises over which commands run."""

    shell: ClassVar[Shell] = "sh"
    scripts: ClassVar[Mapping[str, str]] = POSIX
    """In the language of that shell: `echo` prints its line of input, a blank and the variable V, and `no` as an error,
    and exits with 7; `end` exits with the number that takes the place of {}; `flood` prints 3,000,000 times x and then
    `end`; `wait` prints `up` and does nothing for a minute."""

    def test_a_command_is_run_with_its_input_and_its_environment(self) -> None:
        command = replace(self._command("echo"), env={"V": "a b'\"$"}, stdin="in\n")
        finish, capture = run(self._executed(command))
        output = capture.output()
        said = tuple(text.replace("\r\n", "\n") for text in (output.stdout, output.stderr))
        assert (finish, *said) == (Exited(7), "in a b'\"$\n", "no\n")

    def test_commands_follow_each_other_in_one_session(self) -> None:
        async def two(connection: Connection) -> tuple[object, object]:
            session = connection.open(self.site(), Capture(Masker()), Stop(), mark=_mark())
            return await session.execute(self._command("end", 1)), await session.execute(self._command("end", 2))

        assert run(self._with(two)) == (Exited(1), Exited(2))

    def test_many_sessions_are_open_at_once(self) -> None:
        async def many(connection: Connection) -> list[object]:
            sessions = [connection.open(self.site(), Capture(Masker()), Stop(), mark=_mark()) for _ in range(8)]
            pairs = zip(sessions, range(8), strict=True)
            return await asyncio.gather(*(session.execute(self._command("end", n)) for session, n in pairs))

        assert run(self._with(many)) == [Exited(n) for n in range(8)]

    def test_what_is_printed_passes_in_bounded_memory(self) -> None:
        finish, capture = run(self._executed(self._command("flood")))
        output = capture.output()
        assert finish == Exited(0), finish
        assert output.cut and output.stdout.rstrip().endswith("xend") and len(output.stdout) <= 65536

    def test_an_order_ends_the_command_and_proves_it(self) -> None:
        async def ordered(connection: Connection) -> object:
            stop, capture = Stop(), Capture(Masker())
            session = connection.open(self.site(), capture, stop, mark=_mark())
            work = asyncio.ensure_future(session.execute(self._command("wait")))
            while "up" not in capture.output().stdout:  # noqa: ASYNC110 - the suite needs no help of the session
                await asyncio.sleep(0.02)
            stop.order("cancelled", "the run was cancelled", kill_after=1.0)
            return await work

        finish = run(self._with(ordered), PROOF + 10.0)
        assert isinstance(finish, Ended | Lost), finish

    def test_an_order_that_comes_first_sends_nothing(self) -> None:
        stop = Stop()
        stop.order("cancelled", "the run was cancelled")
        finish, capture = run(self._executed(self._command("echo"), stop=stop))
        assert isinstance(finish, NotSent), finish
        assert capture.output() == Output()

    def test_a_script_that_cannot_be_sent_is_refused(self) -> None:
        finish, capture = run(self._executed(Command(self.shell, "echo ran\0")))
        assert isinstance(finish, Refused), finish
        assert finish.error
        assert capture.output() == Output()

    def test_nothing_runs_as_another_user_than_was_asked_for(self) -> None:
        """Who becomes nobody else says so, and runs nothing; so does who finds no such user."""
        site = replace(self.site(), become=Become(user="opsc-no-such-user"))
        try:
            finish, capture = run(self._executed(self._command("end", 0), site), PROBE)
        except Unusable as error:
            assert str(error)
        else:
            assert isinstance(finish, Refused | NotSent), finish
            assert finish.error
            assert capture.output().stdout == ""

    def test_nothing_is_left_of_an_attempt_that_never_was(self) -> None:
        async def taken(connection: Connection) -> object:
            return await connection.open(self.site(), Capture(Masker()), Stop(), mark=_mark()).take_over()

        assert run(self._with(taken)) is None

    def test_nothing_is_sent_to_a_place_that_is_not_there(self) -> None:
        nowhere = self.nowhere()
        if nowhere is None:
            return
        watched, secrets = _watched(nowhere)
        finish, _ = run(self._executed(self._command("end", 0), watched), PROBE)
        assert isinstance(finish, NotSent), finish
        _for_people(finish, secrets)

    def _command(self, what: str, *given: object) -> Command:
        return Command(self.shell, self.scripts[what].format(*given) if given else self.scripts[what])

    async def _executed(
        self, command: Command, site: Site | None = None, stop: Stop | None = None
    ) -> tuple[object, Capture]:
        capture = Capture(Masker())
        async with self._opened() as connection:
            session = connection.open(site or self.site(), capture, stop or Stop(), mark=_mark())
            finish = await session.execute(command)
        capture.close()
        return finish, capture


def _mark() -> str:
    return os.urandom(16).hex()


def _watched(site: Site) -> tuple[Site, list[str]]:
    """The place, and the secrets that are opened for it."""
    secrets: list[str] = []

    def opened(name: str) -> Opened:
        found = site.opened(name)
        secrets.extend(text for text in found.fields.values() if text.strip())
        return found

    return replace(site, opened=opened), secrets


def _for_people(found: NotSent, secrets: list[str]) -> None:
    assert found.error.strip(), "an error says what is wrong"
    assert "\n" not in found.error, "an error is one line"
    assert not [text for text in secrets if text in found.error], "an error holds no secret"


def _sockets() -> int:
    """How many this process has open."""
    return sum(handle.is_socket() for handle in Path("/proc/self/fd").iterdir())
