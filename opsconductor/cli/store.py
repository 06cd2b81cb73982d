"""`store migrate`: the engine's store from one place to another."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.cli.options import StateOption
from opsconductor.terminal import chatter

_Source = Annotated[
    str, typer.Argument(metavar="SOURCE", envvar="OPSCONDUCTOR_SOURCE", help="The engine's SOURCE; names its folder.")
]
_Database = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="OPSCONDUCTOR_DATABASE",
        metavar="URL",
        help="postgresql://USER@HOST/DATABASE; a password is better in PGPASSFILE.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group = typer.Typer(help="Where the engine keeps what it knows.", no_args_is_help=True)
    group.callback()(_of_the_store)
    group.command("migrate")(migrate)
    app.add_typer(group, name="store")


def _of_the_store() -> None:
    """Where the engine keeps what it knows."""


def migrate(
    database: _Database,
    source: _Source = ".",
    back: Annotated[bool, typer.Option("--back", help="From the database into the state folder.")] = False,
    state: StateOption = None,
) -> int:
    """Take the store from the state folder into a PostgreSQL database, or --back; every row is compared.

    All that use it are stopped first. The place that it leaves says so to whoever starts there again.
    """
    from opsconductor.remembered import remembered
    from opsconductor.settings import StateFolder, default_state, parse_source
    from opsconductor.storemigration import to_database, to_folder

    where = parse_source(source)
    folder = StateFolder(Path(state).expanduser().resolve() if state else remembered(where) or default_state(where))
    moved = to_folder(folder, database) if back else to_database(folder, database)
    counted = ", ".join(f"{moved.rows[name]} {name}" for name in ("runs", "steps", "messages"))
    there = f"{folder.root}; start without --database" if back else "the database; start with --database"
    chatter(f"moved {moved.total} rows of {len(moved.rows)} tables ({counted}), each compared, to {there}")
    return exits.OK
