"""Trees that a stranger makes: small ones without end."""

from pathlib import Path

import pygit2
from pygit2.enums import FileMode

_PROJECT = b"apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"


def without_end(repository: pygit2.Repository) -> pygit2.Oid:
    """A folder of ten times the same folder, twelve deep: 10^12 files in twelve objects."""
    folder = _folder(repository, {f"f{number}.yaml": repository.create_blob(b"") for number in range(10)})
    for _ in range(11):
        folder = _folder(repository, {f"d{number}": folder for number in range(10)})
    return folder


def endless(path: Path) -> tuple[str, str]:
    """A bare repository of two commits, the second of which brings such a folder."""
    repository = pygit2.init_repository(str(path), bare=True)
    project = repository.create_blob(_PROJECT)
    who = pygit2.Signature("Ann", "ann@example.org", 1_700_000_000, 0)
    before = repository.create_commit(None, who, who, "1", _folder(repository, {"opsconductor.yaml": project}), [])
    tree = _folder(repository, {"opsconductor.yaml": project, "x": without_end(repository)})
    after = repository.create_commit(None, who, who, "2", tree, [before])
    return str(before), str(after)


def merges_without_end(path: Path) -> tuple[str, str]:
    """A bare repository of two merges that hold nothing of their own; what the second merges brings such a folder."""
    repository = pygit2.init_repository(str(path), bare=True)
    who = pygit2.Signature("Ann", "ann@example.org", 1_700_000_000, 0)
    file = repository.create_blob(_PROJECT)
    small = {"opsconductor.yaml": file}
    large = {**small, "x": without_end(repository)}

    def commit(entries: dict[str, pygit2.Oid], *parents: pygit2.Oid) -> pygit2.Oid:
        return repository.create_commit(None, who, who, "x", _folder(repository, entries), list(parents))

    root = commit(small)
    sides = [commit({**small, name: file}, root) for name in ("a", "b")]
    good = commit({**small, "a": file, "b": file}, *sides)
    bad = commit({**large, "a": file}, sides[0], commit(large, root))
    return str(good), str(bad)


def _folder(repository: pygit2.Repository, entries: dict[str, pygit2.Oid]) -> pygit2.Oid:
    builder = repository.TreeBuilder()
    for name, identity in entries.items():
        kind = FileMode.TREE if isinstance(repository[identity], pygit2.Tree) else FileMode.BLOB
        builder.insert(name, identity, kind)
    return builder.write()
