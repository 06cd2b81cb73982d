"""`init`: a new definitions repository that works."""

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
    example: Annotated[str, typer.Option("--example", metavar="NAME", help="Which sample to write.")] = "hello",
    state: StateOption = None,
) -> int:
    """Make a git repository (branch main) with a working sample and editor settings."""
    from opsconductor.sample import write

    made = write(directory, example, Path(state) if state else None)
    chatter(f"made {made.root} with {made.documents} documents, committed on branch main")
    chatter("next:")
    chatter(f"    opsconductor up {directory}          # start it: reconcile, schedule, run, publish")
    chatter(f"    opsconductor get runs -C {directory}     # in another terminal: what ran")
    chatter(f"    git -C {directory} log -p opsconductor/status   # every result is a commit")
    return exits.OK
