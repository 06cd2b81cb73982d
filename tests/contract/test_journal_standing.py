"""Runs that windows ask for: who stands there, who is new among them, and whose start is put off."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from engine.identity import Cause, RunId
from engine.runs.waits import Held
from engine.schedules.standing import Standing
from engine.states import RunState
from journal import leases, outbox, runs, standing
from tests.contract.conftest import START, Desk, GivenClock, a_run

HOUR = timedelta(hours=1)


def a_node(name: str) -> runs.NewRun:
    """A run that a workflow's run has started."""
    return a_run(name, cause=Cause("workflow", "parent", START, node=name))


async def stands(desk: Desk) -> Sequence[tuple[str, str]]:
    return [(one.cause.node or one.cause.name, one.phase) for one in await desk.see(standing.standing)]


async def end(desk: Desk, claim: leases.Claim) -> None:
    await desk.do(leases.finish, claim.fence, RunState.SUCCEEDED, now=desk.clock.now())


# --- who stands there -----------------------------------------------------------------------------------------------


async def test_a_run_stands_as_it_was_asked_for(desk: Desk) -> None:
    new = a_run("later", starts_at=START + HOUR, inline=True)
    await desk.enqueue(new)
    assert await desk.see(standing.standing) == (
        Standing(
            new.id, "rotate", new.cause, frozenset({"web-01", "web-02"}), False, "waits", START + HOUR, inline=True
        ),
    )


async def test_those_that_have_not_ended_stand_oldest_first(desk: Desk) -> None:
    begun = await desk.running("begun")
    await end(desk, await desk.running("ended"))
    lost = await desk.running("lost")
    await desk.enqueue(a_run("later", starts_at=START + HOUR))
    await desk.enqueue(a_run("queued"))
    await desk.do(leases.release, lost.fence, desk.clock.now())
    assert await stands(desk) == [("begun", "begun"), ("lost", "begun"), ("later", "waits"), ("queued", "queued")]
    await end(desk, begun)
    assert (await stands(desk))[0] == ("lost", "begun"), "it goes on with its next runner"


async def test_who_is_to_end_does_not_stand(desk: Desk) -> None:
    claim = await desk.running("one")
    await desk.do(runs.cancel, claim.fence.run, reason=None, by="ann", now=desk.clock.now())
    assert await stands(desk) == []


async def test_nodes_of_workflows_stand_until_they_begin(desk: Desk) -> None:
    """Then they belong to the workflow's own run."""
    for name in ("first", "second"):
        await desk.enqueue(a_node(name))
    (claim,) = await desk.claim()
    assert await stands(desk) == [("second", "queued")]
    await desk.do(leases.release, claim.fence, desk.clock.now())
    assert await stands(desk) == [("second", "queued")]


async def test_news_are_those_that_came_began_or_whose_time_has_come(desk: Desk, clock: GivenClock) -> None:
    async def fresh(since: datetime) -> Sequence[str]:
        return [one.cause.name for one in await desk.see(standing.fresh, since, clock.now())]

    for name, later in (("due", 60), ("late", 3600), ("begins", 0), ("queued", 0)):
        await desk.enqueue(
            a_run(name, starts_at=START + timedelta(seconds=later), priority=1 if name == "begins" else 0)
        )
    clock.advance(30)
    assert await fresh(START) == ["begins", "queued"]
    assert await fresh(START + timedelta(seconds=1)) == []
    await desk.claim()
    await desk.enqueue(a_run("came"))
    assert await fresh(clock.now()) == ["begins", "came"]
    clock.advance(30)
    assert await fresh(clock.now()) == ["due"]


async def test_a_run_still_stands_until_anything_of_it_changes(desk: Desk) -> None:
    """A runner may have begun it since it was read, or have ended it."""

    async def still(run: Standing) -> bool:
        return bool(await desk.do(standing.still, run))

    await desk.enqueue(a_run())
    (queued,) = await desk.see(standing.standing)
    assert await still(queued)
    (claim,) = await desk.claim()
    assert not await still(queued)
    (begun,) = await desk.see(standing.standing)
    assert await still(begun)
    await end(desk, claim)
    assert not await still(begun)


# --- starts that are put off ----------------------------------------------------------------------------------------


async def test_a_run_that_has_not_begun_starts_at_another_time(desk: Desk, clock: GivenClock) -> None:
    """It gives its place back and asks for one again; its queueTimeout counts from the new start."""
    new = a_run("one", group="web", queue_timeout=timedelta(minutes=30))
    await desk.enqueue(new)
    clock.advance(60)
    later = clock.now() + HOUR
    assert await desk.do(standing.start_at, new.id, later, clock.now())
    view = await desk.see(runs.get, new.id)
    assert (view.state, view.held, view.starts_at, view.wait.until) == (RunState.WAITING, None, later, later)
    assert (await desk.enqueue(a_run("two", group="web", on_conflict="skip"))).state is RunState.QUEUED
    clock.advance(3599)
    assert await desk.do(runs.expire, clock.now()) == ()
    assert await desk.do(runs.admit, clock.now()) == ()
    (other,) = await desk.claim()
    await end(desk, other)
    clock.advance(1)
    assert await desk.do(runs.admit, clock.now()) == (new.id,)
    assert (await desk.see(runs.get, new.id)).held == Held("web", 0)
    clock.advance(1739)
    assert await desk.do(runs.expire, clock.now()) == (), "a minute of its thirty was over when it was put off"
    clock.advance(1)
    assert await desk.do(runs.expire, clock.now()) == (new.id,)


async def test_a_run_that_waits_for_its_time_may_start_earlier(desk: Desk, clock: GivenClock) -> None:
    new = a_run("one", starts_at=START + 3 * HOUR, queue_timeout=timedelta(minutes=30))
    await desk.enqueue(new)
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    assert await desk.do(standing.start_at, new.id, START + HOUR, clock.now())
    assert (await desk.see(outbox.pending, "status")).objects == (("run", new.id),)
    assert await desk.see(runs.next_wake) == START + HOUR
    clock.advance(3600)
    assert await desk.do(runs.admit, clock.now()) == (new.id,)
    assert await desk.see(runs.next_wake) == START + 1.5 * HOUR


async def test_what_has_begun_or_is_gone_is_not_put_off(desk: Desk, clock: GivenClock) -> None:
    later = clock.now() + HOUR
    claim = await desk.running()
    run = claim.fence.run
    before = await desk.see(runs.get, run)
    assert not await desk.do(standing.start_at, run, later, clock.now())
    assert await desk.see(runs.get, run) == before
    await desk.do(leases.release, claim.fence, clock.now())
    assert not await desk.do(standing.start_at, run, later, clock.now()), "a runner has begun it, and it is to go on"
    (claim,) = await desk.claim()
    await end(desk, claim)
    assert not await desk.do(standing.start_at, run, later, clock.now())
    assert not await desk.do(standing.start_at, RunId("never"), later, clock.now())


@pytest.mark.parametrize(
    ("more", "places"),
    [
        ({"on_conflict": "skip"}, 1),
        ({"on_conflict": "skip", "limit": 2}, 2),
        ({"on_conflict": "queueOne"}, 2),
        ({"on_conflict": "queue", "max_queue": 2}, 3),
        ({"on_conflict": "queue"}, None),
        ({"on_conflict": "allow"}, None),
        ({"on_conflict": "fail"}, None),
        ({"on_conflict": "cancelRunning"}, None),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else None,
)
async def test_so_many_have_a_place_when_a_window_ends(desk: Desk, more: dict[str, Any], places: int | None) -> None:
    """Who comes first is named to those that have none."""
    later = START + HOUR
    put_off = [a_run(f"n{number}", group="web", starts_at=later, **more) for number in range(4)]
    answers = []
    for new in put_off:
        answers.append(await desk.do(standing.crowd, new))
        await desk.enqueue(new)
    first = put_off[0].id
    assert answers == [None if places is None or number < places else first for number in range(4)]


async def test_only_those_that_come_first_then_take_a_place(desk: Desk) -> None:
    """At the same instant, in the same group, and with no less priority."""
    new = a_run("new", group="web", on_conflict="skip", starts_at=START + HOUR)
    await desk.enqueue(a_run("works", group="web"))
    await desk.enqueue(a_run("lower", group="web", starts_at=START + HOUR, priority=-1))
    await desk.enqueue(a_run("elsewhere", group="db", starts_at=START + HOUR))
    await desk.enqueue(a_run("at another time", group="web", starts_at=START + 2 * HOUR))
    assert await desk.do(standing.crowd, new) is None
    await desk.enqueue(a_run("higher", group="web", starts_at=START + HOUR, priority=1))
    assert await desk.do(standing.crowd, new) == a_run("higher").id
    assert await desk.do(standing.crowd, replace(new, group=None)) is None
    assert await desk.do(standing.crowd, replace(new, starts_at=None)) is None
