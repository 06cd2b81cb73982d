"""Deaths by the hundred, on both stores: lives of moments, of a program that is forked instead of loaded.

Most end while it starts, opens the journal or takes up what the one before it left, which longer lives seldom meet.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh
from tests.chaos.fleet import Fleet
from tests.chaos.nursery import Nursery
from tests.chaos.site import Site
from tests.postgresql import Server

pytestmark = pytest.mark.slow

WORK = {"quick": 1, "pair": 3}
ACTS = ("pair", "wrong", "mended", "patient", "short")
TO_BE_CHECKED = 50
"""After so many deaths the site comes to rest, is checked, and goes on: what is on record stays readable."""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery(CHAOS_PUBLISH_EVERY="0.3")
    yield found
    found.close()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """`--chaos-seed` to repeat one."""
    seed = request.config.getoption("--chaos-seed") or 1
    print(f"--chaos-seed={seed}")
    return random.Random(seed)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often a process dies: 150 on each store, thousands with --chaos-long."""
    wanted = request.config.getoption("--chaos-long")
    return 150 if wanted is None else int(wanted)


@pytest.fixture
def fleet(tmp_path: Path, ssh_server: openssh.OpenSsh) -> Iterator[Fleet]:
    server = Server(fast=False)  # its promises hold: it writes durably
    server.start()
    found = Fleet(tmp_path / "site", ssh_server, database=server, name=server.database())
    yield found
    found.close()
    server.remove()


def moment(chance: random.Random) -> float:
    """Seconds of a life: one in five gets to work."""
    return chance.uniform(0.5, 2.0) if chance.random() < 0.2 else chance.uniform(0.0, 0.5)


def asks(site: Site, chance: random.Random, number: int) -> None:
    if number % 4 == 0:
        site.ask(f"ask-{len(site.asked)}", jobRef=chance.choice(ACTS))


def test_nothing_is_lost_or_done_twice_by_one_that_hardly_lives(
    site: Site, nursery: Nursery, chance: random.Random, kills: int
) -> None:
    """kill -9 of all there is, again and again, on SQLite."""
    site.hurried, site.nursery = True, nursery
    commit = site.define(every=WORK)
    daemon = site.start()
    site.until_applied(commit, daemon)
    for number in range(1, kills + 1):
        asks(site, chance, number)
        assert not daemon.ends_within(moment(chance)), daemon.tail()
        daemon.kill()
        site.note()
        site.forget_old_processes()
        daemon = site.start()
        if number % TO_BE_CHECKED == 0:
            site.settle(daemon)
            site.check()
            site.resume()
            daemon = site.start()
    site.settle(daemon)
    site.check()


def test_nothing_is_lost_or_done_twice_where_somebody_dies_every_moment(
    fleet: Fleet, nursery: Nursery, chance: random.Random, kills: int
) -> None:
    """kill -9 of two controllers and two runners on PostgreSQL; each comes back at once."""
    fleet.nursery = nursery
    commit = fleet.define(every=WORK)
    for name in ("ann", "bob"):
        fleet.controller(name)
    for name in ("cid", "dan"):
        fleet.runner(name)
    fleet.until_applied(commit, fleet)
    for number in range(1, kills + 1):
        asks(fleet, chance, number)
        name = chance.choice(sorted(fleet.members))
        assert not fleet.members[name].ends_within(moment(chance)), fleet.tail()
        fleet.kill(name)
        fleet.again(name)
        if number % TO_BE_CHECKED == 0:
            fleet.note()
            ended = fleet.seen().ended("quick")
            fleet.until_branch(lambda seen, ended=ended: seen.ended("quick") > ended, fleet)  # type: ignore[misc]
    fleet.rest()
    fleet.check()
