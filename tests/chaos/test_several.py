"""Several controllers and runners on one PostgreSQL: deaths, freezes and outages lose and double nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh
from tests.chaos import evidence
from tests.chaos.fleet import Fleet
from tests.postgresql import Server

pytestmark = pytest.mark.slow

WORK = {"quick": 1, "pair": 3}
HAND_OVER = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One whose promises hold: it writes durably."""
    found = Server(fast=False)
    found.start()
    yield found
    found.remove()


@pytest.fixture
def fleet(tmp_path: Path, ssh_server: openssh.OpenSsh, server: Server) -> Iterator[Fleet]:
    found = Fleet(tmp_path / "site", ssh_server, database=server, name=server.database())
    yield found
    found.close()
    if server.process is None:
        server.start()
    server.drop(found.name)


def tip(fleet: Fleet) -> str:
    return str(evidence.repository(fleet.source).references[evidence.STATUS].target)


def published(fleet: Fleet) -> None:
    """Until a status commit is made."""
    before = tip(fleet)
    fleet.until_branch(lambda _: tip(fleet) != before, fleet)


def goes_on(fleet: Fleet) -> None:
    """Until more runs have ended."""
    ended = fleet.seen().ended("quick")
    fleet.until_branch(lambda seen: seen.ended("quick") > ended + 2, fleet)


def at_work(fleet: Fleet) -> None:
    commit = fleet.define(every=WORK)
    fleet.controller("ann")
    fleet.controller("bob")
    fleet.runner("cid")
    fleet.runner("dan")
    fleet.until_applied(commit, fleet)
    fleet.until_branch(lambda seen: seen.ended("pair") > 0, fleet)


def test_another_controller_leads_within_ten_seconds_after_a_kill(fleet: Fleet) -> None:
    """Up to its first status commit; and the runs of the meantime are done, each once."""
    at_work(fleet)
    for _ in range(2):
        leader = fleet.leading()
        fleet.kill(leader)
        since = time.monotonic()
        published(fleet)
        assert time.monotonic() - since < HAND_OVER
        fleet.again(leader)
        goes_on(fleet)
    fleet.rest()
    fleet.check()
