"""What `validate` answers, and its plain form, which needs no command line parser."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engine.entries import PROJECT_FILE
from opsconductor import exits
from opsconductor.checking.garbage import uncollected
from opsconductor.checking.keptverdict import Kept, Verdict
from opsconductor.checking.tree import root_of, top_of
from opsconductor.exits import UsageError

if TYPE_CHECKING:
    from opsconductor.report import Report


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
    if not asked.path.is_dir():
        raise UsageError(f"{asked.path}: not a folder; give the one with opsconductor.yaml")
    verdict = _of_folder(asked) if asked.rev is None else _of_commit(asked, asked.rev)
    sys.stdout.write(f"{verdict.said}\n")
    sys.stdout.flush()
    return verdict.code


def _of_folder(asked: Asked) -> Verdict:
    found = root_of(asked.path)
    if found is None and _is_bare(asked.path):
        raise UsageError(f"{asked.path}: a repository without files on disk; say which commit: --rev HEAD")
    root = found or asked.path.resolve()
    top = top_of(root)
    place = "" if top == root else root.relative_to(top).as_posix()
    kept = Kept.of(root, asked.output, place)
    if kept is not None and (known := kept.verdict()) is not None:
        return known
    _check_format(asked.output)
    from opsconductor.checking.validation import ALONE, validate_folder

    report, basis = validate_folder(root, process=ALONE)
    if place and (root / PROJECT_FILE).is_file():
        report = _below_the_root(report, place)
    verdict = _verdict(report, asked.output, place)
    if kept is not None and basis is not None and verdict.code != exits.BUG:
        kept.keep(verdict, basis)
    return verdict


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _below_the_root(report: "Report", place: str) -> "Report":
    """With the warning that no engine would read it there. No error: it may be a folder of examples."""
    from schemas.diagnostic import Diagnostic, in_order
    from schemas.span import start_of

    message = f"this Project lies in '{place}' of its checkout; an engine, 'plan' and --rev look at the root alone"
    hint = "make the folder a repository of its own, or move what is in it to the root; examples may stay"
    found = Diagnostic(start_of(PROJECT_FILE), "OC304", message, hint, "warning")
    compiled = replace(report.compiled, findings=in_order([*report.findings, found]))
    return replace(report, compiled=compiled)


def _of_commit(asked: Asked, rev: str) -> Verdict:
    _check_format(asked.output)
    from opsconductor.checking.validation import ALONE, validate_commit
    from opsconductor.repository import Repository

    repository = Repository.open(str(asked.path))
    commit = repository.resolve(rev)
    if commit is None:
        raise UsageError(f"--rev {rev}: no such commit in {asked.path}")
    return _verdict(validate_commit(repository.git_dir, commit, process=ALONE), asked.output, "")


def _check_format(output: str) -> None:
    from opsconductor.report import FORMATS

    if output not in FORMATS:
        raise UsageError(f"--format {output}: there are {', '.join(FORMATS)}")


def _verdict(report: "Report", output: str, place: str) -> Verdict:
    """`place` leads to the folder from the root of its checkout; empty outside of one."""
    from opsconductor.bugreports import verdict_on
    from opsconductor.report import shown

    return Verdict(shown(report, output, place), verdict_on(report.findings))
