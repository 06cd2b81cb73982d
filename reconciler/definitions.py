"""From a commit to a catalog: open it, parse what changed, compile the whole."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

import structlog

from engine.catalog import Catalog
from engine.changes.ingredients import Tree
from engine.compile import (
    PROJECT_FILE,
    Compiled,
    compile_files,
    dated,
    included,
    looked_at,
    named,
    project_to_read_by,
    rendered,
)
from engine.plugins import knowing_or_told
from engine.prune import removed_too_much
from engine.vendored import LOCK_FILE, Vendored, VendoredFile, file_of, is_vendored, libraries_or_told, vendored
from reconciler.repository.objects import BlobRef, Objects
from schemas.diagnostic import has_errors
from schemas.project import Project
from schemas.reader import ParsedFile, read

log = structlog.get_logger(__name__)

_CACHED_FILES = 40_000


class _File(Protocol):
    """What is read of one file."""

    def within(self, path: str, /) -> Self:
        """The same content in another file."""


_F = TypeVar("_F", bound=_File)


class _Kept(Generic[_F]):
    """What was read of files, by their content and where they lie.

    The same object again for the same content at the same place, so that what was found out about it still holds. Of
    content that lies somewhere else as well, or was moved, a copy: it costs no second parse.
    """

    def __init__(self, read: Callable[[str, str], _F]) -> None:
        self._read = read
        self._files: OrderedDict[tuple[str, str], _F] = OrderedDict()
        self._of_blob: dict[str, _F] = {}

    def file(self, path: str, blob: str) -> _F:
        held = self._files.get((blob, path))
        if held is None:
            known = self._of_blob.get(blob)
            held = known.within(path) if known is not None else self._read(path, blob)
            self._files[blob, path] = self._of_blob[blob] = held
            if len(self._files) > _CACHED_FILES:
                (oldest, _), _file = self._files.popitem(last=False)
                self._of_blob.pop(oldest, None)
        self._files.move_to_end((blob, path))
        return held


class Definitions:
    """Loads commits. Parsed files are kept, so a commit that changes one file costs one parse."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._parsed = _Kept[ParsedFile](lambda path, blob: read(objects.blob(blob), path))
        self._of_libraries = _Kept[VendoredFile](lambda path, blob: file_of(path, objects.blob(blob)))
        self._last: Compiled | None = None

    async def load(self, commit: str) -> Compiled:
        """Everything a commit says, or every reason why it says nothing. Raises Refused where objects are missing."""
        return await asyncio.to_thread(self._load, commit)

    async def project(self, commit: str) -> Project | None:
        """The Project of a commit, where it can be read, whether or not the rest is valid."""
        return await asyncio.to_thread(self._project, commit)

    def parsed(self, commit: str) -> tuple[tuple[ParsedFile, ...], bool]:
        """The files of a commit that hold documents; and whether all that may hold some could be read."""
        project = project_to_read_by(self._project_file(commit))
        snapshot = self._objects.snapshot(commit, looked_at(project))
        files = tuple(self._parsed.file(path, snapshot.files[path].id) for path in included(snapshot.files, project))
        return files, not has_errors(snapshot.findings)

    def parsed_file(self, path: str, blob: str) -> ParsedFile | None:
        """One file, by its content; None where it is too large to be read."""
        try:
            return self._parsed.file(path, blob)
        except ValueError:
            return None

    def settings(self, commit: str) -> tuple[Project | None, Project | None]:
        """The Project of a commit where it can be read, and the one by whose `include` its files are read."""
        return self._project(commit), project_to_read_by(self._project_file(commit))

    def tree(self, commit: str) -> Tree:
        """What the definitions of a commit say, unchecked: enough to know what a change of them changes."""
        project = project_to_read_by(self._project_file(commit))
        snapshot = self._objects.snapshot(commit, looked_at(project))
        files = [self._parsed.file(path, snapshot.files[path].id) for path in included(snapshot.files, project)]
        found = self._libraries(snapshot.files)
        types = found.plugins.step_types
        documents, bugs = knowing_or_told((authored for file in files for authored in file.documents), types)
        libraries = libraries_or_told(found)
        about = [one for file in files for one in file.findings if one not in file.about_acts]
        about += (*bugs.values(), *(one for one in found.findings if one.bug))
        unread = any(library.unread for library in libraries.values())
        return Tree(
            [authored for authored in documents if not authored.is_act],
            libraries,
            types,
            whole=self._project(commit) is not None and not (unread or has_errors([*snapshot.findings, *about])),
        )

    def _load(self, commit: str) -> Compiled:
        project = project_to_read_by(self._project_file(commit))
        snapshot = self._objects.snapshot(commit, looked_at(project))
        files = [self._parsed.file(path, snapshot.files[path].id) for path in included(snapshot.files, project)]
        libraries = self._libraries(snapshot.files)
        names = named(files)
        present = frozenset(path for path in names.files if self._objects.holds(commit, path))
        templates = rendered(names.templates, partial(self._objects.file, commit))
        self._last = compile_files(
            commit,
            files,
            (*snapshot.findings, *names.bugs),
            libraries=libraries,
            present=present,
            templates=templates,
            calendar_files=dated(names.calendars, partial(self._objects.file, commit)),
            before=self._last,
        )
        for finding in self._last.findings:
            if finding.bug:
                log.error(finding.message, commit=commit, place=str(finding.span), exception=finding.bug)
        return self._last

    def _libraries(self, files: Mapping[str, BlobRef]) -> Vendored:
        lock = files.get(LOCK_FILE)
        found = [self._of_libraries.file(path, blob.id) for path, blob in files.items() if is_vendored(path)]
        return vendored(found, self._objects.blob(lock.id) if lock is not None else None)

    def _project(self, commit: str) -> Project | None:
        file = self._project_file(commit)
        found = (authored.document for authored in file.documents) if file is not None else ()
        return next((document for document in found if isinstance(document, Project)), None)

    def _project_file(self, commit: str) -> ParsedFile | None:
        data = self._objects.file(commit, PROJECT_FILE)
        return read(data, PROJECT_FILE) if data is not None else None


def guarded(before: Catalog | None, after: Compiled, *, accepted_by_name: bool) -> Compiled:
    """The compiled commit, or its refusal where it removes more than `prune` of the commit in force allows."""
    if before is None or after.catalog is None or accepted_by_name:
        return after
    findings = removed_too_much(before, after.catalog)
    return after.refused(findings) if findings else after
