"""The machine's wall clock is set forwards and back under a real engine: nothing fires twice, nothing is lost."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.acceptance.site import Site, instant, job, schedule
from tests.wallclock import WallClock

Make = Callable[..., Site]
HOUR = timedelta(hours=1)
QUICK = job("quick", "- run: 'true'")
LONG = job("long", "- {run: sleep 20, timeout: 2m}")


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


def test_the_shim_moves_the_wall_clock_alone(clock: WallClock) -> None:
    clock.set(-36 * HOUR)
    program = "import time, datetime; print(time.time(), datetime.datetime.now().timestamp(), time.monotonic())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**clock.environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    wall, same, monotonic = map(float, done.stdout.split())
    assert abs(wall - same) < 60
    assert abs(wall - clock.now.timestamp()) < 60
    assert abs(monotonic - time.monotonic()) < 60


def decided(site: Site) -> list[datetime]:
    """Every instant of `hourly` with a decision, as often as it has one."""
    runs = [run["spec"]["cause"] for run in site.runs("quick")]
    found = [instant(cause["instant"]) for cause in runs if cause["name"] == "hourly"]
    for path, text in site.tree().items():
        for skip in yaml.safe_load(text)["decisions"] if path.startswith("decisions/") else ():
            hours = range(int((instant(skip["to"]) - instant(skip["from"])) / HOUR) + 1)
            assert len(hours) == skip["count"]
            found += [instant(skip["from"]) + number * HOUR for number in hours]
    return sorted(found)


def hours(after: datetime, until: datetime) -> list[datetime]:
    """The full hours in (after, until]."""
    first = after.replace(minute=0, second=0, microsecond=0) + HOUR
    return [first + number * HOUR for number in range(int((until - first) / HOUR) + 1)] if first <= until else []


@pytest.mark.slow
def test_a_clock_that_jumps_forwards_and_back(site: Make, clock: WallClock) -> None:
    """Three hours on, two back, and three on again; a run that works through it all is neither lost nor timed out."""
    here = site({
        "quick.yaml": QUICK,
        "long.yaml": LONG,
        "hourly.yaml": schedule("hourly", "quick", 'cron: "0 * * * *", timeZone: UTC'),
    })  # fmt: skip
    begin = datetime.now(UTC)
    here.up(env=clock.environment)
    here.in_force()
    here.request("ask-long", "jobRef: long")
    here.wait(lambda: [run["status"]["state"] for run in here.runs("long")] == ["running"], what="the long run")

    clock.set(3 * HOUR)
    here.wait(lambda: decided(here) == hours(begin, clock.now), what="three hours decided")
    runs = len([run for run in here.runs("quick") if run["spec"]["cause"]["name"] == "hourly"])
    assert 1 <= runs <= 2  # the newest by catchUp, and one on time if the true hour was over meanwhile
    latest = decided(here)[-1]

    clock.set(1 * HOUR)
    here.request("ask-back", "jobRef: quick")
    here.wait(
        lambda: [run for run in here.runs("quick") if run["spec"]["cause"]["name"] == "ask-back"], what="a request"
    )
    assert decided(here)[-1] == latest  # nothing is decided again

    clock.set(4 * HOUR)
    here.wait(lambda: decided(here) == hours(begin, clock.now), what="the fourth hour decided")
    (long,) = here.ended("long")
    assert (long["status"]["state"], long["status"]["attempt"]) == ("succeeded", 1)
    assert here.daemons[0].stop() == 0
    assert len(decided(here)) == len(set(decided(here)))
