"""A step may write as much as it likes: what that costs the runner is bounded, in memory and on disk."""

import json
import mmap
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runners.limits import KEPT, TAIL
from runners.logs import CAP
from tests.openssh import OpenSsh, openssh

__all__ = ["openssh"]

FLOOD = 128 << 20
"""Bytes that a step writes to each of its two streams."""
GIGABYTE = 512 << 20
"""As much, twice."""
SECRET = "correct horse battery staple"
SHARE = 1 / 16
"""Of what a step writes: memory that it may cost at most."""

ZEROS = "head -c {flood} /dev/zero & head -c {flood} /dev/zero >&2"
SECRETS = 'yes "out with $P in it" | head -c {flood} & yes "err with $P in it" | head -c {flood} >&2'

RUNNER = """
import asyncio, json, sys
from pathlib import Path
from engine.runs.pinned import PinnedTarget
from schemas.credential import CredentialSpec
from schemas.target import Connections
from tests.running import Bench, here, script

def peak():  # not of getrusage: that begins with the peak of whoever started this process
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024

async def main(given):
    bench = Bench(Path(given["folder"]))
    for name, text in given["secrets"].items():
        (bench.secrets / name).write_text(text)
    types = {"db": "generic", "key": "ssh"}
    credentials = {
        name: CredentialSpec.model_validate({"type": types[name], "from": {"file": name}}) for name in given["secrets"]
    }
    target = here("web-01")
    if given["ssh"] is not None:
        connections = Connections.model_validate({"ssh": {**given["ssh"], "credentialRef": "key"}})
        target = PinnedTarget("web-01", host="127.0.0.1", connections=connections, default_connection="ssh")
    began, go = bench.pipe("began"), bench.pipe("go")
    flood = script(
        f"echo $$ >{began}; read line <{go}\\n{given['script']}; wait; exit 3",
        "flood",
        env={"P": "${{ secrets.db.value }}"},
        outputs={"kept": "${{ size(stderr) }}"},
    )
    tidy = script("echo tidied", "tidy", phase="finally")
    run = await bench.enqueue(flood, tidy, targets=(target,), credentials=credentials)
    bench.start()
    await began.lines(1)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    go.let_go()
    ran = await bench.ended(run, patience=100)
    after = peak()
    await bench.close()
    step = ran.steps()["flood"]
    print(json.dumps({
        "grown": after - before, "states": ran.states(), "code": step.exit_code, "outputs": step.outputs,
        "tails": [step.stdout_tail, step.stderr_tail], "error": step.error, "log": str(bench.logs / step.log),
    }))

asyncio.run(main(json.load(sys.stdin)))
"""


def flooded(folder: Path, server: OpenSsh | None, script: str) -> dict[str, Any]:
    """What became of the step, by a runner in a process of its own."""
    ssh = server and {"port": server.port, "user": server.user, "hostKeys": [server.host_key]}
    secrets = {"db": SECRET, **({"key": server.private_key} if server else {})}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps({"folder": str(folder), "ssh": ssh, "secrets": secrets, "script": script}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("script", "flood"),
    [
        pytest.param(ZEROS, FLOOD, id="zeros"),
        pytest.param(SECRETS, FLOOD, id="secrets", marks=pytest.mark.slow),
        pytest.param(ZEROS, GIGABYTE, id="a gigabyte", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("connection", ["local", "ssh"])
def test_a_flood_costs_a_bounded_amount(
    openssh: OpenSsh, tmp_path: Path, connection: str, script: str, flood: int
) -> None:
    """The bound is the same for a gigabyte: it does not grow with what is written."""
    found = flooded(tmp_path, openssh if connection == "ssh" else None, script.format(flood=flood))
    assert found["grown"] < 2 * FLOOD * SHARE
    assert (found["states"], found["code"]) == ({"flood": "failed", "tidy": "succeeded"}, 3)
    assert found["error"] == "exit code 3"
    assert 0 < found["outputs"]["kept"] <= KEPT
    for tail in found["tails"]:
        assert 0 < len(tail.encode()) <= TAIL
        assert ("***" in tail) == (script == SECRETS)
    with open(found["log"], "rb") as log, mmap.mmap(log.fileno(), 0, access=mmap.ACCESS_READ) as data:
        notice = b"\n[opsconductor: the log ends here; the step wrote more than 64 MiB]\n"
        assert data[CAP:] == notice
        assert (data.find(b"***") >= 0) == (script == SECRETS)
        # no part of it either, at the cap or where the streams take turns
        parts = [SECRET[at : at + 8].encode() for at in range(len(SECRET) - 7)]
        assert [part for part in parts if data.find(part) >= 0] == []
