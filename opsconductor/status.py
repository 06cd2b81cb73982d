"""Reading the status branch: one commit of it, by pygit2, without a work tree."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2

from schemas.reader import plain

_RUN = re.compile(r"-\d{8}T\d{6}Z-[0-9a-f]{10}$")
"""How the name of a run ends; a slice of a large one has a number after it."""


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

    def runs(self, prefix: str = "") -> Iterator[dict[str, Any]]:
        """Run files whose name begins so, newest day first. Only those are opened; slices are left out."""
        try:
            tree = self._root["runs"]
        except KeyError:
            return
        if not isinstance(tree, pygit2.Tree):
            return
        for blob in _walk(tree, reverse=True):
            name = str(blob.name).removesuffix(".yaml")
            if name.startswith(prefix) and _RUN.search(name):
                yield self._load(blob)

    def run(self, name: str) -> dict[str, Any] | None:
        """One run by its id, a unique prefix of it, or a job's name (its newest run)."""
        found = list(self.runs(name))
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
