"""Options of the commands that stay: `up`, `controller`, `runner`; and what is made of them."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from opsconductor.exits import UsageError
from opsconductor.remembered import remembered
from opsconductor.service.address import DASHBOARD, Address, Pages, parse_public
from opsconductor.service.address import parse as parse_address
from opsconductor.service.loglines import FORMATS, Format
from opsconductor.settings import StateFolder, default_state
from reconciler.repository.source import Source
from schemas.quantities import parse_duration

_SHORTEST_TOKEN = 20

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", envvar="OPSCONDUCTOR_SOURCE", help="A folder with a git repository, or its URL."),
]
PausedOption = Annotated[bool, typer.Option("--paused", help="Read and validate; start nothing, push nothing.")]
SignKeyOption = Annotated[
    Path | None,
    typer.Option("--sign-key", envvar="OPSCONDUCTOR_SIGN_KEY", metavar="FILE", help="The SSH key that signs status."),
]
StatusRemoteOption = Annotated[
    str | None,
    typer.Option("--status-remote", envvar="OPSCONDUCTOR_STATUS_REMOTE", metavar="URL", help="Push status there."),
]
GraceOption = Annotated[
    str, typer.Option("--grace", envvar="OPSCONDUCTOR_GRACE", help="How long SIGTERM lets running steps end.")
]
WebhooksOption = Annotated[
    str,
    typer.Option(
        "--webhooks", envvar="OPSCONDUCTOR_WEBHOOKS", metavar="HOST:PORT|off", help="Where webhooks are received."
    ),
]
TakeOverOption = Annotated[
    bool,
    typer.Option("--take-over", envvar="OPSCONDUCTOR_TAKE_OVER", help="Take the branch from another engine."),
]
DashboardOption = Annotated[
    str | None,
    typer.Option(
        "--dashboard",
        envvar="OPSCONDUCTOR_DASHBOARD",
        metavar="HOST:PORT|off",
        help=f"Where the read-only pages are; {DASHBOARD} where that is free.",
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token", envvar="OPSCONDUCTOR_TOKEN", metavar="FILE", help="What readers of them must show."),
]
PublicUrlOption = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        envvar="OPSCONDUCTOR_PUBLIC_URL",
        metavar="URL",
        help="Where people open them, for links in messages: https://ops.example.org.",
    ),
]
LogFormatOption = Annotated[
    str,
    typer.Option("--log-format", envvar="OPSCONDUCTOR_LOG_FORMAT", metavar="text|json", help="How its log is written."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="OPSCONDUCTOR_DATABASE",
        metavar="URL",
        help="The PostgreSQL database that holds the journal: postgresql://user@host/name.",
    ),
]


def patience_of(grace: str) -> timedelta:
    """What `--grace` says."""
    try:
        return parse_duration(grace)
    except ValueError as error:
        raise UsageError(f"--grace {grace!r}: {error}") from error


def branch_of(text: str) -> str:
    """What `--branch` says."""
    if not re.fullmatch(r"(refs/heads/)?[A-Za-z0-9_][A-Za-z0-9._/-]*", text):
        raise UsageError(f"--branch {text!r} cannot be the name of a branch")
    return text


def database_of(text: str | None, *, needed: bool = False) -> str | None:
    """What `--database` says. An embedded store is for one process, which keeps it in its state folder itself."""
    if not text:
        if needed:
            raise UsageError("--database URL is needed: the PostgreSQL database that holds the journal")
        return None
    scheme = text.partition(":")[0].lower()
    if scheme.startswith("sqlite"):
        raise UsageError(
            "--database: SQLite is for one process on one machine; use `opsconductor up SOURCE`, which keeps it in its "
            "state folder, or give postgresql://user@host/name"
        )
    if scheme not in ("postgresql", "postgres"):
        raise UsageError("--database: it begins with postgresql://, as in postgresql://user@host/name")
    return text


def state_of(source: Source, given: str | None) -> StateFolder:
    """What `--state` says."""
    return StateFolder(Path(given).expanduser().resolve() if given else default_state(source))


def engine_folder(source: Source, given: str | None) -> StateFolder:
    """The state folder of the engine that serves a source on this machine: what `--state` says, else as it began."""
    return state_of(source, given) if given else StateFolder(remembered(source) or default_state(source))


def pages_of(text: str | None, token: Path | None) -> Pages | None:
    """Where the dashboard is to be, and for whom."""
    address = DASHBOARD if text is None else address_of("--dashboard", text)
    shown = None if token is None else token_of(token)
    return None if address is None else Pages(address, chosen=text is not None, token=shown)


def log_format_of(text: str) -> Format:
    found = next((each for each in FORMATS if each == text), None)
    if found is None:
        raise UsageError(f"--log-format {text!r}: it is {' or '.join(FORMATS)}")
    return found


def address_of(option: str, text: str) -> Address | None:
    try:
        return parse_address(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from error


def public_of(text: str | None) -> str | None:
    try:
        return parse_public(text) if text else None
    except ValueError as error:
        raise UsageError(f"--public-url: {error}") from error


def token_of(file: Path) -> str:
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token {file}: {error}") from error
    if len(found) < _SHORTEST_TOKEN or not found.isascii() or not found.isprintable():
        raise UsageError(f"--token {file}: its first and only line is a token of at least {_SHORTEST_TOKEN} characters")
    return found
