"""Reading the status branch: one commit of it, by pygit2, without a work tree."""

import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pygit2

from schemas.reader import plain

_RUN = re.compile(r"-\d{8}T\d{6}Z-[0-9a-f]{10}$")
"""How the name of a run ends; a slice of a large one has a number after it."""
_DEEPEST = 8
MOST_LOOKED_AT = 20_000
_LONGEST = 72
"""Characters of a job's name that the names of its runs begin with."""
_STATE = re.compile(rb"^  state: (\w+)$", re.MULTILINE)


class StatusReader:
    """The files of one commit of the status branch."""

    def __init__(self, git_dir: Path, commit: str) -> None:
        self._repo = pygit2.Repository(str(git_dir))
        self.commit = commit
        self._root: pygit2.Tree = self._repo[commit].peel(pygit2.Tree)

    def read(self, path: str) -> dict[str, Any] | None:
        """One file as data, None where it does not exist."""
        return self._load(self._root, path)

    def each(self, folder: str, *, newest_first: bool = False) -> Iterator[dict[str, Any]]:
        """The files below a folder; by name, or from the last name to the first."""
        try:
            tree = self._root[folder]
        except KeyError:
            return
        if isinstance(tree, pygit2.Tree):
            for _, blob in _files(tree, reverse=newest_first):
                yield _data(blob)

    def names_of(self, job: str) -> tuple[str, ...]:
        """The name of a job or workflow, and those that it had when some of its runs began."""
        found = [job]
        for folder in ("jobs", "workflows") if job.isascii() else ():  # half a character is no path
            status = (self.read(f"{folder}/{job}.yaml") or {}).get("status")
            former = status.get("formerNames") if isinstance(status, dict) else None
            found += [name for name in former if isinstance(name, str)] if isinstance(former, list) else []
        return tuple(dict.fromkeys(found))

    def runs_of(self, job: str) -> Iterator[dict[str, Any]]:
        """The runs of a job or workflow, also from before it was renamed; newest day first."""
        names = self.names_of(job)
        for run in self.runs(tuple(f"{name[:_LONGEST]}-" for name in names)):
            if not _subjects(run).isdisjoint(names):
                yield run

    def runs(self, prefix: str | tuple[str, ...] = "") -> Iterator[dict[str, Any]]:
        """Run files whose name begins so, newest day first; no others are opened. Slices of targets are put back."""
        try:
            tree = self._root["runs"]
        except KeyError:
            return
        if not isinstance(tree, pygit2.Tree):
            return
        for folder, blob in _files(tree, reverse=True):
            name = str(blob.name).removesuffix(".yaml")
            if name.startswith(prefix) and _RUN.search(name):
                yield self._whole(_data(blob), folder)

    def runs_with(self, text: str) -> Iterator[dict[str, Any]]:
        """Run files in which the text stands, newest day first, of the newest MOST_LOOKED_AT; no others are parsed."""
        try:
            tree = self._root["runs"]
        except KeyError:
            return
        if isinstance(tree, pygit2.Tree):
            for _, blob in islice(_files(tree, reverse=True), MOST_LOOKED_AT):
                if text.encode() in blob.data and _RUN.search(str(blob.name).removesuffix(".yaml")):
                    yield _data(blob)

    def names(self, prefix: str) -> Iterator[str]:
        """The ids of runs that begin so, newest day first; no file is opened."""
        try:
            tree = self._root["runs"]
        except KeyError:
            return
        for _, blob in _files(tree, reverse=True) if isinstance(tree, pygit2.Tree) else ():
            name = str(blob.name).removesuffix(".yaml")
            if name.startswith(prefix) and _RUN.search(name):
                yield name

    def newest(self, job: str = "", states: Collection[str] = ()) -> Iterator[dict[str, Any]]:
        """Runs by the instant of their cause, newest first: of a job or workflow, in one of these states.

        They are read as they are asked for. Where states are given, only the newest MOST_LOOKED_AT are looked at.
        """
        try:
            tree = self._root["runs"]
        except KeyError:
            return
        if not isinstance(tree, pygit2.Tree):
            return
        names = self.names_of(job) if job else ()
        begins, named = tuple(f"{name[:_LONGEST]}-" for name in names) or "", []
        for folder, blob in _files(tree, reverse=True):
            name = str(blob.name).removesuffix(".yaml")
            if name.startswith(begins) and (ending := _RUN.search(name)) is not None:
                named.append((ending[0], name, folder, blob))
        found = sorted(named, key=lambda one: one[:2], reverse=True)
        for _, _, folder, blob in found[:MOST_LOOKED_AT] if states else found:
            first = _STATE.search(blob.data) if states else None
            if not states or (first is not None and first[1].decode() in states):
                run = _data(blob)
                if not job or not _subjects(run).isdisjoint(names):
                    yield self._whole(run, folder)

    def run(self, name: str) -> dict[str, Any] | None:
        """One run by its id, a unique prefix of it, or a job's or workflow's name (its newest run)."""
        found = list(self.runs(name))
        exact = [run for run in found if run["metadata"]["name"] == name]
        of_job = [run for run in found if name in (run["spec"].get("job"), run["spec"].get("workflow"))]
        if exact or of_job:
            return (exact or sorted(of_job, key=queued_at, reverse=True))[0]
        return found[0] if len(found) == 1 else None

    def _whole(self, run: dict[str, Any], folder: pygit2.Tree) -> dict[str, Any]:
        """A run of many targets has them in files beside its own."""
        slices = run.get("status", {}).get("slices")
        if not isinstance(slices, int):
            return run
        targets: dict[str, Any] = {}
        for number in range(1, slices + 1):
            part = (self._load(folder, f"{run['metadata']['name']}.{number}.yaml") or {}).get("status")
            found = part.get("targets") if isinstance(part, dict) else None
            targets |= found if isinstance(found, dict) else {}
        status = {**run["status"], "targets": targets}
        if status.get("finishedAt") is not None and not status.get("outputs"):
            status["outputs"] = _by_output(targets)
        return {**run, "status": status}

    @staticmethod
    def _load(tree: pygit2.Tree, path: str) -> dict[str, Any] | None:
        try:
            blob = tree[path]
        except KeyError:
            return None
        return _data(blob) if isinstance(blob, pygit2.Blob) else None


def _subjects(run: dict[str, Any]) -> set[Any]:
    """What a run is of: a job or a workflow, by the name of then."""
    spec = run.get("spec", {})
    return {spec.get("job"), spec.get("workflow")} - {None}


def _by_output(targets: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a job with targets, each a mapping by target; of a large run only its targets' files have them."""
    found: dict[str, Any] = {}
    for name, target in targets.items():
        given = target.get("outputs") if isinstance(target, dict) else None
        for key, value in given.items() if isinstance(given, dict) else ():
            found.setdefault(key, {})[name] = value
    return found


def queued_at(run: dict[str, Any]) -> str:
    return str(run.get("status", {}).get("queuedAt") or "")


def _files(tree: pygit2.Tree, *, reverse: bool, depth: int = 1) -> Iterator[tuple[pygit2.Tree, pygit2.Blob]]:
    """The YAML files below, each with its folder; no deeper than an engine writes them."""
    for entry in sorted(tree, key=lambda entry: entry.name or "", reverse=reverse):
        if isinstance(entry, pygit2.Tree):
            if depth < _DEEPEST:
                yield from _files(entry, reverse=reverse, depth=depth + 1)
        elif isinstance(entry, pygit2.Blob) and str(entry.name).endswith(".yaml"):
            yield tree, entry


def _data(blob: pygit2.Blob) -> dict[str, Any]:
    document = plain(blob.data.decode("utf-8", "replace"))
    return document if isinstance(document, dict) else {}
