"""Inventories read by a run, from the plan of a Discovery to what is kept of it: real programs, HTTP and sshd."""

import json
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from engine.discovery import seen
from engine.discovery.seen import Scan
from engine.runs.planning import Planned
from engine.runs.refused import PlanRefused
from engine.runs.scanplan import plan_scan
from engine.states import StepState
from journal import discoveries
from tests.catalogs import catalog
from tests.httpserver import Authority, HttpServer, serving
from tests.openssh import OpenSsh, openssh
from tests.running import Bench, Ran, bench, lives

__all__ = ["bench", "openssh"]
OK, FAILED, UNREACHABLE = StepState.SUCCEEDED, StepState.FAILED, StepState.UNREACHABLE
LOOPBACK = "kind: RunnerPool\nmetadata: {name: default}\nspec: {networks: [127.0.0.0/8]}\n"
TOKEN = "kind: Credential\nmetadata: {name: cmdb}\nspec: {type: token, from: {file: cmdb}}\n"
CANARY = "canary-of-a-password"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


def planned(source: dict[str, Any], *documents: str, **spec: Any) -> Planned | PlanRefused:
    text = f"kind: Discovery\nmetadata: {{name: cloud}}\nspec: {json.dumps({'from': source, **spec})}\n"
    made = catalog(text, *documents)
    return plan_scan(made, made.discoveries["cloud"])


async def enqueued(bench: Bench, source: dict[str, Any], *documents: str) -> Any:
    plan = planned(source, *documents)
    assert isinstance(plan, Planned), plan
    pinned = plan.spec
    return await bench.enqueue(
        *pinned.steps, networks=pinned.networks, credentials=pinned.credentials, discovery="cloud"
    )


async def read(bench: Bench, source: dict[str, Any], *documents: str) -> Ran:
    run = await enqueued(bench, source, *documents)
    bench.start()
    return await bench.ended(run)


async def kept(bench: Bench) -> Scan | None:
    row = await bench.journal.read(lambda conn: discoveries.get(conn, "cloud"))
    return None if row is None else seen.from_json(row.scan)


def program(bench: Bench, text: str) -> list[str]:
    file = bench.folder / "inventory"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return [str(file), "--list"]


async def test_a_program_is_read_and_its_hosts_are_asked_who_they_are(bench: Bench, openssh: OpenSsh) -> None:
    inventory = {
        "_meta": {
            "hostvars": {
                "web-01": {"ansible_host": "127.0.0.1", "ansible_port": openssh.port, "region": "eu", "pw": CANARY},
                "away": {"ansible_host": "192.0.2.7"},
                "closed": {"ansible_host": "127.0.0.1", "ansible_port": 1},
            }
        },
        "web": {"hosts": ["web-01", "away", "closed"], "vars": {"ansible_user": "ops"}},
    }
    command = program(
        bench,
        f"test \"$1\" = --list || exit 9\necho {CANARY[:6]}-on-stderr >&2\ncat <<'END'\n{json.dumps(inventory)}\nEND",
    )
    ran = await read(bench, {"command": command, "vars": ["region"]}, LOOPBACK)
    assert ran.states() == {"scan": OK}, ran.steps()
    assert ran.steps()["scan"].outputs == {"hosts": 3, "leftOut": 0}
    scan = await kept(bench)
    assert scan is not None
    assert (scan.listing, scan.discovery, scan.addresses) == (True, "cloud", 3)
    hosts = {host.id: host for host in scan.hosts}
    listed = hosts["web-01"].listed
    assert listed is not None
    assert (listed.groups, listed.vars, listed.user) == (("web",), {"region": "eu"}, "ops")
    assert " ".join(openssh.host_key.split()[:2]) in hosts["web-01"].keys
    assert not hosts["away"].answers
    assert not hosts["closed"].answers
    written = b"".join(
        file.read_bytes() for file in bench.folder.rglob("*") if file.is_file() and file.name != "inventory"
    )
    assert CANARY.encode() not in written, "no variable leaves the runner that the Discovery does not name"
    assert b"not within the networks of the pool" in written
    assert b"closed: does not answer" in written


async def test_a_server_is_asked_with_its_credential(bench: Bench, server: HttpServer) -> None:
    (bench.secrets / "cmdb").write_text("a-long-token")
    server.says["/inventory"] = b'{"web": {"hosts": ["web-01.example.org"]}}'
    source = {"http": {"url": f"{server.url}/inventory", "credentialRef": "cmdb"}}
    ran = await read(bench, source, TOKEN)
    assert ran.states() == {"scan": OK}, ran.steps()
    (asked,) = server.asked
    assert (asked.method, asked.headers["authorization"]) == ("GET", "Bearer a-long-token")
    assert asked.headers["accept"] == "application/json"
    scan = await kept(bench)
    assert scan is not None
    assert [host.address for host in scan.hosts] == ["web-01.example.org"]


async def test_a_server_is_trusted_by_the_certificate_that_the_document_names(bench: Bench) -> None:
    authority = Authority.made()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem = bench.folder / "server.pem"
    pem.write_text(authority.signed("127.0.0.1"))
    tls.load_cert_chain(pem)
    (bench.files / "ca.pem").write_text(authority.pem)
    async with serving(tls) as server:
        server.says["/"] = b"{}"
        ran = await read(bench, {"http": {"url": f"{server.url}/", "caCert": authority.pem}})
        assert ran.states() == {"scan": OK}, ran.steps()
    scan = await kept(bench)
    assert scan is not None
    assert scan.hosts == ()


@pytest.mark.parametrize(
    ("path", "state", "said"),
    [
        ("/status/404", FAILED, "status 404"),
        ("/echo", FAILED, "group 'method' is no mapping"),
        ("/big/17000000", FAILED, "longer than"),
        ("/break", FAILED, "broke before"),
        ("/to/http://169.254.169.254/latest", FAILED, "never talked to"),
        ("/to/http://10.9.9.9/", FAILED, "not within the networks of the pool"),
        ("/to/file:///etc/passwd", FAILED, "no absolute URL of http"),
    ],
)
async def test_what_a_server_says_that_is_no_inventory(
    bench: Bench, server: HttpServer, path: str, state: StepState, said: str
) -> None:
    ran = await read(bench, {"http": {"url": f"{server.url}{path}"}})
    found = ran.steps()["scan"]
    assert (found.state, said in (found.error or "")) == (state, True), found.error
    assert await kept(bench) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("exit 3", "exit code 3"),
        ("echo no json", "no JSON"),
        ("true", "it is empty"),
        ("yes", "more than 16 MiB"),
        ("kill -9 $$", "137"),
    ],
)
async def test_what_a_program_prints_that_is_no_inventory(bench: Bench, text: str, said: str) -> None:
    ran = await read(bench, {"command": program(bench, text)})
    found = ran.steps()["scan"]
    assert (found.state, said in (found.error or "")) == (FAILED, True), found.error
    assert await kept(bench) is None


async def test_a_program_that_does_not_end_is_ended_with_all_it_started(bench: Bench) -> None:
    pipe = bench.pipe("pids")
    run = await enqueued(bench, {"command": program(bench, f"sleep 600 & echo $! >{pipe}; echo $$ >{pipe}; wait")})
    bench.start()
    pids = await pipe.pids(2)
    await bench.cancel(run)
    ran = await bench.ended(run)
    assert ran.steps()["scan"].state is StepState.CANCELLED, ran.steps()
    assert not any(map(lives, pids))


async def test_a_server_that_never_answers_is_left(bench: Bench, server: HttpServer) -> None:
    run = await enqueued(bench, {"http": {"url": f"{server.url}/hang"}})
    bench.start()
    await server.arrived.wait()
    await bench.cancel(run)
    assert (await bench.ended(run)).steps()["scan"].state is StepState.CANCELLED


async def test_nobody_listens(bench: Bench) -> None:
    ran = await read(bench, {"http": {"url": "http://127.0.0.1:1/"}})
    assert ran.steps()["scan"].state is UNREACHABLE


def test_the_time_limit_is_that_of_the_discovery() -> None:
    plan = planned({"command": ["x"]}, timeout="90s")
    assert isinstance(plan, Planned)
    assert plan.spec.timeout == timedelta(seconds=90)
