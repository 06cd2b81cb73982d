"""Where /proc hides the processes of others (hidepid), what a local step began by sudo is not called ended."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOM = """
mount -t proc -o hidepid="$1" proc /proc
shift
exec "$@"
"""
LEADER = """
import os, subprocess, sys
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
left = subprocess.Popen(["sleep", "600"], process_group=0, **quiet) if sys.argv[1] == "yes" else None
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # group 0 may see all
print(left.pid if left else 0, flush=True)
os.execvp("sleep", ["sleep", "600"])
"""
RUNNER = """
import asyncio, concurrent.futures.thread, os, subprocess, sys  # all, while the interpreter's folder may be read
from runners import guardian
from runners.connections import Stop, process

leader, begins, search = sys.argv[1:]
process.PROOF, guardian._SEARCH = 2.0, float(search)
step = subprocess.Popen([sys.executable, "-c", leader, begins], stdout=subprocess.PIPE, start_new_session=True)
left = int(step.stdout.readline())
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # group 0 may see all

async def ended():
    followed, stop = process.Process(step, {}, lambda stream, data: None), Stop()
    stop.order("timedOut", "its time was over", kill_after=0.2)
    finish = await followed.finish(stop)
    followed.close()
    return finish

try:
    print(left, asyncio.run(ended()))
finally:
    step.stdout.close()
"""


@pytest.mark.parametrize("hidepid", [1, 2])
@pytest.mark.parametrize(
    ("begins", "search", "expected"),
    [
        ("no", 5.0, "Ended(code=143)"),
        ("yes", 5.0, "Lost("),
        pytest.param("no", -1.0, "Lost(", id="there is no time to ask for each number"),
    ],
)
def test_what_another_user_runs_is_found_or_not_called_ended(
    hidepid: int, begins: str, search: float, expected: str
) -> None:
    """It has a group of its own, as what a shell begins in the background where it controls jobs."""
    room = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", ROOM, "room", str(hidepid)]
    program = [sys.executable, "-c", RUNNER, LEADER, begins, str(search)]
    done = subprocess.run(
        [*room, *program], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    left, _, finish = done.stdout.strip().partition(" ")
    assert finish.startswith(expected), (done.stdout, done.stderr)
    if begins == "yes":
        subprocess.run(["kill", "-KILL", left], check=True)
    if expected == "Lost(":
        assert "may still live" in finish
