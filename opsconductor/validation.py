"""Validation of what is on disk, with or without git, and of a commit. Runs no code and needs no secret."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.compile import PROJECT_FILE, compile_files, included
from engine.globs import matches, may_hold
from opsconductor.report import Report
from schemas.diagnostic import Diagnostic
from schemas.guard import MAX_BYTES
from schemas.project import DEFAULT_INCLUDE, Project
from schemas.reader import ParsedFile, read
from schemas.span import start_of

MAX_FILES = 20_000
MAX_FOLDERS = 16


def validate_paths(root: Path) -> Report:
    """All findings in the files below a folder. Reads regular files only, opens no link, and stops at the limits."""
    tree = _Tree(root)
    project_file = tree.read(PROJECT_FILE) if os.path.lexists(root / PROJECT_FILE) else None
    project = _project(project_file)
    tree.walk(project.spec.include if project else DEFAULT_INCLUDE)
    files = [] if project_file is None else [project_file]
    for path in included(tree.paths, project):
        if path != PROJECT_FILE and (parsed := tree.read(path)) is not None:
            files.append(parsed)
    compiled = compile_files("", files, extra=tree.findings)
    return Report(compiled, _sources(compiled.findings, tree.sources))


def validate_commit(git_dir: Path, commit: str) -> Report:
    """All findings in a commit of a repository."""
    from reconciler.objects import Objects

    objects = Objects(git_dir)
    data = objects.file(commit, PROJECT_FILE)
    project = _project(read(data, PROJECT_FILE) if data is not None else None)
    snapshot = objects.snapshot(commit, project.spec.include if project else DEFAULT_INCLUDE)
    files = {path: objects.blob(snapshot.files[path].id) for path in included(snapshot.files, project)}
    compiled = compile_files(commit, [read(data, path) for path, data in files.items()], extra=snapshot.findings)
    return Report(compiled, _sources(compiled.findings, files))


def _project(parsed: ParsedFile | None) -> Project | None:
    documents = (authored.document for authored in parsed.documents) if parsed else iter(())
    return next((document for document in documents if isinstance(document, Project)), None)


def _sources(findings: tuple[Diagnostic, ...], sources: dict[str, bytes]) -> dict[str, bytes]:
    wanted = {finding.span.file for finding in findings}
    return {file: data for file, data in sources.items() if file in wanted}


@dataclass
class _Tree:
    """The files below a folder, by their path from it with `/` between names."""

    root: Path
    paths: list[str] = field(default_factory=list)
    findings: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, bytes] = field(default_factory=dict)

    def walk(self, globs: tuple[str, ...]) -> None:
        """Collect the files that the globs match; folders that cannot hold any are not opened."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            below: list[str] = []
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".git" and any(may_hold(glob, path) for glob in globs):
                        below.append(path)
                elif any(matches(glob, path) for glob in globs) and path != PROJECT_FILE:
                    if len(self.paths) == MAX_FILES:
                        self._refuse(path, "OC122", f"more than {MAX_FILES:,} files", "narrow the Project's include")
                        return
                    if self._nameable(path):
                        self.paths.append(path)
                elif entry.is_symlink() and any(may_hold(glob, path) for glob in globs):
                    self._link(path)
            for path in sorted(below, reverse=True):
                if path.count("/") + 1 > MAX_FOLDERS:
                    hint = "move it up"
                    self._refuse(path, "OC123", f"a folder nested more than {MAX_FOLDERS} deep is not read", hint)
                else:
                    waiting.append(path)

    def read(self, path: str) -> ParsedFile | None:
        """The parsed file; None, with a finding, where it is no regular file or cannot be read."""
        data = self._bytes(path)
        if data is None:
            return None
        self.sources[path] = data
        return read(data, path)

    def _entries(self, folder: str) -> Iterator["os.DirEntry[str]"]:
        try:
            with os.scandir(self.root / folder) as entries:
                yield from sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._refuse(folder or ".", "OC125", f"the folder cannot be read: {error.strerror}", "")

    def _bytes(self, path: str) -> bytes | None:
        try:
            # Not through links, and without waiting for the other end of a pipe.
            descriptor = os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self._link(path)
            elif error.errno in (errno.ENXIO, errno.ENODEV):
                self._irregular(path)
            else:
                self._refuse(path, "OC125", f"the file cannot be read: {error.strerror}", "")
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                self._irregular(path)
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_BYTES + 1)
        except OSError as error:
            self._refuse(path, "OC125", f"the file cannot be read: {error.strerror}", "")
            return None
        finally:
            os.close(descriptor)

    def _nameable(self, path: str) -> bool:
        if path.isprintable() and "\\" not in path:
            return True
        hint = "rename it; names are printable UTF-8 without backslashes"
        self._refuse(path, "OC124", "an odd file name", hint)
        return False

    def _link(self, path: str) -> None:
        self._refuse(path, "OC121", "a symbolic link; only regular files are read", "put the file itself here")

    def _irregular(self, path: str) -> None:
        self._refuse(path, "OC121", "not a regular file", "remove it, or narrow the Project's include")

    def _refuse(self, path: str, code: str, message: str, hint: str) -> None:
        shown = path.encode("utf-8", "backslashreplace").decode()
        self.findings.append(Diagnostic(start_of(shown), code, message, hint))
