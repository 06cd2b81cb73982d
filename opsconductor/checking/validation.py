"""Validation of what is on disk, with or without git, and of a commit. Runs no code and needs no secret.

Both walk in git's order and say what `engine.entries` says, so that the same content has the same findings.
"""

from collections.abc import Callable, Mapping
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
from engine.vendored import LOCK_FILE, file_of, is_apart, is_vendored, vendored
from opsconductor.checking.basis import Basis, Looks
from opsconductor.checking.cores import on_all_cores
from opsconductor.checking.garbage import uncollected
from opsconductor.checking.tree import Tree, walked
from opsconductor.report import Report
from schemas.diagnostic import Diagnostic
from schemas.reader import ParsedFile, read


def validate_paths(root: Path, changes: Mapping[str, bytes] | None = None) -> Report:
    """All findings in the files below a folder. Reads regular files only, opens no link, and stops at the limits.

    `changes` are files as they would be, or further ones, of at most 1 MiB each; nothing is written.
    """
    return _validated(root, changes or {})[0]


def validate_folder(root: Path) -> tuple[Report, Basis | None]:
    """The same, and what the findings rest on; None where the files changed meanwhile."""
    report, looks = _validated(root, {})
    return report, looks.basis() if looks is not None else None


def _validated(root: Path, changed: Mapping[str, bytes]) -> tuple[Report, Looks | None]:
    settings = changed.get(PROJECT_FILE) or Tree(root, ()).read(PROJECT_FILE)
    project = project_to_read_by(read(settings, PROJECT_FILE) if settings is not None else None)
    looks = Looks(walked(root, looked_at(project)))
    paths = {*looks.tree.paths, *changed}
    wanted = sorted({*included(paths, project), *filter(is_apart, paths)})
    files = {path: data for path in wanted if (data := changed.get(path) or looks.read(path)) is not None}
    report = _report(
        "", files, tuple(looks.tree.findings), lambda path: path in changed or looks.holds(path), looks.small
    )
    return report, looks if files.get(PROJECT_FILE) == settings else None


def validate_commit(git_dir: Path, commit: str) -> Report:
    """All findings in a commit of a repository."""
    return validate_changed(git_dir, commit, {})


def validate_changed(git_dir: Path, commit: str, changes: Mapping[str, bytes | None]) -> Report:
    """All findings in a commit as it would be with other bytes in some files; None: without the file.

    Nothing is written. Files of more than 1 MiB are not for this.
    """
    from reconciler.repository.objects import Objects

    objects = Objects(git_dir)

    def file(path: str) -> bytes | None:
        return changes[path] if path in changes else objects.file(commit, path)

    data = file(PROJECT_FILE)
    project = project_to_read_by(read(data, PROJECT_FILE) if data is not None else None)
    snapshot = objects.snapshot(commit, looked_at(project))
    there = {path: after for path, after in changes.items() if after is not None}
    paths = (snapshot.files.keys() - changes.keys()) | there.keys()
    wanted = sorted({*included(paths, project), *filter(is_apart, paths)})
    files = {path: there[path] if path in there else objects.blob(snapshot.files[path].id) for path in wanted}
    return _report(
        commit,
        files,
        snapshot.findings,
        lambda path: path in there or (path not in changes and objects.holds(commit, path)),
        file,
    )


def _report(
    commit: str,
    files: dict[str, bytes],
    extra: tuple[Diagnostic, ...],
    holds: Callable[[str], bool],
    small: Callable[[str], bytes | None],
) -> Report:
    documents = [(path, data) for path, data in files.items() if not is_apart(path)]
    with uncollected():
        answers = on_all_cores(lambda file: _read(*file), documents)
        parsed = [file for file, _ in answers]
        of_libraries = (file_of(path, data) for path, data in files.items() if is_vendored(path))
        libraries = vendored(of_libraries, files.get(LOCK_FILE))
        names = Named.together(name for _, name in answers if name is not None)
        compiled: Compiled = compile_files(
            commit,
            parsed,
            extra=extra,
            libraries=libraries,
            present=frozenset(filter(holds, names.files)),
            templates=rendered(names.templates, small),
            calendar_files=dated(names.calendars, small),
            every=on_all_cores,
            last=True,
        )
    return Report(compiled, _sources(compiled.findings, files))


def _read(path: str, data: bytes) -> tuple[ParsedFile, Named | None]:
    """A file, and what its documents name, if they do: few have any of it to be handed from process to process."""
    parsed = read(data, path)
    names = named((parsed,))
    return parsed, names if names.files or names.templates or names.calendars else None


def _sources(findings: tuple[Diagnostic, ...], sources: dict[str, bytes]) -> dict[str, bytes]:
    wanted = {finding.span.file for finding in findings}
    return {file: data for file, data in sources.items() if file in wanted}
