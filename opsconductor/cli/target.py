"""`target test`: log in to targets from this machine, and say where that fails."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from opsconductor import exits
from opsconductor.cli.engineoptions import DatabaseOption, database_of
from opsconductor.cli.options import (
    BranchOption,
    IdentityOption,
    RemoteOption,
    RepoOption,
    RestrictedOption,
    SecretDirOption,
    StateOption,
)
from opsconductor.cli.output import FORMATS, Table, show
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable

if TYPE_CHECKING:
    from opsconductor.settings import StateFolder
    from runners.trying import Tried


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    target = typer.Typer(help="Targets, as this machine reaches them.", no_args_is_help=True)
    target.callback()(_of_targets)
    target.command("test")(test)
    target.command("facts")(facts)
    app.add_typer(target, name="target")


def _of_targets() -> None:
    """Targets, as this machine reaches them."""


def test(
    limit: Annotated[
        str | None, typer.Argument(metavar="[L]", help="A label selector, or target names with commas; else all.")
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FORMAT", help="table, json, yaml or junit.")
    ] = "table",
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
    state: StateOption = None,
    database: DatabaseOption = None,
    secret_dir: SecretDirOption = None,
    identity: IdentityOption = [],  # noqa: B006 - typer makes its own
    restricted: RestrictedOption = False,
) -> int:
    """Log in to targets over each of their connections and do something harmless. Exit 1 where one fails.

    It runs here, with the secrets of this machine: call it where the engine runs, or a runner, as its user. The
    dashboard shows what was found last.
    """
    from engine.runs.trials import trials
    from engine.selection import parse_limit
    from opsconductor.cli.hostsecrets import secrets_here
    from opsconductor.trying import Progress, as_data, as_junit, try_all
    from opsconductor.workspace import Workspace

    if output not in (*FORMATS, "junit"):
        raise UsageError(f"-o {output}: there are {', '.join(FORMATS)}, junit")
    workspace = Workspace.open(repo, remote=remote, branch=branch)
    catalog = workspace.definitions().catalog
    if catalog is None:
        raise UsageError("the definitions have errors; see 'opsconductor validate'")
    try:
        wanted = trials(catalog, parse_limit(limit) if limit else None)
    except ValueError as error:
        raise UsageError(f"{limit!r}: {error}") from error
    if not wanted.wanted:
        chatter(f"{limit!r} selects no target" if limit else "there is no target with a connection")
        return exits.FINDINGS
    engine, shared = workspace.state_folder(state), database_of(database)
    secrets = secrets_here(engine, folder=secret_dir, restricted=restricted, identity=identity, database=shared)
    progress = Progress(len(wanted.wanted), _say, live=sys.stderr.isatty())
    results = try_all(wanted, secrets, workspace.content, restricted=restricted, told=progress)
    _keep(engine, shared, results)
    if output == "junit":
        typer.echo(as_junit(results))
    else:
        rows = [
            (one.target, one.connection, "ok" if one.good else "failed", f"{one.seconds:.1f}s", one.said)
            for one in results
        ]
        columns = ("TARGET", "CONNECTION", "RESULT", "TOOK", "MESSAGE")
        show(Table(columns, [tuple(map(printable, row)) for row in rows], as_data(results)), output)
    failed = sum(not one.good for one in results)
    chatter(f"{len(results) - failed} of {len(results)} connections answered")
    return exits.FINDINGS if failed else exits.OK


def facts(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run: its id, a unique beginning, or a job's name.")],
    only: Annotated[
        list[str],
        typer.Option("--only", metavar="NAME", help="Only this output of the job, and others named so."),
    ] = [],  # noqa: B006 - typer makes its own
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; say what would be written.")] = False,
    repo: RepoOption = ".",
    remote: RemoteOption = None,
    branch: BranchOption = "main",
) -> int:
    """Write what a run found out about its targets into `facts` of their documents, for review and commit.

    What it found out are the job's outputs. Exit 1 where something could not be written.
    """
    from opsconductor.authoring.gathered import gathered, written
    from opsconductor.workspace import Workspace

    workspace = Workspace.open(repo, remote=remote, branch=branch)
    if workspace.work_tree is None:
        raise UsageError("facts are written into files: call it in a checkout, not in a bare repository")
    status = workspace.status()
    found = status.run(run) if status is not None else None
    if found is None:
        chatter(f"no run {run!r} is recorded")
        return exits.FINDINGS
    known = gathered(found, only)
    if not known.facts:
        chatter(
            f"run {found['metadata']['name']} has no outputs by target that could be facts; see 'outputs' of its job"
        )
    for text in known.left_out:
        _say(text)
    made = written(workspace.work_tree, known.facts, dry_run=dry_run)
    for text in (*made.told, *made.trouble):
        _say(text)
    chatter(f"{len(made.told)} targets {'would have' if dry_run else 'have'} other facts")
    return exits.FINDINGS if made.trouble or not known.facts else exits.OK


def _say(text: str) -> None:
    chatter(printable(text))


def _keep(place: "StateFolder", database: str | None, results: Sequence["Tried"]) -> None:
    """For the pages of the engine: of those that share a database, or of the one on this machine, if there is one."""
    from journal.errors import Refused, Unavailable
    from opsconductor.lasttests import keep, share

    try:
        if database is not None:
            share(database, results, datetime.now(UTC))
        elif place.journal.exists():
            keep(place.tests, results, datetime.now(UTC))
    except OSError as error:
        chatter(f"the dashboard will not show this test: {place.tests}: {error.strerror}")
    except (Refused, Unavailable) as error:
        chatter(f"the dashboard will not show this test: {error.message}")
