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
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> int:
    """Check every document. Runs no code, opens no connection, needs no secret. Exit 0 clean, 1 findings."""
    from opsconductor.report import as_json, as_text
    from opsconductor.validation import validate_commit, validate_paths
    from schemas.diagnostic import has_errors

    if output not in ("text", "json"):
        raise UsageError(f"--format {output}: there are text and json (others are not supported yet)")
    if not path.is_dir():
        raise UsageError(f"{path}: not a folder; give the one with opsconductor.yaml")
    if rev is None:
        report = validate_paths(_root_of(path))
    else:
        from opsconductor.repository import Repository

        repository = Repository.open(str(path))
        commit = repository.resolve(rev)
        if commit is None:
            raise UsageError(f"--rev {rev}: no such commit in {path}")
        report = validate_commit(repository.git_dir, commit)
    typer.echo(as_json(report) if output == "json" else as_text(report))
    return exits.FINDINGS if has_errors(report.findings) else exits.OK


def _root_of(path: Path) -> Path:
    """The nearest folder upwards that holds a Project; the folder itself where none does."""
    here = path.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / "opsconductor.yaml").is_file()), path)
