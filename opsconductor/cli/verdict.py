"""What `validate` answers, and its plain form, which needs no command line parser."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opsconductor import exits
from opsconductor.exits import UsageError
from opsconductor.garbage import uncollected


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of `validate`: a folder at or below one with a Project, a commit or the files on disk, and a format."""

    path: Path = Path()
    rev: str | None = None
    output: str = "text"


def plainly_asked(arguments: Sequence[str]) -> Asked | None:
    """The call `validate [PATH] [--rev REV] [--format FORMAT]`; None for all others, and for any doubt about this one.

    The command line parser would read it in the same way.
    """
    if list(arguments[:1]) != ["validate"]:
        return None
    paths: list[str] = []
    options: dict[str, str] = {}
    waiting = iter(arguments[1:])
    for one in waiting:
        name, equals, value = one.partition("=")
        if name in ("--rev", "--format"):
            options[name] = value if equals else next(waiting, "")
        else:
            paths.append(one)
    given = [*paths, *options.values()]
    if len(paths) > 1 or not all(given) or any(one.startswith("-") for one in given):
        return None
    return Asked(Path(*paths), options.get("--rev"), options.get("--format", "text"))


def give(asked: Asked) -> int:
    """Print all findings, and give the exit code. Raises UsageError for what cannot be validated at all."""
    with uncollected():
        return _give(asked)


def _give(asked: Asked) -> int:
    from opsconductor.checkout import root_of
    from opsconductor.report import FORMATS, shown
    from opsconductor.validation import validate_commit, validate_paths
    from schemas.diagnostic import has_errors

    path = asked.path
    if asked.output not in FORMATS:
        raise UsageError(f"--format {asked.output}: there are {', '.join(FORMATS)}")
    if not path.is_dir():
        raise UsageError(f"{path}: not a folder; give the one with opsconductor.yaml")
    if asked.rev is None:
        root = root_of(path) or path
        report, place = validate_paths(root), _place_of(root.resolve())
    else:
        from opsconductor.repository import Repository

        repository = Repository.open(str(path))
        commit = repository.resolve(asked.rev)
        if commit is None:
            raise UsageError(f"--rev {asked.rev}: no such commit in {path}")
        report, place = validate_commit(repository.git_dir, commit), ""
    sys.stdout.write(f"{shown(report, asked.output, place)}\n")
    sys.stdout.flush()
    return exits.FINDINGS if has_errors(report.findings) else exits.OK


def _place_of(root: Path) -> str:
    """The way to a folder from the root of its checkout; empty outside of one."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    return "" if top == root else root.relative_to(top).as_posix()
