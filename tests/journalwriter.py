"""Small changes of a journal, and another process that makes them until it kills or stops itself at a named point."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from journal import facts

ROOT = Path(__file__).parents[1]
_WRITER = """
import asyncio, signal, sys, threading
from journal import facts, points
from journal.clock import SystemClock
from journal.store import Journal

async def main(url, stop_at):
    journal = Journal.open(url, clock=SystemClock())
    for number in range(1000):
        def change(tx):
            points.record("consume")
            facts.put(tx, f"k{number}", number)
        await journal.write(change)
        print(number, flush=True)

def hook(name):
    if name == sys.argv[2]:
        print(name, flush=True)
        # To this thread: one that is sent to the process may stop another of its threads first, while this one commits.
        signal.pthread_kill(threading.get_ident(), getattr(signal, sys.argv[3]))

points.install(hook)
asyncio.run(main(sys.argv[1], None))
"""


def put(name: str, value: object = 1) -> Callable[[Connection], None]:
    return lambda tx: facts.put(tx, name, value)


def get(name: str) -> Callable[[Connection], Any]:
    return lambda conn: facts.get(conn, name)


def other_process(url: str, point: str, signal_name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, url, point, signal_name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def wait_until_stopped(process: "subprocess.Popen[str]") -> None:
    """The stop is delivered a moment after the process has said that it will stop."""
    for _ in range(1000):
        if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.01)
    raise AssertionError("the other process was not stopped")
