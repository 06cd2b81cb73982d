"""A repository of definitions as it lies on this machine's disk."""

from pathlib import Path

from engine.catalog import DEFAULT_POOL
from engine.compile import PROJECT_FILE, included, looked_at, project_to_read_by
from opsconductor.checking.tree import files_below, root_of
from opsconductor.exits import UsageError
from schemas.project import Project
from schemas.reader import Authored, read


def documents_below(root: Path) -> tuple[Project | None, list[Authored]]:
    """The Project, and all documents that can be read, whatever is wrong with others."""
    found, _ = files_below(root, (PROJECT_FILE,))
    data = found.get(PROJECT_FILE)
    project = project_to_read_by(read(data, PROJECT_FILE) if data is not None else None)
    found, _ = files_below(root, (PROJECT_FILE, *looked_at(project)))
    return project, [one for path in included(found, project) for one in read(found[path], path).documents]


def names_in(path: Path) -> dict[str, list[str]]:
    """The names of the documents around a folder, by kind, and the pool that needs no document.

    Raises UsageError where the folder is in no checkout.
    """
    root = root_of(path)
    if root is None:
        raise UsageError(f"{path}: there is no {PROJECT_FILE} here or above; name the repository by -C")
    names: dict[str, list[str]] = {"RunnerPool": [DEFAULT_POOL]}
    for one in documents_below(root)[1]:
        names.setdefault(one.document.kind, []).append(one.document.name)
    return {kind: sorted(set(found)) for kind, found in names.items()}
