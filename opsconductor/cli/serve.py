"""`up`, `accept`, `doctor`: the commands for the machine that the engine runs on."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.address import DASHBOARD, Address, Pages, parse_public
from opsconductor.address import parse as parse_address
from opsconductor.cli.options import (
    BranchOption,
    IdentityOption,
    LogsOption,
    OutputOption,
    RepoOption,
    RestrictedOption,
    SecretDirOption,
    StateOption,
    TrustOption,
    VerifyOption,
    trust_of,
)
from opsconductor.exits import UsageError
from opsconductor.loglines import FORMATS, Format
from opsconductor.remembered import remember, remembered
from opsconductor.settings import (
    Settings,
    StateFolder,
    default_state,
    identities,
    parse_source,
    secret_host,
    secret_variables,
)
from opsconductor.terminal import chatter
from reconciler.source import Source

_SHORTEST_TOKEN = 20

SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", envvar="OPSCONDUCTOR_SOURCE", help="A folder with a git repository, or its URL."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("up")(up)
    app.command("accept")(accept)
    app.command("doctor")(doctor)


def up(
    source: SourceArgument,
    once: Annotated[bool, typer.Option("--once", help="Run what is due, then stop: 0 idle and clean, else 1.")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Read and validate; start nothing, push nothing.")] = False,
    branch: BranchOption = "main",
    state: StateOption = None,
    secret_dir: SecretDirOption = None,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    restricted: RestrictedOption = False,
    verify: VerifyOption = "none",
    trust: TrustOption = None,
    sign_key: Annotated[
        Path | None,
        typer.Option(
            "--sign-key",
            envvar="OPSCONDUCTOR_SIGN_KEY",
            metavar="FILE",
            help="The SSH key that signs status.",
        ),
    ] = None,
    status_remote: Annotated[
        str | None,
        typer.Option("--status-remote", envvar="OPSCONDUCTOR_STATUS_REMOTE", metavar="URL", help="Push status there."),
    ] = None,
    grace: Annotated[
        str, typer.Option("--grace", envvar="OPSCONDUCTOR_GRACE", help="How long SIGTERM lets running steps end.")
    ] = "30s",
    webhooks: Annotated[
        str,
        typer.Option(
            "--webhooks", envvar="OPSCONDUCTOR_WEBHOOKS", metavar="HOST:PORT|off", help="Where webhooks are received."
        ),
    ] = "off",
    take_over: Annotated[
        bool,
        typer.Option("--take-over", envvar="OPSCONDUCTOR_TAKE_OVER", help="Take the branch from another engine."),
    ] = False,
    dashboard: Annotated[
        str | None,
        typer.Option(
            "--dashboard",
            envvar="OPSCONDUCTOR_DASHBOARD",
            metavar="HOST:PORT|off",
            help=f"Where the read-only pages are; {DASHBOARD} where that is free.",
        ),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token", envvar="OPSCONDUCTOR_TOKEN", metavar="FILE", help="What readers of them must show."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url",
            envvar="OPSCONDUCTOR_PUBLIC_URL",
            metavar="URL",
            help="Where people open them, for links in messages: https://ops.example.org.",
        ),
    ] = None,
    logs: LogsOption = None,
    log_format: Annotated[
        str,
        typer.Option(
            "--log-format", envvar="OPSCONDUCTOR_LOG_FORMAT", metavar="text|json", help="How its log is written."
        ),
    ] = "text",
) -> int:
    """Everything in one process on an embedded store: reconcile, schedule, run, publish, show."""
    from opsconductor.wiring import serve
    from schemas.quantities import parse_duration

    try:
        patience = parse_duration(grace)
    except ValueError as error:
        raise UsageError(f"--grace {grace!r}: {error}") from error
    if not re.fullmatch(r"(refs/heads/)?[A-Za-z0-9_][A-Za-z0-9._/-]*", branch):
        raise UsageError(f"--branch {branch!r} cannot be the name of a branch")
    where = parse_source(source)
    settings = Settings(
        source=where,
        state=_state(where, state),
        branch=branch,
        secret_dir=secret_dir.resolve() if secret_dir else None,
        secret_variables=secret_variables(os.environ),
        restricted=restricted,
        secret_host=secret_host(os.environ),
        identities=identities(identity),
        trust=trust_of(verify, trust),
        sign_key=sign_key.expanduser().resolve() if sign_key else None,
        own=() if token is None else (token,),
        status_remote=status_remote,
        grace=patience,
        take_over=take_over,
        webhooks=_address("--webhooks", webhooks),
        logs=logs,
        log_format=_log_format(log_format),
        once=once,
        paused=paused,
        dashboard=_pages(dashboard, token),
        public_url=_public(public_url),
    )
    return serve(settings, begun=None if paused else lambda pages: _begun(settings, pages))


def _pages(text: str | None, token: Path | None) -> Pages | None:
    """Where the dashboard is to be, and for whom."""
    address = DASHBOARD if text is None else _address("--dashboard", text)
    shown = None if token is None else _token(token)
    return None if address is None else Pages(address, chosen=text is not None, token=shown)


def _log_format(text: str) -> Format:
    found = next((each for each in FORMATS if each == text), None)
    if found is None:
        raise UsageError(f"--log-format {text!r}: it is {' or '.join(FORMATS)}")
    return found


def _address(option: str, text: str) -> Address | None:
    try:
        return parse_address(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from error


def _public(text: str | None) -> str | None:
    try:
        return parse_public(text) if text else None
    except ValueError as error:
        raise UsageError(f"--public-url: {error}") from error


def _token(file: Path) -> str:
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token {file}: {error}") from error
    if len(found) < _SHORTEST_TOKEN or not found.isascii() or not found.isprintable():
        raise UsageError(f"--token {file}: its first and only line is a token of at least {_SHORTEST_TOKEN} characters")
    return found


def _begun(settings: Settings, pages: str | None) -> None:
    if settings.source.path is not None:
        remember(settings.source, settings.state.root)
    if not settings.once and settings.log_format == "text":  # programs read the log: these words are for people
        _say_where_to_look(settings, pages)


def _say_where_to_look(settings: Settings, pages: str | None) -> None:
    where = settings.source.shown
    chatter(f"OpsConductor serves {where}, branch {settings.branch}. Where to look:")
    if pages is not None:
        chatter(f"    {pages}    # the dashboard: in a browser")
    if settings.public_url is not None:
        chatter(f"    {settings.public_url}/    # the same, as links in messages have it")
    chatter(f"    opsconductor get runs -C {where}")
    known = settings.state.root in (default_state(settings.source), remembered(settings.source))
    state = "" if known else f" --state {settings.state.root}"
    chatter(f"    opsconductor logs JOB -C {where}{state}")
    if settings.source.path is not None:
        chatter(f"    git -C {where} log opsconductor/status          # every result is a commit")
        chatter(f"    git -C {where} show opsconductor/status:README.md")
    chatter("Ctrl-C stops it in order.")


def accept(
    commit: Annotated[str, typer.Argument(help="The full commit id, as sync.yaml names it.")],
    source: Annotated[
        str, typer.Option("--source", "--repo", "-C", envvar="OPSCONDUCTOR_SOURCE", help="The engine's SOURCE.")
    ] = ".",
    state: StateOption = None,
) -> int:
    """Let the engine go on from a commit that it froze before: rewritten history, or a commit that removes much."""
    from opsconductor.acceptance import accept as record

    folder = _state(parse_source(source), state)
    record(folder, commit)
    chatter(f"recorded: the engine on {folder.root} takes {commit[:12]} at its next look")
    return exits.OK


def doctor(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A folder with a git repository, or its URL; as --repo.")
    ] = None,
    repo: RepoOption = ".",
    branch: BranchOption = "main",
    state: StateOption = None,
    verify: VerifyOption = "none",
    trust: TrustOption = None,
    output: OutputOption = "table",
) -> int:
    """Check what the engine needs on this machine and in this repository; exit 1 where something is missing."""
    from opsconductor.cli.output import Table, check_format
    from opsconductor.cli.output import show as show_data
    from opsconductor.doctor import as_data, examine, show

    check_format(output)

    where = parse_source(source or repo)
    checks = examine(where, _state(where, state), branch, trust_of(verify, trust))
    if output in ("table", "wide"):
        typer.echo(show(checks))
    else:
        show_data(Table((), (), as_data(checks)), output)
    return exits.OK if all(check.good for check in checks) else exits.FINDINGS


def _state(source: Source, given: str | None) -> StateFolder:
    return StateFolder(Path(given).expanduser().resolve() if given else default_state(source))
