"""A schedule that is renamed, and a store that is filled from the branch after it: nothing runs a second time."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from engine.status.views import EngineView, SyncView
from journal import schedules
from reconciler.publication import rebuild
from reconciler.publication.projection import Projection
from tests.integration.test_held_runs import MINUTE, T0, Bench, work
from tests.integration.test_rebuild import COMMIT, Site

NAMES = ("name: often", "name: frequent, previousNames: [often]", "name: often, previousNames: [frequent]")


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for journal in made.journals:
        await journal.close()


def documents(names: str, catch_up: bool) -> tuple[str, str, str]:
    target, greet, often = work("allow", "30m")
    if catch_up:
        often = often.replace("every: 30m", "every: 30m, catchUp: {policy: all, window: 1d, max: 10}")
    return target, greet, often.replace(NAMES[0], names)


async def publish(site: Site, bench: Bench) -> None:
    sync = SyncView(applied=COMMIT, last_good=COMMIT)
    projection = Projection(bench.journal, site.publisher, schedule=bench.schedules.view, sync=lambda: sync)
    while await projection.publish():
        pass


async def refilled(site: Site, names: str, at: float, *, drained: bool, catch_up: bool) -> Bench:
    """An empty store, filled from the branch at that minute, with the definitions in force again."""
    new = Bench(site.store("new"))
    before = EngineView("one", "host", T0, T0 + at * MINUTE if drained else None)
    now = T0 + at * MINUTE
    await rebuild.from_branch(new.journal, site.publisher, before=before, present=frozenset(), now=now)
    await new.adopt(at, *documents(names, catch_up))
    await new.look(at)
    return new


async def ran(bench: Bench) -> list[float]:
    return [(run.cause.instant - T0) / MINUTE for run in await bench.seen()]


@pytest.mark.parametrize("catch_up", [False, True])
@pytest.mark.parametrize("drained", [False, True])
@pytest.mark.parametrize("renamed", [0, 1, 2])
async def test_what_ran_before_a_rename_does_not_run_again(
    site: Site, renamed: int, drained: bool, catch_up: bool
) -> None:
    bench = Bench(site.store("old"))
    await bench.adopt(0, *documents(NAMES[0], catch_up))
    for minute in (30, 60, 90, 120):
        await bench.look(minute)
    await publish(site, bench)
    for at, names in enumerate(NAMES[1 : renamed + 1]):
        await bench.adopt(125 + at, *documents(names, catch_up))
        await bench.look(125 + at)
        await publish(site, bench)

    new = await refilled(site, NAMES[renamed], 155, drained=drained, catch_up=catch_up)
    await new.look(180)
    due = [150.0] if drained else []  # only just missed, so also without catchUp
    assert await ran(new) == [30, 60, 90, 120, *due, 180], "an instant after the rename is decided as any other"


async def test_what_a_clock_ahead_ran_under_a_former_name_does_not_run_again(site: Site) -> None:
    bench = Bench(site.store("old"))
    await bench.adopt(0, *documents(NAMES[0], True))
    for minute in (30, 240, 45):
        await bench.look(minute)
    ahead = await ran(bench)
    assert max(ahead) == 240
    await bench.adopt(46, *documents(NAMES[1], True))
    await bench.look(46)
    await publish(site, bench)

    new = await refilled(site, NAMES[1], 50, drained=True, catch_up=True)
    for minute in range(60, 271, 30):
        await new.look(minute)
    found = Counter(await ran(new))
    assert set(found.values()) == {1}
    assert found.keys() >= {*ahead, 270}


async def test_a_rename_is_published_as_the_point_up_to_which_it_was_decided(site: Site) -> None:
    """It stands still until something is decided: a quiet look is no commit."""
    bench = Bench(site.store("old"))
    await bench.adopt(0, *documents(NAMES[0], False))
    await bench.look(30)
    await bench.adopt(35, *documents(NAMES[1], False))
    first = (await bench.journal.read(schedules.clocks))["frequent"]
    assert T0 + 30 * MINUTE <= first.considered_from <= T0 + 35 * MINUTE
    await bench.adopt(40, *documents(NAMES[1], False))
    await bench.look(41)
    assert (await bench.journal.read(schedules.clocks))["frequent"] == first
