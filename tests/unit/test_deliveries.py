"""What messages become in each channel: nothing that a text says is a command to the other side."""

import asyncio
import contextlib
import importlib
import json
import struct
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runners.deliveries import Delivered, Later, Limits, Message, Never, deliverer
from runners.deliveries.amqp import Amqp
from runners.deliveries.byapprise import ByApprise
from runners.deliveries.chat import slack_body, teams_body
from runners.deliveries.email import Email, mail
from runners.deliveries.plain import plain
from runners.deliveries.posting import meaning
from runners.deliveries.webhook import Webhook, event_body, headers_of
from runners.secrets import Opened
from runners.steps.exchange import Answer

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MESSAGE = Message(
    "id-1", "Logs rotated", "web-01 <b> & *more*\nline", event={"source": "/jobs/rotate", "data": {"job": "rotate"}}
)
CHANNEL = {"type": "email", "from": "ops@example.org", "to": ["a@example.org", "b@example.org"]}
HOSTILE = ["a\r\nBcc: evil@example.org", "a\nb", "a\x00b", "a\u2028b", "\x1b[2J", "=?utf-8?q?=0ABcc:?=", "x" * 5000]


def test_the_channel_of_a_plug_in_is_given_its_settings_and_its_login() -> None:
    spec = {"type": "plugin", "pool": "default", "name": "sample.spool", "with": {"folder": "/srv"}}
    assert deliverer(spec) == ("sample.spool", {"folder": "/srv"})
    assert deliverer({**spec, "credentialRef": "key"}) == ("sample.spool", {"folder": "/srv", "credentialRef": "key"})
    assert deliverer(CHANNEL) == ("email", CHANNEL)


def test_a_mail_is_whole_and_has_one_id_in_all_attempts() -> None:
    made = mail(MESSAGE, CHANNEL, NOW)
    assert (made["From"], made["To"]) == ("ops@example.org", "a@example.org, b@example.org")
    assert (made["Subject"], made["Message-ID"]) == ("Logs rotated", "<id-1@example.org>")
    assert made.get_content() == MESSAGE.text + "\n"
    assert mail(MESSAGE, CHANNEL, NOW + timedelta(days=1))["Message-ID"] == made["Message-ID"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_subject_and_no_address_adds_a_header(text: str) -> None:
    from email import message_from_bytes, policy

    made = message_from_bytes(mail(Message(text, text, text), CHANNEL, NOW).as_bytes(), policy=policy.SMTP)
    known = {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "content-type", "content-transfer-encoding",
        "mime-version",
    }  # fmt: skip
    assert {name.lower() for name in made} == known
    assert made["To"] == "a@example.org, b@example.org"
    for address in (f"{text}@example.org", f"a@{text}", f"a@example.org, {text}@x.org"):
        with pytest.raises(ValueError, match="no address"):
            mail(MESSAGE, {**CHANNEL, "to": [address]}, NOW)


def test_a_mail_in_html_has_its_words_too() -> None:
    made = mail(Message("i", "s", "<p>one</p><script>x</script>two&amp;", "html"), CHANNEL, NOW)
    words, html = made.iter_parts()
    assert words.get_content().split() == ["one", "two&"]
    assert html.get_content_type() == "text/html"


def test_slack_is_called_by_no_text() -> None:
    body = slack_body(Message("i", "<!channel>", "<https://evil.example|click> @here & more"))
    assert body["text"] == "&lt;!channel&gt;\n&lt;https://evil.example|click&gt; @here &amp; more"
    assert (body["mrkdwn"], body["link_names"]) == (False, False)
    assert slack_body(Message("i", "s", "*bold*", "markdown"))["mrkdwn"] is True
    assert len(slack_body(Message("i", "", "x" * 100_000))["text"]) == 35_000


def test_a_card_of_teams_shows_text_as_it_is() -> None:
    body = teams_body(Message("i", "[click](http://evil.example)", "one\n[two](http://evil.example)"))
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    title, *lines = attachment["content"]["body"]
    assert title["text"] == "\\[click\\]\\(http://evil.example\\)"
    assert [line["inlines"][0] for line in lines] == [
        {"type": "TextRun", "text": "one"}, {"type": "TextRun", "text": "[two](http://evil.example)"}
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["text", "markdown"])
@pytest.mark.parametrize(
    "text", ["Ω" * 30_000, "\u00e9\n" * 100_000, "x" * 90 + "\n", '"\\\t' * 9_000, "🚀" * 9_000, "\ud800" * 20_000, "x"]
)
def test_a_card_of_teams_is_never_too_large(text: str, form: Any) -> None:
    """More than 28 KB Teams refuses for good: the message would be a dead letter."""
    text = text * 300 if text.endswith("x\n") else text
    sent = json.dumps(teams_body(Message("i", "[s" * 4_000, text, form)), ensure_ascii=False).encode("utf-8", "replace")
    assert len(sent) < 28_000
    assert len(text) == 1 or (len(sent) > 14_000 and "…" in sent.decode())


def test_lines_that_a_card_of_teams_does_not_show_are_counted() -> None:
    card = teams_body(Message("i", "s", "\n".join(f"line {number}" for number in range(300))))
    *_, last, said = card["attachments"][0]["content"]["body"]
    assert (last["inlines"][0]["text"], said["inlines"][0]["text"]) == ("line 199", "… and 100 more lines")


def test_a_text_for_slack_is_cut_as_it_is_sent() -> None:
    sent = slack_body(Message("i", "", "&" * 30_000))["text"]
    assert (len(sent) <= 35_000, sent[-6:]) == (True, "&amp;…")


def test_a_webhook_gets_a_cloud_event_signed() -> None:
    body = event_body(MESSAGE)
    told = json.loads(body)
    assert (told["id"], told["specversion"], told["source"]) == ("id-1", "1.0", "/jobs/rotate")
    message = {"subject": "Logs rotated", "text": MESSAGE.text, "format": "text"}
    assert told["data"] == {"job": "rotate", "message": message}
    headers = dict(headers_of(MESSAGE, b"{}", "key"))
    assert headers["X-Hub-Signature-256"].startswith("sha256=") and headers["Idempotency-Key"] == "id-1"
    assert "X-Hub-Signature-256" not in dict(headers_of(MESSAGE, b"{}", None))


@pytest.mark.parametrize(
    ("status", "headers", "delivery"),
    [
        (200, (), Delivered()),
        (202, (), Delivered()),
        (302, (), Never("status 302")),
        (404, (), Never("status 404")),
        (429, (("retry-after", "30"),), Later("status 429", timedelta(seconds=30))),
        (503, (("retry-after", "999999"),), Later("status 503", timedelta(hours=1))),
        (503, (("retry-after", "Sat, 21 Nov 2026 12:00:00 GMT"),), Later("status 503")),
    ],
)
def test_what_an_answer_says(status: int, headers: tuple[tuple[str, str], ...], delivery: object) -> None:
    assert meaning(Answer(status, headers, b"")) == delivery


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("syslog://", "'syslog://' does something on the runner's own host"),
        (" SysLog://_/local0", "'syslog://' does something on the runner's own host"),
        ("json://127.0.0.1:9/, syslog://_/local0", "this is 2 URLs"),
        ("nothing://x", "does not know this kind of URL"),
    ],
)
async def test_apprise_does_nothing_on_the_runners_host(url: str, why: str) -> None:
    found = await ByApprise(Limits()).deliver(MESSAGE, {"url": url}, _none)
    assert isinstance(found, Never) and why in found.error


async def test_apprise_is_refused_by_a_restricted_runner() -> None:
    found = await ByApprise(Limits(restricted=True)).deliver(MESSAGE, {"url": "json://example.org"}, _none)
    assert isinstance(found, Later) and "restricted" in found.error


async def test_apprise_that_hangs_holds_up_nothing_of_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed: its connection ends, no thread is taken, and nothing of the runner's environment goes with it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # says nothing until the other side is gone
        ended.set()
        writer.close()

    before = set(threading.enumerate())
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        found = await ByApprise(Limits(total=3.0)).deliver(MESSAGE, {"url": url}, _none)
        assert isinstance(found, Later) and found.fate == "unknown"
        async with asyncio.timeout(5):
            await ended.wait()
    for of_it in set(threading.enumerate()) - before:  # the one that waits for the process is about to end
        await asyncio.to_thread(of_it.join, 5)
        assert not of_it.is_alive()


def test_html_that_is_none_is_words_all_the_same() -> None:
    assert plain(Message("i", "s", "<p>a<p>b</style><", "html")).split() == ["a", "b<"]


async def test_a_mail_that_was_taken_is_delivered_whatever_becomes_of_the_farewell() -> None:
    """Sent again, it would be there twice."""
    taken: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            match line.split()[0].upper():
                case b"DATA":
                    writer.write(b"354 go\r\n")
                    taken.append(await reader.readuntil(b"\r\n.\r\n"))
                    writer.write(b"250 queued\r\n")
                case b"QUIT":
                    continue  # says nothing, and hangs up only when the other side does
                case _:
                    writer.write(b"250 mail.test\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = {**CHANNEL, "server": "127.0.0.1", "port": port, "security": "none"}
        # less than the farewell may take: the limit of the whole falls into it
        assert await Email(Limits(total=1.0)).deliver(MESSAGE, settings, opened=_none) == Delivered()
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("total", "taking", "found"),
    [(2.0, 60.0, Delivered()), (60.0, 0.4, Later("no answer within 0 s", fate="unknown"))],
)
async def test_a_mail_server_has_a_time_of_its_own_to_take_a_mail(
    total: float, taking: float, found: Delivered | Later
) -> None:
    """RFC 5321, 4.5.3.2.6: it may look for viruses while the whole of the limit of others goes by."""
    importlib.import_module("aiosmtplib")  # no part of the time
    handed_over, let_go = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.test\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                handed_over.set()
                await let_go.wait()
            writer.write(b"250 fine\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = {**CHANNEL, "server": "127.0.0.1", "port": port, "security": "none"}
        email = Email(Limits(total=total, taking=taking))
        asked = asyncio.create_task(email.deliver(MESSAGE, settings, opened=_none))
        await handed_over.wait()
        await asyncio.wait((asked,), timeout=2.1)
        let_go.set()
        assert await asked == found


@pytest.mark.parametrize("ends", [True, False])
async def test_a_message_that_was_taken_is_delivered_whatever_becomes_of_the_rest_of_the_answer(ends: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        if not ends:
            await reader.read()  # until the other side is gone
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert await Webhook(Limits(total=1.0)).deliver(MESSAGE, {"url": url}, _none) == Delivered()


def _none(name: str) -> Opened:
    raise AssertionError(name)


async def test_a_broker_cannot_fill_the_memory_with_a_frame() -> None:
    """It says that four gigabytes follow, and sends them: the first bytes are enough to leave."""
    sent = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(struct.pack(">BHI", 1, 0, 0xF0000000))
        with contextlib.suppress(OSError):
            for _ in range(256):
                writer.write(b"x" * 1024 * 1024)
                await writer.drain()
                sent.append(1)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    place = {"server": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "security": "none"}
    settings = {**place, "virtualHost": "/", "exchange": "events"}
    found = await Amqp(Limits(total=20.0)).deliver(MESSAGE, settings, lambda name: Opened(name, None, {}))
    server.close()
    assert isinstance(found, Later) and "a frame of 4026531841 bytes" in found.error
    assert len(sent) < 100
