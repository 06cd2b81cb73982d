"""The engine's log on stderr: one event a line, with fields, for people (`text`) or for programs (`json`).

What comes from git, from targets or from an error may be anybody's: whatever it holds, it makes no second line, moves
no cursor and turns no text around. Within a run each line carries `run`, `job` and `commit`, on a target `target`, in a
step `step` (`journal.spans`); other lines about a run carry its `job` too.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")

_RUN = re.compile(r"(?P<job>.+)-\d{8}T\d{6}Z-[0-9a-f]{10}", re.ASCII)
_FIRST = ("timestamp", "level", "event")
_INDENT = "    "


def configure(shape: Format, *, colours: bool) -> None:
    """Log so from now on, the libraries' own warnings too. `colours` count for text alone."""
    given: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        with_job,
    ]
    shown = rendering(shape, colours=colours)
    structlog.configure(
        processors=[*given, *shown],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*given, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(capture=True)


def rendering(shape: Format, *, colours: bool) -> list[Processor]:
    """From an event with its fields to its line."""
    match shape:
        case "json":
            return [structlog.processors.format_exc_info, in_order, structlog.processors.JSONRenderer()]
        case "text":
            lines = structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0)
            return [structlog.processors.format_exc_info, visibly, lines]


def with_job(_: Any, __: str, event: EventDict) -> EventDict:
    """A line about a run is about its job."""
    run = event.get("run")
    if isinstance(run, str) and "job" not in event and (named := _RUN.fullmatch(run)) is not None:
        event["job"] = named["job"]
    return event


def in_order(_: Any, __: str, event: EventDict) -> Mapping[str, Any]:
    """When, how bad and what come first."""
    return {key: event[key] for key in _FIRST if key in event} | {
        key: value for key, value in event.items() if key not in _FIRST
    }


def visibly(_: Any, __: str, event: EventDict) -> EventDict:
    """Every character that is not plain text is written as an escape; a traceback keeps its lines, each indented."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _indented(value) if key in ("exception", "stack") else one_line(value)
    return event


def one_line(text: str) -> str:
    """The text on one line, with what cannot be seen as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _indented(text: str) -> str:
    return "\n".join(_INDENT + one_line(line) for line in text.split("\n"))
