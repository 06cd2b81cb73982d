"""Several controllers and runners on one PostgreSQL: deaths, freezes and outages lose and double nothing."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh
from tests.chaos import evidence
from tests.chaos.fleet import Fleet
from tests.chaos.site import MAIN
from tests.postgresql import Server

pytestmark = pytest.mark.slow

WORK = {"quick": 1, "pair": 3}
HAND_OVER = 10.0
LOST = 15.0


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


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often somebody dies: two dozen, thousands with --chaos-long."""
    wanted = request.config.getoption("--chaos-long")
    return 24 if wanted is None else int(wanted)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = request.config.getoption("--chaos-seed") or 1
    print(f"--chaos-seed={seed}")
    return random.Random(seed)


def test_another_controller_leads_within_ten_seconds_after_a_kill(fleet: Fleet) -> None:
    """Up to its first status commit; and the runs of the meantime are done, each once."""
    at_work(fleet)
    took = []
    for _ in range(2):
        leader = fleet.leading()
        fleet.kill(leader)
        since = time.monotonic()
        published(fleet)
        took.append(time.monotonic() - since)
        fleet.again(leader)
        goes_on(fleet)
    fleet.rest()
    fleet.check()
    assert min(took) < HAND_OVER, "of two, since other work on this machine may hold one up"


def test_a_leader_that_stood_still_changes_nothing_when_it_goes_on(fleet: Fleet) -> None:
    """It learns that another leads, and stands by again."""
    at_work(fleet)
    leader = fleet.leading()
    one = fleet.members[leader]
    one.send(signal.SIGSTOP)
    published(fleet)
    goes_on(fleet)
    assert fleet.leading() != leader
    one.send(signal.SIGCONT)
    fleet.until_log_of(leader, "stands by")
    goes_on(fleet)
    fleet.rest()
    fleet.check()


def test_a_lost_runner_is_noticed_within_fifteen_seconds(fleet: Fleet) -> None:
    """Another takes its run, and does what may be done again."""
    at_work(fleet)
    fleet.ask("ask", jobRef="patient")
    fleet.until_begun("patient", fleet)
    with fleet.sql() as connection:
        name = connection.execute("SELECT runner FROM runs WHERE job = 'patient'").fetchone()
    assert name is not None
    held = next(one for one, daemon in fleet.members.items() if f"name={name[0]}" in daemon.log.read_text())
    since = time.monotonic()
    fleet.kill(held)
    fleet.until_true(lambda: fleet.one("SELECT attempt FROM runs WHERE job = 'patient'") == 2)
    assert time.monotonic() - since < LOST
    fleet.until_done("ask", fleet)
    fleet.rest()
    fleet.check()


def test_a_lost_runner_is_noticed_while_the_git_server_takes_no_push(fleet: Fleet) -> None:
    """The old one is dead, and the new one waits for its first push. It gives files of the repository meanwhile."""
    at_work(fleet)
    fleet.ask("ask", jobRef="patient")
    fleet.until_begun("patient", fleet)
    name = fleet.one("SELECT runner FROM runs WHERE job = 'patient'")
    held = next(one for one, daemon in fleet.members.items() if f"name={name}" in daemon.log.read_text())
    commit = evidence.repository(fleet.source).references[MAIN].target
    hook = fleet.source / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho No space left on device >&2\nexit 1\n")
    hook.chmod(0o755)
    since = time.monotonic()
    for one in (fleet.leading(), held):
        fleet.kill(one)
    with fleet.sql() as connection:
        connection.execute(
            'INSERT INTO files ("commit", folder, path, used_at, answered, size) '
            "VALUES (%s, false, 'opsconductor.yaml', extract(epoch FROM now()) * 1000000, false, 0)",
            (str(commit),),
        )
    fleet.until_true(lambda: fleet.one("SELECT attempt FROM runs WHERE job = 'patient'") == 2)
    assert time.monotonic() - since < LOST
    fleet.until_true(lambda: fleet.one("SELECT size FROM files WHERE answered") > 0)
    hook.unlink()
    fleet.until_done("ask", fleet)
    fleet.rest()
    fleet.check()


def test_a_runner_that_stands_still_for_five_seconds_loses_nothing(fleet: Fleet) -> None:
    """Nor does a leader."""
    at_work(fleet)
    for name in ("cid", "dan", fleet.leading()):
        fleet.freeze(name, 5.0 if fleet.roles[name] == "runner" else 3.0)
        goes_on(fleet)
    assert fleet.one("SELECT max(lost) FROM runs") == 0
    assert fleet.one("SELECT token FROM leadership") == 1
    fleet.rest()
    fleet.check()


def test_a_runner_that_stops_in_order_hands_over(fleet: Fleet) -> None:
    """What it cannot end in time another goes on with, and nothing counts as lost."""
    at_work(fleet)
    for name in ("cid", "dan"):
        fleet.ask(f"ask-{name}", jobRef="pair")
        one = fleet.members[name]
        one.send(signal.SIGTERM)
        assert one.wait() == 0, one.tail()
        goes_on(fleet)
        fleet.again(name)
        fleet.until_log_of(name, "this runner works")
    assert fleet.one("SELECT max(lost) FROM runs") == 0
    fleet.rest()
    fleet.check()


@pytest.mark.parametrize("at_once", [False, True], ids=["stopped", "killed"])
def test_a_database_that_is_away_for_a_while_costs_nothing(fleet: Fleet, at_once: bool) -> None:
    at_work(fleet)
    for away in (1.0, 45.0 if at_once else 8.0):
        fleet.database.stop(at_once=at_once)
        time.sleep(away)  # an outage is a length of time
        fleet.database.start()
        goes_on(fleet)
    fleet.rest()
    fleet.check()


def test_nothing_is_lost_or_done_twice_however_often_anybody_dies(
    fleet: Fleet, chance: random.Random, kills: int
) -> None:
    """kill -9 and SIGSTOP of controllers and runners at random moments of a busy site, with the database away now and
    then; each comes back."""
    at_work(fleet)
    for number in range(kills):
        fleet.ask(f"ask-{number}", jobRef=chance.choice(["pair", "wrong", "mended", "patient"]))
        time.sleep(chance.uniform(0.1, 1.5))  # a moment that nobody chose
        name = chance.choice(sorted(fleet.members))
        match chance.choice(["kill", "kill", "kill", "freeze", "outage"]):
            case "kill":
                fleet.kill(name)
                fleet.again(name)
            case "freeze":
                fleet.freeze(name, chance.uniform(0.5, 7.0))
            case "outage" if number % 4 == 0:
                fleet.database.stop(at_once=True)
                time.sleep(chance.uniform(0.1, 3.0))
                fleet.database.start()
        if number % 8 == 7:
            fleet.note()
            goes_on(fleet)
    fleet.rest()
    fleet.check()
