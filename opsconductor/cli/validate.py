"""`validate`: all findings, at once, with their places."""

from pathlib import Path
from typing import Annotated

import typer

from opsconductor import exits
from opsconductor.settings import UsageError


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
    from opsconductor.report import FORMATS, shown
    from opsconductor.validation import validate_commit, validate_paths
    from schemas.diagnostic import has_errors

    if output not in FORMATS:
        raise UsageError(f"--format {output}: there are {', '.join(FORMATS)}")
    if not path.is_dir():
        raise UsageError(f"{path}: not a folder; give the one with opsconductor.yaml")
    if rev is None:
        root = _root_of(path)
        report, place = validate_paths(root), _place_of(root.resolve())
    else:
        from opsconductor.repository import Repository

        repository = Repository.open(str(path))
        commit = repository.resolve(rev)
        if commit is None:
            raise UsageError(f"--rev {rev}: no such commit in {path}")
        report, place = validate_commit(repository.git_dir, commit), ""
    typer.echo(shown(report, output, place))
    return exits.FINDINGS if has_errors(report.findings) else exits.OK


def _root_of(path: Path) -> Path:
    """The nearest folder upwards that holds a Project; the folder itself where none does."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "opsconductor.yaml").is_file()), path)


def _place_of(root: Path) -> str:
    """The way to a folder from the root of its checkout; empty outside of one."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    return "" if top == root else root.relative_to(top).as_posix()
