"""`plugin list` and `plugin lock`: what the plug-ins of this machine bring, and what a repository knows of them."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.cli.options import OutputOption
from opsconductor.exits import UsageError

_PathArgument = Annotated[Path, typer.Argument(metavar="PATH", help="The root of the definitions.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Plug-ins: what is installed here, and what the repository knows of it.")
    group.command("list")(show_all)
    group.command("lock")(lock)
    app.add_typer(group, name="plugin")


def show_all(output: OutputOption = "table") -> int:
    """List what plug-ins bring, and what is wrong with them; exit 1 where something is."""
    from opsconductor.cli.output import Table, check_format, show
    from opsconductor.plugins.installed import faults, parts

    check_format(output)
    found, wrong = parts(), faults()
    data = {
        "parts": [{"what": p.what, "name": p.name, "package": p.package, "version": p.version} for p in found],
        "faults": [{"what": f.group, "name": f.name, "package": f.source, "problem": f.problem} for f in wrong],
    }
    rows = [(part.what, part.name, f"{part.package} {part.version}") for part in found]
    show(Table(("WHAT", "NAME", "PACKAGE"), rows, data, empty="no plug-ins are installed"), output)
    for fault in wrong:
        typer.echo(f"{fault.source}: {fault.problem}", err=True)
    return exits.FINDINGS if wrong else exits.OK


def lock(
    path: _PathArgument = Path(),
    prune: Annotated[bool, typer.Option("--prune", help="Take those out that are not installed here.")] = False,
) -> int:
    """Write what the plug-ins that are installed here take into opsconductor.lock, for all who check it."""
    from engine.plugins import WORDS
    from engine.vendored import LOCK_FILE
    from opsconductor.authoring import lockfile
    from opsconductor.plugins.installed import locked, relocked

    if not (path / "opsconductor.yaml").is_file():
        raise UsageError(f"{path}: there is no opsconductor.yaml here; name the root of the definitions")
    file = path / LOCK_FILE
    before = file.read_bytes() if file.is_file() else None
    try:
        after, known = relocked(before, prune=prune), locked()
    except ValueError as error:
        typer.echo(f"opsconductor: {error}", err=True)
        return exits.FINDINGS
    if after != (before or b""):
        lockfile.write(path, after)
    names = [name for package in known.values() for what in WORDS for name in package.get(what, ())]
    said = f"{file} knows {', '.join(names)}" if names else "no plug-in that says what it takes is installed here"
    typer.echo(said, err=True)
    return exits.OK
