"""Renames: what is known of a job, a workflow or a Discovery goes on under the name that it has in the commit in force.

A run keeps the name that its job had when it began, in its id, its plan and its file. By `known_as` it is a part of the
past of today's job: its history, its failures in a row, its run before.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from engine.catalog import Catalog
from engine.runs.concurrency import renamed_groups
from journal import counts, discoveries, names, outbox
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, runs

_KINDS = {False: "Job", True: "Workflow"}
_TOPICS = {"Job": "job", "Workflow": "workflow"}
_OPEN = runs.c.finished_at.is_(None)


def _each_name() -> Select[*tuple[Any, ...]]:
    """From one name to the next by the index, instead of through all runs: SQL has no word for that but recursion."""
    names = select(func.min(runs.c.known_as).label("name")).cte("names", recursive=True)
    following = select(func.min(runs.c.known_as)).where(runs.c.known_as > names.c.name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.name.is_not(None)))
    return select(names.c.name).where(names.c.name.is_not(None))


_NAMES = _each_name()


def follow(tx: Connection, catalog: Catalog) -> None:
    """In the transaction that puts these definitions in force: their names from now on. Again it changes nothing.

    They come after what the ledger has (`Catalog.after`).
    """
    names.keep(tx, catalog.names)
    for row in _astray(tx, catalog):
        kind = _KINDS[row.workflow]
        if (today := catalog.renamed.get(kind, {}).get(row.known_as)) is None:
            continue
        mine = (runs.c.known_as == row.known_as, runs.c.workflow == row.workflow, ~runs.c.inline)
        tx.execute(update(runs).where(*mine).values(known_as=today))
        outbox.add_all(tx, tuple((_TOPICS[kind], name) for name in (row.known_as, today)))
    former = {
        (topic, old): name for kind, topic in _TOPICS.items() for old, name in catalog.renamed.get(kind, {}).items()
    }
    counts.rename(tx, former)
    discoveries.follow(tx, catalog.renamed.get("Discovery", {}))
    _regroup(tx, renamed_groups(catalog))


def _astray(conn: Connection, catalog: Catalog) -> Iterator[AnyRow]:
    """The names that runs are known by, and that a document of either kind has had."""
    wanted = {old for kind in _TOPICS for old in catalog.renamed.get(kind, ())}
    known = conn.execute(_NAMES).scalars().all() if wanted else ()
    pairs = select(runs.c.known_as, runs.c.workflow).where(~runs.c.inline).distinct()
    for part in portions(sorted(wanted.intersection(known))):
        yield from conn.execute(pairs.where(runs.c.known_as.in_(part))).all()


def _regroup(tx: Connection, former: Mapping[str, str]) -> None:
    """Open runs go on in the group of today, unless runs are in both: none may come to have the place of another."""
    taken = set(tx.execute(select(runs.c.concurrency).where(_OPEN).distinct()).scalars()) if former else set()
    for old, today in former.items():
        if old in taken and today not in taken:
            tx.execute(update(runs).where(_OPEN, runs.c.concurrency == old).values(concurrency=today))
            taken.add(today)
