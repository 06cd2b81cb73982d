"""`up`, `accept`, `doctor`: the commands for the machine that the engine runs on."""

import os
from typing import Annotated

import typer

from opsconductor import exits
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
    WebhooksOption,
    address_of,
    branch_of,
    database_of,
    engine_folder,
    log_format_of,
    pages_of,
    patience_of,
    public_of,
    state_of,
)
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
from opsconductor.remembered import remember, remembered
from opsconductor.settings import (
    Settings,
    database_files,
    default_state,
    identities,
    parse_source,
    secret_host,
    secret_variables,
)
from opsconductor.terminal import chatter


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("up")(up)
    app.command("accept")(accept)
    app.command("doctor")(doctor)


def up(
    source: SourceArgument,
    once: Annotated[bool, typer.Option("--once", help="Run what is due, then stop: 0 idle and clean, else 1.")] = False,
    paused: PausedOption = False,
    branch: BranchOption = "main",
    state: StateOption = None,
    secret_dir: SecretDirOption = None,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    restricted: RestrictedOption = False,
    verify: VerifyOption = "none",
    trust: TrustOption = None,
    sign_key: SignKeyOption = None,
    status_remote: StatusRemoteOption = None,
    grace: GraceOption = "30s",
    webhooks: WebhooksOption = "off",
    take_over: TakeOverOption = False,
    dashboard: DashboardOption = None,
    token: TokenOption = None,
    public_url: PublicUrlOption = None,
    logs: LogsOption = None,
    log_format: LogFormatOption = "text",
    database: DatabaseOption = None,
) -> int:
    """Everything in one process on an embedded store: reconcile, schedule, run, publish, show."""
    from opsconductor.wiring import serve

    if database and once:
        raise UsageError("--once is for a store of its own; leave out --database")
    where = parse_source(source)
    settings = Settings(
        source=where,
        state=state_of(where, state),
        branch=branch_of(branch),
        secret_dir=secret_dir.resolve() if secret_dir else None,
        secret_variables=secret_variables(os.environ),
        restricted=restricted,
        secret_host=secret_host(os.environ),
        identities=identities(identity),
        trust=trust_of(verify, trust),
        sign_key=sign_key.expanduser().resolve() if sign_key else None,
        own=(*(() if token is None else (token,)), *database_files(database, os.environ)),
        status_remote=status_remote,
        grace=patience_of(grace),
        take_over=take_over,
        webhooks=address_of("--webhooks", webhooks),
        logs=logs,
        log_format=log_format_of(log_format),
        once=once,
        paused=paused,
        dashboard=pages_of(dashboard, token),
        public_url=public_of(public_url),
        database=database_of(database),
    )
    return serve(settings, begun=None if paused else lambda pages: _begun(settings, pages))


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
    database: DatabaseOption = None,
) -> int:
    """Let the engine go on from a commit that it froze before: rewritten history, or a commit that removes much.

    Call it where the engine runs, as its user; or, of controllers on several machines, with their database.
    """
    from opsconductor.acceptance import accept as record

    folder, shared = engine_folder(parse_source(source), state), database_of(database)
    record(folder, commit, database=shared)
    who = "the controller that leads" if shared else f"the engine on {folder.root}"
    chatter(f"recorded: {who} takes {commit[:12]} at its next look")
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
    checks = examine(where, state_of(where, state), branch, trust_of(verify, trust))
    if output in ("table", "wide"):
        typer.echo(show(checks))
    else:
        show_data(Table((), (), as_data(checks)), output)
    return exits.OK if all(check.good for check in checks) else exits.FINDINGS
