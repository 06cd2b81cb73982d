"""A step that is repeated after its engine was lost: on the host it never overlaps with its attempt before."""

import asyncio
import json
import signal
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from engine.runs.pinned import PinnedTarget
from engine.states import RunState
from journal import leases
from schemas.credential import CredentialSpec
from schemas.target import Connections
from tests.openssh import OpenSsh, openssh
from tests.running import Bench, Pipe, Ran, script

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
