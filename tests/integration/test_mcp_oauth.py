"""`mcp.call` with OAuth client credentials: an MCP server that wants tokens, and who gives them."""

import asyncio
import base64
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.runs.pinned import PlannedStep, Use
from engine.states import StepState
from runners.mcp.tool import Tool
from schemas.credential import CredentialSpec
from tests.httpserver import Authority
from tests.running import Bench, Ran, bench

__all__ = ["bench"]

OK, FAILED, UNREACHABLE = StepState.SUCCEEDED, StepState.FAILED, StepState.UNREACHABLE
SECRET = "a-client-secret/+%"
TOKEN = "an-access-token-4711"


class Said(BaseModel):
    text: str


@dataclass
class AuthorizationServer:
    """Gives tokens for client credentials. What it says of itself can be made wrong."""

    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The Basic logins and the forms of those who asked for a token."""
    claims: dict[str, Any] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def app(self) -> Starlette:
        return Starlette(routes=[
            Route("/.well-known/oauth-authorization-server", self._about),
            Route("/token", self._token, methods=["POST"]),
        ])  # fmt: skip

    async def _about(self, request: Request) -> Response:
        return JSONResponse({
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "response_types_supported": ["code"],
            "grant_types_supported": ["client_credentials"], **self.claims,
        })  # fmt: skip

    async def _token(self, request: Request) -> Response:
        login = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        self.asked.append((login, {name: str(value) for name, value in (await request.form()).items()}))
        if login != "opsconductor:a-client-secret%2F%2B%25":  # both parts are encoded as a form is (RFC 6749, 2.3.1)
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300})


class _Verifier:
    async def verify_token(self, token: str) -> AccessToken | None:
        if token != TOKEN:
            return None
        return AccessToken(token=token, client_id="opsconductor", scopes=[], expires_at=int(time.time()) + 300)


@contextlib.asynccontextmanager
async def served(app: Any, listening: socket.socket, pem: Path) -> AsyncIterator[None]:
    config = uvicorn.Config(app, log_level="critical", ssl_certfile=str(pem), ssl_keyfile=str(pem))
    runs = uvicorn.Server(config)
    runs.install_signal_handlers = lambda: None  # type: ignore[method-assign, attr-defined]
    task = asyncio.create_task(runs.serve(sockets=[listening]))
    while not runs.started:
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        runs.should_exit = runs.force_exit = True
        await task


@dataclass
class Place:
    """Both servers, and a bench that runs steps against them."""

    bench: Bench
    authority: Authority
    login: AuthorizationServer
    url: str

    async def call(self, *, secret: str = SECRET, **inputs: Any) -> Ran:
        (self.bench.secrets / "client").write_text(secret)
        spec = {"type": "password", "username": "opsconductor", "from": {"file": "client"}}
        given = {
            "url": self.url, "issuer": self.login.issuer, "credentialRef": "client", "caCert": self.authority.pem,
            "tool": "say", "digest": DIGEST, "arguments": {"text": f"I am {TOKEN}"}, **inputs,
        }  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        step = PlannedStep("only", "steps", Use("mcp.call", given))
        return await self.bench.execute(step, credentials={"client": CredentialSpec.model_validate(spec)})


def _tool() -> MCPServer:
    server = MCPServer("says", log_level="CRITICAL")
    server.tool()(say)
    return server


def say(text: str) -> Said:
    return Said(text=text)


(_SAY,) = asyncio.run(_tool().list_tools())
DIGEST = Tool(_SAY.name, _SAY.input_schema, _SAY.output_schema).digest


@pytest.fixture
async def place(bench: Bench, tmp_path: Path) -> AsyncIterator[Place]:
    authority, pem = Authority.made(), tmp_path / "server.pem"
    pem.write_text(authority.signed("127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        login = AuthorizationServer(one.getsockname()[1])
        url = f"https://127.0.0.1:{other.getsockname()[1]}/mcp"
        settings = AuthSettings.model_validate(
            {"issuer_url": login.issuer, "resource_server_url": url, "validate_token_resource": False}
        )
        server = MCPServer("says", log_level="CRITICAL", auth=settings, token_verifier=_Verifier())
        server.tool()(say)
        async with served(login.app(), one, pem), served(server.streamable_http_app(), other, pem):
            yield Place(bench, authority, login, url)


async def test_a_tool_is_called_with_a_token_that_the_issuer_gave(place: Place) -> None:
    ran = await place.call()

    found = ran.steps()["only"]
    assert found.state == OK, found.error
    ((_, form),) = place.login.asked
    assert form["grant_type"] == "client_credentials"
    assert form["resource"] == place.url
    assert found.outputs["json"]["text"].startswith("I am "), found.outputs
    assert TOKEN not in str(found.outputs), "a token that came up on the way is masked"


async def test_a_wrong_secret_is_said_and_not_shown(place: Place) -> None:
    found = (await place.call(secret="another-secret")).steps()["only"]
    assert found.state == FAILED
    assert "invalid_client" in (found.error or "")
    assert "another-secret" not in (found.error or "")


async def test_the_secret_goes_to_nobody_but_the_issuer_that_the_step_names(place: Place) -> None:
    """The MCP server leads to an authorization server of its own choice."""
    found = (await place.call(issuer="https://login.example.org")).steps()["only"]
    assert found.state == FAILED
    assert "issuer" in (found.error or "")
    assert place.login.asked == []


async def test_no_secret_travels_in_plain_text(place: Place) -> None:
    place.login.claims["token_endpoint"] = f"http://127.0.0.1:{place.login.port}/token"
    found = (await place.call()).steps()["only"]
    assert (found.state, found.error) == (FAILED, "a secret is sent to an authorization server over https only")
    assert place.login.asked == []


async def test_a_token_endpoint_may_not_lie_where_no_request_may_go(place: Place) -> None:
    place.login.claims["token_endpoint"] = "https://169.254.169.254/token"
    found = (await place.call()).steps()["only"]
    assert found.state == FAILED
    assert "169.254.169.254 is refused" in (found.error or "")


async def test_a_password_needs_an_issuer_and_an_issuer_a_password(place: Place) -> None:
    found = (await place.call(issuer=None)).steps()["only"]
    assert (found.state, "name the 'issuer'" in (found.error or "")) == (FAILED, True), found.error
