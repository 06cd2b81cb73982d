"""`plan`: what a merge would change, before it is merged."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opsconductor.exits import UsageError
from opsconductor.terminal import chatter

if TYPE_CHECKING:
    from engine.compile import Compiled
    from opsconductor.repository import Repository

FORMATS = ("text", "json", "markdown")
ON_DISK = "files on disk"
_LONGEST_HORIZON = timedelta(days=366)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("plan")(plan)


def plan(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", help="The folder with opsconductor.yaml.")] = Path(),
    base: Annotated[str, typer.Option("--base", metavar="REV", help="The commit that would be merged into.")] = "",
    head: Annotated[
        str | None, typer.Option("--head", metavar="REV", help="The commit to merge; the files on disk by default.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="INSTANT", help="When it is merged, RFC 3339; now by default.")
    ] = None,
    horizon: Annotated[str, typer.Option("--horizon", metavar="DURATION", help="How far to look.")] = "24h",
    output: Annotated[str, typer.Option("--format", help="text, json or markdown.")] = "text",
    comment: Annotated[
        bool, typer.Option("--comment", help="In CI: put it into the one comment of the pull request, too.")
    ] = False,
) -> int:
    """Show what a merge would change. Opens no connection, needs no secret. Exit 1 where head has errors.

    With --comment the forge is called, with the token that CI gives; without one, or where it may not, this says so.
    """
    from engine.changes.plan import plan as compare
    from opsconductor.bugreports import verdict_on
    from opsconductor.checking.validation import ALONE, validate_commit
    from opsconductor.plans.planmarkdown import as_markdown
    from opsconductor.plans.planreport import as_json, as_text

    if output not in FORMATS:
        raise UsageError(f"--format {output}: there are {', '.join(FORMATS)}")
    if not base:
        raise UsageError("--base REV is missing; in a pull request it is the branch to merge into, as in origin/main")
    begin, span = _times(start, horizon)
    repository = _repository(path)
    before = _commit(repository, "--base", base)
    name, after = _head(repository, head)
    _warn_if_apart(repository, base, before, head)
    compared = compare(
        validate_commit(repository.git_dir, before, process=ALONE).compiled,
        after,
        begin,
        span,
        names=(before, name),
        paths=repository.changed(before, None if name == ON_DISK else name),
    )
    as_output = {"text": as_text, "json": as_json, "markdown": as_markdown}[output]
    typer.echo(as_output(compared), nl=output != "markdown")
    if comment:
        _comment(as_markdown(compared))
    # An error in what is in force is no fault of who would merge; a bug of ours on either side may hide anything.
    return verdict_on((*compared.findings, *(one for one in compared.base_findings if one.bug)))


def _comment(text: str) -> None:
    """A plan that cannot be shown there is a plan all the same."""
    import os

    from opsconductor.plans.plancomment import NoComment, put, thread_of

    try:
        said = put(thread_of(os.environ, lambda path: Path(path).read_text(encoding="utf-8")), text)
    except NoComment as error:
        said = f"no comment: {error}"
    chatter(said)


def _repository(path: Path) -> "Repository":
    from opsconductor.repository import Repository

    if not path.is_dir():
        raise UsageError(f"{path}: not a folder; give the one with opsconductor.yaml")
    try:
        return Repository.open(str(path))
    except UsageError as error:
        raise UsageError(f"{path}: not in a git repository; plan compares with a commit of it") from error


def _times(start: str | None, horizon: str) -> tuple[datetime, timedelta]:
    from engine.times.recurrence import YEARS, is_within
    from schemas.quantities import parse_duration, parse_instant

    try:
        begin = parse_instant(start) if start else datetime.now(UTC).replace(microsecond=0)
        if not is_within(begin):
            raise ValueError(YEARS)
        span = parse_duration(horizon)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--from and --horizon: {error}") from error
    if span > _LONGEST_HORIZON:
        raise UsageError(f"--horizon {horizon}: at most 366d")
    return begin, span


def _head(repository: "Repository", rev: str | None) -> "tuple[str, Compiled]":
    """What head is called, and what it says: a commit, or the files on disk where there are any."""
    from opsconductor.checking.validation import ALONE, validate_commit, validate_paths

    if rev is None and repository.work_tree is not None:
        return ON_DISK, validate_paths(repository.work_tree, process=ALONE).compiled
    commit = _commit(repository, "--head", rev or "HEAD")
    return commit, validate_commit(repository.git_dir, commit, process=ALONE).compiled


def _commit(repository: "Repository", option: str, rev: str) -> str:
    commit = repository.resolve(rev)
    if commit is None:
        raise UsageError(
            f"{option} {rev}: no such commit here; a shallow clone may lack it: fetch it, or check out with full depth"
        )
    return commit


def _warn_if_apart(repository: "Repository", base: str, before: str, head: str | None) -> None:
    from reconciler.repository.objects import Objects

    commit = repository.resolve(head or "HEAD")
    if commit is not None and not Objects(repository.git_dir).is_ancestor(before, commit):
        chatter(
            f"{base} has commits that head lacks: they show as taken back. Merge it first, or compare with "
            f"--base $(git merge-base {base} {head or 'HEAD'})"
        )
