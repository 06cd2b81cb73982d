"""What an error of PostgreSQL means for the caller.

The server says it by a code (SQLSTATE, "PostgreSQL Error Codes" of its manual). A connection that was not made has
none in the client's library: there the words decide, and where they are in another language than English it counts
as a server that may come back.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TypeVar

from journal.errors import Refused, Unavailable

T = TypeVar("T")
_SOON, _LATER, _ROOM = 1.0, 3.0, 10.0
# By code, else by class: its first two characters.
_UNAVAILABLE = {
    "08": ("the connection to the journal's database was lost", _SOON),
    "25006": ("the journal's database takes no changes: it is a standby, or is set to be read-only", _LATER),
    "25P04": (
        "the journal's database ended a transaction that took too long; let transaction_timeout be 0 for this user",
        _SOON,
    ),
    "25P03": ("the journal's database ended a transaction that stood still", _SOON),
    "40": ("the journal's database asks to do it again", _SOON),
    "53100": ("the disk that holds the journal's database is full; free some space", _ROOM),
    "53200": ("the journal's database is out of memory", _LATER),
    "53300": ("the journal's database has no connection left; raise its max_connections", _LATER),
    "53": ("the journal's database lacks something", _LATER),
    "55P03": (
        "the journal is locked by another process, or one of its tables by somebody's session, for longer than a "
        "change waits; pg_locks and pg_stat_activity say by whose",
        _SOON,
    ),
    "57014": (
        "the journal's database was not done with a statement in a minute, or somebody has ended it: it has too much "
        "to do, or its disk is slow; pg_stat_activity says what else is going on there",
        _LATER,
    ),
    "57P03": ("the journal's database is starting, stopping or recovering, and takes no connections yet", _SOON),
    "57": ("the journal's database was stopped, or ended the connection", _SOON),
    "58": ("the disk that holds the journal's database does not answer", _LATER),
}
_NO_CODE = ("no connection to the journal's database", _SOON)
_NOT_SO = "asked"
"""No code of PostgreSQL: there is none where the client gives up."""
_REFUSED = {
    _NOT_SO: "the URL of the journal's database asks for what is not there, or for what libpq does not know",
    "28": "the journal's database does not let this user in; look at its name, its password and pg_hba.conf",
    "3D000": "there is no such database for the journal; make it, or change the URL",
    "42501": "this user may not use the journal's tables; give it the database, or a schema that it owns",
    "XX001": "the journal's database is damaged; restore it from a backup",
    "XX002": "the journal's database is damaged; make its indexes anew (REINDEX), or restore it from a backup",
}
# Words of a refused connection, each with the code that it would have.
_WORDS = {
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "too many connections": "53300",
    "password authentication failed": "28",
    "no password supplied": "28",
    "authentication failed": "28",
    "no pg_hba.conf entry": "28",
    "is not permitted to log in": "28",
    "permission denied for database": "28",
    'role "': "28",
    'database "': "3D000",
    "invalid connection option": _NOT_SO,
    "invalid sslmode value": _NOT_SO,
    "server does not support SSL": _NOT_SO,
    "root certificate file": _NOT_SO,
    "certificate verify failed": _NOT_SO,
    "server certificate for": _NOT_SO,
    "session is read-only": "25006",
}
_OF_THE_STATEMENT = ("0A", "21", "22", "23", "42", "P0")


def spoils_the_transaction(error: BaseException) -> bool:
    code = _code(error)
    return code is not None and code != "42501" and not code.startswith(_OF_THE_STATEMENT)


def meaning(error: BaseException) -> Unavailable | Refused | None:
    """None where it is a bug of ours, or the change's own."""
    code = _code(error)
    if code is None:
        return None
    said = " ".join(str(error).split())
    if (advice := _known(_REFUSED, code)) is not None:
        return Refused(f"{advice} ({said})")
    found = _NO_CODE if not code else _known(_UNAVAILABLE, code)
    return None if found is None else Unavailable(f"{found[0]} ({said})", timedelta(seconds=found[1]))


def _known(table: Mapping[str, T], code: str) -> T | None:
    return table.get(code, table.get(code[:2]))


def _code(error: BaseException) -> str | None:
    """None: it is not an error of a server or a connection. Empty: of a connection, and nobody says which."""
    code: str | None = getattr(error, "sqlstate", None)
    if code is not None:
        return code
    said = str(error)
    found = next((code for words, code in _WORDS.items() if words in said), None)
    of_a_connection = type(error).__name__ in ("OperationalError", "ConnectionTimeout")
    return "" if found is None and of_a_connection else found
