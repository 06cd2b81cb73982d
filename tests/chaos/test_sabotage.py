"""The suite would notice: without the fence, the unique cause key or the durable start, the checker reports it.

Each test plays the same with the safeguard, and then nothing is reported.
"""

import signal
from collections.abc import Mapping

import pytest

from tests.chaos import evidence, history
from tests.chaos.second import DECIDING
from tests.chaos.site import Daemon, Site

LEASE = "3"
WITH_AND_WITHOUT = pytest.mark.parametrize("sabotaged", [True, False], ids=["without", "with"])


def _second(site: Site, *mode: str, chaos: Mapping[str, str]) -> Daemon:
    environment = {f"CHAOS_{name}": value for name, value in chaos.items()}
    places = {
        "store": site.store,
        "folder": site.folder / "second",
        "secrets": site.secrets,
        "source": site.source,
    }
    named = [text for name, path in places.items() for text in (f"--{name}", str(path))]
    return site.run("tests.chaos.second", *named, *mode, **environment)


def _reported(site: Site, *, sabotaged: bool, as_: tuple[str, ...]) -> None:
    """The checker reports what the missing safeguard allows; with the safeguard it reports nothing."""
    if not sabotaged:
        site.check()
        return
    found = history.violations(site.history())
    for text in as_:
        assert any(text in one for one in found), history.told(found)


@pytest.mark.slow
@WITH_AND_WITHOUT
def test_the_fence_keeps_a_thawed_runner_from_changing_what_was_settled(site: Site, sabotaged: bool) -> None:
    """A runner is frozen past its lease, another takes its run over and ends it, and then the first one thaws."""
    chaos = {"LEASE": LEASE, **({"SABOTAGE": "fence"} if sabotaged else {})}
    commit = site.define()
    first = site.start(chaos=chaos)
    site.until_applied(commit, first)
    site.ask("ask-patient", jobRef="patient")
    site.until_begun("patient", first)
    site.until_branch(lambda seen: len(list(seen.runs())) == 1, first)
    run = site.seen().open_runs()[0]
    site.freeze_between_writes(first)
    second = _second(site, "runner", run, chaos=chaos)
    assert second.wait() == 0, second.tail()
    site.notes.append(evidence.living_journal(site.store))
    first.send(signal.SIGCONT)
    site.settle(first)
    _reported(site, sabotaged=sabotaged, as_=("settled result changed",))


@pytest.mark.slow
@WITH_AND_WITHOUT
def test_the_cause_key_keeps_two_deciders_from_starting_a_run_twice(site: Site, sabotaged: bool) -> None:
    """Two processes decide the same schedules and judge the same acts on one journal, and do not see each other."""
    chaos = {"SABOTAGE": "looks,cause-key" if sabotaged else "looks"}
    commit = site.define(every={"quick": 2})
    first = site.start(chaos=chaos)
    site.until_applied(commit, first)
    second = _second(site, "decider", chaos=chaos)
    site.until_log(DECIDING, second)
    before = site.seen().ended("quick")
    site.ask("ask-pair", jobRef="pair")
    site.until_branch(lambda seen: seen.ended("pair") > 0 and seen.ended("quick") > before + 4, first)
    site.stop(second)
    site.settle(first)
    _reported(site, sabotaged=sabotaged, as_=("doubled", "a step that may not be repeated"))


@pytest.mark.slow
def test_two_deciders_that_see_each_other_agree(site: Site) -> None:
    """Also where runs are in each other's way, so that what one skips the other must not run."""
    commit = site.define(every={"quick": 1, "pair": 1})
    first = site.start()
    site.until_applied(commit, first)
    second = _second(site, "decider", chaos={})
    site.until_log(DECIDING, second)
    site.ask(*(f"ask-{number}" for number in range(10)), jobRef="wrong")
    site.until_branch(lambda seen: seen.ended("wrong") > 0 and seen.ended("quick") > 8, first)
    site.stop(second)
    site.settle(first)
    site.check()


@WITH_AND_WITHOUT
def test_the_durable_start_keeps_a_step_from_being_repeated(site: Site, sabotaged: bool) -> None:
    """The process dies after a step's effect and before its end is recorded."""
    chaos = {"SABOTAGE": "durable-start"} if sabotaged else {}
    commit = site.define(every={"quick": 1})
    dying = site.start("step.ended", chaos=chaos)
    site.until_applied(commit, dying, or_death=True)
    assert dying.wait() == -signal.SIGKILL, dying.tail()
    site.note()
    site.settle(site.start())
    _reported(site, sabotaged=sabotaged, as_=("a step that may not be repeated", "effect without a durable start"))
