"""A step that is repeated after its engine was lost: on the host it never overlaps with its attempt before."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.runs.pinned import PinnedTarget
from engine.states import RunState, StepState
from journal import leases
from schemas.credential import CredentialSpec
from schemas.job import Retry
from schemas.target import Connections
from tests.integration.test_runner_ssh import over_ssh, with_key
from tests.openssh import OpenSsh, openssh
from tests.running import Bench, Pipe, Ran, end, lives, script

__all__ = ["openssh"]

ENGINE = """
import asyncio, json, sys
from pathlib import Path
from tests.integration.test_runner_takeover import begun

asyncio.run(begun(json.load(sys.stdin)))
"""

STEP = """
exec >/dev/null 2>&1  # after the connection's end a message of the shell itself would end it
if [ -e {record} ]; then
  if kill -0 "$(cat {record}.first)" 2>/dev/null; then echo overlap >>{record}; fi
  echo again >>{record}
  exit 0
fi
echo $$ >{record}.first
echo first >>{record}
{trap}
echo $$ >{pids}
while :; do echo lives >>{record}; sleep 0.1; done
"""
"""What the host has recorded is what happened. The first attempt never ends by itself."""

TIDIES = "trap 'sleep 1; echo tidied >>{record}; exit 1' TERM"
DEAF = "trap '' TERM"


async def begun(given: dict[str, Any]) -> None:
    """In a process of its own: work on a run of one repeatable step, until killed."""
    bench = Bench(Path(given["folder"]))
    (bench.secrets / "key").write_text(given["key"])
    ssh = {"port": given["port"], "user": given["user"], "credentialRef": "key", "hostKeys": [given["host_key"]]}
    await bench.enqueue(
        script(given["script"], idempotent=True),
        targets=(
            PinnedTarget(
                "web-01",
                host="127.0.0.1",
                connections=Connections.model_validate({"ssh": ssh}),
                default_connection="ssh",
            ),
        ),
        credentials={"key": CredentialSpec.model_validate({"type": "ssh", "from": {"file": "key"}})},
    )
    bench.start()
    await asyncio.Event().wait()


class Engine:
    """The engine that will be lost, and what the host records of its step."""

    def __init__(self, folder: Path, server: OpenSsh, trap: str) -> None:
        self.folder = folder
        self.record = folder / "record"
        self.pids = Pipe(folder / "pids")
        text = STEP.format(record=self.record, pids=self.pids, trap=trap.format(record=self.record))
        given = {"folder": str(folder), "script": text, "port": server.port, "user": server.user}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENGINE], stdin=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True
        )
        assert self.process.stdin is not None
        json.dump({**given, "key": server.private_key, "host_key": server.host_key}, self.process.stdin)
        self.process.stdin.close()

    async def next(self) -> Ran:
        """What becomes of the run when the next engine has gone on with it."""
        bench = Bench(self.folder)
        try:
            (reaped,) = await bench.journal.write(lambda tx: leases.void(tx, bench.clock.now()))
            bench.start()
            return await bench.ended(reaped.run)
        finally:
            await bench.close()

    def recorded(self) -> list[str]:
        """What happened on the host, in order; what went on is told once."""
        return [line for line, _ in groupby(self.record.read_text().split())]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.pids.close()


@pytest.mark.parametrize(
    ("trap", "end"),
    [
        pytest.param(TIDIES, ["tidied"], id="tidies up"),
        pytest.param(DEAF, [], id="ignores TERM", marks=pytest.mark.slow),
    ],
)
async def test_after_a_kill_the_repetition_waits_for_the_end_of_the_first_attempt(
    openssh: OpenSsh, tmp_path: Path, trap: str, end: list[str]
) -> None:
    engine = Engine(tmp_path, openssh, trap)
    try:
        await engine.pids.pids(1)
        engine.process.kill()
        engine.process.wait()
        ran = await engine.next()
    finally:
        engine.close()
    assert (ran.state, ran.steps()["only"].attempts) == (RunState.SUCCEEDED, 2)
    assert engine.recorded() == ["first", "lives", *end, "again"]


@pytest.mark.slow
async def test_a_step_whose_connection_still_stands_is_ended_before_it_is_repeated(
    openssh: OpenSsh, tmp_path: Path
) -> None:
    """The engine hangs, and nothing tells the host so: its bootstrap has no reason to end the step."""
    engine = Engine(tmp_path, openssh, TIDIES)
    try:
        await engine.pids.pids(1)
        engine.process.send_signal(signal.SIGSTOP)
        (tmp_path / "runner.lock").unlink()  # the next one is on another host
        ran = await engine.next()
    finally:
        engine.close()
    assert (ran.state, ran.steps()["only"].attempts) == (RunState.SUCCEEDED, 2)
    assert engine.recorded() == ["first", "lives", "tidied", "again"]


class Network:
    """Between the runner and the host. Cut, it lets nothing pass, and neither side hears that the other is gone."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._is_cut = False
        self._pumps: list[asyncio.Task[None]] = []
        self._ends: list[asyncio.StreamWriter] = []
        self.refused = asyncio.Event()
        self.port = 0

    async def begin(self) -> asyncio.Server:
        server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def cut(self) -> None:
        self._is_cut = True
        for pump in self._pumps:
            pump.cancel()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        for writer in self._ends:
            writer.close()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            self.refused.set()
            return
        theirs, there = await asyncio.open_connection("127.0.0.1", self._to)
        self._ends += [writer, there]
        self._pumps += [asyncio.create_task(_pumped(reader, there)), asyncio.create_task(_pumped(theirs, writer))]


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except ConnectionError:
        writer.close()


@pytest_asyncio.fixture
async def working(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def network(openssh: OpenSsh) -> AsyncIterator[Network]:
    made = Network(openssh.port)
    server = await made.begin()
    yield made
    made.close()
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("attempts", [2, 30])
async def test_a_host_that_is_away_meanwhile_runs_no_second_copy(
    openssh: OpenSsh, working: Bench, network: Network, attempts: int
) -> None:
    """That one attempt reached nobody says nothing of the one before it, which the host still takes for connected."""
    pids = working.pipe("pids")
    retry = Retry(maxAttempts=attempts, delay=timedelta(milliseconds=500))
    step = script(f"echo $$ >{pids}; sleep 600", idempotent=True, retry=retry)
    target = over_ssh(replace(openssh, port=network.port), "web-01")
    run = await working.enqueue(step, targets=(target,), credentials=with_key(working, openssh))
    working.start()
    (first,) = await pids.pids(1)
    try:
        network.cut()
        await working.kill()
        await working.take_away()
        working.start()
        await network.refused.wait()
        if attempts == 2:
            ran = await working.ended(run)
            only = ran.steps()["only"]
            assert (only.state, only.attempts, lives(first)) == (StepState.UNKNOWN, 2, True)
            assert str(only.error).endswith("its earlier attempt, whose runner was lost, may still run")
        else:
            network.mend()
            (second,) = await pids.pids(1)
            assert not lives(first)
            end(second)
    finally:
        end(first)
