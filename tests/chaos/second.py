"""A second runner, or a second decider, on the journal of a running engine: `runner RUN` or `decider`.

The program allows one process a store; the journal's promises do not depend on that.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from tests.chaos import launcher

DECIDING = "deciding from now on"


async def _run(options: argparse.Namespace) -> None:
    """Reap and execute until the run has ended, then drain."""
    from datetime import timedelta

    from engine.states import is_final
    from journal import runs
    from journal.clock import SystemClock
    from journal.reaper import Reaper
    from journal.store import Journal
    from runners.pool import Runner, RunnerSettings
    from runners.secrets import Secrets

    clock = SystemClock()
    journal = Journal.open(f"sqlite:///{options.store}", clock=clock)
    runner = Runner(
        journal,
        pools=None,
        clock=clock,
        secrets=Secrets(options.secrets, {}),
        logs=options.folder / "logs",
        settings=RunnerSettings(name="default/second", host="second", lock=options.folder / "runner.lock"),
    )
    watch = journal.watch()
    parts = [asyncio.create_task(runner.run()), asyncio.create_task(Reaper(journal, clock).run())]

    async def ended() -> bool:
        view = await journal.read(lambda conn: runs.get(conn, options.run))
        return view is not None and is_final(view.state)

    while not await ended():
        await watch.changed(timeout=1)
    await runner.drain(timedelta(seconds=10))
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)
    await journal.close()


async def _decide(options: argparse.Namespace) -> None:
    """Decide what is due and judge acts, until SIGTERM."""
    from journal.clock import SystemClock
    from journal.store import Journal
    from reconciler.loop import Loop
    from reconciler.repository.mirror import Mirror
    from reconciler.repository.objects import Objects
    from reconciler.wake import Wake

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = SystemClock()
    journal = Journal.open(f"sqlite:///{options.store}", clock=clock)
    mirror = Mirror(options.folder / "mirror.git", str(options.source), environment=os.environ)
    await mirror.open()
    async with Wake(mirror.source.path) as wake:
        loop = Loop(journal=journal, mirror=mirror, objects=Objects(mirror.path), wake=wake, clock=clock, branch="main")
        await loop.look()
        await loop.start()
        print(DECIDING, flush=True)
        await loop.run(stop)
    await journal.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("store", "folder", "secrets", "source"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("runner").add_argument("run")
    modes.add_parser("decider")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    launcher.prepare()
    asyncio.run(_run(options) if options.mode == "runner" else _decide(options))


if __name__ == "__main__":
    main()
