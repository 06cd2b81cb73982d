"""The process dies at every named point between two durable effects, is started again, and every promise holds."""

import signal
from pathlib import Path

import pytest

from journal.points import POINTS
from tests.chaos.points_table import PAGE, page
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.site import Site


def _case(scenario: Scenario) -> object:
    marks = () if scenario.fast else (pytest.mark.slow,)
    return pytest.param(scenario, id=scenario.point, marks=marks)


@pytest.mark.parametrize("scenario", [_case(scenario) for scenario in SCENARIOS])
def test_nothing_is_lost_or_done_twice_after_a_death_at(scenario: Scenario, site: Site) -> None:
    """The process is killed at the point (an unreached point fails), and another goes on from what is durable."""
    site.hurried = not scenario.fast
    dying = scenario.play(site, scenario.crash)
    assert dying.wait() == -signal.SIGKILL, f"{scenario.point} was not reached:\n{dying.tail()}"
    site.note()
    site.settle(site.start())
    site.check()


def test_every_point_has_a_scenario() -> None:
    """A point that nobody can reach is not in the table, and at least forty are."""
    assert {scenario.point for scenario in SCENARIOS} == set(POINTS)
    assert len(POINTS) >= 40


def test_the_table_of_crash_points_is_up_to_date() -> None:
    """docs/reference/crash-points.md says between which effects each lies; `python -m tests.chaos.points_table`."""
    assert Path(PAGE).read_text() == page()
