"""Rows that a transaction adds at its end: the changes that share it add theirs together, by one message each table.

Each message is a way to the server and back, and all other writers wait meanwhile. It is for rows that nothing reads in
the transaction itself; whoever does read them there calls `settle` before.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql.base import Executable

Row = Mapping[str, Any]
Merge = Callable[[Sequence[Row]], Sequence[Row]]
"""Fewer rows that come to the same."""
_KEY = "opsconductor.trailing"
_Waiting = list[tuple[Executable, Sequence[Row], Merge | None]]


def begin(tx: Connection) -> None:
    """From now on rows wait for the end of this transaction; without it each is added at once."""
    tx.info[_KEY] = []


def add(tx: Connection, statement: Executable, rows: Sequence[Row], merge: Merge | None = None) -> None:
    """Add rows by a statement that is made once, and whose answer nobody needs. Those of one statement keep their
    order."""
    waiting: _Waiting | None = tx.info.get(_KEY)
    if waiting is None:
        tx.execute(statement, list(rows))
    else:
        waiting.append((statement, rows, merge))


def count(tx: Connection) -> int:
    """How much waits, for `take_back`."""
    return len(tx.info.get(_KEY) or ())


def take_back(tx: Connection, count: int) -> None:
    """Of what has been added since so much waited nothing is to remain."""
    waiting: _Waiting | None = tx.info.get(_KEY)
    if waiting is not None:
        del waiting[count:]


def settle(tx: Connection) -> None:
    """Add what waits now."""
    waiting: _Waiting | None = tx.info.get(_KEY)
    if not waiting:
        return
    tx.info[_KEY] = []
    of: dict[int, tuple[Executable, list[Row], Merge | None]] = {}
    for statement, rows, merge in waiting:
        of.setdefault(id(statement), (statement, [], merge))[1].extend(rows)
    for statement, all_rows, merge in of.values():
        tx.execute(statement, list(all_rows if merge is None else merge(all_rows)))


def end(tx: Connection) -> None:
    """The transaction is over, or goes on by itself: nothing waits from now on."""
    tx.info.pop(_KEY, None)
