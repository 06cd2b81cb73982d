"""What goes on, from its beginning to its end, told to whoever wants to know: log lines, metrics, traces.

Whoever does something that takes time says so with `span`. Within it every log line carries the names it was given;
watchers hear of its beginning and its end. Nothing that a span is told may be secret, or the words of a target.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog

Facts = Mapping[str, Any]
Ended = Callable[[BaseException | None, Facts], None]
"""Called with what it ended by, if that was an error, and with what was noted meanwhile."""
Watcher = Callable[[str, Facts], Ended]
"""Called with the name of a span and its facts as it begins, in the task that begins it. Must neither block nor raise.

Spans of one task lie within each other; those of several tasks go on at once.
"""
LOGGED = frozenset({"run", "job", "target", "step", "commit"})
"""The facts that every log line within a span carries."""

_watchers: tuple[Watcher, ...] = ()


def watch(watcher: Watcher) -> Callable[[], None]:
    """Tell `watcher` of all spans from now on; gives what ends that. One process, one set of watchers."""
    global _watchers  # noqa: PLW0603
    _watchers = (*_watchers, watcher)

    def unwatch() -> None:
        global _watchers  # noqa: PLW0603
        _watchers = tuple(each for each in _watchers if each is not watcher)

    return unwatch


@contextmanager
def span(name: str, **facts: Any) -> Iterator[Callable[..., None]]:
    """Something begins and, with the block, ends. Yields what notes facts that are known only later."""
    noted: dict[str, Any] = {}
    logged = {key: value for key, value in facts.items() if key in LOGGED and value is not None}
    with ExitStack() as stack:
        if logged:
            stack.enter_context(structlog.contextvars.bound_contextvars(**logged))
        ends = [each(name, facts) for each in _watchers]
        try:
            yield noted.update
        except BaseException as error:
            _told(ends, error, noted)
            raise
        _told(ends, None, noted)


def _told(ends: list[Ended], error: BaseException | None, noted: Facts) -> None:
    for end in reversed(ends):
        end(error, noted)
