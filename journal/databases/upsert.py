"""INSERT with what to do where the row is there already: both databases know it, and SQLAlchemy has one for each."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: dict[str, Callable[[Table], Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Upsert:
    """A statement for each database, made once: `made` is given the database's own insert into the table."""

    def __init__(self, table: Table, made: Callable[[Any], Any]) -> None:
        # The number of a new row is asked of nobody, and how many rows there were is.
        self._statements = {
            name: made(insert(table)).inline().execution_options(preserve_rowcount=True)
            for name, insert in _INSERTS.items()
        }

    def on(self, connection: Connection) -> Any:
        """The statement in the words of the connection's database."""
        return self._statements[connection.dialect.name]
