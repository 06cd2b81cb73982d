"""Reading the status branch: one commit of it, by pygit2, without a work tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2

from schemas.reader import plain


class StatusReader:
    """The files of one commit of the status branch."""

    def __init__(self, git_dir: Path, commit: str) -> None:
        self._repo = pygit2.Repository(str(git_dir))
        self.commit = commit
        self._root: pygit2.Tree = self._repo[commit].peel(pygit2.Tree)

    def read(self, path: str) -> dict[str, Any] | None:
        """One file as data, None where it does not exist."""
        try:
            blob = self._root[path]
        except KeyError:
            return None
        return self._load(blob) if isinstance(blob, pygit2.Blob) else None

    def each(self, folder: str, *, newest_first: bool = False) -> Iterator[dict[str, Any]]:
        """The files below a folder; by name, or from the last name to the first."""
        try:
            tree = self._root[folder]
        except KeyError:
            return
        if isinstance(tree, pygit2.Tree):
            for blob in _walk(tree, reverse=newest_first):
                yield self._load(blob)

    def runs(self) -> Iterator[dict[str, Any]]:
        """Run files, newest day first; slices of large runs are left to `run`."""
        for document in self.each("runs", newest_first=True):
            if document.get("kind") == "Run" and "spec" in document:
                yield document

    def run(self, name: str) -> dict[str, Any] | None:
        """One run by its id, a unique prefix of it, or a job's name (its newest run)."""
        found = [run for run in self.runs() if run["metadata"]["name"].startswith(name)]
        exact = [run for run in found if run["metadata"]["name"] == name]
        of_job = [run for run in found if run["spec"].get("job") == name]
        if exact or of_job:
            return (exact or sorted(of_job, key=queued_at, reverse=True))[0]
        return found[0] if len(found) == 1 else None

    def _load(self, blob: pygit2.Blob) -> dict[str, Any]:
        document = plain(blob.data.decode("utf-8", "replace"))
        return document if isinstance(document, dict) else {}


def queued_at(run: dict[str, Any]) -> str:
    return str(run.get("status", {}).get("queuedAt") or "")


def _walk(tree: pygit2.Tree, *, reverse: bool) -> Iterator[pygit2.Blob]:
    for entry in sorted(tree, key=lambda entry: entry.name or "", reverse=reverse):
        if isinstance(entry, pygit2.Tree):
            yield from _walk(entry, reverse=reverse)
        elif isinstance(entry, pygit2.Blob) and str(entry.name).endswith(".yaml"):
            yield entry
