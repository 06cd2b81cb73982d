"""What systemd is told, by the protocol of sd_notify(3), on the socket that it would have given."""

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance import site as sites
from tests.acceptance.site import Site, job
from tests.acceptance.test_probes import STOPPABLE

GREET = job("greet", "- {id: greet, run: echo hello}")
PATIENCE = 0.6
"""Seconds that the manager of these tests waits for a sign of life."""


class Manager:
    """Where the service says how it is."""

    def __init__(self, where: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(where))
        self.environment = {"NOTIFY_SOCKET": str(where), "WATCHDOG_USEC": str(int(PATIENCE * 1_000_000))}

    def told(self, timeout: float = 30) -> list[str]:
        """The lines of the next word."""
        self.socket.settimeout(timeout)
        return self.socket.recv(4096).decode().splitlines()

    def told_until(self, line: str) -> list[str]:
        """All lines up to one that begins so."""
        said: list[str] = []
        while not any(each.startswith(line) for each in said):
            said += self.told()
        return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    with contextlib.closing(made.socket):
        yield made


def test_the_manager_hears_that_it_is_up_what_it_serves_that_it_lives_and_that_it_stops(
    site: Any, manager: Manager
) -> None:
    made: Site = site({"greet.yaml": GREET})
    engine = made.start("--dashboard", "off", env=manager.environment)
    said = manager.told_until("STATUS=serves")
    assert said.index("READY=1") < said.index(f"STATUS=serves {made.source}, branch main")
    manager.told_until("WATCHDOG=1")
    manager.told_until("WATCHDOG=1")
    engine.signal(signal.SIGTERM)
    assert "STATUS=stopping: running steps may end" in manager.told_until("STOPPING=1")
    assert engine.ended() == 0


def test_a_source_that_is_away_keeps_nobody_from_being_up(site: Any, manager: Manager) -> None:
    made: Site = site({"greet.yaml": GREET})
    away = made.root / "away"
    made.source.rename(away)
    made.spawn("up", f"file://{made.source}", "--dashboard", "off", env=manager.environment)
    manager.told_until("READY=1")
    away.rename(made.source)
    manager.told_until("STATUS=serves")


def test_who_hangs_gives_no_sign_of_life(site: Any, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "PROGRAM", (sys.executable, "-c", STOPPABLE))
    made: Site = site({"greet.yaml": GREET})
    engine = made.start("--dashboard", "off", env=manager.environment)
    manager.told_until("STATUS=serves")
    manager.told_until("WATCHDOG=1")
    engine.signal(signal.SIGUSR1)
    with contextlib.suppress(TimeoutError):
        while manager.told(timeout=5 * PATIENCE):
            pass
    with pytest.raises(TimeoutError):
        manager.told(timeout=5 * PATIENCE)


def test_a_socket_that_is_gone_harms_nobody(site: Any, tmp_path: Path) -> None:
    made: Site = site({"greet.yaml": GREET})
    done = made.once("--dashboard", "off", env={"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "soon"})
    assert done.returncode == 0
    assert "the service manager cannot be told" in done.stderr


def test_it_works_where_no_memory_may_be_written_and_run(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """MemoryDenyWriteExecute of the units, which one call of the kernel's does as well."""
    monkeypatch.setattr(sites, "PROGRAM", (sys.executable, "-c", DENIED))
    made: Site = site({"greet.yaml": GREET})
    made.up("--dashboard", "127.0.0.1:0")
    made.asked("once", "jobRef: greet")
    (run,) = made.ended("greet")
    assert run["status"]["state"] == "succeeded"


DENIED = """
import ctypes
assert ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE, Linux 6.3
from opsconductor.cli.main import run
run()
"""
