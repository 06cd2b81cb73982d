"""Renames: what is known of a job or workflow goes on under the name that it has in the commit in force.

A run keeps the name that its job had when it began, in its id, its plan and its file. By `known_as` it is a part of the
past of today's job: its history, its failures in a row, its run before.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select, update

from engine.catalog import Catalog
from engine.concurrency import renamed_groups
from journal import counts, outbox
from journal.portions import portions
from journal.tables import AnyRow, runs

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
    """In the transaction that puts these definitions in force: their names from now on. Again it changes nothing."""
    former = {(kind, old): name for kind, names in catalog.renamed.items() for old, name in names.items()}
    for row in _astray(tx, catalog):
        kind = _KINDS[row.workflow]
        if (today := _today(catalog, kind, row)) is None:
            continue
        mine = (runs.c.known_as == row.known_as, runs.c.job == row.job, runs.c.workflow == row.workflow, ~runs.c.inline)
        tx.execute(update(runs).where(*mine).values(known_as=today))
        outbox.add_all(tx, tuple((_TOPICS[kind], name) for name in (row.known_as, today)))
        former.setdefault((kind, row.known_as), today)
    counts.rename(tx, {(_TOPICS[kind], old): name for (kind, old), name in former.items() if kind in _TOPICS})
    jobs, workflows = ({old: name for (of, old), name in former.items() if of == kind} for kind in _TOPICS)
    _regroup(tx, renamed_groups(catalog, jobs, workflows))


def _astray(conn: Connection, catalog: Catalog) -> Iterator[AnyRow]:
    """The names of runs by which nothing is defined (any more), or something of the other kind alone."""
    known = conn.execute(_NAMES).scalars().all()
    wanted = {old for kind in _TOPICS for old in catalog.renamed.get(kind, ())}
    wanted |= {name for name in known if name not in catalog.jobs and name not in catalog.workflows}
    pairs = select(runs.c.known_as, runs.c.job, runs.c.workflow).where(~runs.c.inline).distinct()
    for part in portions(sorted(wanted.intersection(known))):
        yield from conn.execute(pairs.where(runs.c.known_as.in_(part))).all()


def _today(catalog: Catalog, kind: str, row: AnyRow) -> str | None:
    """None: as it is, or gone. A rename that was taken back, also without saying so, gives what ran before it back."""
    defined = catalog.by_kind[kind]
    if row.known_as in defined:
        return None
    names = (catalog.name_now(kind, row.known_as), catalog.name_now(kind, row.job))
    return next((name for name in names if name in defined), None)


def _regroup(tx: Connection, former: Mapping[str, str]) -> None:
    """Open runs go on in the group of today, unless runs are in both: none may come to have the place of another."""
    taken = set(tx.execute(select(runs.c.concurrency).where(_OPEN).distinct()).scalars()) if former else set()
    for old, today in former.items():
        if old in taken and today not in taken:
            tx.execute(update(runs).where(_OPEN, runs.c.concurrency == old).values(concurrency=today))
            taken.add(today)
