"""A site on a database of PostgreSQL, with controllers and runners apart; any of them may die, freeze or come back."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos import evidence
from tests.chaos.history import Journal
from tests.chaos.site import PATIENCE, Daemon, Site
from tests.lab import Place
from tests.postgresql import Server


@dataclass
class Fleet(Site):
    """Processes by a name of one's own, as `ann`; each has a state folder of its own and keeps it.

    Those of `places` are hosts of a network, and reach the database at `address`.
    """

    database: Server = field(default_factory=Server)
    name: str = "postgres"
    members: dict[str, Daemon] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    address: str | None = None

    url = property(lambda self: self.database.url(self.name))

    def controller(self, name: str, *flags: str, chaos: bool = True) -> Daemon:
        """Start one, or start it again."""
        arguments = ("controller", str(self.source), "--dashboard", "off", *flags)
        return self._member(name, *arguments, chaos=chaos)

    def runner(self, name: str, *flags: str, chaos: bool = True) -> Daemon:
        """Start one for the pool `default`, or start it again."""
        arguments = ("runner", "--pool", "default", "--secret-dir", str(self.secrets), "--grace", "20s", *flags)
        return self._member(name, *arguments, chaos=chaos)

    def together(self, name: str, *flags: str) -> Daemon:
        """Start both parts in one process."""
        arguments = ("up", str(self.source), "--dashboard", "off", "--secret-dir", str(self.secrets), *flags)
        return self._member(name, *arguments, chaos=True)

    def _member(self, name: str, *arguments: str, chaos: bool) -> Daemon:
        module = "tests.chaos.launcher" if chaos else "opsconductor.cli.main"
        told = {"CHAOS_PUBLISH_EVERY": "0.3"} if chaos else {}
        where = ("--state", str(self.folder / name), "--database", self.address or self.url)
        within = self.places[name].within if name in self.places else ()
        self.members[name] = self.run(module, *arguments, *where, within=within, **told)
        self.roles[name] = arguments[0]
        return self.members[name]

    def again(self, name: str) -> Daemon:
        """Start a dead one as it was started first."""
        return self.controller(name) if self.roles[name] == "controller" else self.runner(name)

    def command(self, *words: str, **told: str) -> Daemon:
        """A command that ends by itself, told of the database as on every machine of the fleet."""
        return self.run("opsconductor.cli.main", *words, OPSCONDUCTOR_DATABASE=self.url, **told)

    # --- what is asked instead of one process ---

    @property
    def alive(self) -> bool:
        """Whether a controller and a runner live; who waits for what they do is told when none can do it any more."""
        roles = set(self.roles.values())
        return all(any(self.members[one].alive for one, role in self.roles.items() if role == each) for each in roles)

    def wait(self, seconds: float = 0.0) -> int:
        return 0

    @property
    def log(self) -> Path:
        """Of all of them."""
        text = "\n".join(f"--- {name}\n{one.tail(40)}" for name, one in self.members.items())
        path = self.folder / "all.log"
        path.write_text(text)
        return path

    def tail(self, lines: int = 0) -> str:
        return self.log.read_text()

    def leader(self) -> str | None:
        """The name that the database knows of who leads now."""
        with self.sql() as connection:
            row = connection.execute(
                "SELECT holder FROM leadership WHERE lease_until > extract(epoch FROM clock_timestamp())"
            ).fetchone()
        return None if row is None else str(row[0])

    def leading(self) -> str:
        """Our name of who leads, once somebody does."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                holder = self.leader()
            except psycopg.Error:
                holder = None
            for name, one in self.members.items():
                said = f"this controller leads from now on name={holder}"
                if holder is not None and one.alive and said in one.log.read_text(errors="replace").replace("  ", " "):
                    return name
            time.sleep(0.05)
        raise AssertionError(f"nobody leads\n{self.tail()}")

    @contextmanager
    def sql(self) -> Iterator["psycopg.Connection[Any]"]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def one(self, statement: str) -> Any:
        """The one value that the statement gives."""
        with self.sql() as connection:
            row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
        return None if row is None else row[0]

    def until_true(self, holds: Callable[[], bool]) -> None:
        """Wait for something in the database."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, self.tail()
            time.sleep(0.05)

    def until_log_of(self, name: str, words: str) -> None:
        """Until a process has said this since it was started."""
        self.until_true(lambda: words in self.members[name].log.read_text(errors="replace"))

    def kill(self, name: str) -> None:
        self.members[name].kill()

    def freeze(self, name: str, seconds: float) -> None:
        one = self.members[name]
        one.send(signal.SIGSTOP)
        os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOWAIT)
        time.sleep(seconds)  # a freeze is a length of time
        one.send(signal.SIGCONT)

    def rest(self) -> None:
        """Bring all to rest, and stop them in order."""
        self.settle(self)  # type: ignore[arg-type]

    def stop(self, daemon: Any) -> None:
        for one in self.members.values():
            if one.alive:
                one.send(signal.SIGTERM)
        for name, one in self.members.items():
            code = one.wait()
            assert code in (0, -signal.SIGKILL), f"{name} ended with {code}\n{one.tail()}"

    def note(self) -> None:
        self.notes.append(self.recorded())

    def recorded(self) -> Journal:
        return evidence.served_journal(self.url)
