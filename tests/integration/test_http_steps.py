"""`http.request`, `webhook.call` and `wait.until` against real servers on loopback, from start to record."""

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.runs.pinned import PinnedTarget, PlannedStep, Use
from engine.states import RunState, StepState
from schemas.credential import CredentialSpec
from schemas.job import Retry
from schemas.target import Connections, HttpConnection
from tests.httpserver import Authority, HttpServer, serving
from tests.running import Bench, bench

__all__ = ["bench"]

OK, FAILED, UNREACHABLE = StepState.SUCCEEDED, StepState.FAILED, StepState.UNREACHABLE
UNKNOWN, TIMED_OUT = StepState.UNKNOWN, StepState.TIMED_OUT
CLOSED = 1
"""A port on which nothing listens: tcpmux."""


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


def step(kind: str, step_id: str = "only", /, *, more: dict[str, Any] | None = None, **inputs: Any) -> PlannedStep:
    return PlannedStep(step_id, "steps", Use(kind, inputs), **(more or {}))


def ask(url: str, /, **inputs: Any) -> PlannedStep:
    more = inputs.pop("more", {})
    return step("http.request", more=more, url=url, **inputs)


def spec(kind: str, name: str, **more: Any) -> dict[str, CredentialSpec]:
    return {name: CredentialSpec.model_validate({"type": kind, "from": {"file": name}, **more})}


async def test_an_answer_is_what_later_steps_read(bench: Bench, server: HttpServer) -> None:
    """The body is stdout and json, status and headers are outputs."""
    first = ask(
        f"{server.url}/items?a=1",
        method="POST",
        json={"name": "${{ params.name }}"},
        query={"limit": 10, "all": True},
        headers={"X-Mine": "yes"},
        more={"outputs": {"body": "${{ json.body }}"}},
    )
    second = step("assert", "next", that="${{ steps.only.outputs.status == 200 && steps.only.json.method == 'POST' }}")
    ran = await bench.execute(first, second, params={"name": "wéb"})
    assert ran.states() == {"only": OK, "next": OK}, ran.steps()
    outputs = ran.steps()["only"].outputs
    assert (outputs["status"], outputs["headers"]["x-kind"]) == (200, "test")
    assert json.loads(outputs["body"]) == {"name": "wéb"}
    (asked,) = server.asked
    assert asked.path == "/items?a=1&limit=10&all=true"
    assert (asked.headers["content-type"], asked.headers["x-mine"]) == ("application/json", "yes")


@pytest.mark.parametrize(
    ("path", "inputs", "state"),
    [
        ("status/204", {}, OK),
        ("status/404", {}, FAILED),
        ("status/404", {"okStatus": [404]}, OK),
        ("status/200", {"okStatus": [201]}, FAILED),
        ("big/1000", {"maxSize": "1KiB"}, OK),
        ("big/2000", {"maxSize": "1KiB"}, FAILED),
        ("break", {}, FAILED),
        ("break", {"method": "POST"}, UNKNOWN),
        ("break", {"method": "PUT", "body": "x"}, UNKNOWN),
        ("x", {"json": None, "method": "POST"}, OK),
        ("x", {"headers": {"Host": "other"}}, FAILED),
        ("x", {"headers": {"X": "a\nb"}}, FAILED),
        ("x", {"url": "http://u:p@127.0.0.1/"}, FAILED),
        ("x", {"url": f"http://127.0.0.1:{CLOSED}/"}, UNREACHABLE),
        ("x", {"url": f"http://127.0.0.1:{CLOSED}/", "method": "POST"}, UNREACHABLE),
        ("x", {"url": "http://no-such-name.invalid/"}, UNREACHABLE),
        ("x", {"url": "/path"}, FAILED),
        ("x", {"url": "http://127.0.0.1:99999/"}, FAILED),
        ("x", {"url": "http://169.254.169.254/latest/meta-data"}, FAILED),
        ("x", {"url": "http://[::ffff:127.0.0.1]/"}, FAILED),
    ],
)
async def test_what_an_attempt_means(
    bench: Bench, server: HttpServer, path: str, inputs: dict[str, Any], state: StepState
) -> None:
    ran = await bench.execute(_asking(server, path, inputs))
    found = ran.steps()["only"]
    assert found.state is state, found.error


def _asking(server: HttpServer, path: str, inputs: dict[str, Any]) -> PlannedStep:
    return PlannedStep("only", "steps", Use("http.request", {"url": f"{server.url}/{path}", **inputs}))


async def test_what_does_not_speak_http_is_quoted_as_it_is(bench: Bench) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(says, "127.0.0.1", 0) as server:
        (port,) = {one.getsockname()[1] for one in server.sockets}
        ran = await bench.execute(ask(f"http://127.0.0.1:{port}/"))
    error = ran.steps()["only"].error
    assert error is not None and "'220 mail.example.org ESMTP'" in error and "bytearray" not in error


async def test_a_host_of_an_expression_must_lie_in_the_networks_of_the_pool(bench: Bench, server: HttpServer) -> None:
    asking = ask("${{ params.url }}")
    ran = await bench.execute(asking, params={"url": f"{server.url}/x"})
    assert ran.states() == {"only": FAILED}
    assert "networks of the pool" in (ran.steps()["only"].error or "")
    assert not server.asked


@pytest.mark.parametrize(("network", "state"), [("127.0.0.0/8", OK), ("10.0.0.0/8", FAILED)])
async def test_it_may_be_where_the_pool_is(bench: Bench, server: HttpServer, network: str, state: StepState) -> None:
    ran = await bench.execute(ask("${{ params.url }}"), params={"url": f"{server.url}/x"}, networks=(network,))
    assert ran.states() == {"only": state}


async def test_redirects_are_followed_on_the_same_host_and_judged_elsewhere(bench: Bench, server: HttpServer) -> None:
    async with serving() as other:
        ran = await bench.execute(
            ask(f"{server.url}/to//x", headers={"X-Mine": "1"}),
            step("http.request", "elsewhere", url=f"{server.url}/to/{other.url}/x", more={"continue_on_error": True}),
            step("http.request", "metadata", url=f"{server.url}/to/http://169.254.169.254/",
                 more={"continue_on_error": True}),
            step("http.request", "endless", url=f"{server.url}/to/to", maxRedirects=0, okStatus=[302]),
        )  # fmt: skip
        assert ran.states() == {"only": OK, "elsewhere": FAILED, "metadata": FAILED, "endless": OK}
        assert not other.asked
    assert server.asked[1].headers["x-mine"] == "1"


async def test_a_secret_is_not_taken_to_another_host(bench: Bench, server: HttpServer) -> None:
    (bench.secrets / "tok").write_text("geheim-4711-token")
    async with serving() as other:
        ran = await bench.execute(
            ask(f"{server.url}/to/{other.url}/x", credentialRef="tok"),
            step("http.request", "body", url=f"{server.url}/keep/{other.url}/x", method="POST", body="b",
                 more={"continue_on_error": True}),
            credentials=spec("token", "tok"), networks=("127.0.0.0/8",),
        )  # fmt: skip
        assert ran.states() == {"only": OK, "body": FAILED}
        assert server.asked[0].headers["authorization"] == "Bearer geheim-4711-token"
        assert len(other.asked) == 1 and "authorization" not in other.asked[0].headers


async def test_credentials_go_in_headers_and_show_up_nowhere(bench: Bench, server: HttpServer) -> None:
    """The server echoes them: the answer is masked like other output."""
    (bench.secrets / "tok").write_text("geheim-4711-token")
    (bench.secrets / "pw").write_text("noch-ein-geheimnis")
    credentials = {**spec("token", "tok"), **spec("password", "pw", username="ann")}
    ran = await bench.execute(
        ask(f"{server.url}/a", credentialRef="pw", more={"outputs": {"said": "${{ json.method }}"}}),
        step("http.request", "key", url=f"{server.url}/b", credentialRef="tok", credentialHeader="X-Api-Key"),
        step("http.request", "body", url=f"{server.url}/c", method="POST", body="${{ secrets.tok.token }}"),
        credentials=credentials,
    )
    assert ran.state is RunState.SUCCEEDED, ran.steps()
    basic, key, body = server.asked
    assert basic.headers["authorization"] == "Basic YW5uOm5vY2gtZWluLWdlaGVpbW5pcw=="
    assert key.headers["x-api-key"] == "geheim-4711-token"
    assert body.body == b"geheim-4711-token"
    logs = b"".join(path.read_bytes() for path in bench.logs.rglob("*") if path.is_file())
    assert b"***" in logs and b"geheim-4711" not in logs and b"noch-ein" not in logs
    recorded = str({name: end.outputs for name, end in ran.steps().items()})
    assert "'said': 'GET'" in recorded and "geheim-4711" not in recorded and "noch-ein" not in recorded


async def test_a_path_is_below_the_base_of_the_target(bench: Bench, server: HttpServer) -> None:
    (bench.secrets / "tok").write_text("geheim-4711-token")
    connections = Connections.model_validate({"http": {"baseUrl": f"{server.url}/v1", "credentialRef": "tok"}})
    api = PinnedTarget("api", connections=connections, default_connection="http")
    ran = await bench.execute(
        ask("/items/${{ params.id }}", more={"continue_on_error": True}),
        step("http.request", "out", url="/../admin"),
        targets=(api,), params={"id": 7}, credentials=spec("token", "tok"),
    )  # fmt: skip
    assert ran.states() == {"only": OK, "out": FAILED}
    (asked,) = server.asked
    assert (asked.path, asked.headers["authorization"]) == ("/v1/items/7", "Bearer geheim-4711-token")


async def test_tls_trusts_what_the_definitions_say(bench: Bench, tmp_path: Path) -> None:
    authority, stranger = Authority.made(), Authority.made()
    (tmp_path / "server.pem").write_text(authority.signed("127.0.0.1"))
    (tmp_path / "ca.pem").write_text(authority.pem)
    (bench.secrets / "cert").write_text(authority.signed("client"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    context.load_cert_chain(tmp_path / "server.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    async with serving(context) as server:
        ran = await bench.execute(
            ask(f"{server.url}/x", caCert=authority.pem, credentialRef="cert"),
            step("http.request", "public", url=f"{server.url}/x", more={"continue_on_error": True}),
            step("http.request", "stranger", url=f"{server.url}/x", caCert=stranger.pem,
                 more={"continue_on_error": True}),
            step("http.request", "name", url=f"https://localhost:{server.port}/x", caCert=authority.pem,
                 more={"continue_on_error": True}),
            credentials=spec("certificate", "cert"),
        )  # fmt: skip
        assert ran.states() == {"only": OK, "public": UNREACHABLE, "stranger": UNREACHABLE, "name": UNREACHABLE}
        assert len(server.asked) == 1


async def test_a_body_and_a_certificate_may_be_files_of_the_repository(bench: Bench, tmp_path: Path) -> None:
    authority = Authority.made()
    (tmp_path / "server.pem").write_text(authority.signed("127.0.0.1"))
    (bench.files / "ca.pem").write_text(authority.pem)
    (bench.files / "note.json").write_bytes(b'{"a": 1}')
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    async with serving(context) as server:
        http = HttpConnection.model_validate({"baseUrl": f"{server.url}/v1", "caCert": "ca.pem"})
        target = PinnedTarget("api", connections=Connections(http=http), default_connection="http")
        ran = await bench.execute(
            ask(f"{server.url}/x", method="POST", file="${{ params.file }}", caCert="ca.pem"),
            step("http.request", "below", url="/items"),
            step("http.request", "gone", url="/items", caCert="gone.pem", more={"continue_on_error": True}),
            step("http.request", "out", url="/items", method="PUT", file="../x", more={"continue_on_error": True}),
            targets=(target,),
            params={"file": "note.json"},
        )
        assert ran.states() == {"only": OK, "below": OK, "gone": FAILED, "out": FAILED}, ran.steps()
        first, second = server.asked
        assert (first.body, first.headers["content-type"]) == (b'{"a": 1}', "application/json")
        assert second.path == "/v1/items"


async def test_proxy_variables_are_ignored(bench: Bench, server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{CLOSED}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{CLOSED}")
    assert (await bench.execute(ask(f"{server.url}/x"))).states() == {"only": OK}


@pytest.mark.parametrize(("method", "state"), [("GET", TIMED_OUT), ("POST", UNKNOWN)])
async def test_a_time_limit_proves_the_end_of_what_changes_nothing(
    bench: Bench, server: HttpServer, method: str, state: StepState
) -> None:
    ran = await bench.execute(ask(f"{server.url}/hang", method=method, more={"timeout": timedelta(seconds=0.3)}))
    assert ran.states() == {"only": state}


async def test_retry_is_the_steps_own(bench: Bench, server: HttpServer) -> None:
    server.statuses = [503, 503, 200]
    retry = Retry.model_validate({"maxAttempts": 3})
    ran = await bench.execute(ask(f"{server.url}/next", more={"retry": retry}))
    assert (ran.steps()["only"].state, ran.steps()["only"].attempts) == (OK, 3)


# --- webhook.call ----------------------------------------------------------------------------------------------------


async def test_a_webhook_is_signed_and_has_one_key_in_all_attempts(bench: Bench, server: HttpServer) -> None:
    (bench.secrets / "hook").write_text("geheim-4711-hook")
    server.statuses = [503, 200]
    retry = Retry.model_validate({"maxAttempts": 2})
    ran = await bench.execute(
        step("webhook.call", url=f"{server.url}/next", credentialRef="hook", more={"retry": retry}),
        step("webhook.call", "other", url=f"{server.url}/hook", json={"done": True}, credentialRef="hook",
             algorithm="sha512", signatureHeader="X-Signature"),
        step("webhook.call", "moved", url=f"{server.url}/to//x", json=1),
        credentials=spec("token", "hook"),
    )  # fmt: skip
    assert ran.states() == {"only": OK, "other": OK, "moved": FAILED}
    first, second, other, _ = server.asked
    for asked, header, name in (
        (first, "x-hub-signature-256", "sha256"),
        (second, "x-hub-signature-256", "sha256"),
        (other, "x-signature", "sha512"),
    ):
        digest = hmac.new(b"geheim-4711-hook", asked.body, getattr(hashlib, name)).hexdigest()
        assert asked.headers[header] == f"{name}={digest}"
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != other.headers["idempotency-key"]
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert json.loads(first.body)["data"]["step"] == "only"
    assert json.loads(other.body) == {"done": True}


# --- wait.until ------------------------------------------------------------------------------------------------------


async def test_a_wait_ends_when_its_time_has_come(bench: Bench) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC).isoformat()
    began = time.monotonic()
    ran = await bench.execute(step("wait.until", duration="1s"), step("wait.until", "past", instant=past))
    assert ran.states() == {"only": OK, "past": OK}
    assert time.monotonic() - began >= 1


async def test_a_wait_ends_when_a_server_answers_often_enough(bench: Bench, server: HttpServer) -> None:
    server.statuses = [200, 503, 200, 200]
    ran = await bench.execute(
        step("wait.until", url=f"{server.url}/next", interval="1s", successes=2),
        step("wait.until", "tcp", tcp=f"127.0.0.1:{server.port}"),
    )
    assert ran.states() == {"only": OK, "tcp": OK}
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("inputs", "state"),
    [
        ({"duration": "1h"}, TIMED_OUT),
        ({"instant": "2999-01-01T00:00:00Z"}, TIMED_OUT),
        ({"tcp": f"127.0.0.1:{CLOSED}"}, TIMED_OUT),
        ({"url": f"http://127.0.0.1:{CLOSED}/"}, TIMED_OUT),
        ({"tcp": "22"}, FAILED),
        ({"tcp": "127.0.0.1:99999"}, FAILED),
        ({"tcp": "${{ params.place }}"}, FAILED),
        ({"tcp": "169.254.169.254:80"}, FAILED),
        ({"instant": "2026-99-01T00:00:00Z"}, FAILED),
        ({"duration": "${{ params.nothing }}"}, FAILED),
    ],
)
async def test_a_wait_is_bounded_and_guarded(bench: Bench, inputs: dict[str, Any], state: StepState) -> None:
    planned = step("wait.until", more={"timeout": timedelta(seconds=0.3)}, **inputs)
    ran = await bench.execute(planned, params={"place": "127.0.0.1:22", "nothing": None})
    assert ran.states() == {"only": state}, ran.steps()


async def test_a_wait_that_its_runner_cannot_go_on_with_is_waited_anew(bench: Bench) -> None:
    """A rolling upgrade is no failure of what only waits."""
    run = await bench.enqueue(step("wait.until", duration="1h"))
    bench.start()
    await bench.until(run, lambda ran: ran.states() == {"only": StepState.RUNNING})
    await bench.drain(timedelta(0))
    left = await bench.see(run)
    assert (left.state, left.states()) == (RunState.QUEUED, {})


async def test_a_wait_that_may_be_repeated_goes_on_where_a_lease_is_not_renewed_in_time(
    bench: Bench, server: HttpServer
) -> None:
    """The store may be back before another runner takes the run: neither the looks nor the time begin anew."""
    waits = step("wait.until", more={"idempotent": True}, url=f"{server.url}/", interval="1s", successes=2)
    run = await bench.enqueue(waits)
    runner = bench.start()
    async with asyncio.timeout(30):
        await server.arrived.wait()
    (execution,) = runner._underway.executions
    execution.give_way(5.0)
    ran = await bench.ended(run)
    assert (ran.states(), len(server.asked)) == ({"only": OK}, 2)


async def test_a_wait_is_cancelled_at_once(bench: Bench) -> None:
    run = await bench.enqueue(step("wait.until", duration="1h"))
    bench.start()
    await bench.until(run, lambda ran: "only" in ran.states())
    await bench.cancel(run)
    async with asyncio.timeout(10):
        assert (await bench.ended(run)).states() == {"only": StepState.CANCELLED}
