"""Spans: told to watchers from beginning to end, and named on every log line within."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.contextvars import get_contextvars

from journal import spans
from journal.spans import Ended, Facts, span

Told = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture
def told() -> Iterator[Told]:
    heard: Told = []

    def watcher(name: str, facts: Facts) -> Ended:
        heard.append(("began", name, dict(facts)))

        def ended(error: BaseException | None, noted: Facts) -> None:
            heard.append((type(error).__name__ if error else "ended", name, dict(noted)))

        return ended

    unwatch = spans.watch(watcher)
    yield heard
    unwatch()
    with span("unheard"):
        pass
    assert all(name != "unheard" for _, name, _ in heard)


def test_a_span_is_told_with_what_was_noted(told: Told) -> None:
    with span("run", run="r", attempt=1) as note:
        note(state="failed")
    assert told == [("began", "run", {"run": "r", "attempt": 1}), ("ended", "run", {"state": "failed"})]


def test_an_error_ends_a_span_and_goes_on(told: Told) -> None:
    with pytest.raises(LookupError), span("git", operation="poll"):
        raise LookupError
    assert [what for what, _, _ in told] == ["began", "LookupError"]


def test_lines_within_a_span_carry_its_names_and_nobody_elses() -> None:
    with span("run", run="r", job="j", commit="c", targets=3):
        with span("target", target="web-01"), span("step", step="check", attempt=1):
            assert get_contextvars() == {"run": "r", "job": "j", "commit": "c", "target": "web-01", "step": "check"}
        with span("target", target=None):
            assert get_contextvars() == {"run": "r", "job": "j", "commit": "c"}
    assert get_contextvars() == {}


async def test_tasks_and_threads_have_the_names_of_who_began_them() -> None:
    async def walk(target: str) -> tuple[Any, Any]:
        with span("target", target=target):
            await asyncio.sleep(0)
            return get_contextvars()["target"], (await asyncio.to_thread(get_contextvars))["target"]

    with span("run", run="r"):
        found = await asyncio.gather(*(walk(f"web-{n}") for n in range(5)))
    assert found == [(f"web-{n}", f"web-{n}") for n in range(5)]
    structlog.contextvars.clear_contextvars()
