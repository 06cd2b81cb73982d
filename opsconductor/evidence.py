"""What the status branch has on one instant of a schedule. Only the files that can hold it are opened."""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

import pygit2

from engine.identity import compact
from engine.runs.waits import sentence
from engine.schedules.decide import Skips
from engine.schedules.why import Ran
from engine.status.readback import Facts
from engine.status.readmodel import (
    SYNC,
    ScheduleView,
    SyncView,
    Unreadable,
    parse_decisions,
    parse_schedule_status,
    parse_sync_file,
    run_folder,
    schedule_path,
)

_MOST_COMMITS = 5_000
"""So far back in the status branch's history the origin of a skip is looked for."""


class Evidence:
    """One commit of the status branch. Files that this program does not understand count as missing."""

    def __init__(self, git_dir: Path, commit: str) -> None:
        self._repo = pygit2.Repository(str(git_dir))
        self._commit = commit
        self._root = self._tree(commit)
        self._skips = lru_cache(maxsize=512)(self._parsed_skips)

    def sync(self) -> SyncView | None:
        return self._sync(self._root)

    def clock(self, schedule: str) -> ScheduleView | None:
        data = _file(self._root, schedule_path(schedule))
        try:
            return None if data is None else parse_schedule_status(data)
        except Unreadable:
            return None

    def run_of(self, schedules: tuple[str, ...], instant: datetime) -> Ran | None:
        """The run that this instant of a schedule started; `schedules` are its name and its former ones."""
        stamp = f"-{compact(instant)}-"
        for name, blob in _blobs(self._root, run_folder(instant)):
            if stamp in name and (ran := _ran(blob.data, schedules, instant)) is not None:
                return ran
        return None

    def skip_of(self, schedules: tuple[str, ...], instant: datetime) -> tuple[Skips, str | None] | None:
        """The record of skips that spans the instant, and the commit that was in force when it was published."""
        for path, blob in self._decisions(instant.astimezone(UTC).date()):
            found = self._spanning(blob, schedules, instant)
            if found is not None:
                return found, self._in_force_with(path, found)
        return None

    def oldest(self) -> date | None:
        """The first day of which there is any record."""
        days = [day for folder in ("runs", "decisions") if (day := _first_day(self._root, folder)) is not None]
        return min(days, default=None)

    def _decisions(self, until: date) -> Iterator[tuple[str, pygit2.Blob]]:
        """Files of decisions up to a day, the newest first: a record stands in the file of its first instant."""
        last = f"{until:%Y/%m/%d}"
        for year in reversed(_names(self._root, "decisions")):
            for month in reversed(_names(self._root, f"decisions/{year}")):
                folder = f"decisions/{year}/{month}"
                for name, blob in sorted(_blobs(self._root, folder), reverse=True, key=lambda entry: entry[0]):
                    if f"{year}/{month}/{name[:2]}" <= last:
                        yield f"{folder}/{name}", blob

    def _spanning(self, blob: pygit2.Blob, schedules: tuple[str, ...], instant: datetime) -> Skips | None:
        if not any(name.encode() in blob.data for name in schedules):
            return None  # a month of others' skips need not be read
        spanning = (skip for skip in self._skips(str(blob.id)) if skip.first <= instant <= skip.last)
        return next((skip for skip in spanning if skip.schedule in schedules), None)

    def _parsed_skips(self, blob: str) -> tuple[Skips, ...]:
        found = self._repo[blob]
        try:
            return parse_decisions(found.data) if isinstance(found, pygit2.Blob) else ()
        except Unreadable:
            return ()

    def _in_force_with(self, path: str, skip: Skips) -> str | None:
        """What was in force in the oldest commit of the branch that has the record; None where that is too far back."""
        walker = self._repo.walk(self._commit, pygit2.enums.SortMode.TOPOLOGICAL)
        walker.simplify_first_parent()
        commits = list(islice(walker, _MOST_COMMITS + 1))
        # Once published a record stays, so the newest commit without it is found by halving.
        without = bisect_left(commits, True, key=lambda commit: not self._has(commit, path, skip))
        if without > _MOST_COMMITS:
            return None
        sync = self._sync(commits[without - 1].peel(pygit2.Tree)) if without else None
        return sync.applied if sync else None

    def _has(self, commit: pygit2.Commit, path: str, skip: Skips) -> bool:
        blob = _entry(commit.peel(pygit2.Tree), path)
        began = (skip.schedule, skip.first, skip.reason)
        found = self._skips(str(blob.id)) if isinstance(blob, pygit2.Blob) else ()
        return any((one.schedule, one.first, one.reason) == began for one in found)

    def _sync(self, tree: pygit2.Tree) -> SyncView | None:
        data = _file(tree, SYNC)
        try:
            return None if data is None else parse_sync_file(data)
        except Unreadable:
            return None

    def _tree(self, commit: str) -> pygit2.Tree:
        return self._repo[commit].peel(pygit2.Tree)


def _ran(data: bytes, schedules: tuple[str, ...], instant: datetime) -> Ran | None:
    """The run, if this is what caused it. Of a large run only the head is read: it says all that is asked for here."""
    try:
        file = Facts.read(data, "Run")
        spec, status = file.mapping("spec"), file.mapping("status")
        cause = spec.mapping("cause")
        if cause.text("name") not in schedules or (cause.text("kind"), cause.instant("instant")) != (
            "schedule",
            instant,
        ):
            return None
        queued_at, reason = status.instant("queuedAt"), status.maybe_text("reason")
        waits_for = status.maybe_mapping("waitsFor")
        return Ran(
            file.name,
            status.text("state"),
            spec.text("commit"),
            queued_at,
            reason,
            status.maybe_text("message"),
            spec.maybe_instant("startsAt"),
            sentence(None if waits_for is None else waits_for.data),
            cause.text("name"),
        )
    except Unreadable:
        return None


def _first_day(tree: pygit2.Tree, folder: str) -> date | None:
    """The earliest `yyyy/mm/dd` below; None where the earliest names are no date, as only others write them."""
    path, parts = folder, list[str]()
    for _ in range(3):
        names = _names(tree, path)
        if not names:
            return None
        path = f"{path}/{names[0]}"
        parts.append(names[0].partition(".")[0].partition("-")[0])
    try:
        return date.fromisoformat("-".join(parts))
    except ValueError:
        return None


def _names(tree: pygit2.Tree, folder: str) -> list[str]:
    """Names below a folder that begin with a number, as years, months and days do."""
    found = _entry(tree, folder)
    names = [str(entry.name) for entry in found] if isinstance(found, pygit2.Tree) else []
    return sorted(name for name in names if name[:2].isdecimal())


def _blobs(tree: pygit2.Tree, folder: str) -> Iterator[tuple[str, pygit2.Blob]]:
    found = _entry(tree, folder)
    for entry in found if isinstance(found, pygit2.Tree) else ():
        if isinstance(entry, pygit2.Blob):
            yield str(entry.name), entry


def _file(tree: pygit2.Tree, path: str) -> bytes | None:
    found = _entry(tree, path)
    return found.data if isinstance(found, pygit2.Blob) else None


def _entry(tree: pygit2.Tree, path: str) -> pygit2.Object | None:
    try:
        return tree[path]
    except KeyError:
        return None
