"""What scans saw: of each Discovery the last one, what came of it, and when each of its Targets was seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from journal import outbox
from journal.databases.tables import AnyRow, discoveries
from journal.fence import Fence

TOPIC = "discovery"


@dataclass(frozen=True, slots=True)
class ScanRow:
    """A Discovery's last scan, as `engine.discovery.seen` writes it; `report` is what was made of the one before it,
    or of it once it is settled."""

    name: str
    run: str
    scan: bytes
    scanned_at: datetime
    settled: bool
    report: Mapping[str, Any] | None
    last_seen: Mapping[str, str]


_OF = discoveries.c.name == bindparam("which")
_GET = select(discoveries).where(_OF)
_ALL = select(discoveries).order_by(discoveries.c.name)
_NAMES = select(discoveries.c.name)
_OPEN = select(discoveries.c.name).where(~discoveries.c.settled).order_by(discoveries.c.scanned_at)
_AGAIN = (
    update(discoveries)
    .where(_OF)
    .values(
        {name: bindparam(f"to_{name}", type_=discoveries.c[name].type) for name in ("run", "scan", "scanned_at")}
        | {"settled": False}
    )
)
_SETTLE = (
    update(discoveries)
    .where(_OF, discoveries.c.run == bindparam("of_run"))
    .values(
        {name: bindparam(f"to_{name}", type_=discoveries.c[name].type) for name in ("report", "last_seen")}
        | {"settled": True}
    )
)


def scanned(tx: Connection, fence: Fence, name: str, scan: bytes, now: datetime) -> None:
    """Keep what a run saw, in the transaction that records the end of its step, which checks the fence."""
    new = {"run": fence.run, "scan": scan, "scanned_at": now}
    if not tx.execute(_AGAIN, {"which": name} | {f"to_{key}": value for key, value in new.items()}).rowcount:
        tx.execute(insert(discoveries), new | {"name": name, "settled": False, "last_seen": {}})
    outbox.add(tx, TOPIC, name)


def unsettled(conn: Connection) -> tuple[str, ...]:
    """Discoveries whose last scan nobody has made anything of yet, the oldest first."""
    return tuple(conn.execute(_OPEN).scalars())


def get(conn: Connection, name: str) -> ScanRow | None:
    row = conn.execute(_GET, {"which": name}).first()
    return None if row is None else _row(row)


def every(conn: Connection) -> tuple[ScanRow, ...]:
    """Of all Discoveries, by name."""
    return tuple(_row(row) for row in conn.execute(_ALL))


def settle(tx: Connection, name: str, run: str, report: Mapping[str, Any] | None, last_seen: Mapping[str, str]) -> bool:
    """Record what came of the scan of a run. False where there is a newer scan: that one is still to be looked at."""
    what = {"to_report": None if report is None else dict(report), "to_last_seen": dict(last_seen)}
    if not tx.execute(_SETTLE, {"which": name, "of_run": run} | what).rowcount:
        return False
    outbox.add(tx, TOPIC, name)
    return True


def follow(tx: Connection, former: Mapping[str, str]) -> None:
    """What is kept under a former name is of the Discovery's name of now. Of two scans the newer one stays, to be
    looked at, with what came of the one under the name of now."""
    for old in sorted(former.keys() & set(tx.execute(_NAMES).scalars())):
        today, was = former[old], get(tx, old)
        now = get(tx, today)
        if was is not None and now is None:
            tx.execute(update(discoveries).where(discoveries.c.name == old).values(name=today))
        elif was is not None and now is not None:
            if was.scanned_at > now.scanned_at:
                newer = {"to_run": was.run, "to_scan": was.scan, "to_scanned_at": was.scanned_at}
                tx.execute(_AGAIN, {"which": today} | newer)
            tx.execute(delete(discoveries).where(discoveries.c.name == old))
        outbox.add_all(tx, ((TOPIC, old), (TOPIC, today)))


def forget(tx: Connection, name: str) -> None:
    """Of a Discovery that nobody defines any more."""
    if tx.execute(delete(discoveries).where(discoveries.c.name == name)).rowcount:
        outbox.add(tx, TOPIC, name)


def _row(row: AnyRow) -> ScanRow:
    return ScanRow(row.name, row.run, row.scan, row.scanned_at, row.settled, row.report, row.last_seen or {})
