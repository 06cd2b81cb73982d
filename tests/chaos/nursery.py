"""A process that has loaded the program, and is forked for each life of it: that takes milliseconds, not a second.

`Nursery` is the test's side. The other, `python -m tests.chaos.nursery`, has one thread as long as it lives, so that a
fork takes nothing over that is half done.
"""

import importlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
_LOADED = (
    "asyncssh",
    "journal.databases.postgresql",
    "opsconductor.service.controller",
    "opsconductor.service.runner",
    "opsconductor.service.up",
    "opsconductor.wiring",
    "runners.connections.local",
    "runners.connections.ssh",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
)


class Nursery:
    """Lives of the program by its arguments. `close` it when none of them lives any more."""

    def __init__(self, **environment: str) -> None:
        """`environment`: what all of them are told besides, as `tests.chaos.launcher` knows it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery"],
            cwd=ROOT,
            env={**os.environ, "NO_COLOR": "1", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def born(self, arguments: tuple[str, ...], log: Path, home: Path) -> "Life":
        """A process of its own, that leads its session; what it says goes to `log`."""
        log.touch(0o600)  # it may die before it does so
        return Life(self, int(self._asked({"arguments": arguments, "log": str(log), "home": str(home)})))

    def reaped(self, pid: int) -> int:
        """The exit code of one that has ended, as of subprocess; once for each."""
        return int(self._asked({"reap": pid}))

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _asked(self, question: Mapping[str, object]) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        return self._process.stdout.readline()


class Life:
    """As much of a `subprocess.Popen` as tests use. Its number is nobody else's before it was reaped, which is here."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._code: int | None = None
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, negative where a signal ended it; None while it lives."""
        if self._code is None and select.select([self._end], [], [], 0)[0]:
            self._reap()
        return self._code

    def wait(self) -> int:
        if self._code is None:
            select.select([self._end], [], [])
            self._reap()
        assert self._code is not None
        return self._code

    def _reap(self) -> None:
        self._code = self._nursery.reaped(self.pid)
        os.close(self._end)


def _serve() -> None:
    from tests.chaos import launcher

    launcher.prepare()
    for module in _LOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        if "reap" in asked:
            said = os.waitstatus_to_exitcode(os.waitpid(asked["reap"], 0)[1])
        elif (said := os.fork()) == 0:
            _live(asked["arguments"], asked["log"], asked["home"])
        print(said, flush=True)


def _live(arguments: list[str], log: str, home: str) -> NoReturn:
    from opsconductor.cli.main import run

    code = 70
    try:
        os.setsid()
        for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (log, os.O_WRONLY | os.O_CREAT))):
            os.dup2(os.open(path, flags, 0o600), number)
        os.dup2(1, 2)
        os.environ["HOME"] = home
        sys.argv = ["opsconductor", *arguments]
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
