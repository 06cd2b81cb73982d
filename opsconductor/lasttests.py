"""What `target test` found last, kept for the pages of the engine: a small file for each target in the state folder, or
a fact of the journal that several machines share, whose folders are not seen from where it is called.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from engine.status.yamltext import stamp
from journal import facts, outbox
from journal.clock import SystemClock
from journal.store import Journal
from schemas.quantities import parse_instant

if TYPE_CHECKING:
    from runners.trying import Tried

_LONGEST = 500
"""Characters of what a place answered."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How a connection did; `message` is what the place answered, or why it did not. `seconds` is how long it took."""

    connection: str
    ok: bool
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LastTest:
    """The last test of a target: when it ended, and how each of its connections did."""

    at: datetime
    trials: tuple[Trial, ...]


def keep(folder: Path, results: Sequence["Tried"], at: datetime) -> None:
    """Note them in place of what was found before, each target whole or not at all. Raises OSError."""
    folder.mkdir(exist_ok=True)
    for name, found in _by_target(results, at):
        _replace(_file(folder, name), json.dumps(found, ensure_ascii=False))


def kept(folder: Path) -> dict[str, int]:
    """The targets that something was kept of, and when each file was written, in nanoseconds of the Unix time."""
    try:
        with os.scandir(folder) as entries:
            files = [(entry.name, entry.stat().st_mtime_ns) for entry in entries if not entry.name.startswith(".")]
    except OSError:  # nobody has tested anything here; or a file went away meanwhile, and the next look sees its heir
        return {}
    return {name.removesuffix(".json"): at for name, at in files if name.endswith(".json")}


def last(folder: Path, target: str) -> LastTest | None:
    """The last test of a target that is defined; None where none was kept, or it cannot be read."""
    try:
        return _read(json.loads(_file(folder, target).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):  # a power cut may leave a file without its content
        return None


def share(store: str, results: Sequence["Tried"], at: datetime) -> None:
    """Note them in a journal, by its URL, in place of what was found before. Raises Unavailable and Refused."""
    asyncio.run(_shared(store, results, at))


async def _shared(store: str, results: Sequence["Tried"], at: datetime) -> None:
    journal = Journal.open(store, clock=SystemClock())
    try:
        await journal.write(lambda tx: note(tx, results, at))
    finally:
        await journal.close()


def note(tx: Connection, results: Sequence["Tried"], at: datetime) -> None:
    """As `share`, in a transaction."""
    for name, found in sorted(_by_target(results, at)):
        _put(tx, name, found)


def note_again(tx: Connection, target: str, found: LastTest) -> None:
    """As `note`, of what was kept in a folder."""
    _put(tx, target, {"at": stamp(found.at), "trials": [asdict(one) for one in found.trials]})


def _put(tx: Connection, target: str, found: dict[str, Any]) -> None:
    facts.put(tx, facts.TESTED + target, found)
    outbox.add(tx, "target", target)  # for its file on the status branch


def noted(conn: Connection, target: str) -> LastTest | None:
    """The last test that the journal has of a target."""
    try:
        return _read(facts.get(conn, facts.TESTED + target))
    except (ValueError, KeyError, TypeError):  # none, or of another version
        return None


def _by_target(results: Sequence["Tried"], at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in dict.fromkeys(one.target for one in results):
        trials = [
            asdict(Trial(one.connection, one.good, one.said[:_LONGEST], one.seconds))
            for one in results
            if one.target == name
        ]
        yield name, {"at": stamp(at), "trials": trials}


def _read(data: Any) -> LastTest:
    trials = (Trial(str(one["connection"]), one["ok"] is True, str(one["message"]), float(one["seconds"]))
              for one in data["trials"])  # fmt: skip
    return LastTest(parse_instant(data["at"]), tuple(trials))


def _file(folder: Path, target: str) -> Path:
    """The names of targets are plain: no separator, no dot at the beginning."""
    return folder / f"{target}.json"


def _replace(file: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).chmod(0o644)  # the engine may be another user than who tests; the state folder lets nobody else in
        Path(name).replace(file)
    finally:
        Path(name).unlink(missing_ok=True)
