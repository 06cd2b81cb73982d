"""`notify test`, `notify replay`: a channel tried from this machine, and dead letters sent again."""

from typing import TYPE_CHECKING, Annotated

import typer

from opsconductor import exits
from opsconductor.cli.engineoptions import DatabaseOption, database_of, engine_folder
from opsconductor.cli.options import (
    BranchOption,
    IdentityOption,
    OutputOption,
    RemoteOption,
    RepoOption,
    RestrictedOption,
    SecretDirOption,
    StateOption,
)
from opsconductor.cli.output import Table, check_format, show
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable

if TYPE_CHECKING:
    from journal.letters import Letter

_COLUMNS = ("ID", "CHANNEL", "RULE", "SUBJECT", "WRITTEN", "TRIES", "ERROR")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    notify = typer.Typer(help="Notifications: channels and dead letters.", no_args_is_help=True)
    notify.callback()(_of_notifications)
    notify.command("test")(test)
    notify.command("replay")(replay)
    app.add_typer(notify, name="notify")


def _of_notifications() -> None:
    """Notifications: channels and dead letters."""


def test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The name of a NotificationChannel.")],
    output: OutputOption = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    state: StateOption = None,
    secret_dir: SecretDirOption = None,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    restricted: RestrictedOption = False,
) -> int:
    """Send one test message by a channel. Exit 1 where it does not arrive.

    It is sent from here, with the secrets of this machine: call it where the engine runs, as its user.
    """
    from opsconductor.cli.hostsecrets import secrets_here
    from opsconductor.telling import try_channel
    from opsconductor.workspace import Workspace

    check_format(output)
    workspace = Workspace.open(repo, remote=remote, branch=branch)
    catalog = workspace.definitions().catalog
    if catalog is None:
        raise UsageError("the definitions have errors; see 'opsconductor validate'")
    if channel not in catalog.channels:
        known = ", ".join(sorted(catalog.channels)) or "none"
        chatter(f"there is no NotificationChannel '{channel}'; there are: {known}")
        return exits.FINDINGS
    engine = workspace.state_folder(state)
    secrets = secrets_here(engine, folder=secret_dir, restricted=restricted, identity=identity)
    tried = try_channel(catalog, channel, secrets, workspace.content, restricted=restricted)
    row = (tried.channel, tried.type, "ok" if tried.good else "failed", f"{tried.seconds:.1f}s", tried.said)
    columns = ("CHANNEL", "TYPE", "RESULT", "TOOK", "MESSAGE")
    show(Table(columns, [tuple(map(printable, row))], tried.as_data()), output)
    return exits.OK if tried.good else exits.FINDINGS


def replay(
    id_: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A message, by its id or the beginning of it; else all.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="Only those of this channel.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the dead letters, and send none.")] = False,
    source: Annotated[
        str, typer.Option("--source", "--repo", "-C", envvar="OPSCONDUCTOR_SOURCE", help="The engine's SOURCE.")
    ] = ".",
    state: StateOption = None,
    database: DatabaseOption = None,
    output: OutputOption = "table",
) -> int:
    """Send dead letters again, as they were: same id, same words. Exit 1 where there is none that was asked for.

    It writes to the state folder of the engine, which sends them at its next look: call it where that runs, as its
    user; or, of engines on several machines, to their database. Nothing needs to be stopped.
    """
    from opsconductor.settings import parse_source
    from opsconductor.telling import dead_letters, store_of
    from opsconductor.telling import replay as send_again

    check_format(output)
    if id_ is not None and not id_.strip():
        raise UsageError("the id is empty; leave it out to mean all dead letters")
    folder, shared = engine_folder(parse_source(source), state), database_of(database)
    found = (dead_letters if list_ else send_again)(shared or store_of(folder), channel=channel, id=id_)
    data = {"messages": [_as_data(one) for one in found], "replayed": 0 if list_ else len(found)}
    show(Table(_COLUMNS, [_row(one) for one in found], data), output)
    if list_:
        chatter(f"{len(found)} dead letter{'s' * (len(found) != 1)}")
    else:
        who = "a runner" if shared else f"the engine on {folder.root}"
        chatter(f"{len(found)} to be sent again: {who} does it at its next look")
    return exits.FINDINGS if not found and (id_ or channel) else exits.OK


def _row(one: "Letter") -> tuple[str, ...]:
    from schemas.quantities import format_instant

    written = format_instant(one.created_at.replace(microsecond=0))
    subject = one.subject or ", ".join(one.tells)
    cells = (one.id[:12], one.channel, one.rule, subject, written, str(one.attempts), one.error or "")
    return tuple(map(printable, cells))


def _as_data(one: "Letter") -> dict[str, object]:
    from schemas.quantities import format_instant

    return {
        "id": one.id,
        "channel": one.channel,
        "rule": one.rule,
        "user": one.user,
        "subject": one.subject,
        "tells": list(one.tells),
        "run": one.run,
        "attempts": one.attempts,
        "error": one.error,
        "createdAt": format_instant(one.created_at),
    }
