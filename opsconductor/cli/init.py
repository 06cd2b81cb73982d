"""`init`: a new definitions repository that works."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.cli.options import StateOption
from opsconductor.terminal import chatter


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("init")(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet, or is empty.")],
    example: Annotated[
        str,
        typer.Option(
            "--example",
            metavar="NAME",
            help="hello, fleet-maintenance, database-backup, windows-estate or network-checks.",
        ),
    ] = "hello",
    ci: Annotated[
        str | None, typer.Option("--ci", metavar="PROVIDER", help="github, gitlab, gitea, forgejo or woodpecker.")
    ] = None,
    package: Annotated[
        str | None,
        typer.Option(
            "--package",
            metavar="REQUIREMENT",
            help="What the CI file installs: opsconductor==VERSION, 'opsconductor @ git+https://...' or the path of a "
            "wheel in the repository; this version by default.",
        ),
    ] = None,
    state: StateOption = None,
) -> int:
    """Make a git repository (branch main) with a working sample, editor settings and, with --ci, a CI file."""
    from opsconductor.sample import write

    made = write(directory, example, Path(state) if state else None, provider=ci, package=package)
    chatter(f"made {made.root} with {made.documents} documents, committed on branch main")
    given, place = f" --state {shlex.quote(state)}" if state else "", shlex.quote(str(directory))
    steps = {
        f"opsconductor up {place}{given}": "start it: reconcile, schedule, run, publish",
        f"opsconductor get runs -C {place}": "in another terminal: what ran",
        f"git -C {place} log -p opsconductor/status": "every result is a commit",
    }
    width = max(map(len, steps))
    chatter("next:")
    for command, reason in steps.items():
        chatter(f"    {command.ljust(width)}   # {reason}")
    return exits.OK
