"""`validate`: all findings, at once, with their places."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor.cli.verdict import Asked, give


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("validate")(validate)


def validate(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="The folder with opsconductor.yaml.")] = Path(),
    rev: Annotated[str | None, typer.Option("--rev", metavar="REV", help="A commit, not the files on disk.")] = None,
    output: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, json, github, gitlab, sarif or junit.")
    ] = "text",
) -> int:
    """Check every document. Runs no code, opens no connection, needs no secret. Exit 0 clean, 1 findings."""
    return give(Asked(path, rev, output))
