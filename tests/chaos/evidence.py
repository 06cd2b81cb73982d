"""Reading what the history checker compares, without the program's own code: SQL, YAML and git objects as they are."""

import base64
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import psycopg.rows
import pygit2
import yaml

from tests.chaos.history import ActRow, Branch, Clock, DecisionRow, Effect, EventRow, Journal, RunFile, RunRow, StepRow

STATUS = "refs/heads/opsconductor/status"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RUNNER = "-"


# --- targets ---


def effects(folder: Path) -> tuple[Effect, ...]:
    """What the steps wrote, oldest first; one file a target."""
    found = [_effect(line) for file in folder.glob("*.log") for line in file.read_text().splitlines()]
    return tuple(sorted(found, key=lambda effect: effect.at))


def _effect(line: str) -> Effect:
    nanoseconds, what, run, target, step, attempt = line.split()
    at = _EPOCH + timedelta(microseconds=int(nanoseconds) // 1000)
    word, _, code = what.partition(":")
    return Effect(at, word, run, target, step, int(attempt), int(code) if code else None)


# --- the journal ---


def journal(path: Path) -> Journal:
    """The store as a dead process left it, or as a living one has it now.

    A copy is read: opening the file itself would do the recovery that is the next process's to do.
    """
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            if (beside := path.with_name(path.name + suffix)).exists():
                shutil.copy(beside, Path(folder) / beside.name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as connection:
            connection.row_factory = sqlite3.Row
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
                return Journal()
            return _journal(connection)


def living_journal(path: Path) -> Journal:
    """The store while processes write to it, in one snapshot."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        return _journal(connection)


def served_journal(url: str) -> Journal:
    """The store in a database of PostgreSQL, in one snapshot."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return _journal(connection)


def _journal(connection: Any) -> Journal:
    rows = connection.execute("SELECT * FROM steps ORDER BY seq").fetchall()
    steps: dict[int, list[StepRow]] = {}
    for row in rows:
        one = StepRow(row["target"], row["step"], row["attempt"], row["token"], row["state"], row["exit_code"])
        steps.setdefault(row["run"], []).append(one)
    ends: dict[int, dict[str, str]] = {}
    for row in connection.execute("SELECT * FROM run_targets"):
        ends.setdefault(row["run"], {})[row["target"]] = row["state"]
    for row in connection.execute("SELECT * FROM nodes WHERE ended_at IS NOT NULL ORDER BY seq"):
        ends.setdefault(row["run"], {})[row["node"]] = row["state"]
    return Journal(
        runs=tuple(
            RunRow(
                row["id"],
                row["cause_key"],
                row["job"],
                row["state"],
                row["reason"],
                _maybe_instant(row["finished_at"]),
                row["attempt"],
                tuple(steps.get(row["seq"], ())),
                ends.get(row["seq"], {}),
                bool(row["workflow"]),
            )
            for row in connection.execute("SELECT * FROM runs ORDER BY seq")
        ),
        pruned={row["key"]: row["run"] for row in connection.execute("SELECT * FROM causes")},
        decisions=tuple(
            DecisionRow(
                row["schedule"],
                _instant(row["first"]),
                _instant(row["last"]),
                row["times"],
                row["verdict"],
                row["reason"],
                row["run"],
            )
            for row in connection.execute("SELECT * FROM decisions ORDER BY seq")
        ),
        events=tuple(
            EventRow(row["trigger"], row["key"], row["state"], row["run"])
            for row in connection.execute("SELECT * FROM events ORDER BY seq")
        ),
        clocks={
            row["name"]: Clock(_instant(row["considered_from"]), _instant(row["considered_until"]))
            for row in connection.execute("SELECT * FROM schedules")
        },
        applied=_applied(connection),
        acts={
            row["name"]: ActRow(row["state"], row["reason"], row["run"])
            for row in connection.execute("SELECT * FROM acts")
        },
    )


def _applied(connection: Any) -> str | None:
    row = connection.execute("SELECT value FROM facts WHERE key = 'accepted'").fetchone()
    if row is None:
        return None
    value: dict[str, str | None] = json.loads(row["value"]) if isinstance(row["value"], str) else row["value"]
    return value.get("applied")


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _maybe_instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _instant(microseconds)


# --- the status branch ---


def repository(path: Path) -> pygit2.Repository:
    """Opened anew each time: another process writes to it."""
    return pygit2.Repository(str(path))


def files(found: pygit2.Repository, ref: str = STATUS) -> dict[str, bytes]:
    """The files of a branch by path; none where it is not there."""
    commit = _commit(found, ref)
    return dict(_walk(found, commit.tree, "")) if commit is not None else {}


def _commit(found: pygit2.Repository, ref: str) -> pygit2.Commit | None:
    reference = found.references.get(ref)
    return None if reference is None else reference.peel(pygit2.Commit)


def _walk(found: pygit2.Repository, tree: Any, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in tree:
        if isinstance(entry, pygit2.Tree):
            yield from _walk(found, entry, f"{prefix}{entry.name}/")
        elif isinstance(entry, pygit2.Blob):
            yield f"{prefix}{entry.name}", entry.data


def document(data: bytes) -> Any:
    """A file of the branch by the plain reader that any other program would use."""
    return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def branch(path: Path) -> Branch:
    """The status branch, and what became of each run's file over all of its commits."""
    found = repository(path)
    now = files(found)
    return Branch(
        runs={_name(place): run_file(data) for place, data in now.items() if place.startswith("runs/")},
        past=_past(found),
        acts={_name(place): _act(document(data)) for place, data in now.items() if place.startswith("requests/")},
        skips=frozenset(
            skip
            for place, data in now.items()
            if place.startswith("decisions/")
            for skip in map(_skip, document(data)["decisions"])
        ),
    )


def _name(place: str) -> str:
    return place.rpartition("/")[2].removesuffix(".yaml")


def run_file(data: bytes) -> RunFile:
    """A Run as it stands on the branch; the chaos jobs are too small for slices."""
    read = document(data)
    status = read["status"]
    targets = status.get("targets") or {}
    nodes = {name: node["state"] for name, node in (status.get("nodes") or {}).items() if "finishedAt" in node}
    return RunFile(
        status["state"],
        status.get("reason"),
        status.get("attempt", 0),
        # a target that has not ended is shown as running
        {name: target["state"] for name, target in targets.items() if target["state"] != "running"} | nodes,
        {
            (name, step["id"]): (step["state"], step.get("exitCode"))
            for name, target in targets.items()
            for step in target.get("steps", ())
        },
    )


def _act(read: Mapping[str, Any]) -> ActRow:
    status = read["status"]
    return ActRow(status["state"], status.get("reason"), status.get("run"))


def _skip(read: Mapping[str, Any]) -> DecisionRow:
    first, last = (datetime.fromisoformat(str(read[key])) for key in ("from", "to"))
    return DecisionRow(read["schedule"], first, last, read.get("count", 1), "skipped", read["reason"], None)


def _past(found: pygit2.Repository) -> dict[str, tuple[RunFile, ...]]:
    commit = _commit(found, STATUS)
    texts: dict[str, list[bytes]] = {}
    while commit is not None:
        parent = commit.parents[0] if commit.parents else None
        for place, data in _changed(found, commit, parent):
            if place.startswith("runs/"):
                texts.setdefault(_name(place), []).append(data)
        commit = parent
    return {run: tuple(run_file(data) for data in reversed(datas)) for run, datas in texts.items()}


def _changed(
    found: pygit2.Repository, commit: pygit2.Commit, parent: pygit2.Commit | None
) -> Iterator[tuple[str, bytes]]:
    if parent is None:
        yield from _walk(found, commit.tree, "")
        return
    for delta in parent.tree.diff_to_tree(commit.tree).deltas:
        blob = found.get(delta.new_file.id)
        if isinstance(blob, pygit2.Blob):
            yield delta.new_file.path, blob.data


# --- secrets ---


def leaks(canary: str, places: Mapping[str, bytes]) -> tuple[str, ...]:
    """The places that hold the canary, as it is or in a common encoding."""
    forms = encodings(canary)
    return tuple(f"{place} ({name})" for place, data in places.items() for name, form in forms.items() if form in data)


def encodings(canary: str) -> dict[str, bytes]:
    raw = canary.encode()
    forms = {"plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    forms["url"] = quote(canary, safe="").encode()
    for shift in range(3):
        # base64 of any text that holds it, without the characters that its neighbours share
        text = base64.b64encode(b"x" * shift + raw)
        forms[f"base64+{shift}"] = text[4 if shift else 0 : -4]
    return forms


def everything(state: Path, source: Path) -> Iterator[tuple[str, bytes]]:
    """All that the engine has written: its state folder, the journal's words, and every object of both repositories."""
    for file in state.rglob("*"):
        if file.is_file():
            yield f"state/{file.relative_to(state)}", file.read_bytes()
    for name in (source, state / "mirror.git"):
        if name.exists():
            found = repository(name)
            for oid in found.odb:
                yield f"object {str(oid)[:12]} of {name.name}", found[oid].read_raw()
