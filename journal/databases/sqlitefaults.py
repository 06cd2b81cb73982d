"""What an error of SQLite means for the caller."""

import sqlite3
from datetime import timedelta

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
_OF_THE_STATEMENT = (None, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR)


def damaged(detail: str) -> str:
    """The message for a file that holds something else than it should."""
    return (
        f"the journal's file is damaged or not a database ({detail}); restore it from a backup, or move it away: "
        "the engine then rebuilds what the status branch holds"
    )


def spoils_the_transaction(error: BaseException) -> bool:
    return _code(error) not in _OF_THE_STATEMENT


def meaning(error: BaseException) -> Unavailable | Refused | None:
    """None where it is a bug of ours, or the change's own."""
    code = _code(error)
    if code in _LATER:
        message, seconds = _LATER[code]
        return Unavailable(f"{message} ({error})", timedelta(seconds=seconds))
    if code in _HUMAN:
        return Refused(f"{_HUMAN[code]} ({error})")
    if code in _DAMAGED:
        return Refused(damaged(str(error)))
    return None


def _code(error: BaseException) -> int | None:
    extended = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else int(extended) & 0xFF
