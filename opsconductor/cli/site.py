"""`site build`: the dashboard's pages as files."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.cli.options import StateOption
from opsconductor.remembered import remembered
from opsconductor.settings import StateFolder, default_state, parse_source
from opsconductor.terminal import chatter


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    site = typer.Typer(help="The dashboard's pages as files.", no_args_is_help=True)
    site.callback()(_of_sites)
    site.command("build")(build)
    app.add_typer(site, name="site")


def _of_sites() -> None:
    """The dashboard's pages as files."""


def build(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or an earlier site.")],
    source: Annotated[
        str, typer.Option("--source", "--repo", "-C", envvar="OPSCONDUCTOR_SOURCE", help="The engine's SOURCE.")
    ] = ".",
    state: StateOption = None,
) -> int:
    """Write every page and its JSON as files with relative links: for any web server, or to open from the folder.

    It reads the state folder on this machine; an engine may be at work meanwhile.
    """
    from opsconductor.sitefiles import build_site

    where = parse_source(source)
    found = StateFolder(Path(state).expanduser().resolve() if state else remembered(where) or default_state(where))
    count = build_site(found, folder.absolute())
    chatter(f"wrote {count} files; begin with {folder / 'index.html'}")
    return exits.OK
