"""What is told of a job by a channel arrives in the order in which it happened, whatever is tried again or gathered."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest_asyncio

from journal import deliveries, messages, notices
from journal.clock import SystemClock
from journal.deliveries import Claimed
from journal.messages import NewMessage
from journal.notices import Notice
from journal.store import Journal
from reconciler.notices import CROWD, Notices
from tests.catalogs import catalog

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
JOB = "kind: Job\nmetadata: {name: backup}\nspec: {steps: [{uses: dummy}]}\n"
CHAT = "kind: NotificationChannel\nmetadata: {name: chat}\nspec: {type: slack, url: 'https://chat.example.org/x'}\n"
RULE = (
    "kind: NotificationRule\nmetadata: {name: all}\n"
    "spec: {events: [run.started, run.failed, run.recovered], channels: [chat]%s}\n"
)


MAIL = CHAT.replace("name: chat", "name: mail")
LOST = "kind: NotificationRule\nmetadata: {name: lost}\nspec: {events: [notification.dead], channels: [mail]}\n"


class Desk:
    """A journal whose events are decided as they happen, at a number of seconds from the beginning."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.notices = Notices(journal)
        self.arrived: list[str] = []

    async def adopt(self, more: str = "") -> None:
        definitions = catalog(JOB, CHAT, RULE % more)
        await self.journal.write(lambda tx: self.notices.adopt(tx, definitions))
        self.notices.active = definitions

    async def happened(self, seconds: float, *events: tuple[str, str], job: str = "backup") -> None:
        now = AT + timedelta(seconds=seconds)
        found = [
            Notice(type_, now, "Job", job, run, run, {"failures": 1, "failuresBefore": 1})  # type: ignore[arg-type]
            for type_, run in events
        ]
        await self.journal.write(lambda tx: notices.happened_all(tx, found))
        await self.notices.decide(now)

    async def claim(self, seconds: float) -> tuple[Claimed, ...]:
        now = AT + timedelta(seconds=seconds)
        return await self.journal.write(lambda tx: deliveries.claim(tx, "r", None, {}, 100, now, each=100))

    async def refused(self, message: Claimed, seconds: float, again: float) -> None:
        now, next_at = AT + timedelta(seconds=seconds), AT + timedelta(seconds=again)
        assert await self.journal.write(lambda tx: deliveries.later(tx, message, "status 503", now, next_at))

    async def deliver(self, seconds: float) -> list[str]:
        """The types of the events that arrive now."""
        found: list[str] = []
        while claimed := await self.claim(seconds):
            for one in claimed:
                seen: Any = one.context
                found += [each["type"] for each in seen["events"] or [seen["event"]]]
                now = AT + timedelta(seconds=seconds)
                await self.journal.write(lambda tx, one=one, now=now: deliveries.delivered(tx, one.hold, "chat", now))  # type: ignore[misc]
        return found


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    yield Desk(journal)
    await journal.close()


async def test_that_a_job_works_again_waits_until_it_is_told_that_it_failed(desk: Desk) -> None:
    await desk.adopt()
    await desk.happened(0, ("run.failed", "one"))
    (failed,) = await desk.claim(0)
    await desk.refused(failed, 0, again=20)
    await desk.happened(10, ("run.recovered", "two"))
    assert await desk.deliver(10) == []
    assert await desk.deliver(20) == ["run.failed", "run.recovered"]


async def test_what_comes_while_a_crowd_is_held_is_told_with_it(desk: Desk) -> None:
    await desk.adopt()
    await desk.happened(0, *(("run.started", f"r{number}") for number in range(CROWD)))
    assert len(await desk.deliver(0)) == CROWD
    await desk.happened(35, ("run.started", "one"), ("run.failed", "one"))
    await desk.happened(66, ("run.recovered", "two"))  # the minute of the crowd is over, its message is held still
    assert await desk.deliver(66) == []
    assert await desk.deliver(95) == ["run.started", "run.failed", "run.recovered"]


async def test_nothing_overtakes_what_is_told_together_nor_does_that_overtake(desk: Desk) -> None:
    await desk.adopt()
    await desk.happened(0, ("run.started", "one"))
    (alone,) = await desk.claim(0)
    await desk.refused(alone, 0, again=200)
    await desk.happened(1, *(("run.started", f"r{number}") for number in range(CROWD)), job="other")
    await desk.happened(2, ("run.failed", "one"))
    assert set(await desk.deliver(199)) <= {"run.started"}, "those of the other job alone"
    await desk.happened(199, ("run.recovered", "two"))
    assert await desk.deliver(199) == []
    assert [each for each in await desk.deliver(200) if each != "run.started"] == ["run.failed", "run.recovered"]
    await desk.happened(300, ("run.failed", "three"))
    found = await desk.claim(300)
    assert [one.context["event"]["type"] for one in found] == ["run.failed"], "the line is empty: it has its own again"


async def test_what_is_told_after_the_night_waits_for_what_was_held(desk: Desk) -> None:
    await desk.adopt(", quiet: {cron: '0 12 * * *', duration: 1h, timeZone: UTC}")
    await desk.happened(0, ("run.failed", "one"))
    (night,) = await desk.claim(3600)
    await desk.refused(night, 3600, again=3700)
    await desk.happened(3601, ("run.recovered", "two"))
    assert await desk.deliver(3601) == []
    assert await desk.deliver(3700) == ["run.failed", "run.recovered"]


async def test_quiet_hours_that_a_commit_has_taken_away_keep_nobody_from_hearing(desk: Desk) -> None:
    await desk.adopt(", quiet: {cron: '0 12 * * *', duration: 8h, timeZone: UTC}")
    await desk.happened(0, ("run.failed", "one"))
    await desk.adopt()
    await desk.happened(10, ("run.failed", "two"))
    assert await desk.deliver(10) == ["run.failed"]


async def test_one_group_of_events_waits_for_the_one_before(desk: Desk) -> None:
    await desk.adopt(", group: {by: [job, event], wait: 10s}")
    await desk.happened(0, ("run.failed", "one"))
    await desk.happened(1, ("run.recovered", "two"))
    (failed,) = await desk.claim(10)
    await desk.refused(failed, 10, again=30)
    assert await desk.deliver(20) == []
    assert await desk.deliver(30) == ["run.failed", "run.recovered"]


async def test_what_an_earlier_version_has_written_leaves(desk: Desk) -> None:
    """In its own order, by keys that are made no more."""
    await desk.adopt()
    event = {"type": "run.failed", "kind": "Job", "name": "backup", "id": "n", "time": "x", "data": {}}
    for name, key in (("one", "backup-20261121T120000Z-0123456789"), ("two", "all/group 3f9a")):
        context = {"event": event, "events": []}
        new = NewMessage(
            name, "chat", "default", "all", key, context, (name,), AT, group_key=key.partition(" ")[2] or None
        )
        await desk.journal.write(lambda tx, new=new: messages.write(tx, new))  # type: ignore[misc]
    await desk.happened(0, ("run.recovered", "two"))
    assert sorted(await desk.deliver(0)) == ["run.failed", "run.failed", "run.recovered"]


async def test_a_channel_that_refuses_all_is_told_of_by_one_message(desk: Desk) -> None:
    """Also where more die than a rule may tell of in a minute; what dies later is another message."""
    definitions = catalog(JOB, CHAT, MAIL, RULE % "", LOST)
    await desk.journal.write(lambda tx: desk.notices.adopt(tx, definitions))
    desk.notices.active = definitions
    for seconds, many in ((0, CROWD + 10), (299, 5), (400, 1)):
        now = AT + timedelta(seconds=seconds)
        found = [
            Notice("notification.dead", now, "NotificationChannel", "chat", f"{seconds}-{number}", data={"error": "no"})
            for number in range(many)
        ]
        await desk.journal.write(lambda tx, found=found: notices.happened_all(tx, found))  # type: ignore[misc]
        await desk.notices.decide(now)
    assert await desk.claim(299) == ()
    (first,) = await desk.claim(300)
    told: Any = first.context
    assert len(told["events"]) == CROWD + 15
    assert await desk.journal.write(lambda tx: deliveries.delivered(tx, first.hold, "mail", AT))
    (second,) = await desk.claim(700)
    assert (second.context["event"]["type"], second.context["count"]) == ("notification.dead", 1)
