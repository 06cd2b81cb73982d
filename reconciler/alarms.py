"""What is noticed though nothing in the journal changed: definitions that do not come into force, and credentials that
stop working. What was told is a fact in the journal, written with its notice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from engine import expiry
from engine.catalog import Catalog
from journal import facts, notices
from journal.notices import Notice
from journal.store import Journal
from reconciler.sync import Sync
from schemas.quantities import format_instant

AWAY_FOR = timedelta(minutes=5)
"""A source that cannot be read for so long is told; networks have short breaks."""
_LOOKED_EVERY = timedelta(minutes=10)
_SYNC = "notices.sync"
_EXPIRING = "notices.expiring"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the head of the branch is not in force. `occurrence` tells this failure from the next."""

    occurrence: str
    reason: str
    message: str
    findings: tuple[str, ...] = ()


def failure_of(sync: Sync, since: datetime | None, now: datetime) -> Failure | None:
    """What is to be told of how things stand; `since` is when the source could not be read for the first time."""
    if sync.rejected:
        errors = [found for found in sync.findings if found.severity == "error"]
        shown = tuple(f"{found.span}: {found.code} {found.message}"[:300] for found in errors[:_NAMED])
        count = f"{len(errors)} error{'s' if len(errors) != 1 else ''}"
        return Failure(f"rejected/{sync.observed}", "Invalid", f"commit {_short(sync.observed)} has {count}", shown)
    if sync.frozen is not None:
        return Failure(f"frozen/{sync.observed}/{sync.frozen[0]}", *sync.frozen)
    if sync.trouble is not None and since is not None and now - since >= AWAY_FOR:
        return Failure(f"trouble/{format_instant(since)}", *sync.trouble)
    return None


def _short(commit: str | None) -> str:
    return (commit or "")[:12]


def _same(occurrence: str, told: Any) -> bool:
    """A source that is away is told once, also where the program was started anew meanwhile."""
    away = "trouble/"
    return told == occurrence or (occurrence.startswith(away) and str(told).startswith(away))


class Alarms:
    """Looks at how things stand, at the end of every pass. Doing it again changes nothing."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since: datetime | None = None
        self._told: Any = ...
        self._looked: tuple[str, datetime] | None = None

    async def look(self, sync: Sync, catalog: Catalog | None, now: datetime, *, head: str | None) -> None:
        """`head` is the commit at the branch's head, where the source was seen."""
        if self._told is ...:
            self._told = await self._journal.read(lambda conn: facts.get(conn, _SYNC))
        self._since = None if sync.trouble is None else self._since or now
        name = "definitions" if catalog is None else catalog.project.metadata.name
        failure = failure_of(sync, self._since, now)
        if failure is not None and not _same(failure.occurrence, self._told):
            await self._tell(_failed(failure, name, sync, now), failure.occurrence)
        elif self._told is not None and sync.clean and head == sync.applied:
            over = Notice("sync.recovered", now, "Project", name, _at(self._told, now), data={"applied": sync.applied})
            await self._tell(over, None)
        if catalog is not None:
            await self._credentials(catalog, now)

    async def _tell(self, notice: Notice, told: str | None) -> None:
        def change(tx: Connection) -> None:
            notices.happened(tx, notice)
            facts.put(tx, _SYNC, told)

        await self._journal.write(change)
        self._told = told

    async def _credentials(self, catalog: Catalog, now: datetime) -> None:
        if self._looked is not None and self._looked[0] == catalog.commit and now - self._looked[1] < _LOOKED_EVERY:
            return
        found = tuple(expiry.expiring(catalog, now))
        marks = {_place(one): [format_instant(one.at), one.threshold] for one in found}
        known: dict[str, Any] = await self._journal.read(lambda conn: facts.get(conn, _EXPIRING, {}))
        if marks != known:
            new = [_expiring(one, now) for one in found if known.get(_place(one)) != marks[_place(one)]]

            def change(tx: Connection) -> None:
                notices.happened_all(tx, new)
                facts.put(tx, _EXPIRING, marks)

            await self._journal.write(change)
        self._looked = (catalog.commit, now)


def _failed(failure: Failure, name: str, sync: Sync, now: datetime) -> Notice:
    data: dict[str, Any] = {"reason": failure.reason, "message": failure.message, "findings": list(failure.findings)}
    data |= {"observed": sync.observed, "applied": sync.applied}
    return Notice("sync.failed", now, "Project", name, _at(failure.occurrence, now), data=data)


def _at(occurrence: str, now: datetime) -> str:
    """This time of it: a commit may be rejected, be gone, and be pushed again. What was told is a fact beside it."""
    return f"{occurrence} {format_instant(now)}"


def _place(one: expiry.Expiring) -> str:
    return f"{one.credential}/{one.what}"


def _expiring(one: expiry.Expiring, now: datetime) -> Notice:
    at = format_instant(one.at)
    data = {"what": one.what, "at": at, "days": one.days}
    return Notice(
        "credential.expiring", now, "Credential", one.credential, f"{one.what}/{at}/{one.threshold}", data=data
    )
