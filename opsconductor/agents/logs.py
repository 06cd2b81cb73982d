"""Lines of logs, a bounded part of them at a time."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from opsconductor.agents import answer as a
from opsconductor.agents.answer import Data, Found, NoAnswer, Tool
from opsconductor.agents.sight import Sight
from opsconductor.runlog import log_files

_RUN = re.compile(r"[a-z0-9][a-z0-9.-]*-\d{8}T\d{6}Z-[0-9a-f]{10}", re.ASCII)
_LINE = 1_000
"""Characters of a line."""
_BEFORE = 200
"""Characters before a text that is found far into a line."""
_MOST_CHARACTERS = 60_000
_END = 1 << 18
"""Bytes from the end of a log that are looked at for its last lines."""
_SCANNED = 1 << 26
"""Bytes of a log that are read to find a line by its number or text."""
_FILES = 200


def read_log(sight: Sight, asked: Data) -> Found:
    from opsconductor.agents.runs import run_called

    name = str(run_called(sight.status(), asked["run"])["metadata"]["name"])
    if not _RUN.fullmatch(name):
        raise NoAnswer("notFound", "a run of this name has no logs")
    found = list(islice(_here(sight.logs, name, asked), _FILES))
    if not found and sight.kept is not None:
        found = list(islice(_chosen(sight.kept.of(name), asked), _FILES))
    head = {"run": name, "logs": [{key: one[key] for key in ("target", "step", "attempt", "bytes")} for one in found]}
    nothing: Data = {"lines": [], "firstLine": None, "more": False}
    if not found:
        also = "" if sight.kept is None else ", nor where logs are kept"
        why = f"no such log is on this machine{also}: start the server with --state or --logs, or see explain_failure"
        return Found(head | nothing | {"note": why})
    if len(found) > 1:
        return Found(head | nothing | {"note": "there are several: ask again with a target, step and attempt of these"})
    path = found[0]["path"]
    here = path if found[0]["bytes"] is not None or sight.kept is None else sight.kept.fetched(path)
    return Found(head | part_of(here, asked) | {"note": ""})


def part_of(path: Path, asked: Data) -> Data:
    """The lines of a log that are asked for, the number of the first of numbered ones, and whether there is more."""
    most, contains = asked.get("lines", 100), asked.get("contains")
    if "fromLine" not in asked and contains is None:
        lines, more = _end(path, most)
        return {"lines": lines, "firstLine": None, "more": more}
    first = asked.get("fromLine", 1)
    wanted = ((n, line) for n, line in _numbered(path) if n >= first and (contains is None or contains in line))
    taken = list(islice(wanted, most + 1))
    shown = _fitting([f"{number}: {_around(line, contains)}" for number, line in taken[:most]])
    return {"lines": shown, "firstLine": taken[0][0] if taken else None, "more": len(taken) > len(shown)}


def tail_of(logs: Path, named: str, count: int) -> list[str] | None:
    """The last lines of the log that a Run file names; None where this machine has none of that name."""
    file = _inside(logs, logs / named)
    return None if file is None else last_lines(file, count)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines, as text that was cut."""
    return _end(path, count)[0]


def _end(path: Path, count: int) -> tuple[list[str], bool]:
    """The last lines, as text that was cut, and whether there are others before them."""
    with path.open("rb") as stream:
        begin = max(stream.seek(0, 2) - _END, 0)
        stream.seek(begin)
        data = stream.read(_END)
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []
    if begin:
        del lines[0]  # its beginning may be missing
    shown = _fitting([a.cut(line.rstrip("\r"), _LINE) for line in lines[-count:]], at_end=True)
    return shown, begin > 0 or len(shown) < len(lines)


def _around(line: str, wanted: str | None) -> str:
    """A line that was cut; one that is long from where the text stands on that is looked for."""
    at = 0 if wanted is None else line.find(wanted)
    if at + len(wanted or "") <= _LINE:
        return a.cut(line, _LINE)
    begin = max(at - _BEFORE, 0)
    return f"({begin} characters …) {a.cut(line[begin:], _LINE)}"


def _fitting(lines: list[str], *, at_end: bool = False) -> list[str]:
    """As many lines as an answer has place for; the last ones with `at_end`."""
    left, kept = _MOST_CHARACTERS, []
    for line in reversed(lines) if at_end else lines:
        left -= len(line)
        if left < 0:
            break
        kept.append(line)
    return kept[::-1] if at_end else kept


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Its lines from 1 on, as far as a log is read; of each the first 64 KiB: one without an end takes no memory."""
    with path.open("rb") as stream:
        number, read, begun = 1, 0, False
        while read < _SCANNED and (data := stream.readline(1 << 16)):
            read += len(data)
            if not begun:
                yield number, data.decode("utf-8", "replace").rstrip("\r\n")
            begun = not data.endswith(b"\n")
            number += not begun


def _here(logs: Path, run: str, asked: Data) -> Iterator[dict[str, Any]]:
    """Those in the engine's folder that are asked for, with their sizes."""
    for one in _chosen(sorted(log_files(logs, run), key=lambda one: one[:2]), asked):
        if (found := _inside(logs, one["path"])) is not None:
            yield one | {"bytes": found.stat().st_size, "path": found}


def _chosen(named: Iterable[tuple[str, str, Path]], asked: Data) -> Iterator[dict[str, Any]]:
    """Those that are asked for; `bytes` is None while nobody has looked."""
    for target, name, path in named:
        phase, _, rest = name.removesuffix(".log").partition(".")
        step, _, attempt = rest.rpartition(".")
        full = step if phase == "steps" else f"{phase}/{step}"
        if asked.get("target") not in (None, target) or asked.get("step") not in (None, step, full):
            continue
        if asked.get("attempt") not in (None, int(attempt) if attempt.isdecimal() else None):
            continue
        number = int(attempt) if attempt.isdecimal() else None
        yield {"target": target, "step": full, "attempt": number, "bytes": None, "path": path}


def _inside(logs: Path, path: Path) -> Path | None:
    """The file, where no link of it leads out of the folder of logs."""
    try:
        found = path.resolve(strict=True)
        return found if found.is_relative_to(logs.resolve()) and found.is_file() else None
    except (OSError, ValueError):
        return None


TOOLS = (
    Tool(
        "read_log", "Lines of a log", "What a step printed: its last lines, those from a line on, or those that hold a "
        "text. Without a step: which logs a run has.", read_log,
        {
            "run": a.said(a.RUN, "Its id, a unique beginning of it, or a job's name for its newest run."),
            "target": {"type": "string", "maxLength": 200, "description": "A target, as the list of logs names it."},
            "step": {"type": "string", "maxLength": 200, "description": "A step, as the list of logs names it."},
            "attempt": {"type": "integer", "minimum": 1, "description": "Which attempt."},
            "fromLine": {"type": "integer", "minimum": 1, "description": "The first line; the last ones by default."},
            "contains": {"type": "string", "minLength": 1, "maxLength": 200, "description": "Only lines with this."},
            "lines": a.limit(500, 100),
        },
        {"run": a.TEXT, "logs": a.ROWS, "lines": a.TEXTS, "firstLine": {"type": ["integer", "null"]}, "more": a.YES,
         "note": a.TEXT},
        needs=("run",),
    ),
)  # fmt: skip
