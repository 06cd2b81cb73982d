"""`controller`: one of any number on one database."""

import os

import typer

from opsconductor.cli.engineoptions import (
    DashboardOption,
    DatabaseOption,
    GraceOption,
    LogFormatOption,
    PausedOption,
    PublicUrlOption,
    SignKeyOption,
    SourceArgument,
    StatusRemoteOption,
    TakeOverOption,
    TokenOption,
    branch_of,
    database_of,
    log_format_of,
    pages_of,
    patience_of,
    public_of,
    state_of,
)
from opsconductor.cli.options import (
    BranchOption,
    LogsOption,
    StateOption,
    TrustOption,
    VerifyOption,
    trust_of,
)
from opsconductor.settings import Settings, database_files, parse_source, secret_host
from opsconductor.terminal import chatter


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("controller")(controller)


def controller(
    source: SourceArgument,
    database: DatabaseOption = None,
    paused: PausedOption = False,
    branch: BranchOption = "main",
    state: StateOption = None,
    verify: VerifyOption = "none",
    trust: TrustOption = None,
    sign_key: SignKeyOption = None,
    status_remote: StatusRemoteOption = None,
    grace: GraceOption = "30s",
    take_over: TakeOverOption = False,
    dashboard: DashboardOption = None,
    token: TokenOption = None,
    public_url: PublicUrlOption = None,
    logs: LogsOption = None,
    log_format: LogFormatOption = "text",
) -> int:
    """Decide and publish on a database that runners share; of several one leads, the others stand by."""
    from opsconductor.wiring import serve

    where = parse_source(source)
    settings = Settings(
        source=where,
        state=state_of(where, state),
        branch=branch_of(branch),
        secret_host=secret_host(os.environ),
        trust=trust_of(verify, trust),
        sign_key=sign_key.expanduser().resolve() if sign_key else None,
        own=(*(() if token is None else (token,)), *database_files(database, os.environ)),
        status_remote=status_remote,
        grace=patience_of(grace),
        take_over=take_over,
        logs=logs,
        log_format=log_format_of(log_format),
        paused=paused,
        dashboard=pages_of(dashboard, token),
        public_url=public_of(public_url),
        database=database_of(database, needed=True),
        runs=False,
    )
    return serve(settings, begun=lambda pages: _begun(settings, pages))


def _begun(settings: Settings, pages: str | None) -> None:
    if settings.log_format != "text":  # programs read the log: these words are for people
        return
    chatter(f"This controller leads: {settings.source.shown}, branch {settings.branch}.")
    if pages is not None:
        chatter(f"    {pages}    # the dashboard: in a browser")
    chatter("Ctrl-C stops it in order; another controller of the database goes on then.")
