"""`mcp.call` against real servers over stdio and HTTP, and against one that does most things wrong."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

from engine.runs.pinned import PlannedStep, Use
from engine.states import StepState
from runners.mcp.tool import Tool
from schemas.credential import CredentialSpec
from tests import mcpserver, node_programs
from tests.httpserver import Authority, serving
from tests.running import Bench, bench, ends, lives

__all__ = ["bench"]

OK, FAILED, TIMED_OUT, UNKNOWN = StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT, StepState.UNKNOWN
UNREACHABLE, CANCELLED = StepState.UNREACHABLE, StepState.CANCELLED
DIGEST = Tool("work", mcpserver.NUMBER, mcpserver.NUMBER).digest
PLAIN = Tool("work", {"type": "object"}).digest
DOUBLE = "sha256:33a6e152116c0f6b126407178402de7d3f07389ca4a6006f5eab04d38ef320d3"
"""Of the tool `double` below, as a first run printed it."""
BIN = Path(sys.executable).parent


def call(command: list[str], tool: str, digest: str, /, step_id: str = "only", **more: Any) -> PlannedStep:
    arguments = more.pop("arguments", {"n": 1})
    inputs = {"command": command, "tool": tool, "digest": digest, "arguments": arguments}
    return PlannedStep(step_id, "steps", Use("mcp.call", inputs), **more)


def served(mode: str, *news: object) -> list[str]:
    return [sys.executable, mcpserver.__file__, mode, *map(str, news)]


@pytest.mark.parametrize(
    ("mode", "state", "said"),
    [
        ("good", OK, ""),
        ("asks", OK, ""),
        ("changes", FAILED, "'n' is a required property"),
        ("dies", FAILED, "without an answer: exit code 3"),
        ("flood", FAILED, "says too much"),
        ("line", FAILED, "says too much"),
        ("parts", FAILED, "says too much"),
        ("lines", FAILED, "says too much"),
        ("wrong", FAILED, "['n'] is not what its outputSchema says"),
        ("nothing", FAILED, "no structured answer"),
        ("strange", FAILED, "not what the protocol says"),
        ("error", FAILED, "says: no \ufffd[2Jway"),
        ("refuses", FAILED, "not today (code -32602)"),
        ("twice", FAILED, "2 tools called 'work'"),
        ("names", FAILED, "it has: \ufffd[31mred\ufffdnext"),
        ("patterns", FAILED, "its digest is"),
        ("pages", FAILED, "more than 100 pages"),
    ],
)
async def test_what_a_server_may_do(bench: Bench, tmp_path: Path, mode: str, state: StepState, said: str) -> None:
    """Whatever it does, there is one outcome, and nothing of the server is left."""
    news = tmp_path / "news"
    ran = await bench.execute(call(served(mode, news), "work", DIGEST))
    found = ran.steps()["only"]
    assert (found.state, said.lower() in (found.error or "").lower()) == (state, True), found.error
    pid, *told = news.read_text().splitlines()
    assert not lives(int(pid))
    assert told.count("called") == (mode not in {"twice", "names", "patterns", "pages"})
    if mode == "asks":
        assert told[1:] == [f"{what} True" for what in ("sampling/createMessage", "elicitation/create", "roots/list")]
    if mode == "good":
        assert found.outputs == {"text": "done", "json": {"n": 7}, "digest": DIGEST}


@pytest.mark.parametrize("mode", ["patterns", "remote"])
async def test_a_schema_that_cannot_be_checked_safely_is_not_called(bench: Bench, tmp_path: Path, mode: str) -> None:
    takes: dict[str, Any] = {**mcpserver.NUMBER, "patternProperties": {"(a+)+$": {}}}
    if mode == "remote":
        takes = {"type": "object", "$ref": "http://127.0.0.1:1/schema"}
    digest = Tool("work", takes, mcpserver.NUMBER).digest
    ran = await bench.execute(call(served(mode, tmp_path / "news"), "work", digest))
    assert "cannot be checked safely" in (ran.steps()["only"].error or "")
    assert "called" not in (tmp_path / "news").read_text()


async def test_the_first_run_says_which_digest_a_tool_has_and_calls_nothing(bench: Bench, tmp_path: Path) -> None:
    ran = await bench.execute(call(served("good", tmp_path / "news"), "work", f"sha256:{'0' * 64}"))
    found = ran.steps()["only"]
    assert found.state is FAILED and DIGEST in (found.error or "")
    assert '"outputSchema": {' in (found.stderr_tail or "") and "called" not in (tmp_path / "news").read_text()


async def test_a_program_that_is_no_server_or_is_not_there(bench: Bench) -> None:
    more = {"continue_on_error": True}
    ran = await bench.execute(
        call(["/bin/cat", "/etc/hostname"], "work", DIGEST, "cat", **more),
        call(["no-such-program"], "work", DIGEST, "none", **more),
        call(["./relative"], "work", DIGEST, "relative", **more),
        call(served("good"), "work", DIGEST, "wrong", arguments={"n": "1"}, **more),
    )
    errors = {name: step.error or "" for name, step in ran.steps().items()}
    assert "is it an MCP server?" in errors["cat"]
    assert "install it there" in errors["none"]
    assert "relative path" in errors["relative"]
    assert "'arguments'['n']: it must be a whole number" in errors["wrong"]


async def test_it_gets_the_steps_environment_and_not_the_runners(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSCONDUCTOR_SECRET_X", "of the runner")
    (bench.secrets / "tok").write_text("geheim-4711-token")
    planned = call(served("secret"), "work", PLAIN, arguments={}, env={"TOKEN": "${{ secrets.tok.token }}"})
    credentials = {"tok": CredentialSpec.model_validate({"type": "token", "from": {"file": "tok"}})}
    ran = await bench.execute(planned, credentials=credentials)
    text = ran.steps()["only"].outputs["text"]
    assert text.startswith("***") and "'TOKEN'" in text and "OPSCONDUCTOR" not in text


async def test_a_restricted_runner_starts_no_program(bench: Bench) -> None:
    from runners.connections.local import LocalSettings

    run = await bench.enqueue(call(served("good"), "work", DIGEST))
    bench.start(local=LocalSettings(restricted=True))
    ran = await bench.ended(run)
    assert "restricted" in (ran.steps()["only"].error or "")


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_server_that_hangs_is_ended_provably(bench: Bench, how: str) -> None:
    news = bench.pipe("news")
    limit = timedelta(seconds=2) if how == "timeout" else None
    run = await bench.enqueue(call(served("hang", news), "work", DIGEST, timeout=limit))
    bench.start()
    pid, word = await news.lines(2)
    assert word == "called"
    if how == "cancel":
        await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.states() == {"only": TIMED_OUT if how == "timeout" else CANCELLED}
    assert not lives(int(pid))


@pytest.mark.slow
async def test_a_server_that_heeds_no_order_is_killed_with_what_it_started(bench: Bench) -> None:
    news = bench.pipe("news")
    run = await bench.enqueue(call(served("deaf", news), "work", DIGEST, timeout=timedelta(seconds=2)))
    bench.start()
    child, pid, _ = await news.lines(3)
    ran = await bench.ended(run)
    assert ran.states() == {"only": TIMED_OUT}
    assert ends(int(child)) and ends(int(pid))


# --- HTTP ------------------------------------------------------------------------------------------------------------


class Numbers(BaseModel):
    n: int


@dataclass
class OverHttp:
    """A server of the SDK behind uvicorn, which a test can make misbehave when a tool is called."""

    mode: str = "good"
    port: int = 0
    scheme: str = "http"
    headers: list[dict[str, str]] = field(default_factory=list)
    calling: asyncio.Event = field(default_factory=asyncio.Event)
    identifier: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/mcp"

    def around(self, app: Any) -> Any:
        async def asked(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            self.headers.append({key.decode(): value.decode() for key, value in scope["headers"]})
            body = await receive()
            if b'"tools/call"' in body["body"] and self.mode != "good":
                self.calling.set()
                self.identifier = json.loads(body["body"])["id"]
                await self._misbehave(send)
                return
            said = [body]
            await app(scope, lambda: _next(said, receive), send)

        return asked

    async def _misbehave(self, send: Any) -> None:
        match self.mode:
            case "hang":
                await asyncio.sleep(3600)
            case "break":
                await _head(send, 200, b"text/event-stream")
                await send({"type": "http.response.body", "body": b": half\n\n", "more_body": True})
            case "503":
                await _head(send, 503, b"text/plain")
                await send({"type": "http.response.body", "body": b"busy"})
            case "half" | "half event" | "refuses" | "refuses 400" | "refuses event" | "parts" | "parts event":
                await self._speak(send)
            case "moved":
                await _head(send, 307, b"text/plain", (b"location", b"http://169.254.169.254/mcp"))
                await send({"type": "http.response.body", "body": b""})
            case "packed":
                await _head(send, 200, b"application/json", (b"content-encoding", b"gzip"))
                await send({"type": "http.response.body", "body": b"x"})
            case "endless":
                await _head(send, 200, b"text/event-stream")
                piece = b": " + b"x" * 60_000 + b"\n\n"
                for _ in range(1200):  # more than is taken; who has hung up is not told here
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    await asyncio.sleep(0)

    async def _speak(self, send: Any) -> None:
        body = {
            "half": b'{"jsonrpc":"2.0","id":3,"resu',
            "refuses": b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32602,"message":"not today"}}',
            "parts": b'{"jsonrpc":"2.0","method":"x","params":{"a":[' + b"[]," * 300_000 + b"[]]}}",
        }[self.mode.split()[0]]
        if b"%d" in body:
            body %= self.identifier
        event = self.mode.endswith("event")
        await _head(send, 400 if "400" in self.mode else 200, b"text/event-stream" if event else b"application/json")
        if event:
            body = b"event: message\r\ndata: " + body + b"\r\n\r\n"
        await send({"type": "http.response.body", "body": body})


async def _next(said: list[Any], receive: Any) -> Any:
    return said.pop() if said else await receive()


async def _head(send: Any, status: int, kind: bytes, *more: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *more]})


@contextlib.asynccontextmanager
async def serving_mcp(mode: str = "good", **tls: Any) -> AsyncIterator[OverHttp]:
    made = OverHttp(mode, scheme="https" if tls else "http")
    server = MCPServer("numbers", log_level="CRITICAL")

    @server.tool()
    def double(n: int) -> Numbers:
        return Numbers(n=2 * n)

    app = server.streamable_http_app(json_response=mode == "json")
    config = uvicorn.Config(made.around(app), host="127.0.0.1", port=0, log_level="critical", **tls)
    runs = uvicorn.Server(config)
    runs.install_signal_handlers = lambda: None  # type: ignore[method-assign, attr-defined]
    task = asyncio.create_task(runs.serve())
    while not runs.started:
        await asyncio.sleep(0.01)
    made.port = runs.servers[0].sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        runs.should_exit = runs.force_exit = True
        await task


def asking(url: str, /, step_id: str = "only", **more: Any) -> PlannedStep:
    given = {"tool": "double", "digest": DOUBLE, "arguments": {"n": 4}, **more.pop("inputs", {})}
    return PlannedStep(step_id, "steps", Use("mcp.call", {"url": url, **given}), **more)


async def test_a_tool_is_called_by_http_with_its_token(bench: Bench) -> None:
    (bench.secrets / "tok").write_text("geheim-4711-token")
    credentials = {"tok": CredentialSpec.model_validate({"type": "token", "from": {"file": "tok"}})}
    async with serving_mcp() as server:
        planned = asking(server.url, inputs={"credentialRef": "tok"}, outputs={"n": "${{ json.n }}"})
        ran = await bench.execute(planned, credentials=credentials)
        found = ran.steps()["only"]
        assert (found.state, found.outputs["json"], found.outputs["n"]) == (OK, {"n": 8}, 8), found.error
        assert all(asked["authorization"] == "Bearer geheim-4711-token" for asked in server.headers)
        assert all(asked["host"] == f"127.0.0.1:{server.port}" for asked in server.headers)


@pytest.mark.parametrize(
    ("mode", "state", "said"),
    [
        ("break", UNKNOWN, "whether it was acted on is not known"),
        ("503", UNKNOWN, "whether it was acted on is not known"),
        ("half", UNKNOWN, "whether it was acted on is not known"),
        ("half event", UNKNOWN, "whether it was acted on is not known"),
        ("refuses", FAILED, "the server refused: not today"),
        ("refuses 400", FAILED, "the server refused: not today"),
        ("refuses event", FAILED, "the server refused: not today"),
        ("parts", UNKNOWN, "says too much"),
        ("parts event", UNKNOWN, "says too much"),
        ("moved", FAILED, "not followed"),
        ("packed", UNKNOWN, "packed"),
        ("endless", UNKNOWN, "says too much"),
    ],
)
async def test_what_a_server_may_do_by_http(bench: Bench, mode: str, state: StepState, said: str) -> None:
    async with serving_mcp(mode) as server:
        ran = await bench.execute(asking(server.url))
    found = ran.steps()["only"]
    assert (found.state, said in (found.error or "")) == (state, True), found.error


async def test_a_call_that_was_sent_and_not_answered_in_time_is_unknown(bench: Bench) -> None:
    async with serving_mcp("hang") as server:
        run = await bench.enqueue(asking(server.url))
        bench.start()
        async with asyncio.timeout(30):
            await server.calling.wait()
        await bench.cancel(run)
        assert (await bench.ended(run)).states() == {"only": UNKNOWN}


async def test_where_it_may_go(bench: Bench, tmp_path: Path) -> None:
    """An author's word may be anything but what is refused always; an expression's must lie in the pool's networks."""
    more = {"continue_on_error": True}
    async with serving_mcp() as server, serving() as other:
        ran = await bench.execute(
            asking("${{ params.url }}", "out", **more),
            asking("http://169.254.169.254/mcp", "metadata", **more),
            asking("http://[::ffff:127.0.0.1]/mcp", "mapped", **more),
            asking("http://u:p@127.0.0.1/mcp", "login", **more),
            asking("http://127.0.0.1:1/mcp", "closed", **more),
            asking(f"{other.url}/status/404", "other", **more),
            params={"url": server.url},
        )
        assert ran.states() == {
            "out": FAILED, "metadata": FAILED, "mapped": FAILED, "login": FAILED, "closed": UNREACHABLE,
            "other": FAILED,
        }  # fmt: skip
        assert "networks of the pool" in (ran.steps()["out"].error or "")
        assert not server.headers


async def test_tls_trusts_what_the_step_says(bench: Bench, tmp_path: Path) -> None:
    authority = Authority.made()
    pem = tmp_path / "server.pem"
    pem.write_text(authority.signed("127.0.0.1"))
    async with serving_mcp(ssl_certfile=str(pem), ssl_keyfile=str(pem)) as server:
        ran = await bench.execute(
            asking(server.url, inputs={"caCert": authority.pem}), asking(server.url, "public", continue_on_error=True)
        )
    assert ran.states() == {"only": OK, "public": UNREACHABLE}


# --- servers that people use -----------------------------------------------------------------------------------------


async def digest_of(bench: Bench, command: list[str], tool: str) -> str:
    """As a person gets it: by a first run that calls nothing."""
    run = await bench.enqueue(call(command, tool, f"sha256:{'0' * 64}", arguments={}))
    bench.start()
    found = re.search(r"sha256:[0-9a-f]{64}", (await bench.ended(run)).steps()["only"].error or "")
    assert found is not None
    return found[0]


async def test_the_time_server(tmp_path: Path) -> None:
    command = [str(BIN / "mcp-server-time"), "--local-timezone=UTC"]
    async with benches(tmp_path, 2) as (first, second):
        digest = await digest_of(first, command, "convert_time")
        given = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        ran = await second.execute(
            call(command, "convert_time", digest, arguments=given, outputs={"is": "${{ json.time_difference }}"}),
            call(command, "convert_time", digest, "bad", arguments={**given, "source_timezone": "Nowhere"}),
        )
    assert ran.states() == {"only": OK, "bad": FAILED}
    assert ran.steps()["only"].outputs["is"] == "+9.0h"
    assert "Nowhere" in (ran.steps()["bad"].error or "")


async def test_the_git_server(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    command = [str(BIN / "mcp-server-git"), "--repository", str(repository)]
    async with benches(tmp_path, 2) as (first, second):
        digest = await digest_of(first, command, "git_status")
        ran = await second.execute(call(command, "git_status", digest, arguments={"repo_path": str(repository)}))
    assert ran.states() == {"only": OK}
    assert "No commits yet" in ran.steps()["only"].outputs["text"]


@pytest.mark.slow
async def test_the_everything_server_over_stdio_and_http(tmp_path: Path) -> None:
    program = node_programs.module("@modelcontextprotocol/server-everything") / "dist" / "index.js"
    node = shutil.which("node")
    assert node is not None
    command = [node, str(program), "stdio"]
    sums = {"a": 2, "b": 40}
    async with benches(tmp_path, 4) as (first, second, third, fourth):
        sum_, structured = (
            await digest_of(first, command, "get-sum"),
            await digest_of(second, command, "get-structured-content"),
        )
        ran = await third.execute(
            call(command, "get-sum", sum_, "sum", arguments=sums),
            call(command, "get-structured-content", structured, "structured", arguments={"location": "New York"}),
            call(command, "get-sum", sum_, "wrong", arguments={"a": "2"}),
        )
        assert ran.states() == {"sum": OK, "structured": OK, "wrong": FAILED}
        assert "42" in ran.steps()["sum"].outputs["text"]
        assert "temperature" in ran.steps()["structured"].outputs["json"]
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        env = {**os.environ, "PORT": str(port)}
        server = await asyncio.create_subprocess_exec(
            node, str(program), "streamableHttp", env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            assert server.stderr is not None and b"listening" in await server.stderr.readline()
            inputs = {"tool": "get-sum", "digest": sum_, "arguments": sums}
            ran = await fourth.execute(asking(f"http://127.0.0.1:{port}/mcp", inputs=inputs))
            assert ran.states() == {"only": OK}, ran.steps()["only"].error
        finally:
            server.kill()
            await server.wait()


@contextlib.asynccontextmanager
async def benches(folder: Path, count: int) -> AsyncIterator[list[Bench]]:
    made = []
    for number in range(count):
        (folder / str(number)).mkdir()
        made.append(Bench(folder / str(number)))
    try:
        yield made
    finally:
        for one in made:
            await one.close()
