"""Validation of what is on disk, with or without git, and of a commit. Runs no code and needs no secret.

Both walk in git's order and say what `engine.entries` says, so that the same content has the same findings.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from engine.compile import (
    PROJECT_FILE,
    Compiled,
    Named,
    compile_files,
    dated,
    included,
    looked_at,
    named,
    project_to_read_by,
    rendered,
)
from engine.spreading import Every, in_turn
from engine.vendored import LOCK_FILE, file_of, is_apart, is_vendored, vendored
from opsconductor.checking.basis import Basis, Looks
from opsconductor.checking.cores import on_all_cores
from opsconductor.checking.garbage import uncollected
from opsconductor.checking.tree import Tree, walked
from opsconductor.report import Report
from schemas.diagnostic import Diagnostic
from schemas.project import Project
from schemas.reader import ParsedFile, read


@dataclass(frozen=True, slots=True)
class Process:
    """What a validation may do with the process that it runs in: it changes no finding, only what finding them costs.

    `every` asks one thing of many documents. `making` is entered while they are read and checked.
    """

    every: Every = in_turn
    making: Callable[[], AbstractContextManager[None]] = nullcontext


SHARED = Process()
"""A process that goes on and may have other threads, such as a server: it is not forked, nor its garbage left alone."""
ALONE = Process(on_all_cores, uncollected)
"""A process of one thread that is about to end, such as a command: all cores, and no look for garbage."""


def validate_paths(
    root: Path, changes: Mapping[str, bytes | None] | None = None, *, process: Process = SHARED
) -> Report:
    """All findings in the files below a folder. Reads regular files only, opens no link, and stops at the limits.

    `changes` are files as they would be, or further ones, of at most 1 MiB each; None: without the file. Nothing is
    written.
    """
    return _validated(root, changes or {}, process)[0]


def validate_folder(root: Path, *, process: Process = SHARED) -> tuple[Report, Basis | None]:
    """The same, and what the findings rest on; None where the files changed meanwhile."""
    report, looks = _validated(root, {}, process)
    return report, looks.basis() if looks is not None else None


def _validated(root: Path, changes: Mapping[str, bytes | None], process: Process) -> tuple[Report, Looks | None]:
    settings = _over(changes, Tree(root, ()).read)(PROJECT_FILE)
    project = project_to_read_by(read(settings, PROJECT_FILE) if settings is not None else None)
    looks = Looks(walked(root, looked_at(project)))
    wanted = _wanted(looks.tree.paths, changes, project)
    file = _over(changes, looks.read)
    files = {path: data for path in wanted if (data := file(path)) is not None}
    holds, small = _holding(changes, looks.holds), _over(changes, looks.small)
    report = _report("", files, looks.tree.findings, holds, small, process)
    return report, looks if files.get(PROJECT_FILE) == settings else None


def validate_commit(git_dir: Path, commit: str, *, process: Process = SHARED) -> Report:
    """All findings in a commit of a repository."""
    return validate_changed(git_dir, commit, {}, process=process)


def validate_changed(
    git_dir: Path, commit: str, changes: Mapping[str, bytes | None], *, process: Process = SHARED
) -> Report:
    """All findings in a commit as it would be with other bytes in some files; None: without the file.

    Nothing is written. Files of more than 1 MiB are not for this.
    """
    from reconciler.repository.objects import Objects

    objects = Objects(git_dir)
    file = _over(changes, lambda path: objects.file(commit, path))
    settings = file(PROJECT_FILE)
    project = project_to_read_by(read(settings, PROJECT_FILE) if settings is not None else None)
    snapshot = objects.snapshot(commit, looked_at(project))
    wanted = _wanted(snapshot.files, changes, project)
    listed = _over(changes, lambda path: objects.blob(snapshot.files[path].id))
    files = {path: data for path in wanted if (data := listed(path)) is not None}
    holds = _holding(changes, lambda path: objects.holds(commit, path))
    return _report(commit, files, snapshot.findings, holds, file, process)


def _over(changes: Mapping[str, bytes | None], before: Callable[[str], bytes | None]) -> Callable[[str], bytes | None]:
    """A file as it would be: what is given for it, which may be no bytes at all, else as it was before."""
    return lambda path: changes[path] if path in changes else before(path)


def _holding(changes: Mapping[str, bytes | None], before: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether there would be a file."""
    return lambda path: changes[path] is not None if path in changes else before(path)


def _wanted(before: Iterable[str], changes: Mapping[str, bytes | None], project: Project | None) -> list[str]:
    """Of all files that there would be, those to look into, in git's order."""
    there = {path for path, after in changes.items() if after is not None}
    paths = {path for path in before if path not in changes} | there
    return sorted({*included(paths, project), *filter(is_apart, paths)})


def _report(
    commit: str,
    files: dict[str, bytes],
    extra: tuple[Diagnostic, ...],
    holds: Callable[[str], bool],
    small: Callable[[str], bytes | None],
    process: Process,
) -> Report:
    documents = [(path, data) for path, data in files.items() if not is_apart(path)]
    with process.making():
        answers = process.every(lambda file: _read(*file), documents)
        parsed = [file for file, _ in answers]
        of_libraries = (file_of(path, data) for path, data in files.items() if is_vendored(path))
        libraries = vendored(of_libraries, files.get(LOCK_FILE))
        names = Named.together(name for _, name in answers if name is not None)
        compiled: Compiled = compile_files(
            commit,
            parsed,
            extra=(*extra, *names.bugs),
            libraries=libraries,
            present=frozenset(filter(holds, names.files)),
            templates=rendered(names.templates, small),
            calendar_files=dated(names.calendars, small),
            every=process.every,
            last=True,
        )
    return Report(compiled, _sources(compiled.findings, files))


def _read(path: str, data: bytes) -> tuple[ParsedFile, Named | None]:
    """A file, and what its documents name, if they do: few have any of it to be handed from process to process."""
    parsed = read(data, path)
    names = named((parsed,))
    return parsed, names if any((names.files, names.templates, names.calendars, names.bugs)) else None


def _sources(findings: tuple[Diagnostic, ...], sources: dict[str, bytes]) -> dict[str, bytes]:
    wanted = {finding.span.file for finding in findings}
    return {file: data for file, data in sources.items() if file in wanted}
