"""`new`: a document to begin with."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.terminal import chatter, printable


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("new")(new)


def new(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Job, Schedule, Target, ...; as people spell it.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Its name; of a step with its library: tools/disk-usage.")
    ],
    repo: Annotated[
        Path,
        typer.Option("--repo", "-C", envvar="OPSCONDUCTOR_REPO", metavar="PATH", help="The definitions repository."),
    ] = Path(),
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Where to, from the root; a file that exists gets it at its end."),
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Write nothing; print the document.")] = False,
) -> int:
    """Write a document with comments on what else it may say, for you to edit. Nothing is committed."""
    from opsconductor.authoring.newdocument import drafted, left_to_do, printed, write
    from opsconductor.kindnames import kind_to_write

    meant = kind_to_write(kind)
    if stdout:
        typer.echo(printed(meant, name), nl=False)
        return exits.OK
    draft = drafted(repo, meant, name, file)
    write(draft)
    place = printable(draft.path)
    chatter(f"wrote {place}" if draft.before is None else f"wrote line {draft.begins_at} and on of {place}")
    for one in left_to_do(draft):
        chatter(printable(f"    line {one.span.line}: {one.message}; {one.hint}" if one.hint else f"    {one.message}"))
    chatter("next: edit it, 'opsconductor validate', and commit")
    return exits.OK
