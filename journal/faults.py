"""What a database error means for the caller: later, a human, or a bug of ours."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from sqlalchemy.exc import DBAPIError

from journal.errors import Refused, Unavailable

# Primary result codes, see "Result Codes" of the SQLite manual.
_LATER = {
    sqlite3.SQLITE_BUSY: ("the journal is locked by another process", 1.0),
    sqlite3.SQLITE_LOCKED: ("the journal is locked", 1.0),
    sqlite3.SQLITE_FULL: ("the disk that holds the journal is full; free some space", 10.0),
    sqlite3.SQLITE_IOERR: ("the disk that holds the journal does not answer", 5.0),
    sqlite3.SQLITE_NOMEM: ("out of memory in the journal", 5.0),
    sqlite3.SQLITE_INTERRUPT: ("the journal was interrupted", 1.0),
}
_HUMAN = {
    sqlite3.SQLITE_PERM: "this user may not use the journal's file; change its owner or its mode",
    sqlite3.SQLITE_AUTH: "this user may not use the journal's file; change its owner or its mode",
    sqlite3.SQLITE_READONLY: "the journal's file cannot be written; change its owner, its mode or the disk's mount",
    sqlite3.SQLITE_CANTOPEN: "the journal's file cannot be opened; may this user write to its folder?",
}
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def damaged(detail: str) -> str:
    """The message for a file that holds something else than it should."""
    return (
        f"the journal's file is damaged or not a database ({detail}); restore it from a backup, or move it away: "
        "the engine then rebuilds what the status branch holds"
    )


def spoils_the_transaction(error: DBAPIError) -> bool:
    """Whether nothing more can be done in this transaction. A violated constraint spoils only its statement."""
    return error.connection_invalidated or _code(error) not in (None, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR)


def translated(error: BaseException) -> BaseException:
    """The error as the callers know it; one that is none of the database's is given back."""
    if not isinstance(error, DBAPIError | sqlite3.Error):
        return error
    code = _code(error)
    said = error.orig if isinstance(error, DBAPIError) else error
    if code in _LATER:
        message, seconds = _LATER[code]
        found: Exception = Unavailable(f"{message} ({said})", timedelta(seconds=seconds))
    elif code in _HUMAN:
        found = Refused(f"{_HUMAN[code]} ({said})")
    elif code in _DAMAGED:
        found = Refused(damaged(str(said)))
    else:
        return error
    found.__cause__ = error
    return found


def _code(error: DBAPIError | sqlite3.Error) -> int | None:
    extended = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlite_errorcode", None)
    return None if extended is None else int(extended) & 0xFF


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
