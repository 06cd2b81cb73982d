"""Deaths, freezes and stops at moments that nobody chose. The seed is printed and can be given again."""

import random
import signal
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

import pytest

from tests.chaos.history import Effect
from tests.chaos.site import Daemon, Site

pytestmark = pytest.mark.slow

WORK = {"quick": 1, "pair": 3}
LEASE = 3.0
SECONDS_OF_LIFE = (0.3, 5.0)


@pytest.fixture(params=[1, 2])
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chance with a seed: two in ordinary mode, `--chaos-seed` to repeat one."""
    seed = request.config.getoption("--chaos-seed") or request.param
    print(f"--chaos-seed={seed}")
    return random.Random(seed)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """How often the process dies: 5 for each seed, thousands with --chaos-long."""
    return 5 if (wanted := request.config.getoption("--chaos-long")) is None else int(wanted)


def _working(site: Site, *, chaos: Mapping[str, str] = MappingProxyType({})) -> Daemon:
    commit = site.define(every=WORK)
    daemon = site.start(chaos=chaos)
    site.until_applied(commit, daemon)
    return daemon


def _asks(site: Site, chance: random.Random) -> Iterator[None]:
    """One more act each time, of all kinds."""
    while True:
        name = f"ask-{len(site.asked)}"
        open_runs = site.seen().open_runs()
        match chance.choice(["pair", "wrong", "mended", "long", "patient", "short", "cancel"]):
            case "cancel" if open_runs:
                site.ask(name, action="cancel", run=chance.choice(open_runs))
            case "cancel":
                site.ask(name, jobRef="quick")
            case job:
                site.ask(name, jobRef=job)
        yield


def test_nothing_is_lost_or_done_twice_however_often_the_process_dies(
    site: Site, chance: random.Random, kills: int
) -> None:
    """kill -9 at random moments of a busy site, each followed by a start."""
    daemon = _working(site)
    asks = _asks(site, chance)
    for number in range(kills):
        next(asks)
        assert not daemon.ends_within(chance.uniform(*SECONDS_OF_LIFE)), daemon.tail()
        daemon.kill()
        site.note()
        site.forget_old_processes()
        daemon = site.start()
        if number % 50 == 49:  # bounded memory: settle, look, go on
            site.settle(daemon)
            site.check()
            site.resume()
            daemon = site.start()
    site.settle(daemon)
    site.check()


def test_a_process_that_was_frozen_longer_than_a_lease_goes_on(site: Site, chance: random.Random) -> None:
    """SIGSTOP past the lease, while its steps go on: it renews before it reaps, and loses no run of its own."""
    daemon = _working(site, chaos={"LEASE": str(LEASE)})
    for number in (1, 2):
        name = f"ask-{number}"
        site.ask(name, jobRef="patient")
        site.until_effect(partial(_begun, number), daemon)
        daemon.send(signal.SIGSTOP)
        daemon.ends_within(LEASE + chance.uniform(0.5, 1.5))
        daemon.send(signal.SIGCONT)
        site.until_done(name, daemon)
        run = (site.seen().act(name) or {})["run"]
        found = dict(site.seen().runs())[run]["status"]
        assert (found["state"], found["attempt"]) == ("succeeded", 1)
        site.note()
    site.settle(daemon)
    site.check()


def _begun(number: int, effects: list[Effect]) -> bool:
    """Whether so many runs of `patient` have begun."""
    return len({effect.run for effect in effects if effect.run.startswith("patient-2")}) == number


def test_sigterm_in_the_middle_of_work_loses_nothing(site: Site, chance: random.Random) -> None:
    """Each time a drained stop, with more work than the grace time allows, then a start."""
    daemon = _working(site)
    site.stop(daemon)
    asks = _asks(site, chance)
    for _ in range(3):
        daemon = site.start(grace="1s")
        site.until_branch(lambda seen: seen.owned, daemon)
        next(asks)
        assert not daemon.ends_within(chance.uniform(0.1, 4.0)), daemon.tail()
        site.stop(daemon)
        site.note()
    site.settle(site.start())
    site.check()


def test_a_second_sigterm_stops_at_once_and_loses_nothing(site: Site) -> None:
    """What ran is called unknown, or repeated by consent."""
    daemon = _working(site)
    site.ask("ask-long", jobRef="long")
    site.ask("ask-pair", jobRef="pair")
    site.until_begun("long", daemon)
    daemon.send(signal.SIGTERM)
    assert not daemon.ends_within(0.5)
    daemon.send(signal.SIGTERM)
    assert daemon.wait(5) == 143
    site.note()
    site.settle(site.start())
    site.check()


def test_a_second_process_on_the_same_state_exits_and_disturbs_nothing(site: Site) -> None:
    """It names the folder and the process that uses it."""
    daemon = _working(site)
    second = site.start()
    assert second.wait() == 1
    assert str(site.state) in second.tail()
    assert str(daemon.pid) in second.tail()
    site.settle(daemon)
    site.check()


def test_a_second_process_on_another_state_exits_and_names_the_owner(site: Site) -> None:
    """The status branch has one owner; the other starts nothing."""
    daemon = _working(site)
    second = site.start(state=site.folder / "other-state")
    assert second.wait() == 1
    assert "belongs to engine" in second.tail()
    site.settle(daemon)
    site.check()


def test_a_deleted_status_branch_is_written_again_from_the_store(site: Site) -> None:
    """Also while the engine is killed in between."""
    daemon = _working(site)
    site.until_branch(lambda seen: seen.ended("quick") > 1, daemon)
    daemon.kill()
    site.note()
    site.delete_branch("refs/heads/opsconductor/status")
    daemon = site.start()
    site.until_branch(lambda seen: seen.ended("quick") > 1, daemon)
    site.delete_branch("refs/heads/opsconductor/status")
    site.settle(daemon)
    site.check()


@pytest.mark.parametrize("drained", [True, False], ids=["after-a-drained-stop", "after-a-kill"])
def test_a_deleted_store_is_rebuilt_and_nothing_fires_twice(site: Site, drained: bool) -> None:
    """After a drained stop nothing is lost; after a kill what cannot be proven is said."""
    daemon = _working(site)
    site.ask("ask-pair", jobRef="pair")
    site.until_branch(lambda seen: seen.ended("pair") > 0 and seen.ended("quick") > 2, daemon)
    if drained:
        site.stop(daemon)
        site.ask("ask-meanwhile", jobRef="wrong")
    else:
        daemon.kill()
    site.lose_the_store(drained=drained)
    site.settle(site.start())
    site.check()
