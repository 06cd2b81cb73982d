"""Trying connections against real servers: who answers, and why the others do not."""

import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from engine.runs.trials import trials
from opsconductor.trying import Progress, as_junit
from runners.connections import Limits
from runners.connections.local import Guardian, LocalHost, LocalSettings
from runners.connections.ways import Settings, Ways
from runners.secrets import Secrets
from runners.trying import Tried, tried
from tests.httpserver import Authority, serving
from tests.openssh import OpenSsh, openssh
from tests.planned import tree

__all__ = ["openssh"]


@pytest_asyncio.fixture
async def ways(tmp_path: Path) -> AsyncIterator[Ways]:
    guardian = Guardian(tmp_path / "lock")
    made = Ways(Settings(replace(Limits(), connect=3), LocalHost(LocalSettings(), guardian)))
    yield made
    await made.close()
    await guardian.close()


def target(name: str, connections: str) -> str:
    return f"kind: Target\nmetadata: {{name: {name}}}\nspec:\n  host: 127.0.0.1\n  connections: {{{connections}}}\n"


def given(name: str, kind: str) -> str:
    spec = f"{{type: {kind}, allowedFor: {{}}, from: {{file: {name}}}}}"
    return f"kind: Credential\nmetadata: {{name: {name}}}\nspec: {spec}\n"


async def test_each_connection_is_logged_in_to(openssh: OpenSsh, ways: Ways, tmp_path: Path) -> None:
    authority = Authority.made()
    (tmp_path / "server.pem").write_text(authority.signed("127.0.0.1"))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text(openssh.private_key)
    (tmp_path / "secrets" / "token").write_text("geheim-4711-token")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.pem")
    key = " ".join(openssh.host_key.split()[:2])
    wrong = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    ssh = f"port: {openssh.port}, user: {openssh.user}, credentialRef: key"
    async with serving(context) as server:
        compiled = tree(
            given("key", "ssh"),
            given("token", "token"),
            given("none", "ssh"),
            target("both", f"ssh: {{{ssh}, hostKeys: ['{key}']}}, local: {{}}"),
            target("false-key", f"ssh: {{{ssh}, hostKeys: ['{wrong}']}}"),
            target("closed", f"ssh: {{port: 1, user: a, credentialRef: key, hostKeys: ['{key}']}}"),
            target("sealed", f"ssh: {{port: {openssh.port}, credentialRef: none, user: a, hostKeys: ['{key}']}}"),
            target("api", f"http: {{baseUrl: '{server.url}/v1', credentialRef: token, caCert: ca.pem}}"),
            target("no-trust", f"http: {{baseUrl: '{server.url}/v1'}}"),
            target("shut", f"http: {{baseUrl: '{server.url}/status/401', caCert: ca.pem}}"),
        )
        assert compiled.catalog is not None, compiled.findings
        found = await tried(
            trials(compiled.catalog, None),
            ways,
            Secrets(tmp_path / "secrets", {}),
            {"ca.pem": authority.pem.encode()}.__getitem__,
        )
        asked = server.asked
    by_place = {(one.target, one.connection): one for one in found}
    assert [place for place, one in by_place.items() if one.good] == [
        ("api", "http"),
        ("both", "ssh"),
        ("both", "local"),
    ]
    assert by_place["both", "ssh"].said.startswith("Linux ")
    assert by_place["api", "http"].said == "status 200"
    assert "host key" in by_place["false-key", "ssh"].said.lower()
    assert "no file 'none'" in by_place["sealed", "ssh"].said
    assert by_place["shut", "http"].said == "status 401: it takes no such login"
    assert "certificate" in by_place["no-trust", "http"].said.lower()
    assert [one.headers.get("authorization") for one in asked if one.path == "/v1"] == ["Bearer geheim-4711-token"]
    assert not any("geheim" in one.said for one in found)


@pytest.mark.parametrize(
    ("total", "live", "lines", "last"),
    [
        (3, True, 3, "[3/3] web-2 ssh failed: no"),
        (3, False, 0, None),
        (250, False, 10, "250 of 250 connections tried"),
        (25, False, 10, "25 of 25 connections tried"),
    ],
)
def test_progress_is_told_to_who_waits(total: int, live: bool, lines: int, last: str | None) -> None:
    said: list[str] = []
    progress = Progress(total, said.append, live=live)
    for number in range(total):
        progress(Tried(f"web-{number}", "ssh", number % 2 == 1, "no", 0.1))
    assert (len(said), said[-1] if said else None) == (lines, last)


def test_junit_takes_whatever_a_server_says() -> None:
    text = as_junit([Tried("a", "ssh", False, "no \x1b[0m & <way>", 0.25), Tried("a", "local", True, "Linux", 0.1)])
    assert '<testsuite name="a" tests="2" failures="1">' in text
    assert 'message="no  [0m &amp; &lt;way&gt;"' in text
