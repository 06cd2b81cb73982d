"""`notify` by every channel, against real servers on loopback, from start to record."""

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.runs.pinned import Loop, PlannedStep, Use
from engine.states import StepState
from runners.connections.local import LocalSettings
from runners.deliveries import Later, Limits, Message
from runners.deliveries.email import Email
from runners.secrets import Opened
from schemas.credential import CredentialSpec
from schemas.job import Retry
from tests.httpserver import Authority, HttpServer, serving
from tests.mailserver import Mailbox, mailing
from tests.running import Bench, Ran, bench

__all__ = ["bench"]

OK, FAILED, UNREACHABLE, UNKNOWN = StepState.SUCCEEDED, StepState.FAILED, StepState.UNREACHABLE, StepState.UNKNOWN
CLOSED = 1
"""A port on which nothing listens: tcpmux."""


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


async def tell(bench: Bench, channel: dict[str, Any], *, secret: tuple[str, str] = ("token", ""), **more: Any) -> Ran:
    """A run that sends one message by a channel; the credential `key` has this type and text."""
    inputs = {"channel": "ops", "text": "rotate: ${{ params.text }}", **more.pop("inputs", {})}
    credentials = {}
    if secret[1]:
        (bench.secrets / "key").write_text(secret[1])
        given = {"type": secret[0], "from": {"file": "key"}, **({"username": "ann"} if secret[0] == "password" else {})}
        credentials = {"key": CredentialSpec.model_validate(given)}
    networks = more.pop("networks", ())
    settings = more.pop("settings", {})
    step = PlannedStep("only", "steps", Use("notify", inputs), **more)
    run = await bench.enqueue(
        step, params={"text": "wéb\n<!channel>"}, channels={"ops": channel}, credentials=credentials, networks=networks
    )
    bench.start(**settings)
    return await bench.ended(run)


async def test_slack_by_a_url_that_is_a_secret(bench: Bench, server: HttpServer) -> None:
    """It need not stand in a document; then it may be public, or within the networks of the pool."""
    channel = {"type": "slack", "credentialRef": "key"}
    url = f"{server.url}/x?geheim-4711"
    ran = await tell(bench, channel, secret=("token", url), networks=("127.0.0.0/8",))
    assert ran.states() == {"only": OK}, ran.steps()["only"].error
    (asked,) = server.asked
    assert json.loads(asked.body)["text"] == "rotate\nrotate: wéb\n&lt;!channel&gt;"


@pytest.mark.parametrize(
    ("kind", "form", "text", "said"),
    [
        ("webhook", "html", "<b>rotate</b>: ${{ params.text }}", "<b>rotate</b>: wéb\n&lt;!channel&gt;"),
        ("webhook", "html", "${{ params.text }}", "wéb\n&lt;!channel&gt;"),
        ("webhook", "${{ 'ht' + 'ml' }}", "${{ 3 }} ${{ params.text }}", "3 wéb\n&lt;!channel&gt;"),
        ("webhook", "markdown", "**rotate**: ${{ params.text }}", "**rotate**: wéb\n\\<\\!channel\\>"),
        ("webhook", "text", "rotate: ${{ params.text }}", "rotate: wéb\n<!channel>"),
        ("slack", "markdown", "*rotate*: ${{ params.text }}", "rotate\n*rotate*: wéb\n&lt;!channel&gt;"),
    ],
)
async def test_what_an_expression_gives_is_no_markup(
    bench: Bench, server: HttpServer, kind: str, form: str, text: str, said: str
) -> None:
    """Only what stands in the document is: outputs of steps and params were written by others."""
    ran = await tell(bench, {"type": kind, "url": f"{server.url}/x"}, inputs={"text": text, "format": form})
    assert ran.states() == {"only": OK}, ran.steps()["only"].error
    (asked,) = server.asked
    body = json.loads(asked.body)
    assert (body["text"] if kind == "slack" else body["data"]["message"]["text"]) == said


async def test_a_secret_url_that_leads_inside_is_refused_and_not_said(bench: Bench, server: HttpServer) -> None:
    ran = await tell(bench, {"type": "slack", "credentialRef": "key"}, secret=("token", f"{server.url}/x"))
    assert ran.states() == {"only": FAILED} and not server.asked
    assert "127.0.0.1" not in (ran.steps()["only"].error or "")


async def test_teams_by_a_url_of_the_document(bench: Bench, server: HttpServer) -> None:
    ran = await tell(bench, {"type": "teams", "url": f"{server.url}/status/202"}, inputs={"subject": "Logs"})
    assert ran.states() == {"only": OK}, ran.steps()["only"].error
    assert json.loads(server.asked[0].body)["attachments"][0]["content"]["body"][0]["text"] == "Logs"


async def test_a_webhook_is_signed_and_has_one_id_in_all_attempts(bench: Bench, server: HttpServer) -> None:
    server.statuses = [503, 200]
    retry = Retry.model_validate({"maxAttempts": 2})
    channel = {"type": "webhook", "url": f"{server.url}/next", "credentialRef": "key"}
    ran = await tell(bench, channel, secret=("token", "geheim-4711-hook"), retry=retry)
    assert ran.states() == {"only": OK}, ran.steps()["only"].error
    first, second = server.asked
    digest = hmac.new(b"geheim-4711-hook", first.body, hashlib.sha256).hexdigest()
    assert first.headers["x-hub-signature-256"] == f"sha256={digest}"
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.body == second.body and json.loads(first.body)["id"] == ran.steps()["only"].outputs["id"]


@pytest.mark.parametrize(
    ("path", "state"),
    [("status/404", FAILED), ("status/500", FAILED), ("status/302", FAILED), ("to/http://169.254.169.254/", FAILED),
     ("break", OK)],
)  # fmt: skip
async def test_what_an_attempt_means(bench: Bench, server: HttpServer, path: str, state: StepState) -> None:
    ran = await tell(bench, {"type": "webhook", "url": f"{server.url}/{path}"})
    assert ran.states() == {"only": state}, ran.steps()["only"].error
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("channel", "state"),
    [
        ({"type": "webhook", "url": f"http://127.0.0.1:{CLOSED}/"}, UNREACHABLE),
        ({"type": "webhook", "url": "http://169.254.169.254/"}, FAILED),
        ({"type": "slack", "credentialRef": "nobody"}, FAILED),
        ({"type": "amqp", "server": "127.0.0.1", "port": CLOSED, "security": "none", "virtualHost": "/",
          "exchange": "e"}, UNREACHABLE),
        ({"type": "email", "to": ["a@b"], "from": "c@d", "server": "127.0.0.1", "port": CLOSED, "security": "none"},
         UNREACHABLE),
    ],
)  # fmt: skip
async def test_a_channel_that_cannot(bench: Bench, channel: dict[str, Any], state: StepState) -> None:
    ran = await tell(bench, channel)
    assert ran.states() == {"only": state}, ran.steps()["only"].error
    assert "channel" in (ran.steps()["only"].error or "")


async def test_a_message_that_hangs_is_unknown_when_it_is_cancelled(bench: Bench, server: HttpServer) -> None:
    ran = await tell(bench, {"type": "webhook", "url": f"{server.url}/hang"}, timeout=timedelta(seconds=0.5))
    assert ran.states() == {"only": UNKNOWN}


async def test_apprise_reaches_what_it_knows(bench: Bench, server: HttpServer) -> None:
    ran = await tell(bench, {"type": "apprise", "url": f"json://127.0.0.1:{server.port}/status/200"})
    assert ran.states() == {"only": OK}, ran.steps()["only"].error
    assert json.loads(server.asked[0].body)["message"].startswith("rotate: wéb")


async def test_a_restricted_runner_takes_no_apprise(bench: Bench, server: HttpServer) -> None:
    ran = await tell(
        bench, {"type": "apprise", "url": f"json://127.0.0.1:{server.port}/"},
        settings={"local": LocalSettings(restricted=True)},
    )  # fmt: skip
    assert ran.states() == {"only": FAILED} and "restricted" in (ran.steps()["only"].error or "")


# --- mail ------------------------------------------------------------------------------------------------------------


def tls(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Of a server, and the authority to trust."""
    authority = Authority.made()
    (folder / "server.pem").write_text(authority.signed("127.0.0.1"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return context, authority.pem


def box_of(box: Mailbox, **more: Any) -> dict[str, Any]:
    to = ["a@example.org", "b@example.org"]
    return {"type": "email", "from": "ops@example.org", "to": to, "server": "127.0.0.1", "port": box.port, **more}


async def test_a_mail_arrives(bench: Bench) -> None:
    async with mailing() as box:
        ran = await tell(bench, box_of(box, security="none"), inputs={"subject": "a\nBcc: evil@example.org"})
        assert ran.states() == {"only": OK}, ran.steps()["only"].error
    (got,) = box.got
    assert (got.mail_from, got.rcpt_tos) == ("ops@example.org", ["a@example.org", "b@example.org"])
    assert b"Subject: a Bcc: evil@example.org\r\n" in got.content
    assert ran.steps()["only"].outputs["id"].encode() in got.content


@pytest.mark.parametrize("how", ["starttls", "tls"])
async def test_a_login_goes_over_tls_only(bench: Bench, tmp_path: Path, how: str) -> None:
    context, ca = tls(tmp_path)
    async with mailing(context, wrapped=how == "tls") as box:
        channel = box_of(box, security=how, credentialRef="key", caCert=ca)
        ran = await tell(bench, channel, secret=("password", "geheim-4711-mail"))
        assert ran.states() == {"only": OK}, ran.steps()["only"].error
    assert (len(box.got), box.logins) == (1, [b"ann", b"geheim-4711-mail"])


@pytest.mark.parametrize(
    ("server", "channel", "state", "said"),
    [
        ("plain", {"security": "starttls"}, UNREACHABLE, "offers no STARTTLS"),
        ("tls", {"security": "starttls", "credentialRef": "key"}, UNREACHABLE, "no connection"),
        ("tls", {"security": "tls", "credentialRef": "key"}, UNREACHABLE, "no connection"),
    ],
)
async def test_a_server_that_cannot_be_trusted_gets_nothing(
    bench: Bench, tmp_path: Path, server: str, channel: dict[str, Any], state: StepState, said: str
) -> None:
    context, _ = tls(tmp_path)
    async with mailing(context if server == "tls" else None, wrapped=channel["security"] == "tls") as box:
        ran = await tell(bench, box_of(box, **channel), secret=("password", "geheim-4711-mail"))
    found = ran.steps()["only"]
    assert (found.state, said in (found.error or "")) == (state, True), found.error
    assert "port None" not in (found.error or "") and (said != "no connection" or f":{box.port}: " in found.error)
    assert not box.got and not box.logins


@pytest.mark.parametrize(("how", "said"), [("starttls", "offers no STARTTLS"), ("tls", "AUTH")])
async def test_a_server_that_does_not_offer_now_what_is_needed_is_asked_again(
    tmp_path: Path, how: str, said: str
) -> None:
    """As one whose certificate is being renewed: the messages of that hour are not lost."""
    context, ca = tls(tmp_path)

    def opened(name: str) -> Opened:
        return Opened(name, "ann", {"password": "geheim-4711-mail"})

    async with mailing(context if how == "tls" else None, wrapped=how == "tls", login=False) as box:
        channel = box_of(box, security=how, credentialRef="key", caCert=ca)
        found = await Email(Limits()).deliver(Message("id-1", "s", "t"), channel, opened)
    assert isinstance(found, Later) and found.fate == "notSent" and said in found.error, found
    assert not box.got


@pytest.mark.parametrize("word", ["550 5.1.1 no such user\x1b", "452 4.2.2 mailbox full"])
async def test_one_recipient_that_is_refused_keeps_the_mail_from_nobody_else(bench: Bench, word: str) -> None:
    async with mailing(refuses="b@example.org", word=word) as box:
        ran = await tell(bench, box_of(box, security="none"))
    found = ran.steps()["only"]
    assert (found.state, [one.rcpt_tos for one in box.got]) == (FAILED, [["a@example.org"]])
    said = word.rstrip("\x1b")
    assert f"127.0.0.1 refuses b@example.org: {said}; the others have it" in (found.error or "")


FULL = "452 4.2.2 mailbox full"
AT_ONCE = Retry(maxAttempts=4, delay=timedelta(milliseconds=1))


def mails(box: Mailbox) -> list[list[str]]:
    return [one.rcpt_tos for one in box.got]


async def test_a_repetition_goes_to_nobody_who_has_the_mail(bench: Bench) -> None:
    async with mailing(refuses="b@example.org", word=FULL) as box:
        ran = await tell(bench, box_of(box, security="none"), retry=AT_ONCE)
    found = ran.steps()["only"]
    assert (found.state, found.attempts, mails(box)) == (FAILED, 4, [["a@example.org"]])
    assert found.outputs["reached"] == ["a@example.org"]
    assert (found.error or "").endswith(f"127.0.0.1 refuses b@example.org: {FULL}; the others have it")


async def test_a_repetition_goes_to_whom_the_first_did_not_reach(bench: Bench) -> None:
    async with mailing(refuses="b@example.org", word=FULL, times=2) as box:
        ran = await tell(bench, box_of(box, security="none"), retry=AT_ONCE)
    found = ran.steps()["only"]
    assert (found.state, found.attempts, mails(box)) == (OK, 3, [["a@example.org"], ["b@example.org"]])
    assert "reached" not in found.outputs


async def test_another_runner_repeats_it_for_nobody_who_has_the_mail(bench: Bench) -> None:
    """What was reached is in the journal."""
    retry = Retry(maxAttempts=4, delay=timedelta(seconds=1))
    step = PlannedStep("only", "steps", Use("notify", {"channel": "ops", "text": "rotated"}), retry=retry)
    async with mailing(refuses="b@example.org", word=FULL) as box:
        run = await bench.enqueue(step, channels={"ops": box_of(box, security="none")})
        bench.start()
        await bench.until(run, lambda ran: "only" in ran.steps() and ran.states()["only"] is FAILED)
        await bench.drain(timedelta(0))
        box.refuses = ""
        bench.start()
        ran = await bench.ended(run)
    assert (ran.states(), mails(box)) == ({"only": OK}, [["a@example.org"], ["b@example.org"]])


async def test_each_item_of_a_loop_is_repeated_for_itself(bench: Bench) -> None:
    inputs = {"text": "${{ item }}"}
    async with mailing(refuses="b@example.org", word=FULL, times=1) as box:
        loop = Loop(["first", "second"])
        ran = await tell(bench, box_of(box, security="none"), retry=AT_ONCE, inputs=inputs, loop=loop)
    assert ran.states()["only"] == OK
    assert sorted(one for mail in mails(box) for one in mail) == ["a@example.org"] * 2 + ["b@example.org"] * 2


async def test_a_mail_that_all_recipients_refuse_is_sent_to_nobody(bench: Bench) -> None:
    async with mailing(refuses="b@example.org") as box:
        ran = await tell(bench, {**box_of(box, security="none"), "to": ["b@example.org"]})
    assert (ran.states(), box.got) == ({"only": FAILED}, [])
    assert (ran.steps()["only"].error or "").endswith("refuses b@example.org: 550 5.1.1 no such user")


async def test_a_wrong_password_is_said_and_not_shown(bench: Bench, tmp_path: Path) -> None:
    context, ca = tls(tmp_path)
    async with mailing(context) as box:
        channel = box_of(box, security="starttls", credentialRef="key", caCert=ca)
        ran = await tell(bench, channel, secret=("password", "wrong-password"))
    error = ran.steps()["only"].error or ""
    assert ran.states() == {"only": FAILED} and "535" in error and "wrong-password" not in error


async def test_a_server_that_breaks_after_the_mail_is_unknown(bench: Bench) -> None:
    """The mail was handed over, and the word that it was taken never came."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                break
            writer.write(b"250 ok\r\n")
        writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    box = Mailbox(port=made.sockets[0].getsockname()[1])
    async with made:
        ran = await tell(bench, box_of(box, security="none"))
    assert ran.states() == {"only": UNKNOWN}, ran.steps()["only"].error
