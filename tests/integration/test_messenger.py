"""Messages on their way, against a real sink that refuses, hangs, says 500 or half an answer, and real deaths."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from engine.notifications.noticecontext import SAMPLE
from journal import deadletters, deliveries, letters, messages, notices, uses
from journal.databases.noticetables import messages as table
from journal.databases.tables import AnyRow
from journal.deliveries import DEADLINE
from journal.messages import Channel, NewMessage
from journal.store import Journal
from runners import messenger, sending
from runners.messenger import Messenger
from runners.secrets import Secrets
from tests.contract.conftest import START, GivenClock
from tests.httpserver import HttpServer, serving
from tests.mailserver import Mailbox, mailing

PATIENCE = 30.0


def a_message(name: str, **more: Any) -> NewMessage:
    event = {"id": f"n-{name}", "type": "run.failed", "time": "2026-11-21T00:15:00Z", "kind": "Job", "name": "backup"}
    context = {"event": {**event, "data": {}}, "run": None, "job": None, "targets": [], "links": {}}
    made = NewMessage(name, "sink", "default", "failures", "backup", context, (f"n-{name}",), START)
    return replace(made, **more)


@dataclass
class Post:
    """A journal, a clock that the test moves, and one messenger after another."""

    journal: Journal
    clock: GivenClock
    folder: Path
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    messenger: Messenger | None = None

    async def channel(self, url: str, name: str = "sink", **more: Any) -> None:
        pinned = {"spec": {"type": "webhook", "url": url, **more}, "credentials": {}, "networks": []}
        await self.journal.write(lambda tx: messages.set_channels(tx, [Channel(name, "default", pinned, "1f0c")]))
        self.poke()

    async def write(self, *wanted: NewMessage) -> None:
        for one in wanted:
            await self.journal.write(lambda tx, one=one: messages.write(tx, one))  # type: ignore[misc]

    async def start(self) -> Messenger:
        await self.journal.write(lambda tx: deliveries.reclaim_all(tx))
        secrets = Secrets(self.folder, {})
        self.messenger = Messenger(
            self.journal, name="default/1", pools=None, clock=self.clock, secrets=secrets, chance=lambda: 0.0
        )
        self.tasks.append(asyncio.create_task(self.messenger.run()))
        return self.messenger

    async def killed(self) -> None:
        """As a kill ends it: nothing of what was under way is recorded."""
        task = self.tasks.pop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def poke(self) -> None:
        if self.messenger is not None:
            self.messenger.poke()

    def pass_(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.poke()

    async def rows(self) -> dict[str, AnyRow]:
        def all_of_them(conn: Connection) -> dict[str, AnyRow]:
            return {row.id: row for row in conn.execute(select(table).order_by(table.c.seq))}

        return await self.journal.read(all_of_them)

    async def until(self, holds: Callable[[dict[str, AnyRow]], bool]) -> dict[str, AnyRow]:
        async with asyncio.timeout(PATIENCE):
            while not holds(found := await self.rows()):
                await asyncio.sleep(0.02)
        return found


@pytest_asyncio.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    clock = GivenClock()
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}", clock=clock)
    made = Post(journal, clock, tmp_path)
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await journal.close()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


def ids(server: HttpServer) -> list[str]:
    return [json.loads(asked.body)["id"] for asked in server.asked]


async def test_a_message_is_an_event_with_words_and_its_id(post: Post, server: HttpServer) -> None:
    await post.channel(f"{server.url}/x")
    await post.start()
    await post.write(a_message("one", template={"subject": "{{ event.name }}!", "body": "<{{ event.type }}>"}))
    await post.until(lambda rows: rows["one"].state == "delivered")
    (asked,) = server.asked
    event = json.loads(asked.body)
    assert (event["id"], event["type"], event["source"]) == ("one", "opsconductor.run.failed", "/jobs/backup")
    assert event["data"]["message"] == {"subject": "backup!", "text": "<run.failed>", "format": "text"}
    assert event["data"]["rule"] == "failures"
    assert asked.headers["idempotency-key"] == "one"


async def test_a_sink_that_fails_gets_the_same_words_again_in_their_order(post: Post, server: HttpServer) -> None:
    server.statuses = [500, 503, 200]
    await post.channel(f"{server.url}/next")
    await post.start()
    await post.write(*(a_message(name) for name in ("one", "two", "three")))
    await post.until(lambda rows: rows["one"].attempts == 1 and rows["one"].state == "waiting")
    assert ids(server) == ["one"]
    post.pass_(5)
    await post.until(lambda rows: rows["one"].attempts == 2 and rows["one"].state == "waiting")
    post.pass_(10)
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    assert ids(server) == ["one", "one", "one", "two", "three"]
    assert len({asked.body for asked in server.asked[:3]}) == 1


async def test_who_asks_for_time_gets_it(post: Post) -> None:
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        status = b"429 Slow\r\nRetry-After: 600" if len(asked) == 1 else b"200 Fine"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    await post.channel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    await post.start()
    await post.write(a_message("one"))
    row = (await post.until(lambda rows: rows["one"].state == "waiting" and rows["one"].attempts == 1))["one"]
    assert row.next_at == START + timedelta(seconds=600)
    await post.write(a_message("two", order_key="other"))
    post.pass_(599)
    await asyncio.sleep(0.3)
    assert len(asked) == 1
    post.pass_(1)
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    server.close()


async def test_a_template_that_fails_keeps_nobody_from_being_told(post: Post, server: HttpServer) -> None:
    await post.channel(f"{server.url}/x")
    await post.start()
    await post.write(a_message("one", template={"body": "{{ run.nothing }}"}))
    await post.until(lambda rows: rows["one"].state == "delivered")
    told = json.loads(server.asked[0].body)["data"]["message"]
    assert told["subject"] == "backup FAILED"
    assert "The rule's own words could not be made: line 1" in told["text"]


async def test_a_refusal_is_dead_at_once_and_replayed_when_it_is_mended(post: Post, server: HttpServer) -> None:
    await post.channel(f"{server.url}/status/404")
    await post.start()
    await post.write(a_message("one"), a_message("two"))
    await post.until(lambda rows: all(row.state == "dead" for row in rows.values()))
    assert [notice.data["message"] for notice in await post.journal.read(notices.pending)] == ["one", "two"]
    await post.channel(f"{server.url}/x")
    assert await post.journal.write(deadletters.replay) == 2
    post.poke()
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    assert ids(server) == ["one", "two", "one", "two"]


async def mailing_to(post: Post, box: Mailbox, *to: str) -> None:
    spec = {"type": "email", "from": "ops@example.org", "to": to, "server": "127.0.0.1"}
    pinned = {"spec": {**spec, "port": box.port, "security": "none"}, "credentials": {}, "networks": []}
    await post.journal.write(lambda tx: messages.set_channels(tx, [Channel("sink", "default", pinned, "1f0c")]))
    post.poke()


async def test_a_mailbox_that_is_full_keeps_a_message_from_nobody_else(post: Post) -> None:
    """Who has it is not sent it again, and what comes next waits for nobody."""
    async with mailing(refuses="b@example.org", word="452 4.2.2 mailbox full") as box:
        await mailing_to(post, box, "a@example.org", "b@example.org")
        first = await post.start()
        names = [str(number) for number in range(5)]
        await post.write(*(a_message(name) for name in names))
        await post.until(lambda rows: all(row.reached == ["a@example.org"] for row in rows.values()))
        (seen,) = await post.journal.read(letters.failing)
        said = "127.0.0.1 refuses b@example.org: 452 4.2.2 mailbox full; the others have it"
        assert (seen.waiting, seen.dead, seen.error) == (5, 0, said)
        await post.killed()
        assert first is post.messenger
        box.refuses = ""
        await post.start()
        post.pass_(900)
        await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    got = [(str(one.content).split("Message-ID: <")[1].split("@")[0], one.rcpt_tos) for one in box.got]
    assert [one for one in got if one[1] == ["a@example.org"]] == [(name, ["a@example.org"]) for name in names]
    assert sorted(one for one in got if one[1] == ["b@example.org"]) == [(name, ["b@example.org"]) for name in names]
    assert len(got) == 10


async def test_a_wrong_address_among_others_is_a_dead_letter_that_goes_to_the_corrected_one_alone(post: Post) -> None:
    async with mailing(refuses="b@example.org", word="550 5.1.1 no such user") as box:
        await mailing_to(post, box, "a@example.org", "b@example.org")
        await post.start()
        await post.write(a_message("one"))
        await post.until(lambda rows: rows["one"].state == "dead")
        (letter,) = await post.journal.read(letters.dead)
        assert letter.error == "127.0.0.1 refuses b@example.org: 550 5.1.1 no such user; the others have it"
        assert [notice.data["error"] for notice in await post.journal.read(notices.pending)] == [letter.error]
        await mailing_to(post, box, "a@example.org", "c@example.org")
        await post.journal.write(deadletters.replay)
        post.poke()
        await post.until(lambda rows: rows["one"].state == "delivered")
    assert [one.rcpt_tos for one in box.got] == [["a@example.org"], ["c@example.org"]]


async def test_what_our_own_side_cannot_waits_until_it_is_mended(post: Post, server: HttpServer) -> None:
    """No message is at fault where a secret is missing, and none is lost where the next commit mends it."""
    await post.channel(f"{server.url}/x", credentialRef="hook")
    await post.start()
    with capture_logs() as logs:
        one = a_message("one")
        run = {**SAMPLE["run"], "id": "backup-1", "job": "backup", "commit": "1f0c"}
        await post.write(replace(one, context={**one.context, "run": run}), a_message("two", order_key="other"))
        await post.until(lambda rows: all(row.state == "waiting" and row.attempts for row in rows.values()))
        await post.channel(f"{server.url}/x")
        await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    told = [line for line in logs if line["event"] == "message delivered"]
    assert {line["id"] for line in told} == {"one", "two"}
    (line,) = (line for line in told if line["id"] == "one")
    assert (line["run"], line["job"], line["commit"], line["rule"]) == ("backup-1", "backup", "1f0c", "failures")


async def test_each_use_of_a_channel_s_credential_is_recorded_and_never_its_value(
    post: Post, server: HttpServer
) -> None:
    (post.folder / "hook").write_text("hush-hush-hush")
    pinned = {
        "spec": {"type": "webhook", "url": f"{server.url}/x", "credentialRef": "hook"},
        "credentials": {"hook": {"type": "token", "from": {"file": "hook"}}},
        "networks": [],
    }
    await post.journal.write(lambda tx: messages.set_channels(tx, [Channel("sink", "default", pinned, "1f0c")]))
    await post.write(a_message("one"))
    await post.start()
    await post.until(lambda rows: rows["one"].state == "delivered")
    (use,) = await post.journal.read(lambda conn: uses.steady(conn, "hook"))
    assert (use.used_by, use.runner) == ("NotificationChannel/sink", "default/1")
    assert "hush" not in str(use)


async def test_a_corrected_channel_is_asked_at_once(post: Post, server: HttpServer) -> None:
    await post.channel("http://127.0.0.1:1/")
    await post.start()
    await post.write(*(a_message(str(number), order_key=str(number)) for number in range(6)))
    await post.until(lambda rows: sum(row.attempts for row in rows.values()) >= 3)
    await post.channel(f"{server.url}/x")
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))


async def test_a_message_whose_channel_is_gone_is_dead_with_that_reason(post: Post) -> None:
    await post.start()
    await post.write(a_message("one", channel="gone"))
    rows = await post.until(lambda rows: rows["one"].state == "dead")
    assert rows["one"].error == "there is no NotificationChannel 'gone' any more"


async def test_a_drained_messenger_gives_back_what_it_did_not_end(post: Post, server: HttpServer) -> None:
    await post.channel(f"{server.url}/hang")
    messenger = await post.start()
    await post.write(a_message("one"))
    await asyncio.wait_for(server.arrived.wait(), PATIENCE)
    await messenger.drain(timedelta(seconds=0.1))
    rows = await post.rows()
    assert (rows["one"].state, rows["one"].text is not None) == ("waiting", True)


async def test_simulated_days_with_a_faulty_sink_and_a_dying_program_lose_nothing(
    post: Post, server: HttpServer, monkeypatch: Any
) -> None:
    """Refusals, hangs, 500s and half answers for 30 hours, with a death at each: ids are stable, orders are kept."""
    monkeypatch.setattr(sending, "LONGEST", 0.5)  # a hang must not take this long in truth
    faults = ["http://127.0.0.1:1/", f"{server.url}/hang", f"{server.url}/status/500", f"{server.url}/hang"]
    keys = [f"run-{number}" for number in range(3)]
    for number in range(4):
        await post.write(*(a_message(f"{key}.{number}", order_key=key) for key in keys))
    seen: dict[str, str] = {}
    for hour in range(23):
        await post.channel(faults[hour % len(faults)])
        await post.start()
        before = sum(row.attempts for row in (await post.rows()).values())
        await post.until(lambda rows, before=before: sum(row.attempts for row in rows.values()) > before)  # type: ignore[misc]
        await post.killed()
        for name, row in (await post.rows()).items():
            assert row.state in ("waiting", "sending")
            assert row.text is None or seen.setdefault(name, row.text) == row.text
        post.pass_(3600)
    server.asked.clear()
    await post.channel(f"{server.url}/x")
    await post.start()
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    arrived = ids(server)
    assert set(arrived) == {f"{key}.{number}" for key in keys for number in range(4)}
    for key in keys:
        of_key = [one for one in dict.fromkeys(arrived) if one.startswith(key)]
        assert of_key == sorted(of_key)


async def test_after_a_day_of_failures_all_is_dead_and_replay_delivers_it(post: Post, server: HttpServer) -> None:
    await post.channel(f"{server.url}/status/500")
    await post.start()
    names = [str(number) for number in range(8)]
    await post.write(*(a_message(name, order_key=name) for name in names))
    async with asyncio.timeout(PATIENCE):
        while not all(row.state == "dead" for row in (await post.rows()).values()):
            post.pass_(1800)
            await asyncio.sleep(0.05)
    assert post.clock.now() - START >= DEADLINE
    assert len(server.asked) < 200, "a circuit that is open lets one message ask"
    assert len(await post.journal.read(notices.pending)) == len(names)
    server.asked.clear()
    await post.channel(f"{server.url}/x")
    await post.journal.write(deadletters.replay)
    post.poke()
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))
    assert sorted(ids(server)) == names


async def test_a_clock_that_is_set_right_puts_off_no_message(post: Post, server: HttpServer) -> None:
    """A machine that began a year ahead: what it put off, and what it held, is not held for a year."""
    server.statuses = [500, 200]
    await post.channel(f"{server.url}/next")
    year = timedelta(days=365)
    post.clock.instant += year
    await post.start()
    held = a_message("held", order_key="h", hold_until=post.clock.instant + timedelta(days=1))
    await post.write(a_message("one"), replace(held, created_at=post.clock.instant))
    await post.until(lambda rows: rows["one"].attempts == 1 and rows["one"].state == "waiting")
    post.clock.instant -= year
    post.pass_(5)
    await post.until(lambda rows: all(row.state == "delivered" for row in rows.values()))


async def test_an_engine_that_did_not_run_for_days_gives_nothing_up_at_its_first_failure(
    post: Post, server: HttpServer
) -> None:
    """A day of back-off is one in which somebody tried: not a weekend, nor a clock that is set forward."""
    server.statuses = [500] * 10 + [200]
    await post.channel(f"{server.url}/next")
    await post.start()
    await post.write(*(a_message(str(number), order_key=str(number)) for number in range(5)))
    async with asyncio.timeout(PATIENCE):  # how many are tried before the first failure makes others wait, is open
        while sum(row.attempts for row in (await post.rows()).values() if row.state == "waiting") < 4:
            post.pass_(60)
            await asyncio.sleep(0.05)
    await post.killed()
    post.clock.advance(3 * 86_400)
    await post.start()
    async with asyncio.timeout(PATIENCE):
        while not all(row.state in ("delivered", "dead") for row in (await post.rows()).values()):
            post.pass_(60)
            await asyncio.sleep(0.05)
    assert {row.state for row in (await post.rows()).values()} == {"delivered"}


async def test_a_message_that_fails_alone_is_dead_after_a_day(post: Post, monkeypatch: Any) -> None:
    """Others get through, so the channel does not count as away: its own attempts say when it is enough."""
    monkeypatch.setattr(messenger, "_ENOUGH_TRIES", 4)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (500 if b"Key: bad\r\n" in head else 200))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    await post.channel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    await post.start()
    await post.write(a_message("bad", order_key="bad"))
    for number in range(3):
        await post.write(a_message(str(number), order_key=str(number)))
        await post.until(lambda rows, name=str(number): rows[name].state == "delivered")  # type: ignore[misc]
        found = await post.until(lambda rows: rows["bad"].state != "sending")
        assert found["bad"].state == "waiting"
        post.pass_(8 * 3600)
    async with asyncio.timeout(PATIENCE):
        while (await post.rows())["bad"].state != "dead":
            post.pass_(900)
            await asyncio.sleep(0.05)
    server.close()


async def test_one_channel_that_hangs_holds_up_no_other(post: Post, server: HttpServer) -> None:
    pinned = {
        name: {"spec": {"type": "webhook", "url": f"{server.url}/{path}"}, "credentials": {}, "networks": []}
        for name, path in (("stuck", "hang"), ("fine", "x"))
    }
    found = [Channel(name, "default", spec, "1f0c") for name, spec in pinned.items()]
    await post.journal.write(lambda tx: messages.set_channels(tx, found))
    await post.write(*(a_message(f"s{n}", channel="stuck", order_key=str(n)) for n in range(40)))
    await post.write(a_message("f", channel="fine"))
    await post.start()
    await post.until(lambda rows: rows["f"].state == "delivered")
    with contextlib.suppress(IndexError):
        assert sum(asked.path == "/hang" for asked in server.asked) <= 4


async def test_what_takes_its_time_is_sent_once_and_keeps_nobodys_place(
    post: Post, server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow mail server may say after minutes that it took a mail: until then nobody else claims it."""
    monkeypatch.setattr(messenger, "_RENEWED_EVERY", 0.02)
    monkeypatch.setattr(messenger, "AT_ONCE", 2)
    pinned = {
        name: {"spec": {"type": "webhook", "url": f"{server.url}/{path}"}, "credentials": {}, "networks": []}
        for name, path in (("slow", "hang"), ("fine", "x"))
    }
    found = [Channel(name, "default", spec, "1f0c") for name, spec in pinned.items()]
    await post.journal.write(lambda tx: messages.set_channels(tx, found))
    await post.write(*(a_message(f"s{n}", channel="slow", order_key=str(n)) for n in range(2)))
    await post.start()
    await post.until(lambda rows: {rows[name].state for name in ("s0", "s1")} == {"sending"})
    for _ in range(3):
        until = (await post.rows())["s1"].lease_until
        post.pass_(deliveries.LEASE.total_seconds() * 0.9)
        await post.until(lambda rows, until=until: rows["s1"].lease_until > until + 60)  # type: ignore[misc]
    await post.write(a_message("f", channel="fine"))
    rows = await post.until(lambda rows: rows["f"].state == "delivered")
    assert [(rows[name].state, rows[name].token) for name in ("s0", "s1")] == [("sending", 1)] * 2
