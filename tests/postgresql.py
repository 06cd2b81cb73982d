"""Every statement that a test sends to the journal, compiled for PostgreSQL too: nothing of SQLite alone slips in."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

JOURNAL = Path(__file__).parents[1] / "journal"
Site = tuple[str, int]
"""A module of the journal, and a line of it."""
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
sites: set[Site] = set()
"""Where the statements came from, so far."""


@pytest.fixture(autouse=True)
def for_postgresql() -> Iterator[None]:
    event.listen(Engine, "before_execute", _compiled)
    yield
    event.remove(Engine, "before_execute", _compiled)


def _compiled(connection: Connection, statement: ClauseElement, *_: Any) -> None:
    statement.compile(dialect=DIALECT)
    frame = sys._getframe()
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent != JOURNAL:
        frame = frame.f_back
    sites.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
