"""From a commit to a catalog: open it, parse what changed, compile the whole."""

import asyncio
from collections import OrderedDict

from engine.catalog import Catalog
from engine.compile import Compiled, compile_files, included
from engine.prune import removed_too_much
from reconciler.objects import Objects, Snapshot
from schemas.project import Project
from schemas.reader import ParsedFile, read

_CACHED_FILES = 40_000
PROJECT_FILE = "opsconductor.yaml"


class Definitions:
    """Loads commits. Parsed files are kept by content, so a commit that changes one file costs one parse."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._parsed: OrderedDict[tuple[str, str], ParsedFile] = OrderedDict()

    async def load(self, commit: str) -> Compiled:
        """Everything a commit says, or every reason why it says nothing. Raises Refused where objects are missing."""
        return await asyncio.to_thread(self._load, commit)

    def _load(self, commit: str) -> Compiled:
        snapshot = self._objects.snapshot(commit)
        paths = included(snapshot.files, self._project(snapshot))
        files = [self._file(path, snapshot) for path in paths]
        return compile_files(commit, files, extra=snapshot.findings)

    def _project(self, snapshot: Snapshot) -> Project | None:
        if PROJECT_FILE not in snapshot.files:
            return None
        found = (a.document for a in self._file(PROJECT_FILE, snapshot).documents)
        return next((document for document in found if isinstance(document, Project)), None)

    def _file(self, path: str, snapshot: Snapshot) -> ParsedFile:
        blob = snapshot.files[path]
        key = (path, blob.id)
        if key not in self._parsed:
            self._parsed[key] = read(self._objects.blob(blob.id), path)
            if len(self._parsed) > _CACHED_FILES:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(key)
        return self._parsed[key]


def guarded(before: Catalog | None, after: Compiled, *, accepted_by_name: bool) -> Compiled:
    """The compiled commit, or its refusal where it removes more than `prune` of the commit in force allows."""
    if before is None or after.catalog is None or accepted_by_name:
        return after
    findings = removed_too_much(before, after.catalog)
    return after.refused(findings) if findings else after
