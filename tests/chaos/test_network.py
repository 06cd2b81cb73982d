"""The network between processes and their database is cut, and neither side is told: nothing is lost or done twice."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh
from tests.chaos.fleet import Fleet
from tests.chaos.test_several import at_work, goes_on, published
from tests.lab import Host, Lab, lab
from tests.postgresql import OWNER, Server

pytestmark = pytest.mark.slow

ADDRESS = "10.77.0.1"


@pytest.fixture
def network() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture
def server(network: Lab) -> Iterator[Server]:
    """It is on the network, and on a socket for the tests."""
    found = Server(fast=False, within=network.within, settings=(f"listen_addresses={ADDRESS}",))
    with (found.data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    found.start()
    yield found
    found.remove()


@pytest.fixture
def fleet(tmp_path: Path, ssh_server: openssh.OpenSsh, network: Lab, server: Server) -> Iterator[Fleet]:
    """Each process is on a host of its own. All reach the targets, also where they do not reach it."""
    name = server.database()
    found = Fleet(tmp_path / "site", ssh_server, database=server, name=name)
    found.address = f"postgresql://{OWNER}@{ADDRESS}/{name}"
    with contextlib.ExitStack() as stack:
        stack.callback(found.close)
        for number, member in enumerate(("ann", "bob", "cid", "dan")):
            host = network.host(f"10.77.0.{10 + number}")
            found.places[member] = host
            sshd = [*host.within, openssh.SSHD, "-D", "-f", str(ssh_server.folder / "sshd_config")]
            target = subprocess.Popen(sshd, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(target.wait)
            stack.callback(target.kill)
        yield found


def host_of(fleet: Fleet, name: str) -> Host:
    host = fleet.places[name]
    assert isinstance(host, Host)
    return host


def test_a_network_that_is_cut_costs_nothing(fleet: Fleet, network: Lab) -> None:
    """A runner's, and the leader's: each is followed by another in time, and goes on in its place when it is mended."""
    at_work(fleet)
    fleet.ask("ask", jobRef="patient")
    fleet.until_begun("patient", fleet)
    runner = fleet.one("SELECT runner FROM runs WHERE job = 'patient'")
    held = next(one for one, daemon in fleet.members.items() if f"name={runner}" in daemon.log.read_text())
    network.cut(host_of(fleet, held))
    fleet.until_true(lambda: fleet.one("SELECT attempt FROM runs WHERE job = 'patient'") == 2)
    fleet.until_done("ask", fleet)
    fleet.note()
    network.mend(host_of(fleet, held))
    again = f"SELECT shown_until > extract(epoch FROM clock_timestamp()) FROM runners WHERE name = '{runner}'"
    fleet.until_true(lambda: fleet.one(again) is True)
    goes_on(fleet)

    leader = fleet.leading()
    network.cut(host_of(fleet, leader))
    since = time.monotonic()
    fleet.until_true(lambda: fleet.one("SELECT token FROM leadership") == 2)
    assert time.monotonic() - since < 15, "a lease, and a round of who looks"
    published(fleet)
    goes_on(fleet)
    network.mend(host_of(fleet, leader))
    fleet.until_log_of(leader, "stands by")
    fleet.rest()
    fleet.check()
