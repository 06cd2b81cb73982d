"""Notices in the journal become messages: each decided once, in order, whoever decides and how often."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from engine.catalog import Catalog
from journal import happenings, notices, runs, tallies
from journal.clock import SystemClock
from journal.databases.noticetables import channels, messages
from journal.databases.tables import AnyRow
from journal.errors import Unavailable
from journal.notices import Notice
from journal.store import Journal
from reconciler.notices import CROWD, Notices
from tests.catalogs import catalog
from tests.contract.conftest import a_run

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
JOB = "kind: Job\nmetadata: {name: backup}\nspec: {steps: [{uses: dummy}]}\n"
CHAT = "kind: NotificationChannel\nmetadata: {name: chat}\nspec: {type: slack, url: 'https://chat.example.org/x'}\n"
RULE = "kind: NotificationRule\nmetadata: {name: failures}\nspec: {events: [run.failed], channels: [chat]%s}\n"


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield opened
    await opened.close()


async def deciding(journal: Journal, more: str = "") -> Notices:
    found = Notices(journal)
    await adopted(journal, found, catalog(JOB, CHAT, RULE % more))
    return found


async def adopted(journal: Journal, by: Notices, definitions: Catalog) -> None:
    await journal.write(lambda tx: by.adopt(tx, definitions))
    by.active = definitions


async def happened(journal: Journal, *occurrences: Any, type: str = "run.failed", **data: Any) -> None:  # noqa: A002
    found = [Notice(type, AT, "Job", "backup", str(one), data=data) for one in occurrences]  # type: ignore[arg-type]
    await journal.write(lambda tx: notices.happened_all(tx, found))


async def written(journal: Journal) -> list[AnyRow]:
    return list(await journal.read(lambda conn: conn.execute(select(messages).order_by(messages.c.seq)).all()))


async def test_many_deciders_at_once_write_one_message_an_event(journal: Journal) -> None:
    """Two engines, a pass and a wake: the cursor says who was first."""
    await happened(journal, *range(5))
    deciders = [await deciding(journal) for _ in range(4)]
    await asyncio.gather(*(one.decide(AT) for one in deciders for _ in range(3)))
    found = await written(journal)
    assert [row.notices for row in found] == [[Notice("run.failed", AT, "Job", "backup", str(n)).id] for n in range(5)]
    assert {(row.channel, row.rule, row.state, row.order_key) for row in found} == {
        ("chat", "failures", "waiting", "Job/backup")
    }


async def test_what_was_decided_is_not_decided_again_by_another_commit(journal: Journal) -> None:
    await happened(journal, 1)
    by = Notices(journal)
    await adopted(journal, by, catalog(JOB, CHAT))
    await by.decide(AT)
    await adopted(journal, by, catalog(JOB, CHAT, RULE % ""))
    await by.decide(AT)
    assert await written(journal) == []


async def test_a_first_rule_tells_nothing_old_though_the_engine_was_started_anew(journal: Journal) -> None:
    """Months without a rule, and then one: nobody is woken by what is over."""
    await adopted(journal, Notices(journal), catalog(JOB, CHAT))
    await happened(journal, *range(5))
    by = await deciding(journal)
    await by.decide(AT)
    assert await written(journal) == []
    await happened(journal, "after")
    again = await deciding(journal)  # what happened while it was in force is told by it, whoever was killed over it
    await again.decide(AT)
    assert len(await written(journal)) == 1


async def test_what_comes_within_the_wait_is_one_message(journal: Journal) -> None:
    by = await deciding(journal, ", group: {by: [job], wait: 2m}")
    await happened(journal, 1, 2)
    await by.decide(AT)
    await happened(journal, 3)
    await by.decide(AT + timedelta(minutes=1))
    await happened(journal, 4)
    await by.decide(AT + timedelta(minutes=2))
    one, other = await written(journal)
    assert (one.count, other.count) == (3, 1)
    assert one.hold_until == AT + timedelta(minutes=2)
    assert [event["type"] for event in one.context["events"]] == ["run.failed"] * 3
    assert other.context["events"] == []


async def test_a_flood_is_told_together(journal: Journal) -> None:
    by = await deciding(journal)
    await happened(journal, *range(300))
    await by.decide(AT)
    found = await written(journal)
    assert len(found) == CROWD + 1
    assert (found[-1].count, found[-1].hold_until) == (300 - CROWD, AT + timedelta(minutes=1))
    await happened(journal, "next")
    await by.decide(AT + timedelta(minutes=3))
    assert (await written(journal))[-1].hold_until is None


async def test_a_rule_remembers_over_restarts_what_it_told(journal: Journal) -> None:
    more = ", when: {consecutiveFailures: 2, recovered: true}"
    for number, (kind, failures) in enumerate((("run.failed", 1), ("run.failed", 2), ("run.recovered", 0))):
        await happened(journal, number, type=kind, failures=failures)
        await (await deciding(journal, more)).decide(AT)
    assert [row.context["event"]["type"] for row in await written(journal)] == ["run.failed", "run.recovered"]


async def test_a_message_shows_the_run(journal: Journal) -> None:
    new = a_run("one", job="backup")
    await journal.write(lambda tx: runs.enqueue(tx, new, AT))
    await journal.write(lambda tx: runs.cancel(tx, new.id, reason="enough", by=None, now=AT))
    by = Notices(journal)
    by.pages = "https://ops.example.org/"
    await adopted(journal, by, catalog(JOB, CHAT, RULE.replace("run.failed", "run.cancelled") % ""))
    await by.decide(AT)
    (found,) = await written(journal)
    assert found.context["run"]["state"] == "cancelled"
    assert found.context["run"]["why"] == "enough"
    assert found.context["links"]["run"] == f"https://ops.example.org/runs/{new.id}"
    assert (found.pool, found.order_key) == ("default", "Job/backup")


async def test_a_rule_selects_by_todays_name_what_happened_under_a_former_one(journal: Journal) -> None:
    """Of a job or a schedule that was renamed while it happened: its failures in a row are those of one job."""
    nightly = "kind: Schedule\nmetadata: {name: late, previousNames: [nightly]}\nspec: {jobRef: b, every: 1h}\n"
    renamed = JOB.replace("name: backup", "name: b, previousNames: [backup], labels: {tier: one}")
    chosen = ", select: {selector: {matchLabels: {tier: one}}}, when: {everyNth: 2}"
    other = RULE.replace("name: failures", "name: of-schedules") % ", select: {kinds: [Schedule], names: [late]}"
    by = Notices(journal)
    await adopted(journal, by, catalog(renamed, nightly, CHAT, RULE % chosen, other))
    await happened(journal, 1, cause={"kind": "schedule", "name": "nightly"})
    both = Notice("run.failed", AT, "Job", "b", "2")
    await journal.write(lambda tx: notices.happened(tx, both))
    await by.decide(AT)
    found = await written(journal)
    assert [(row.rule, row.context["job"]["name"]) for row in found] == [("of-schedules", "b"), ("failures", "b")]
    assert found[1].notices == [both.id]
    assert found[0].context["job"]["labels"] == {"tier": "one"}


async def test_where_messages_go_is_as_the_commit_in_force_says(journal: Journal) -> None:
    by = await deciding(journal)
    ((name, spec),) = await journal.read(lambda conn: conn.execute(select(channels.c.name, channels.c.spec)).all())
    assert (name, spec["spec"]) == ("chat", {"type": "slack", "url": "https://chat.example.org/x"})
    await adopted(journal, by, catalog(JOB))
    assert await journal.read(lambda conn: conn.execute(select(channels)).all()) == []


async def test_a_late_run_is_noticed_once(journal: Journal) -> None:
    await journal.write(lambda tx: runs.enqueue(tx, a_run("one", job="backup"), AT))
    by = await deciding(journal)
    assert await by.see_late(AT) == AT + happenings.LATE_AFTER
    late = AT + happenings.LATE_AFTER
    for instant in (late, late + timedelta(hours=1)):
        assert await by.see_late(instant) is None
    await Notices(journal).see_late(late)
    assert [row.type for row in await journal.read(notices.pending)] == ["run.late"]


async def test_a_rename_loses_no_recovery_and_no_message(journal: Journal) -> None:
    """Of the job, the rule and the channel at once: what was counted, and what waits, follows them."""
    more = ", select: {names: [%s]}, when: {consecutiveFailures: 2, recovered: true}"
    by = Notices(journal)
    await adopted(journal, by, catalog(JOB, CHAT, RULE % (more % "backup")))
    await happened(journal, 1, 2, failures=2)
    await by.decide(AT)
    renamed = (
        JOB.replace("name: backup", "name: save, previousNames: [backup]"),
        CHAT.replace("name: chat", "name: talk, previousNames: [chat]"),
        (RULE % (more % "save"))
        .replace("name: failures", "name: broken, previousNames: [failures]")
        .replace("[chat]", "[talk]"),
    )
    for _ in range(2):
        await adopted(journal, by, catalog(*renamed))
    await happened(journal, 3, type="run.recovered")  # by a run that began under the former name
    await by.decide(AT)
    found = await written(journal)
    assert [(row.channel, row.context["event"]["type"]) for row in found] == [
        ("talk", "run.failed"), ("talk", "run.failed"), ("talk", "run.recovered")
    ]  # fmt: skip
    assert found[-1].context["job"]["name"] == "save"


async def test_a_pool_without_a_document_is_counted_over_commits(journal: Journal) -> None:
    by = await deciding(journal, ", when: {everyNth: 2}")
    rule = RULE.replace("run.failed", "runner.lost") % ", when: {everyNth: 2}"
    for number in range(2):
        await adopted(journal, by, catalog(JOB, CHAT, rule))
        lost = Notice("runner.lost", AT, "RunnerPool", "default", str(number))
        await journal.write(lambda tx, lost=lost: notices.happened(tx, lost))  # type: ignore[misc]
        await by.decide(AT)
    assert [row.context["event"]["type"] for row in await written(journal)] == ["runner.lost"]


async def test_failures_of_scans_are_counted_over_commits(journal: Journal) -> None:
    scan = "kind: Discovery\nmetadata: {name: net}\nspec: {networks: [10.0.0.0/24]}\n"
    by = Notices(journal)
    for _ in range(2):
        await journal.write(lambda tx: tallies.failed(tx, "Job", "discover-net"))
        await adopted(journal, by, catalog(scan))
    assert await journal.read(lambda conn: tallies.failures(conn, "Job", "discover-net")) == 2


async def test_a_journal_that_fails_over_an_event_lets_it_be_decided_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question that the disk does not answer must not count as a rule that has nothing to say."""
    by = await deciding(journal)
    await happened(journal, 1)
    asked = tallies.get

    def fails(conn: Connection, key: tallies.Key) -> tallies.Tally:
        monkeypatch.setattr(tallies, "get", asked)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise OperationalError("SELECT", {}, error)

    monkeypatch.setattr(tallies, "get", fails)
    with pytest.raises(Unavailable):
        await by.decide(AT)
    await by.decide(AT)
    assert len(await written(journal)) == 1
