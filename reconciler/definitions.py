"""From a commit to a catalog: open it, parse what changed, compile the whole."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

from engine.catalog import Catalog
from engine.compile import PROJECT_FILE, Compiled, compile_files, included, looked_at, mentioned, project_to_read_by
from engine.prune import removed_too_much
from engine.vendored import LOCK_FILE, Vendored, VendoredFile, file_of, is_vendored, vendored
from reconciler.objects import BlobRef, Objects
from schemas.project import Project
from schemas.reader import ParsedFile, read

_CACHED_FILES = 40_000


class Definitions:
    """Loads commits. Parsed files are kept by content, so a commit that changes one file costs one parse."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._parsed: OrderedDict[str, ParsedFile] = OrderedDict()
        self._of_libraries: OrderedDict[str, VendoredFile] = OrderedDict()
        self._last: Compiled | None = None

    async def load(self, commit: str) -> Compiled:
        """Everything a commit says, or every reason why it says nothing. Raises Refused where objects are missing."""
        return await asyncio.to_thread(self._load, commit)

    async def project(self, commit: str) -> Project | None:
        """The Project of a commit, where it can be read, whether or not the rest is valid."""
        return await asyncio.to_thread(self._project, commit)

    def _load(self, commit: str) -> Compiled:
        project = project_to_read_by(self._project_file(commit))
        snapshot = self._objects.snapshot(commit, looked_at(project))
        files = [self._file(path, snapshot.files[path]) for path in included(snapshot.files, project)]
        libraries = self._libraries(snapshot.files)
        present = frozenset(path for path in mentioned(files) if self._objects.holds(commit, path))
        self._last = compile_files(
            commit, files, snapshot.findings, libraries=libraries, present=present, before=self._last
        )
        return self._last

    def _libraries(self, files: Mapping[str, BlobRef]) -> Vendored:
        lock = files.get(LOCK_FILE)
        found = [self._vendored(path, blob) for path, blob in files.items() if is_vendored(path)]
        return vendored(found, self._objects.blob(lock.id) if lock is not None else None)

    def _vendored(self, path: str, blob: BlobRef) -> VendoredFile:
        if blob.id not in self._of_libraries:
            self._of_libraries[blob.id] = file_of(path, self._objects.blob(blob.id))
            if len(self._of_libraries) > _CACHED_FILES:
                self._of_libraries.popitem(last=False)
        self._of_libraries.move_to_end(blob.id)
        return self._of_libraries[blob.id].within(path)

    def _project(self, commit: str) -> Project | None:
        file = self._project_file(commit)
        found = (authored.document for authored in file.documents) if file is not None else ()
        return next((document for document in found if isinstance(document, Project)), None)

    def _project_file(self, commit: str) -> ParsedFile | None:
        data = self._objects.file(commit, PROJECT_FILE)
        return read(data, PROJECT_FILE) if data is not None else None

    def _file(self, path: str, blob: BlobRef) -> ParsedFile:
        if blob.id not in self._parsed:
            self._parsed[blob.id] = read(self._objects.blob(blob.id), path)
            if len(self._parsed) > _CACHED_FILES:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(blob.id)
        return self._parsed[blob.id].within(path)


def guarded(before: Catalog | None, after: Compiled, *, accepted_by_name: bool) -> Compiled:
    """The compiled commit, or its refusal where it removes more than `prune` of the commit in force allows."""
    if before is None or after.catalog is None or accepted_by_name:
        return after
    findings = removed_too_much(before, after.catalog)
    return after.refused(findings) if findings else after
