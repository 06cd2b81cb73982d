"""Which steps begin anew when their runner must stop or lets go: those of which nothing was sent, and no others."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.runs.outcome import Failed, Outcome, TimedOut, Unknown, Unreachable, error_of
from engine.runs.pinned import PinnedTarget, PlannedStep, Use
from engine.runs.progress import Ending
from engine.runs.scanplan import READ_TYPE, SCAN_TYPE
from engine.states import RunState, StepState
from opsconductor.plugins import Command, FileSession, outcome_of_command
from runners import attempt
from runners.attempt import outcome_of
from runners.connections import Session, Stop, Why
from runners.connections.local import Guardian, LocalHost, LocalSession, LocalSettings
from runners.limits import Capture
from runners.masking import Masker
from runners.mcp.tool import Tool
from runners.steps import ReadyStep
from runners.steps.notify import Notify
from schemas.credential import CredentialSpec
from schemas.steps.types import StepType
from schemas.target import Connections
from tests import mcpserver
from tests.openssh import OpenSsh, own_openssh
from tests.running import Bench, bench, script

__all__ = ["bench", "own_openssh"]

Work = Callable[[Session], Awaitable[Outcome]]
TRUE = Command("sh", "true")


DIGEST = Tool("work", mcpserver.NUMBER, mcpserver.NUMBER).digest


def served(mode: str) -> list[str]:
    return [sys.executable, mcpserver.__file__, mode]


LATE = "its runner could not renew its lease"


class Does:
    """A step type that does this."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        return await self._work(session)


def two(between: Callable[[Session], Awaitable[None]]) -> Work:
    """Two commands in turn, as StepType and Session allow; its outcome is what the exported function says."""

    async def work(session: Session) -> Outcome:
        await session.execute(TRUE)
        await between(session)
        return outcome_of_command(await session.execute(TRUE), session.capture.output(), session.stop)

    return work


def ordered(why: Why) -> Callable[[Session], Awaitable[None]]:
    async def order(session: Session) -> None:
        session.stop.order(why, LATE)

    return order


async def away(session: Session) -> Outcome:
    await session.execute(TRUE)
    return Unreachable("the other host is away")


async def cut(session: Session) -> Outcome:
    command = asyncio.ensure_future(session.execute(Command("sh", "echo on; sleep 60")))
    while not session.capture.output().stdout:
        await asyncio.sleep(0.01)
    command.cancel()
    await asyncio.wait({command})
    return Unreachable("no answer")


async def refused(session: Session) -> Outcome:
    await session.execute(Command("sh", "true", working_dir="/there/is/none"))
    return Unreachable("the other host is away")


async def put(session: Session) -> Outcome:
    async def content() -> AsyncIterator[bytes]:
        yield b"x"

    assert isinstance(session, FileSession)
    async with session.files() as files:
        assert await files.stat("/") is not None
        await files.write(f"{PLACE}/put", content(), mode=0o600)
    return Unreachable("the other host is away")


async def looked(session: Session) -> Outcome:
    assert isinstance(session, FileSession)
    async with session.files() as files:
        assert await files.stat("/") is not None
    return Unreachable("the other host is away")


PLACE = ""


@pytest.mark.parametrize(
    ("work", "expected", "error"),
    [
        pytest.param(two(ordered("drained")), Failed, LATE, id="drained between two"),
        pytest.param(two(ordered("lost")), Failed, LATE, id="lost between two"),
        pytest.param(two(ordered("timedOut")), TimedOut, LATE, id="timed out between two"),
        pytest.param(away, Failed, "the other host is away; what came before it was done", id="away"),
        pytest.param(cut, Unknown, "no answer; what of it was sent before may have been done", id="cut"),
        pytest.param(put, Failed, "the other host is away; what came before it was done", id="a file was put"),
        pytest.param(refused, Unreachable, "the other host is away", id="refused"),
        pytest.param(looked, Unreachable, "the other host is away", id="looked"),
    ],
)
async def test_what_has_sent_something_is_never_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Work, expected: type[Outcome], error: str
) -> None:
    """Unreachable is repeated whatever the step does; a plug-in says it easily of the last of several commands."""
    monkeypatch.setattr(attempt, "step_type", lambda name: Does(work))
    monkeypatch.setitem(globals(), "PLACE", str(tmp_path))
    guard = Guardian(tmp_path / "lock")
    session = LocalSession(LocalHost(LocalSettings(), guard), Capture(Masker()), Stop())
    try:
        outcome = await outcome_of(ReadyStep(script("true")), session, structlog.get_logger())
    finally:
        await guard.close()
    assert isinstance(outcome, expected)
    assert error_of(outcome) == error


async def test_a_step_with_an_effect_is_not_begun_anew_by_the_next_runner(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = bench.pipe("said")

    async def effect_and_more(session: Session) -> Outcome:
        await session.execute(Command("sh", f"echo effect >{said}"))
        await session.stop.given()
        return outcome_of_command(await session.execute(TRUE), session.capture.output(), session.stop)

    monkeypatch.setattr(attempt, "step_type", lambda name: Does(effect_and_more))
    run = await bench.enqueue(script("true"))
    bench.start()
    assert await said.lines(1) == ["effect"]
    await bench.drain(timedelta(0))
    ran = await bench.see(run)
    assert (ran.state, ran.states()) == (RunState.FAILED, {"only": StepState.FAILED})


REFUSED = f"sha256:{'0' * 64}"
EARLY = {
    "another network": ("nmap.scan", {"hosts": ["127.0.0.1"], "ports": [1]}, "not within the networks of the pool"),
    "metadata": ("nmap.scan", {"hosts": ["169.254.169.254"]}, "is refused|never scanned"),
    "no hosts": ("nmap.scan", {"ports": [1]}, "there is no target"),
    "no program": ("mcp.call", {"command": ["no-such-program"], "tool": "t", "digest": REFUSED}, "install it there"),
    "relative": ("mcp.call", {"command": ["./x"], "tool": "t", "digest": REFUSED}, "relative path"),
    "mcp metadata": ("mcp.call", {"url": "http://169.254.169.254/", "tool": "t", "digest": REFUSED}, "is refused"),
    "mcp login": ("mcp.call", {"url": "http://u:p@127.0.0.1/", "tool": "t", "digest": REFUSED}, "user name"),
    "digest": ("mcp.call", {"command": served("good"), "tool": "work", "digest": REFUSED}, "is not the one"),
    "no tool": ("mcp.call", {"command": served("good"), "tool": "no", "digest": REFUSED}, "has no tool 'no'"),
    "arguments": (
        "mcp.call",
        {"command": served("good"), "tool": "work", "digest": DIGEST, "arguments": {"n": "1"}},
        "whole number",
    ),
    "http metadata": ("http.request", {"url": "http://169.254.169.254/"}, "is refused"),
    "http login": ("http.request", {"url": "http://u:p@127.0.0.1/"}, "user name"),
    "http path": ("http.request", {"url": "/path"}, "write an absolute URL"),
    "webhook metadata": ("webhook.call", {"url": "http://169.254.169.254/", "json": {}}, "is refused"),
    "wait metadata": ("wait.until", {"url": "http://169.254.169.254/"}, "is refused"),
    "wait port": ("wait.until", {"tcp": "70000"}, "no port"),
    "no channel": ("notify", {"channel": "none", "text": "x"}, "no channel"),
    "notify metadata": ("notify", {"channel": "away", "text": "x"}, "is refused"),
    "no folder": ("script", {}, "cannot change to folder"),
}


@pytest.mark.parametrize("name", EARLY)
async def test_what_is_refused_before_it_begins_has_not_run(bench: Bench, name: str) -> None:
    """The outputs it declares are null then, of whatever step type it is; of one that ran they would be evaluated."""
    kind, inputs, said = EARLY[name]
    more: dict[str, Any] = {"outputs": {"said": "${{ stdout }}", "tries": "${{ attempts }}"}}
    planned = script("true", working_dir="/there/is/none", **more) if kind == "script" else None
    away = {"type": "webhook", "url": "http://169.254.169.254/"}
    ran = await bench.execute(
        planned or PlannedStep("only", "steps", Use(kind, inputs), **more), channels={"away": away}
    )
    only = ran.steps()["only"]
    assert re.search(said, only.error or ""), only.error
    assert (only.state, only.outputs.get("said"), only.outputs["tries"]) == (StepState.FAILED, None, None)


@pytest.mark.parametrize(
    ("known", "inputs", "restricted"),
    [
        (READ_TYPE, {"discovery": "lan", "command": ["no-such-program"]}, False),
        (READ_TYPE, {"discovery": "lan", "command": ["/bin/true"]}, True),
        (READ_TYPE, {"discovery": "lan", "url": "http://169.254.169.254/"}, False),
        (SCAN_TYPE, {"discovery": "lan", "networks": ["10.0.0.0/8"], "profile": "normal"}, False),
        (SCAN_TYPE, {"discovery": "lan", "networks": ["127.0.0.1"], "profile": "normal"}, True),
    ],
)
async def test_of_a_discovery_too(tmp_path: Path, known: StepType, inputs: dict[str, Any], restricted: bool) -> None:
    """Whose steps no document writes, and declares outputs for."""
    planned = PlannedStep("scan", "steps", Use(known.name, inputs, known))
    from tests.contract.test_plugin_contract import TestScan

    around = replace(TestScan().around(), networks=("127.0.0.0/8",))
    settings = LocalSettings(restricted=restricted, env={"PATH": "/usr/bin:/bin"})
    guard = Guardian(tmp_path / "lock")
    session = LocalSession(LocalHost(settings, guard), Capture(Masker()), Stop())
    try:
        outcome = await outcome_of(ReadyStep(planned, None, inputs, around=around), session, structlog.get_logger())
    finally:
        await guard.close()
    assert isinstance(outcome, Failed) and not outcome.ran, outcome


@pytest.mark.parametrize("kind", ["nmap.scan", "mcp.call", "http.request"])
async def test_what_has_no_address_is_unreachable_whatever_would_have_been_asked(bench: Bench, kind: str) -> None:
    url = "http://no-such-host.invalid/"
    inputs: dict[str, dict[str, Any]] = {
        "nmap.scan": {"hosts": ["no-such-host.invalid"]},
        "mcp.call": {"url": url, "tool": "t", "digest": REFUSED},
        "http.request": {"url": url, "method": "POST"},
    }
    ran = await bench.execute(PlannedStep("only", "steps", Use(kind, inputs[kind])), networks=("0.0.0.0/0",))
    assert ran.states() == {"only": StepState.UNREACHABLE}


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("nmap.scan", {"hosts": ["127.0.0.1"], "ports": [1]}),
        ("mcp.call", {"command": served("good"), "tool": "work", "digest": DIGEST}),
    ],
)
async def test_a_restricted_runner_begins_nothing(bench: Bench, kind: str, inputs: dict[str, Any]) -> None:
    planned = PlannedStep("only", "steps", Use(kind, inputs), outputs={"said": "${{ stdout }}"})
    run = await bench.enqueue(planned, networks=("127.0.0.0/8",))
    bench.start(local=LocalSettings(restricted=True))
    only = (await bench.ended(run)).steps()["only"]
    assert "restricted" in (only.error or "")
    assert (only.state, only.outputs["said"]) == (StepState.FAILED, None)


async def test_of_a_redirect_that_is_refused_the_first_request_has_run(bench: Bench) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    use = Use("http.request", {"url": url})
    ran = await bench.execute(PlannedStep("only", "steps", use, outputs={"said": "${{ stdout }}"}))
    server.close()
    assert (ran.steps()["only"].state, ran.steps()["only"].outputs["said"]) == (StepState.FAILED, "")


async def test_who_cannot_open_a_credential_does_not_say_that_an_earlier_attempt_has_ended(
    own_openssh: OpenSsh, bench: Bench
) -> None:
    """Another runner could, and what it began may still run on the host."""
    pids, key = bench.pipe("pids"), "key"
    (bench.secrets / key).write_text(own_openssh.private_key)
    there = {
        "port": own_openssh.port,
        "user": own_openssh.user,
        "credentialRef": key,
        "hostKeys": [own_openssh.host_key],
    }
    connections = Connections.model_validate({"ssh": there})
    web = PinnedTarget("web", host="127.0.0.1", connections=connections, default_connection="ssh")
    run = await bench.enqueue(
        script(f"echo $$ >{pids}; exec sleep 600", idempotent=True),
        targets=(web,),
        credentials={key: CredentialSpec.model_validate({"type": "ssh", "from": {"file": key}})},
    )
    bench.start()
    (pid,) = await pids.pids(1)
    try:
        (bench.secrets / key).unlink()
        await bench.kill()
        await bench.take_away()
        bench.start()
        only = (await bench.ended(run)).steps()["only"]
        assert only.state is StepState.UNKNOWN
        assert str(only.error).endswith("its earlier attempt, whose runner was lost, may still run")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port that takes connections and says nothing; with when it has taken one."""
    taken = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], taken
    finally:
        server.close()


def asking(kind: str, url: str) -> PlannedStep:
    inputs = {
        "http.request": {"url": url, "method": "POST", "body": "x"},
        "webhook.call": {"url": url, "json": {}},
        "mcp.call": {"url": url, "tool": "work", "digest": f"sha256:{'0' * 64}", "arguments": {}},
    }
    return PlannedStep("only", "steps", Use(kind, inputs[kind]))


@pytest.mark.parametrize("kind", ["http.request", "webhook.call", "mcp.call"])
@pytest.mark.parametrize("why", ["drained", "unrenewed"])
async def test_a_request_of_which_nothing_was_sent_begins_anew(bench: Bench, kind: str, why: str) -> None:
    """Its server has taken the connection, and has not shown its certificate yet."""
    async with silent() as (port, taken):
        run = await bench.enqueue(asking(kind, f"https://127.0.0.1:{port}/"))
        runner = bench.start()
        await taken.wait()
        if why == "drained":
            await bench.drain(timedelta(0))
            left = await bench.see(run)
            assert (left.state, left.states()) == (RunState.QUEUED, {})
            return
        taken.clear()
        (execution,) = runner._underway.executions
        execution.give_way(5.0)
        await taken.wait()
        assert (await bench.see(run)).states() == {"only": StepState.RUNNING}


@pytest.mark.parametrize(("wish", "state"), [("cancelled", StepState.CANCELLED), ("timedOut", StepState.TIMED_OUT)])
async def test_a_request_that_somebody_wants_to_end_does_not_begin_anew(
    bench: Bench, wish: Ending, state: StepState
) -> None:
    async with silent() as (port, taken):
        run = await bench.enqueue(asking("http.request", f"https://127.0.0.1:{port}/"))
        runner = bench.start()
        await taken.wait()
        (execution,) = runner._underway.executions
        execution.wish(wish)
        assert (await bench.ended(run)).states() == {"only": state}


async def test_a_file_of_which_nothing_was_sent_is_put_anew(own_openssh: OpenSsh, bench: Bench, tmp_path: Path) -> None:
    server, key = own_openssh, "key"
    (bench.secrets / key).write_text(server.private_key)
    there = {"port": server.port, "user": server.user, "credentialRef": key, "hostKeys": [server.host_key]}
    web = PinnedTarget(
        "web",
        host="127.0.0.1",
        connections=Connections.model_validate({"ssh": there}),
        default_connection="ssh",
    )
    upload = Use("sftp.upload", {"content": "x", "destination": str(tmp_path / "put")})
    server.freeze()
    run = await bench.enqueue(
        PlannedStep("only", "steps", upload),
        targets=(web,),
        credentials={key: CredentialSpec.model_validate({"type": "ssh", "from": {"file": key}})},
    )
    bench.start()
    await bench.until(run, lambda ran: ran.states() == {"only": StepState.RUNNING})
    await bench.drain(timedelta(0))
    left = await bench.see(run)
    assert (left.state, left.states()) == (RunState.QUEUED, {})
    server.thaw()


async def test_a_message_is_not_handed_over_where_its_runner_has_let_go() -> None:
    """Once it is, nobody knows whether it was sent."""
    from tests.contract.test_plugin_contract import TestNotify

    contract, stop = TestNotify(), Stop()
    contract.url = "http://127.0.0.1:1/"
    stop.order("lost", LATE)
    inputs = dict(TestNotify.examples[0])
    ready = ReadyStep(PlannedStep("only", "steps", Use("notify", inputs)), None, inputs, around=contract.around())
    guard = LocalHost(LocalSettings(restricted=True), Guardian(Path("/nowhere")))
    assert await Notify().run(ready, LocalSession(guard, Capture(Masker()), stop)) == Unreachable(LATE)
