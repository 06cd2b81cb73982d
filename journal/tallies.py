"""Tallies: how often in a row an object failed, and what each rule remembers of it. Most objects have none."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from journal.databases.noticetables import tallies
from journal.databases.portions import portions

_OF_NO_RULE = ""
_ONE = (tallies.c.rule == bindparam("of"), tallies.c.kind == bindparam("what"), tallies.c.name == bindparam("named"))
_GET = select(tallies.c.failures, tallies.c.matched, tallies.c.told).where(*_ONE)
_ADD = insert(tallies)
_SET = update(tallies).where(*_ONE)
_DROP = delete(tallies).where(*_ONE)


@dataclass(frozen=True, slots=True)
class Key:
    """What a tally is of."""

    rule: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How many events counted since the last recovery, and whether a failure was told since."""

    matched: int = 0
    told: bool = False


def failures(conn: Connection, kind: str, name: str) -> int:
    """How often in a row it has failed."""
    found = conn.execute(_GET, _params(Key(_OF_NO_RULE, kind, name))).first()
    return 0 if found is None else int(found.failures)


def failures_of(kind: ColumnElement[str], name: ColumnElement[str]) -> ColumnElement[int | None]:
    """The same as a part of another question; NULL where it is well."""
    return (
        select(tallies.c.failures)
        .where(tallies.c.rule == _OF_NO_RULE, tallies.c.kind == kind, tallies.c.name == name)
        .scalar_subquery()
    )


def unwell(conn: Connection, kind: str, names: Collection[str]) -> frozenset[str]:
    """Those of them that have failed when they were last heard of."""
    found: set[str] = set()
    for part in portions(names):
        query = select(tallies.c.name).where(tallies.c.rule == _OF_NO_RULE, tallies.c.kind == kind)
        found.update(conn.execute(query.where(tallies.c.name.in_(part))).scalars())
    return frozenset(found)


def failed(tx: Connection, kind: str, name: str) -> int:
    """It has failed once more; how often in a row."""
    key, before = _params(Key(_OF_NO_RULE, kind, name)), failures(tx, kind, name)
    if before:
        tx.execute(_SET.values(failures=before + 1), key)
    else:
        tx.execute(_ADD, {"rule": _OF_NO_RULE, "kind": kind, "name": name, "failures": 1})
    return before + 1


def mended(tx: Connection, kind: str, name: str) -> int:
    """It is well; how often in a row it had failed before."""
    before = failures(tx, kind, name)
    if before:
        tx.execute(_DROP, _params(Key(_OF_NO_RULE, kind, name)))
    return before


def get(conn: Connection, key: Key) -> Tally:
    """What a rule remembers of an object."""
    found = conn.execute(_GET, _params(key)).first()
    return Tally() if found is None else Tally(found.matched, found.told)


def put_all(tx: Connection, changed: Mapping[Key, Tally]) -> None:
    """A rule remembers this from now on; what says nothing is not kept."""
    for key, tally in changed.items():
        tx.execute(_DROP, _params(key))
        if tally != Tally():
            row = {"rule": key.rule, "kind": key.kind, "name": key.name}
            tx.execute(_ADD, row | {"matched": tally.matched, "told": tally.told})


def follow(tx: Connection, name_now: Callable[[str, str], str]) -> None:
    """What is of a rule or an object that was renamed is of its name now, unless that has something of its own."""
    for row in tx.execute(select(tallies.c.rule, tallies.c.kind, tallies.c.name)).all():
        before = Key(row.rule, row.kind, row.name)
        now = Key(name_now("NotificationRule", row.rule), row.kind, name_now(row.kind, row.name))
        if now != before and tx.execute(_GET, _params(now)).first() is None:
            tx.execute(_SET.values(rule=now.rule, name=now.name), _params(before))


def keep_only(tx: Connection, rules: Iterable[str], objects: Collection[tuple[str, str]]) -> None:
    """Forget what is of other rules, and of other objects (kind and name)."""
    tx.execute(delete(tallies).where(tallies.c.rule.not_in([_OF_NO_RULE, *rules])))
    for kind, name in tx.execute(select(tallies.c.kind, tallies.c.name).distinct()).all():
        if (kind, name) not in objects:
            tx.execute(delete(tallies).where(tallies.c.kind == kind, tallies.c.name == name))


def _params(key: Key) -> dict[str, str]:
    return {"of": key.rule, "what": key.kind, "named": key.name}
