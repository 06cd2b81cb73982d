"""`nmap.scan` by the real nmap, against real services on loopback."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from engine.runs.pinned import PinnedTarget, PlannedStep, Use
from engine.states import StepState
from runners.connections.local import LocalSettings
from tests.httpserver import HttpServer, serving
from tests.running import Bench, bench, lives

__all__ = ["bench"]

OK, FAILED, TIMED_OUT = StepState.SUCCEEDED, StepState.FAILED, StepState.TIMED_OUT
LOOPBACK = ("127.0.0.0/8", "::1/128")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with serving() as made:
        yield made


def scan(step_id: str = "only", /, more: dict[str, Any] | None = None, **inputs: Any) -> PlannedStep:
    return PlannedStep(step_id, "steps", Use("nmap.scan", inputs), **(more or {}))


async def test_open_ports_are_what_later_steps_read(bench: Bench, server: HttpServer) -> None:
    """A refused port is an answer as well: the host is there, and the port is not in the list."""
    found = f"${{{{ '127.0.0.1:{server.port}' in steps.only.outputs.open && size(steps.only.outputs.hosts) == 1 }}}}"
    ran = await bench.execute(
        scan(hosts=["localhost"], ports=[1, server.port], more={"outputs": {"first": "${{ json.hosts[0].address }}"}}),
        PlannedStep("check", "steps", Use("assert", {"that": found})),
        networks=LOOPBACK,
    )
    assert ran.states() == {"only": OK, "check": OK}, ran.steps()
    outputs = ran.steps()["only"].outputs
    assert (outputs["first"], outputs["count"]) == ("127.0.0.1", 1)
    (host,) = outputs["hosts"]
    assert (host["name"], host["ports"]) == ("localhost", [server.port])


async def test_a_network_and_the_targets_own_host(bench: Bench, server: HttpServer) -> None:
    """Of a network the hosts that answer; a target's host needs no network of the pool."""
    here = PinnedTarget("here", host="127.0.0.1")
    ran = await bench.execute(scan(ports=[server.port]), targets=(here,))
    assert ran.steps()["only"].outputs["open"] == [f"127.0.0.1:{server.port}"]


@pytest.mark.slow
async def test_services_are_asked_what_they_are(bench: Bench) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        ran = await bench.execute(
            scan(hosts=["127.0.0.0/28"], ports=[port], serviceDetection=True, profile="fast"), networks=LOOPBACK
        )
    hosts = {host["address"]: host for host in ran.steps()["only"].outputs["hosts"]}
    (service,) = hosts["127.0.0.1"]["services"]
    assert (service["service"], service["product"], service["version"][:5]) == ("ssh", "OpenSSH", "9.2p1")


@pytest.mark.slow
async def test_a_port_that_sends_without_an_end_holds_no_scan_up(bench: Bench) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1000)
            writer.write(b"HTTP/1.1 401 x\r\nServer: Microsoft-HTTPAPI/2.0\r\nWWW-Authenticate: Negotiate\r\n")
            while True:
                writer.write(b"X: " + b"a" * 60_000 + b"\r\n")
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with asyncio.timeout(120):
        ran = await bench.execute(
            scan(hosts=["127.0.0.1"], ports=[port], serviceDetection=True, profile="fast"), networks=LOOPBACK
        )
    listening.close()
    assert ran.states() == {"only": OK}
    assert ran.steps()["only"].outputs["open"] == [f"127.0.0.1:{port}"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"hosts": ["10.9.9.9"]}, "not within the networks of the pool"),
        ({"hosts": ["169.254.169.254"]}, "never scanned"),
        ({"hosts": ["-iL/etc/passwd"]}, "no address"),
        ({"hosts": ["-oN"]}, "has no address"),
        ({"hosts": ["no-such-name.invalid"]}, "has no address"),
        ({"hosts": ["${{ params.host }}"]}, "not within the networks"),
        ({"hosts": ["127.0.0.1; id"]}, "does not match"),
        ({}, "no target with a host"),
        ({"hosts": ["127.0.0.1"], "ports": ["9-1"]}, "no range of ports"),
    ],
)
async def test_what_is_not_scanned(bench: Bench, inputs: dict[str, Any], said: str) -> None:
    ran = await bench.execute(scan(**inputs), networks=LOOPBACK, params={"host": "192.0.2.1"})
    found = ran.steps()["only"]
    state = StepState.UNREACHABLE if said == "has no address" else FAILED
    assert (found.state, said in (found.error or "")) == (state, True), found.error


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (LocalSettings(restricted=True), "restricted"),
        (LocalSettings(env={"PATH": "/nowhere"}), "has no program 'nmap' in its PATH (/nowhere); install it there"),
    ],
)
async def test_a_runner_that_cannot(bench: Bench, settings: LocalSettings, said: str) -> None:
    run = await bench.enqueue(scan(hosts=["127.0.0.1"]), networks=LOOPBACK)
    bench.start(local=settings)
    assert said in ((await bench.ended(run)).steps()["only"].error or "")


@pytest.mark.parametrize(
    ("program", "state", "said"),
    [
        ("echo '<nmaprun>'; echo 'it broke' >&2; exit 1", FAILED, "nmap: it broke"),
        ("echo '<!DOCTYPE nmaprun [<!ENTITY a \"b\">]><nmaprun>&a;</nmaprun>'", FAILED, "document type"),
        ("yes '<nmaprun>'", FAILED, "deeper than nmap writes"),
        ("exit 0", FAILED, "no whole XML"),
        ("echo $$ >$0.pid; exec sleep 3600", TIMED_OUT, "time limit"),
    ],
)
async def test_whatever_it_reports_there_is_one_outcome(
    bench: Bench, tmp_path: Path, program: str, state: StepState, said: str
) -> None:
    """A program in nmap's place; at a time limit its process is ended."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "nmap").write_text(f"#!/bin/sh\n{program}\n")
    (folder / "nmap").chmod(0o755)
    limit = {"timeout": timedelta(seconds=1)} if state is TIMED_OUT else {}
    run = await bench.enqueue(scan(hosts=["127.0.0.1"], more=limit), networks=LOOPBACK)
    bench.start(local=LocalSettings(env={"PATH": f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin"}))
    found = (await bench.ended(run)).steps()["only"]
    assert (found.state, said in (found.error or "")) == (state, True), found.error
    if state is TIMED_OUT:
        assert not lives(int((folder / "nmap.pid").read_text()))
