"""How long git took when it was asked last, of each operation: a watcher of spans (journal.spans)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from journal.clock import Clock
from journal.spans import Ended, Facts


@dataclass(frozen=True, slots=True)
class Took:
    """One operation that has ended."""

    seconds: float
    at: datetime
    failed: bool


class Lately:
    """Spans end on the engine's thread, pages are made on another: what is kept is replaced whole."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._git: dict[str, Took] = {}

    @property
    def git(self) -> Mapping[str, Took]:
        """By operation (`poll`, `fetch`, `push`), the last one."""
        return self._git

    def watch(self, name: str, facts: Facts) -> Ended:
        """A watcher of spans."""
        began = self._clock.monotonic()

        def ended(error: BaseException | None, _: Facts) -> None:
            if name == "git":
                took = Took(self._clock.monotonic() - began, self._clock.now(), error is not None)
                self._git = {**self._git, str(facts["operation"]): took}

        return ended
