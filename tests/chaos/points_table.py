"""Writes docs/reference/crash-points.md: between which two durable effects each crash point lies."""

import inspect
from pathlib import Path

from journal.points import POINTS
from tests.chaos.scenarios import SCENARIOS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "crash-points.md"

_HEAD = """# Crash points

Written by `python -m tests.chaos.points_table` from `journal/points.py`; a test compares them.

At each of these {count} points a test kills the process (SIGKILL), starts it again, and compares what was due, what the
targets saw, the journal and the status branch. The last column says what the test does to get there.

| point | has happened | has not happened yet | how the test gets there |
|---|---|---|---|
"""


def page() -> str:
    """The page as it should be."""
    plays = {scenario.point: _first_line(inspect.getdoc(scenario.play)) for scenario in SCENARIOS}
    rows = [
        f"| `{name}` | {between.before} | {between.after} | {plays.get(name, '')} |" for name, between in POINTS.items()
    ]
    return _HEAD.format(count=len(POINTS)) + "\n".join(rows) + "\n"


def _first_line(doc: str | None) -> str:
    return " ".join((doc or "").split())


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
