"""What is noticed though nothing in the journal changed: told once, and when it is over."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from engine.expiry import expiring
from journal import notices
from journal.clock import SystemClock
from journal.store import Journal
from reconciler.alarms import AWAY_FOR, Alarms
from reconciler.sync import Sync
from schemas.diagnostic import Diagnostic
from schemas.span import start_of
from tests.catalogs import catalog

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = (
    "kind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}, expiresAt: 2026-12-01T12:00:00Z}\n"
)
GOOD = Sync(observed="a" * 40, applied="a" * 40)
BAD = Sync(
    observed="b" * 40, applied="a" * 40, rejected=True, findings=(Diagnostic(start_of("x.yaml"), "OC104", "no", ""),)
)
AWAY = Sync(observed="a" * 40, applied="a" * 40, trouble=("SourceUnavailable", "no route"))


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield opened
    await opened.close()


async def told(journal: Journal) -> list[str]:
    return [row.type for row in await journal.read(notices.pending)]


async def test_a_commit_that_is_rejected_is_told_once_and_when_that_is_over(journal: Journal) -> None:
    for sync in (GOOD, BAD, BAD):
        await Alarms(journal).look(sync, None, AT, head=sync.observed)
    assert await told(journal) == ["sync.failed"]
    (notice,) = await journal.read(notices.pending)
    assert notice.data["message"] == "commit bbbbbbbbbbbb has 1 error"
    await Alarms(journal).look(GOOD, None, AT, head=None)  # nobody has looked at the source yet
    assert await told(journal) == ["sync.failed"]
    for _ in range(2):
        await Alarms(journal).look(GOOD, None, AT, head=GOOD.applied)
    assert await told(journal) == ["sync.failed", "sync.recovered"]


async def test_a_commit_that_is_rejected_again_is_told_again(journal: Journal) -> None:
    """It was taken back, and came a second time: as the same commit, and as news."""
    for minute, sync in enumerate((BAD, GOOD, BAD, BAD, GOOD)):
        await Alarms(journal).look(sync, None, AT + timedelta(minutes=minute), head=sync.observed)
    assert await told(journal) == ["sync.failed", "sync.recovered"] * 2


async def test_a_source_that_is_away_for_a_moment_is_not_told(journal: Journal) -> None:
    alarms = Alarms(journal)
    await alarms.look(AWAY, None, AT, head=None)
    await alarms.look(GOOD, None, AT + AWAY_FOR, head=GOOD.applied)
    await alarms.look(AWAY, None, AT + AWAY_FOR, head=None)
    assert await told(journal) == []
    await alarms.look(AWAY, None, AT + 2 * AWAY_FOR, head=None)
    after_a_restart = Alarms(journal)
    for minutes in (20, 40):
        await after_a_restart.look(AWAY, None, AT + timedelta(minutes=minutes), head=None)
    assert await told(journal) == ["sync.failed"]


async def test_a_credential_that_expires_is_told_at_each_threshold(journal: Journal) -> None:
    definitions, found = catalog(KEY), []
    for days in (-30, -20, -19, -7, -1, 0, 1, 40):
        now = datetime(2026, 12, 1, 12, tzinfo=UTC) + timedelta(days=days)
        await Alarms(journal).look(GOOD, definitions, now, head=None)
        found.append(len(await told(journal)))
    assert found == [1, 1, 1, 2, 3, 4, 4, 4]
    assert [row.data["days"] for row in await journal.read(notices.pending)] == [30, 7, 1, 0]


def test_a_secret_that_sops_wrote_is_old_one_day() -> None:
    definitions = catalog(KEY)
    assert [one.what for one in expiring(definitions, AT)] == ["expiresAt"]
    key = definitions.credentials["key"]
    sealed = key.model_copy(
        update={
            "spec": key.spec.model_copy(update={"expires_at": None, "rotate_after": timedelta(days=90)}),
            "sops": {"lastmodified": "2026-08-01T00:00:00Z"},
        }
    )
    with_it = replace(definitions, credentials={"key": sealed})
    assert [(one.what, one.threshold) for one in expiring(with_it, AT)] == [("rotateAfter", 0)]
    assert list(expiring(with_it, AT - timedelta(days=60))) == []
