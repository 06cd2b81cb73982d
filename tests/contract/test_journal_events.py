"""Events: recorded once, decided once in their order, and remembered as long as their trigger is defined."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from engine.identity import RunId
from engine.runs.pinned import PinnedSpec
from engine.states import RunState
from journal import events, leases, outbox, runs
from journal.events import EventRow, NewEvent, Watch
from tests.contract.conftest import START, Desk, GivenClock, a_run


def came(key: str, trigger: str = "deploy", minutes: float = 0, **more: Any) -> NewEvent:
    return NewEvent(trigger, key, "webhook", START + timedelta(minutes=minutes), **more)


async def received(desk: Desk, key: str, trigger: str = "deploy", minutes: float = 0, **more: Any) -> EventRow:
    """It is there and waits."""
    assert await desk.do(events.receive, came(key, trigger, minutes, **more)) == "new"
    found: EventRow = (await desk.see(events.pending))[-1]
    return found


async def keys(desk: Desk, trigger: str = "deploy") -> Sequence[str]:
    return [one.key for one in await desk.see(events.recent, trigger)]


async def news(desk: Desk) -> Sequence[tuple[str, str]]:
    """What was announced since the last time."""
    batch = await desk.see(outbox.pending, "status")
    await desk.do(outbox.advance, "status", batch.last_seq)
    told: Sequence[tuple[str, str]] = batch.objects
    return told


async def test_an_event_waits_as_it_came_and_is_announced(desk: Desk) -> None:
    event = await received(desk, "k1", type="push", delivery="d1", payload=b'{"a": "\xc3\xbc"}')
    assert event == EventRow(
        event.seq, "deploy", "k1", "webhook", "push", "d1", START, "pending", None, None, None, 1, None
    )
    assert await desk.see(events.payload, event.seq) == b'{"a": "\xc3\xbc"}'
    assert await desk.see(events.is_pending, event.seq)
    assert await desk.see(events.waiting) == 1
    assert await news(desk) == (("trigger", "deploy"),)


async def test_a_key_sets_a_trigger_off_once(desk: Desk) -> None:
    """What is sent again is known, decided or not; of another trigger it is another event."""
    event = await received(desk, "k1")
    assert await desk.do(events.receive, came("k1")) == "known"
    await desk.do(events.settle, event, "ignored", START)
    assert await desk.do(events.receive, came("k1", minutes=9)) == "known"
    assert await desk.do(events.receive, came("k1", "other")) == "new"


async def test_one_delivery_is_not_two_events(desk: Desk) -> None:
    """Who sends other content under a number that was used is told so, unless that content came before as well."""
    await received(desk, "k1", delivery="d1")
    await received(desk, "k2", delivery="d2")
    await received(desk, "k3", "other", delivery="d3")
    assert await desk.do(events.receive, came("k4", delivery="d1")) == "conflict"
    assert await desk.do(events.receive, came("k2", delivery="d1")) == "known"
    assert await desk.do(events.receive, came("k1", delivery="d2")) == "known"
    assert await desk.do(events.receive, came("k3", delivery="d3")) == "new", "another trigger has its own numbers"
    assert await desk.do(events.receive, came("k5")) == "new", "what has no number collides with none"
    assert await desk.do(events.receive, came("k6")) == "new"


async def test_what_is_too_much_is_turned_away_until_something_is_decided(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_WAITING", 2)
    monkeypatch.setattr(events, "MOST_WAITING_BYTES", 10)
    first = await received(desk, "k1", payload=b"12345678")
    assert await desk.do(events.receive, came("k2", payload=b"123")) == "full", "of bytes"
    await received(desk, "k2", payload=b"12")
    assert await desk.do(events.receive, came("k3", "other")) == "full", "of events, whoever's they are"
    assert await desk.do(events.receive, came("k1")) == "known", "what is there is not turned away"
    await desk.do(events.settle, first, "ignored", START)
    assert await desk.do(events.receive, came("k3", "other", payload=b"12345678")) == "new"


async def test_what_follows_from_a_change_waits_however_many_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once: the change may be repeated."""
    monkeypatch.setattr(events, "MOST_WAITING", 0)
    for _ in range(2):
        await desk.do(events.happened, came("k1"))
    assert [one.key for one in await desk.see(events.pending)] == ["k1"]


async def test_what_waits_is_decided_oldest_first(desk: Desk) -> None:
    for key, trigger in (("b", "deploy"), ("a", "other"), ("c", "deploy")):
        await received(desk, key, trigger)
    assert [one.key for one in await desk.see(events.pending)] == ["b", "a", "c"]
    assert [one.key for one in await desk.see(events.pending, 2)] == ["b", "a"]


async def test_an_event_is_settled_once(desk: Desk, clock: GivenClock) -> None:
    """Who comes second changes nothing; what the event brought is not kept."""
    event = await received(desk, "k1", payload=b"{}")
    await news(desk)
    clock.advance(60)
    assert await desk.do(events.settle, event, "started", clock.now(), run=RunId("r1"), message="yes")
    assert await news(desk) == (("trigger", "deploy"),)
    assert not await desk.do(events.settle, event, "refused", clock.now(), reason="window", run=RunId("r2"))
    assert await news(desk) == ()
    (found,) = await desk.see(events.recent, "deploy")
    assert (found.state, found.run, found.reason, found.message) == ("started", "r1", None, "yes")
    assert found.settled_at == clock.now()
    assert await desk.see(events.payload, event.seq) is None
    assert not await desk.see(events.is_pending, event.seq)
    assert await desk.see(events.pending) == ()


async def test_the_same_before_is_what_started_a_run_within_the_window(desk: Desk) -> None:
    """The newest of them, of this trigger and key; what started nothing does not count, nor does the window's edge."""
    window = timedelta(minutes=10)

    async def settled(key: str, minutes: float, state: str, run: str | None, trigger: str = "deploy") -> None:
        event = await received(desk, key, trigger, minutes)
        await desk.do(events.settle, event, state, START, run=run, dedupe="v1")

    async def same(key: str, minutes: float, dedupe: str = "v1") -> RunId | None:
        event = await received(desk, key, minutes=minutes)
        found: RunId | None = await desk.see(events.same_before, event, dedupe, window)
        await desk.do(events.settle, event, "ignored", START)
        return found

    await settled("a", 0, "started", "r1")
    await settled("b", 1, "refused", None)
    await settled("c", 1, "started", "r2", trigger="other")
    assert await same("d", 5) == "r1"
    assert await same("e", 5, "v2") is None
    assert await same("f", 10) is None
    await settled("g", 9, "started", "r3")
    assert await same("h", 9.5) == "r3"
    assert await same("i", 18.9) == "r3"


async def test_what_was_turned_away_is_counted_by_the_hour_and_reason(desk: Desk, clock: GivenClock) -> None:
    async def reject(reason: str, times: int, trigger: str = "deploy") -> None:
        await desk.do(events.reject, trigger, reason, f"{times} more", times, clock.now())

    await reject("badSignature", 3)
    clock.advance(60)
    await reject("badSignature", 4)
    await reject("badType", 1)
    await reject("badSignature", 1, trigger="other")
    clock.advance(3600)
    await reject("badSignature", 5)
    found = [
        (one.kind, one.state, one.reason, one.times, one.message) for one in await desk.see(events.recent, "deploy")
    ]
    assert found == [
        ("rejected", "refused", "badSignature", 5, "5 more"),
        ("rejected", "refused", "badType", 1, "1 more"),
        ("rejected", "refused", "badSignature", 7, "4 more"),
    ]
    assert await desk.see(events.pending) == (), "there is nothing to decide"
    assert await news(desk) == (("trigger", "deploy"), ("trigger", "other"))


async def test_rubbish_does_not_drive_what_happened_out_of_sight(desk: Desk, clock: GivenClock) -> None:
    for key in ("k1", "k2", "k3"):
        await received(desk, key)
    for number in range(4):
        await desk.do(events.reject, "deploy", f"reason{number}", "no", 1, clock.now())
    found = await desk.see(events.recent, "deploy", 2, rejected=3)
    assert [one.reason or one.key for one in found] == ["reason3", "reason2", "reason1", "k3", "k2"]


async def test_events_are_counted_by_state_and_rejected_ones_each(desk: Desk, clock: GivenClock) -> None:
    for key, state in (("k1", "started"), ("k2", "ignored"), ("k3", "ignored")):
        await desk.do(events.settle, await received(desk, key), state, START)
    await received(desk, "k4")
    await received(desk, "k5", "other")
    await desk.do(events.reject, "deploy", "badSignature", "no", 7, clock.now())
    assert await desk.see(events.counts, "deploy") == {"started": 1, "ignored": 2, "pending": 1, "refused": 7}
    assert await desk.see(events.counts, "never") == {}


async def test_events_of_triggers_that_are_gone_are_forgotten(desk: Desk) -> None:
    """Those that wait too; what is still defined keeps its own, and nothing is announced that did not change."""
    await received(desk, "k1", "gone")
    await received(desk, "k1", "deploy")
    await news(desk)
    await desk.do(events.forget, ("deploy", "new"))
    assert (await keys(desk, "gone"), await keys(desk)) == ([], ["k1"])
    assert await news(desk) == (("trigger", "gone"),)
    await desk.do(events.forget, ("deploy",))
    assert await news(desk) == ()


async def test_events_go_on_under_another_name(desk: Desk) -> None:
    """Waiting ones, too; of two with one key the one that the new name has had stays."""
    first, _ = await received(desk, "k1", "old"), await received(desk, "both", "old")
    own = await received(desk, "both", "deploy")
    await desk.do(events.settle, first, "started", START, run=RunId("r1"), dedupe="v1")
    await news(desk)
    await desk.do(events.rename, {"old": "deploy", "never": "there"})
    assert {event.seq for event in await desk.see(events.recent, "deploy")} == {first.seq, own.seq}
    assert await desk.see(events.recent, "old") == ()
    assert await news(desk) == (("trigger", "old"), ("trigger", "deploy"))
    await desk.do(events.forget, ("deploy",))
    assert await desk.do(events.receive, came("k1")) == "known"
    later = await received(desk, "k2", "deploy", 1)
    assert await desk.see(events.same_before, later, "v1", timedelta(minutes=5)) == "r1"
    await desk.do(events.rename, {})


async def test_what_was_turned_away_under_both_names_in_one_hour_is_counted_together(desk: Desk) -> None:
    for trigger, times, minutes in (("old", 3, 1), ("deploy", 4, 2), ("old", 5, 90)):
        await desk.do(events.reject, trigger, "badSignature", "said", times, START + timedelta(minutes=minutes))
    await desk.do(events.rename, {"old": "deploy"})
    found = await desk.see(events.recent, "deploy")
    assert sorted(event.times for event in found) == [5, 7]
    assert (await desk.see(events.counts, "deploy")) == {"refused": 12}


async def test_of_each_trigger_so_many_are_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go with every hundredth that is decided; what waits stays, however old it is."""
    monkeypatch.setattr(events, "MOST_KEPT", 5)
    waits = await received(desk, "waits")
    few = [await received(desk, f"few{number}", "few") for number in range(2)]

    def a_hundred(tx: Any) -> None:
        for number in range(100):
            events.happened(tx, came(f"k{number:02}"))

    await desk.do(a_hundred)
    for event in await desk.see(events.pending, 200):
        if event not in (waits, few[0]):
            await desk.do(events.settle, event, "ignored", START)
    kept = [event.seq for event in await desk.see(events.recent, "deploy", 200)]
    assert kept == [103, 102, 101, 100, 99, waits.seq], "the hundredth was decided when there were 103"
    assert await keys(desk, "few") == ["few1", "few0"]
    assert await desk.do(events.receive, came("k99")) == "known"


# --- ends of runs ---------------------------------------------------------------------------------------------------


async def ended(desk: Desk, name: str, state: RunState, job: str = "rotate") -> RunId:
    claim = await desk.running(name, job=job, spec=PinnedSpec(job=job, commit="1f0c" * 10, steps=()))
    await desk.do(leases.finish, claim.fence, state, now=desk.clock.now())
    return claim.fence.run


async def test_the_end_of_a_run_sets_off_who_watches_for_it(desk: Desk, clock: GivenClock) -> None:
    """Each trigger once, though it watches for it twice; the events are there when the end is."""
    wanted = (
        Watch("of-any", False, None, "failed"),
        Watch("of-any", False, "rotate", "failed"),
        Watch("of-this", False, "rotate", "failed"),
        Watch("of-its-success", False, "rotate", "succeeded"),
        Watch("of-another", False, "backup", "failed"),
        Watch("of-workflows", True, None, "failed"),
    )
    await desk.do(events.watch, wanted)
    clock.advance(60)
    run = await ended(desk, "one", RunState.FAILED)
    found = await desk.see(events.pending)
    assert [(one.trigger, one.key, one.kind, one.arrived_at) for one in found] == [
        ("of-any", f"run/{run}", "run", clock.now()),
        ("of-this", f"run/{run}", "run", clock.now()),
    ]
    assert [(one.state, one.times, one.delivery) for one in found] == [("pending", 1, None)] * 2
    await desk.do(events.run_ended, run, clock.now())
    assert await desk.see(events.pending) == found, "an end that is told again is known"
    other = await ended(desk, "two", RunState.FAILED, job="backup")
    assert [(one.trigger, one.key) for one in (await desk.see(events.pending))[2:]] == [
        ("of-another", f"run/{other}"),
        ("of-any", f"run/{other}"),
    ]


async def test_only_what_is_watched_for_last_counts(desk: Desk) -> None:
    await desk.do(events.watch, [Watch("before", False, None, "succeeded")])
    await desk.do(events.watch, [Watch("after", False, None, "succeeded")])
    await ended(desk, "one", RunState.SUCCEEDED)
    await desk.do(events.watch, ())
    await ended(desk, "two", RunState.SUCCEEDED)
    assert [one.trigger for one in await desk.see(events.pending)] == ["after"]


async def test_a_run_that_ends_before_it_began_sets_triggers_off_too(desk: Desk, clock: GivenClock) -> None:
    await desk.do(events.watch, [Watch("t", False, "rotate", "cancelled")])
    await desk.enqueue(a_run())
    await desk.do(runs.cancel, a_run().id, reason=None, by="ann", now=clock.now())
    assert [one.key for one in await desk.see(events.pending)] == [f"run/{a_run().id}"]


async def test_commits_in_a_row_are_those_that_came_while_the_run_of_the_one_before_was_open(desk: Desk) -> None:
    """Or right after it: then the run may have made the commit."""
    for number in range(3):
        new = a_run(str(number), group=None)
        await desk.do(runs.enqueue, new, START)
        at = START + timedelta(minutes=number)
        await desk.do(events.happened, NewEvent("deploy", f"commit/{number}", "definitions", at, payload=b"{}"))
        (event,) = await desk.see(events.pending)
        await desk.do(events.settle, event, "started", at, run=new.id)
    later = START + timedelta(hours=1)
    assert await desk.see(events.in_a_row, "deploy", later, 10) == 3
    assert await desk.see(events.in_a_row, "deploy", later, 2) == 2
    await desk.do(runs.cancel, new.id, reason=None, by=None, now=START + timedelta(minutes=5))
    assert await desk.see(events.in_a_row, "deploy", later, 10) == 0
    assert await desk.see(events.in_a_row, "deploy", START + timedelta(minutes=6), 10) == 3
