"""The ledger of names: which ones documents have had, from which commit until which (ADR 0056).

Written in the transaction that puts a commit in force, so that what is recorded under a name and whose name it is then
are known together or not at all.
"""

from dataclasses import asdict

from sqlalchemy import Column, Connection, Integer, Table, bindparam, delete, func, insert, select

from engine.names import Ledger, Name
from journal import points
from journal.databases.tables import Characters, metadata
from journal.errors import Unavailable

names = Table(
    "names",
    metadata,
    Column("kind", Characters, primary_key=True),
    Column("name", Characters, primary_key=True),
    Column("since", Integer, primary_key=True),
    Column("until", Integer),
    Column("today", Characters, nullable=False),
    Column("came", Characters),
    Column("went", Characters),
    sqlite_with_rowid=False,
)
_ALL = select(names.c.kind, names.c.name, names.c.since, names.c.until, names.c.today, names.c.came, names.c.went)
_GENERATION = select(func.max(names.c.since), func.max(names.c.until))
_THIS = (names.c.kind == bindparam("of"), names.c.name == bindparam("named"), names.c.since == bindparam("from"))
_ADD = insert(names)
_DROP = delete(names).where(*_THIS)


def known(conn: Connection) -> Ledger:
    """All that is known: a row or two for each name that a document was ever renamed from or to."""
    return Ledger.of(Name(*row) for row in conn.execute(_ALL))


def generation(conn: Connection) -> int:
    """How often names were changed up to now."""
    return max((number or 0 for number in conn.execute(_GENERATION).one()), default=0)


def keep(tx: Connection, ledger: Ledger) -> bool:
    """Go over to what follows from what is known. False, and nothing changes, where it is that.

    Only what the change touched is written: how much is known costs the transaction nothing. Raises Unavailable where
    it follows from something else, since names were changed meanwhile.
    """
    had = generation(tx)
    if had == ledger.generation:
        return False
    if ledger.generation != had + 1:
        raise Unavailable(f"names were changed meanwhile: change {had} is known, and this would be {ledger.generation}")
    points.record("rename")
    tx.execute(_DROP, [{"of": one.kind, "named": one.name, "from": one.since} for one in ledger.news])
    tx.execute(_ADD, [asdict(one) for one in ledger.news])
    return True
