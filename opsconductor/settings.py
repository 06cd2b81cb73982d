"""Settings of a running engine: what flags and OPSCONDUCTOR_* variables say, as one frozen value."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

_URL = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCP = re.compile(r"^[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:(?!//)|^[A-Za-z0-9.-]{2,}:(?![/\\]{2})[^\\]")


class UsageError(Exception):
    """The words of the call do not fit; the message says what does. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where definitions come from: a folder on this machine or a git URL."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Source":
        """A path is made absolute, so that the same folder has the same state wherever the command is given."""
        if not text:
            raise UsageError("SOURCE is empty: give a folder or a git URL")
        if text.startswith("-"):
            raise UsageError(f"SOURCE {text!r} looks like an option")
        if _URL.match(text) or (_SCP.match(text) and not Path(text).exists()):
            return cls(text)
        return cls(str(Path(text).expanduser().resolve()))

    @property
    def is_url(self) -> bool:
        return not self.text.startswith("/")

    @property
    def path(self) -> Path | None:
        """The folder, where it is one on this machine."""
        if self.text.startswith("file://"):
            return Path(self.text.removeprefix("file://"))
        return None if self.is_url else Path(self.text)

    @property
    def shown(self) -> str:
        """The source without a password that may stand in its URL."""
        return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", self.text)


def secret_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What `from.env` may read."""
    return {name: value for name, value in environment.items() if name.startswith("OPSCONDUCTOR_SECRET_")}


def default_state(source: Source) -> Path:
    """One folder a source under the user's state directory (XDG_STATE_HOME)."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.text.rstrip("/").removesuffix(".git").rpartition("/")[2]) or "source"
    return base / "opsconductor" / f"{name}-{hashlib.sha256(source.text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The places inside a state folder."""

    root: Path

    @property
    def journal(self) -> Path:
        return self.root / "journal.sqlite3"

    @property
    def mirror(self) -> Path:
        return self.root / "mirror.git"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def lock(self) -> Path:
        return self.root / "daemon.lock"

    @property
    def runner_lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def demo(self) -> Path:
        return self.root / "demo"


@dataclass(frozen=True, slots=True)
class Settings:
    """How `up` runs. `grace` is how long SIGTERM lets running steps end."""

    source: Source
    state: StateFolder
    branch: str = "main"
    secret_dir: Path | None = None
    secret_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The OPSCONDUCTOR_SECRET_* variables, and nothing else of the environment."""
    restricted: bool = False
    status_remote: str | None = None
    grace: timedelta = timedelta(seconds=30)
    take_over: bool = False
    once: bool = False
    paused: bool = False

    @property
    def secrets(self) -> Path:
        """What `from.file` may read: `--secret-dir`, else `secrets` in the state folder."""
        return self.secret_dir or self.state.secrets
