"""`fmt`: documents in their canonical form."""

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.exits import UsageError
from opsconductor.terminal import chatter, printable


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("fmt")(fmt)


def fmt(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", help="The folder with opsconductor.yaml, or files; - reads and prints one."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where a file is not canonical.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
) -> int:
    """Bring documents into their canonical form: layout only, comments kept. Encrypted files are left alone."""
    from opsconductor.authoring.formatting import Formatted, formatted, write

    if paths == [Path("-")]:
        return _through()
    changed = kept = looked = 0
    for one in formatted(paths or [Path()]):
        looked += 1
        if not isinstance(one, Formatted):
            if not one.sealed:
                kept += 1
                chatter(f"{printable(str(one.file))}: left as it is: {one.why}")
            continue
        if not one.changed:
            continue
        changed += 1
        if diff:
            sys.stdout.writelines(_differences(one.file, one.before, one.after))
        elif check:
            typer.echo(printable(str(one.file)))
        elif write(one):
            chatter(f"formatted {printable(str(one.file))}")
        else:
            kept += 1
            chatter(f"{printable(str(one.file))}: left as it is: it was changed meanwhile; format it again")
    verb = "would change" if check or diff else "changed"
    chatter(f"{looked} files, {changed} {verb}" + (f", {kept} left as they are" if kept else ""))
    return exits.FINDINGS if kept or (changed and check) else exits.OK


def _through() -> int:
    """What editors call: a file comes in, its canonical form goes out."""
    from engine.canonical import canonical
    from engine.commented import NotFormatted

    data = sys.stdin.buffer.read()
    try:
        made = canonical(data)
    except NotFormatted as error:
        raise UsageError(f"left as it is: {error}") from error
    sys.stdout.buffer.write(made)
    return exits.OK


def _differences(file: Path, before: bytes, after: bytes) -> list[str]:
    from engine.hiding import Hidden

    # Logs of checks keep what is printed.
    old, new = (Hidden.of(data, ()).starred().splitlines(keepends=True) for data in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{file}", f"b/{file}")
    return [f"{printable(line.rstrip(chr(10)))}\n" for line in lines]
