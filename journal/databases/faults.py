"""What a database error means for the caller: later, a human, or a bug of ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

from sqlalchemy.exc import DBAPIError

from journal.databases import postgresqlfaults, sqlitefaults


def spoils_the_transaction(error: DBAPIError) -> bool:
    """Whether nothing more can be done in this transaction. What is wrong with a statement spoils it alone."""
    if error.connection_invalidated or error.orig is None:
        return True
    spoils: bool = _of(error.orig).spoils_the_transaction(error.orig)
    return spoils


def translated(error: BaseException) -> BaseException:
    """The error as the callers know it; one that is none of the database's is given back."""
    if not isinstance(error, DBAPIError | sqlite3.Error):
        return error
    said = error.orig if isinstance(error, DBAPIError) else error
    if said is None:
        return error
    found: Exception | None = _of(said).meaning(said)
    if found is None:
        return error
    found.__cause__ = error
    return found


def _of(error: BaseException) -> ModuleType:
    return sqlitefaults if isinstance(error, sqlite3.Error) else postgresqlfaults


@contextmanager
def translation() -> Iterator[None]:
    """Raise what a database error means, keeping the cause."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise translated(error) from error


@contextmanager
def suppressed() -> Iterator[None]:
    """For tidying that may as well be done the next time."""
    with suppress(DBAPIError, sqlite3.Error):
        yield
