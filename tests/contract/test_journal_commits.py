"""Commits that were looked at: the newest are remembered with what came of them, and what they set off is found."""

import json

from journal import commits, events
from journal.commits import KEPT, Caused, Judged, Judgement
from journal.events import NewEvent
from tests.contract.conftest import START, Desk


def a_commit(name: str, verdict: Judgement = "accepted") -> Judged:
    return Judged(name * 40, START, verdict, {"subject": f"Change {name}"})


async def test_the_newest_come_first_and_the_same_end_again_is_no_news(desk: Desk) -> None:
    assert await desk.see(commits.last) is None
    wanted = (a_commit("a"), a_commit("b", "rejected"), a_commit("b", "rejected"), a_commit("b"), a_commit("a"))
    assert [await desk.do(commits.record, judged) for judged in wanted] == [True, True, False, True, True]
    assert [await desk.see(commits.is_known, name * 40) for name in "abc"] == [True, True, False]
    assert await desk.see(commits.last) == "a" * 40
    found = await desk.see(commits.recent, 10)
    assert found == (a_commit("a"), a_commit("b"), a_commit("b", "rejected"), a_commit("a"))
    assert await desk.see(commits.recent, 2, 1) == found[1:3]


async def test_the_oldest_are_forgotten(desk: Desk) -> None:
    def many(tx):  # type: ignore[no-untyped-def]
        for number in range(KEPT + 5):
            commits.record(tx, Judged(f"{number:040x}", START, "accepted", {}))

    await desk.journal.write(many)
    found = await desk.see(commits.recent, KEPT + 10)
    assert len(found) == KEPT
    assert found[0].commit == f"{KEPT + 4:040x}"


async def test_what_a_commit_set_off(desk: Desk) -> None:
    payload = json.dumps({}).encode()
    for trigger, key in (("tell", "commit/aaa/1"), ("tell", "commit/bbb/2"), ("other", "commit/bbb/2")):
        await desk.do(events.happened, NewEvent(trigger, key, "definitions", START, payload=payload))
    found = await desk.see(commits.caused, ["tell"])
    assert found == {"aaa": (Caused("tell", "pending", None, None),), "bbb": (Caused("tell", "pending", None, None),)}


async def test_how_many_runs_are_of_a_commit(desk: Desk) -> None:
    for name in ("one", "two", "three"):
        await desk.running(name)
    assert await desk.see(commits.runs_on) == {"1f0c" * 10: 3}
    assert await desk.see(commits.runs_on, 2) == {"1f0c" * 10: 2}
