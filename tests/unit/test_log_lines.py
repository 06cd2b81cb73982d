"""Lines of the engine's log: whatever is in them, each event is one line, and says what it concerns."""

import json
from typing import Any

import pytest
import structlog

from opsconductor.service.loglines import Format, one_line, rendering, with_job

HOSTILE = "gone\n2026-11-21T00:15:00Z [info     ] all is well\r\x1b[2J\x1b]0;title\x07\u202etxt.exe\u2028end\x85"


def line(shape: Format, **event: Any) -> str:
    found: Any = {"timestamp": "2026-11-21T00:15:00Z", "level": "warning", **event}
    for processor in rendering(shape, colours=False):
        found = processor(None, "warning", found)
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("shape", ["text", "json"])
@pytest.mark.parametrize("where", ["event", "target", "error", "detail"])
def test_hostile_text_stays_on_its_line(shape: Format, where: str) -> None:
    value: object = [HOSTILE, {"more": HOSTILE}] if where == "detail" else HOSTILE
    found = line(shape, **{"event": "something", where: value})
    assert len(found.splitlines()) == 1
    assert all(char.isprintable() for char in found)
    assert "all is well" in found


def test_json_gives_back_what_was_said() -> None:
    found = json.loads(line("json", run="r", event="said", error=HOSTILE))
    assert found["error"] == HOSTILE
    assert list(found) == ["timestamp", "level", "event", "run", "error"]


def test_plain_text_is_left_as_it_is() -> None:
    assert one_line("grüße, 世界 · ok") == "grüße, 世界 · ok"
    assert "error='cannot reach web-01'" in line("text", event="said", error="cannot reach web-01")


@pytest.mark.parametrize("shape", ["text", "json"])
def test_a_traceback_cannot_pass_for_a_line(shape: Format) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        found = line(shape, event="a bug of ours", exc_info=error)
    first, *rest = found.split("\n")
    assert "a bug of ours" in first
    assert all(each.startswith("    ") for each in rest)
    assert "\x1b" not in found and "\r" not in found and "\u202e" not in found
    assert "ValueError" in found


def test_a_line_about_a_run_names_its_job() -> None:
    run = "rotate-web-logs-20261121T001500Z-9f31c2a07b"
    assert with_job(None, "", {"run": run})["job"] == "rotate-web-logs"
    assert with_job(None, "", {"run": run, "job": "known"})["job"] == "known"
    assert "job" not in with_job(None, "", {"run": "something else"})
    assert "job" not in with_job(None, "", {"event": "no run"})


def test_the_context_of_a_span_does_not_hide_what_a_line_says_itself() -> None:
    with structlog.contextvars.bound_contextvars(commit="old", run="r"):
        merged = structlog.contextvars.merge_contextvars(None, "", {"event": "commit in force", "commit": "new"})
    assert (merged["commit"], merged["run"]) == ("new", "r")
