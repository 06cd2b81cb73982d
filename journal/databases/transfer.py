"""A whole journal taken from one database to another: every row, compared when it is there."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, inspect, select

from journal.databases import faults, upgrades
from journal.databases.database import Database
from journal.databases.postgresqltext import without_nul
from journal.databases.tables import AnyRow, meta, metadata
from journal.errors import Refused

_AT_ONCE = 500
"""Rows that are read and written together."""
_ON_A_CLOCK = frozenset({"lease_until", "opens_at", "shown_until"})
"""What counts on the clock of the database that it leaves: elsewhere all leases are over."""
_SUMS = 1 << 256


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows of each table were taken along."""

    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class _Content:
    """What a table holds: so many rows, and a sum of their digests, which knows no order."""

    rows: int = 0
    digest: int = 0

    def with_rows(self, rows: list[dict[str, Any]]) -> "_Content":
        digests = (int.from_bytes(hashlib.sha256(repr(list(row.items())).encode()).digest()) for row in rows)
        return _Content(self.rows + len(rows), (self.digest + sum(digests)) % _SUMS)


def move(source: Database, target: Database, moved: Callable[[Connection, Connection], object] | None = None) -> Moved:
    """Take the journal along, and leave a mark in the source that it is not used any more.

    `moved` is called with both at the end, to write into the second what is to be known there.

    Nobody else writes to either of them meanwhile. The target has nothing, or what was moved away from it before,
    which is replaced. Where anything fails it is as it was, and the source is in use still. Raises Refused where one
    of them is not fit for it, and Unavailable where one cannot be written.
    """
    with faults.translation(), source.writing.connect() as of, target.writing.connect() as to:
        source.check(of)
        target.check(to)
        with of.begin():
            _ready(of, source)
            with to.begin():
                upgrades.prepare(to, target, left_is_fine=True)
                source.patient(of)  # while the other one is read, and long tables are
                target.patient(to)
                _alone(to, target)
                _emptied(to, target)
                rows = {table.name: _taken(of, to, table) for table in metadata.sorted_tables if table is not meta}
                _described(of, to)
                for table in metadata.sorted_tables:
                    if table.primary_key.columns.keys() == ["seq"]:
                        target.number_after(to, table, source.numbered(of, table))
                if moved is not None:
                    moved(of, to)
            # From here on the target is whole. A power cut before the mark leaves two of them, of which one is marked
            # by nothing: whoever repeats the command is told that the target is not empty.
            upgrades.leave(of, target.place)
    return Moved(rows)


def _ready(connection: Connection, database: Database) -> None:
    if "meta" not in inspect(connection).get_table_names():
        raise Refused(f"{database.place} holds no journal")
    upgrades.prepare(connection, database)
    if not upgrades.is_own(connection):
        raise Refused(f"{database.place} was changed by a newer OpsConductor; let that version move it")
    _alone(connection, database)


def _alone(connection: Connection, database: Database) -> None:
    if not database.alone(connection):
        raise Refused(f"{database.place} is in use; stop all that work with it in order, and ask again")


def _emptied(connection: Connection, database: Database) -> None:
    tables = [table for table in reversed(metadata.sorted_tables) if table is not meta]
    if upgrades.left_for(connection) is not None:
        for table in tables:
            connection.execute(delete(table))
        return
    held = [table.name for table in tables if connection.execute(select(func.count()).select_from(table)).scalar_one()]
    if held:
        raise Refused(
            f"{database.place} holds another journal already ({held[0]} is not empty), which would be lost; "
            f"{database.elsewhere}"
        )


def _taken(of: Connection, to: Connection, table: Table) -> int:
    read = _Content()
    answer = of.execute(select(table), execution_options={"yield_per": _AT_ONCE})
    for part in answer.partitions():
        rows = [_carried(row) for row in part]
        read = read.with_rows(rows)
        to.execute(insert(table), rows)
    arrived = _Content()
    for part in to.execute(select(table), execution_options={"yield_per": _AT_ONCE}).partitions():
        arrived = arrived.with_rows([_carried(row) for row in part])
    if arrived != read:
        raise Refused(
            f"of table {table.name}, {read.rows} rows were read and {arrived.rows} arrived, or not as they were; "
            "nothing was moved"
        )
    return read.rows


def _carried(row: AnyRow) -> dict[str, Any]:
    return {
        name: 0.0 if name in _ON_A_CLOCK and value is not None else without_nul(value) if type(value) is str else value
        for name, value in row._mapping.items()
    }


def _described(of: Connection, to: Connection) -> None:
    """What `meta` knows besides the tables: the engine's id."""
    own = (*upgrades.described(), upgrades.LEFT)
    rows = [dict(row._mapping) for row in of.execute(select(meta).where(meta.c.key.not_in(own)))]
    to.execute(delete(meta).where(meta.c.key.not_in(tuple(upgrades.described()))))
    if rows:
        to.execute(insert(meta), rows)
