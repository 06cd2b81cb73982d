"""Single facts by name, as JSON: the commit in force, marks of progress, what the engine must remember."""

from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from journal.databases.tables import facts

_GET = select(facts.c.value).where(facts.c.key == bindparam("name"))


LOGS_ASIDE = "logs.aside"
"""Names runs whose logs could not be brought to their place while others could: they hold nobody up."""
TESTED = "tested/"
"""Before the name of a target: what `target test` found there last."""
LOGS_GONE = "logs.gone"
"""Names runs whose logs are to be removed where they are kept."""


def get(conn: Connection, key: str, default: Any = None) -> Any:
    """The fact, or `default` where it is not known."""
    found = conn.execute(_GET, {"name": key}).first()
    return default if found is None else found[0]


def put(tx: Connection, key: str, value: Any) -> None:
    """Set the fact. `value` is plain JSON data."""
    if tx.execute(update(facts).where(facts.c.key == key).values(value=value)).rowcount == 0:
        tx.execute(insert(facts), {"key": key, "value": value})
