"""What `target test` found last, kept in the state folder for the pages of the engine: a small file for each target.

It is no fact of the journal, whose only writer is the engine: whoever tries a target does it beside a running one.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.yamltext import stamp
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
    for name in dict.fromkeys(one.target for one in results):
        trials = [
            asdict(Trial(one.connection, one.good, one.said[:_LONGEST], one.seconds))
            for one in results
            if one.target == name
        ]
        _replace(_file(folder, name), json.dumps({"at": stamp(at), "trials": trials}, ensure_ascii=False))


def last(folder: Path, target: str) -> LastTest | None:
    """The last test of a target that is defined; None where none was kept, or it cannot be read."""
    try:
        return _read(json.loads(_file(folder, target).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):  # a power cut may leave a file without its content
        return None


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
