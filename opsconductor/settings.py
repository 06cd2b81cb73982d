"""Settings of a running engine: what flags and OPSCONDUCTOR_* variables say, as one frozen value."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from journal.errors import Refused
from opsconductor.exits import UsageError
from opsconductor.service.address import Address, Pages
from opsconductor.service.loglines import Format
from reconciler.authority.trust import TRUST_NOBODY, TrustSettings
from reconciler.repository.source import Source, parse
from runners.secrets.sources import Host, VaultServer


def parse_source(text: str) -> Source:
    """The SOURCE of a call, as the reconciler reads it. Raises UsageError for what no engine could serve."""
    try:
        return parse(text)
    except Refused as error:
        raise UsageError(f"SOURCE: {error.message}") from error


def secret_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What `from.env` may read."""
    return {name: value for name, value in environment.items() if name.startswith("OPSCONDUCTOR_SECRET_")}


_OF_PROGRAMS = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "XDG_RUNTIME_DIR", "GNUPGHOME"})


def secret_host(environment: Mapping[str, str]) -> Host:
    """What else of this host secrets may come from: CREDENTIALS_DIRECTORY, OPSCONDUCTOR_PROGRAMS, OPSCONDUCTOR_VAULT_*.

    Raises UsageError.
    """
    programs = tuple(Path(one) for one in environment.get("OPSCONDUCTOR_PROGRAMS", "").split(os.pathsep) if one)
    if odd := [one for one in programs if not one.is_absolute()]:
        raise UsageError(f"OPSCONDUCTOR_PROGRAMS: '{odd[0]}' is no absolute path")
    system = environment.get("CREDENTIALS_DIRECTORY")
    return Host(
        system=Path(system) if system else None,
        programs=programs,
        environ={name: value for name, value in environment.items() if name in _OF_PROGRAMS},
        vault=_vault(environment),
    )


def own_files(environment: Mapping[str, str], root: Path, url: str | None = None) -> tuple[Path, ...]:
    """What is an engine's own, for a command that opens secrets as its runner would: its state, its key, its token.

    `url` is its database, where that is not the one that the environment names.
    """
    named = (environment.get(f"OPSCONDUCTOR_{name}") for name in ("SIGN_KEY", "TOKEN"))
    database = database_files(url or environment.get("OPSCONDUCTOR_DATABASE"), environment)
    return (root, *(Path(one) for one in named if one), *database)


_OF_DATABASE = {"passfile": "PGPASSFILE", "sslkey": "PGSSLKEY", "servicefile": "PGSERVICEFILE"}
"""What a PostgreSQL URL may name that nobody else is to read, each with the variable that says the same."""


def database_files(url: str | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that open the database: whoever reads them may write anything into the journal."""
    if url is None:
        return ()
    said = dict(parse_qsl(urlsplit(url).query))
    named = (said.get(word) or environment.get(variable) for word, variable in _OF_DATABASE.items())
    home = environment.get("HOME")
    usual = (Path(home) / ".pgpass", Path(home) / ".postgresql") if home else ()
    return (*(Path(one).expanduser() for one in named if one), *usual)


def _vault(environment: Mapping[str, str]) -> VaultServer | None:
    url, token = (environment.get(f"OPSCONDUCTOR_VAULT_{name}") for name in ("URL", "TOKEN"))
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        raise UsageError("OPSCONDUCTOR_VAULT_URL: it begins with https://; http:// leads no farther than this machine")
    if not token:
        raise UsageError("OPSCONDUCTOR_VAULT_TOKEN names the file with the token for OPSCONDUCTOR_VAULT_URL")
    ca = environment.get("OPSCONDUCTOR_VAULT_CA")
    return VaultServer(
        url.rstrip("/"), Path(token), Path(ca) if ca else None, environment.get("OPSCONDUCTOR_VAULT_NAMESPACE") or None
    )


def identities(files: Iterable[Path]) -> tuple[Path, ...]:
    """The files of `--identity`. Raises UsageError where one holds no age key: a runner without it opens nothing."""
    from runners.secrets.agekeys import NoKey, read

    found = tuple(file.resolve() for file in files)
    try:
        read(found)
    except NoKey as error:
        raise UsageError(f"--identity: {error}") from error
    except OSError as error:
        raise UsageError(f"--identity {error.filename}: {error.strerror}") from error
    return found


def state_home() -> Path:
    """The folder of the state folders: under the user's state directory (XDG_STATE_HOME)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "opsconductor"


def default_state(source: Source) -> Path:
    """One folder a source under the user's state directory (XDG_STATE_HOME); a new token does not change it."""
    name = (
        re.sub(r"[^A-Za-z0-9._-]+", "-", source.address.rstrip("/").removesuffix(".git").rpartition("/")[2]) or "source"
    )
    return state_home() / f"{name}-{hashlib.sha256(source.address.encode()).hexdigest()[:8]}"


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
    def tests(self) -> Path:
        """What `target test` found last."""
        return self.root / "tests"

    @property
    def demo(self) -> Path:
        return self.root / "demo"


@dataclass(frozen=True, slots=True)
class RunningSettings:
    """How runs and messages are worked on, and what may be opened for them."""

    state: StateFolder
    secrets: Path
    """What `from.file` may read."""
    secret_variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The OPSCONDUCTOR_SECRET_* variables, and nothing else of the environment."""
    restricted: bool = False
    secret_host: Host = field(default_factory=Host)
    identities: tuple[Path, ...] = ()
    """Files with age keys that open what is encrypted for its pools."""
    own: tuple[Path, ...] = ()
    """Files and folders of the program that no document may have read."""
    webhooks: Address | None = None
    """Where webhooks are received. None: nowhere."""
    logs: str | None = None
    """Where logs of ended runs are kept besides the state folder: a folder, or a bucket by its URL."""
    grace: timedelta = timedelta(seconds=30)
    pools: frozenset[str] | None = None
    """The pools that are served. None: all of them."""
    capacity: int = 50
    """How many runs are worked on at once."""
    shared: bool = False
    """Whether other processes work on runs of the same journal."""


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
    secret_host: Host = field(default_factory=Host)
    identities: tuple[Path, ...] = ()
    """Files with age keys that open what is encrypted for this engine's pools."""
    trust: TrustSettings = TRUST_NOBODY
    """Which commits must be signed, and by whom."""
    sign_key: Path | None = None
    """The engine's own key, with which it signs what it writes to the status branch."""
    own: tuple[Path, ...] = ()
    """Further files of the engine that no document may have read."""
    status_remote: str | None = None
    grace: timedelta = timedelta(seconds=30)
    take_over: bool = False
    webhooks: Address | None = None
    """Where webhooks are received. None: nowhere."""
    logs: str | None = None
    """Where logs of ended runs are kept besides the state folder: a folder, or a bucket by its URL."""
    log_format: Format = "text"
    """How the engine's own log is written."""
    once: bool = False
    paused: bool = False
    dashboard: Pages | None = None
    """None: there is none."""
    public_url: str | None = None
    """Where people open the dashboard, as https://ops.example.org: for links in what is read elsewhere."""
    database: str | None = field(default=None, repr=False)
    """Where the journal is: the URL of a database that others share, with what it takes to get in. None: in the state
    folder."""
    runs: bool = True
    """Whether runs are worked on in this process."""

    @property
    def secrets(self) -> Path:
        """What `from.file` may read: `--secret-dir`, else `secrets` in the state folder."""
        return self.secret_dir or self.state.secrets

    @property
    def running(self) -> RunningSettings:
        """What of this is about runs and messages. Who only looks, or soon stops again, receives no webhooks."""
        return RunningSettings(
            state=self.state,
            secrets=self.secrets,
            secret_variables=self.secret_variables,
            restricted=self.restricted,
            secret_host=self.secret_host,
            identities=self.identities,
            own=(self.state.root, *((self.sign_key,) if self.sign_key else ()), *self.own),
            webhooks=None if self.paused or self.once else self.webhooks,
            logs=self.logs,
            grace=self.grace,
            shared=self.database is not None,
        )
