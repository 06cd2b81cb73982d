"""The life of messages in the journal: claimed by one at a time, in their order, until they are there or dead."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from engine.status.views import ChannelView, DeadLettersView
from journal import deadletters, deliveries, letters, messages, notices, outbox
from journal.databases.noticetables import messages as table
from journal.deliveries import DEADLINE, Claimed
from journal.messages import Channel, NewMessage
from opsconductor import telling
from tests.contract.conftest import START, Desk

EVENT = {"type": "run.failed", "kind": "Job", "name": "backup", "id": "n", "time": "2026-11-21T00:15:00Z", "data": {}}


def a_message(name: str, **more: Any) -> NewMessage:
    made = NewMessage(name, "chat", "default", "failures", name, {"event": EVENT}, (f"n-{name}",), START)
    return replace(made, **more)


async def written(desk: Desk, *wanted: NewMessage) -> None:
    await desk.do(messages.set_channels, [Channel("chat", "default", {"spec": {"type": "slack"}}, "1f0c")])
    for one in wanted:
        await desk.do(messages.write, one)


async def claim(desk: Desk, limit: int = 10, pools: Any = None, each: int = 4, **room: int) -> tuple[Claimed, ...]:
    now = desk.clock.now()
    return await desk.do(deliveries.claim, "default/1", pools, room, limit, now, each=each)


async def state(desk: Desk, name: str) -> str:
    def asked(conn: Connection) -> str:
        return str(conn.execute(select(table.c.state).where(table.c.id == name)).scalar_one())

    return await desk.see(asked)


def names(found: tuple[Claimed, ...]) -> list[str]:
    return [one.id for one in found]


async def test_a_message_is_one_messengers_until_its_lease_is_over(desk: Desk) -> None:
    """Whoever comes back late changes nothing: the message has another token by then."""
    await written(desk, a_message("one"))
    (first,) = await claim(desk)
    assert await claim(desk) == ()
    desk.clock.advance(deliveries.LEASE.total_seconds() + 1)
    assert await desk.see(deliveries.lost)
    assert await desk.do(deliveries.reclaim) == 1
    (second,) = await claim(desk)
    assert (first.attempts, second.attempts, second.id) == (1, 2, "one")
    assert not await desk.do(deliveries.delivered, first.hold, "chat", START)
    assert await desk.do(deliveries.delivered, second.hold, "chat", START)
    assert not await desk.do(deliveries.give_back, second.hold)
    assert await state(desk, "one") == "delivered"


async def test_who_goes_on_with_a_message_keeps_it_and_takes_none_back(desk: Desk) -> None:
    """As one that a mail server takes its time with."""
    await written(desk, a_message("one"))
    (first,) = await claim(desk)
    for _ in range(3):
        desk.clock.advance(deliveries.LEASE.total_seconds() * 0.9)
        await desk.do(deliveries.renew, [first.hold])
        assert not await desk.see(deliveries.lost)
    desk.clock.advance(deliveries.LEASE.total_seconds() + 1)
    assert await desk.do(deliveries.reclaim) == 1
    await desk.do(deliveries.renew, [first.hold])
    assert await state(desk, "one") == "waiting"
    await claim(desk)
    desk.clock.advance(deliveries.LEASE.total_seconds() + 1)
    await desk.do(deliveries.renew, [first.hold])
    assert await desk.see(deliveries.lost), "it is another's by now"


async def test_a_start_lets_go_of_what_was_under_way(desk: Desk) -> None:
    await written(desk, a_message("one"), a_message("held", hold_until=START + timedelta(days=1)))
    assert await desk.see(deliveries.untried, START)
    await claim(desk)
    assert await desk.see(deliveries.untried, START)
    assert await desk.do(deliveries.reclaim_all) == 1
    assert not await desk.see(deliveries.untried, START)
    assert names(await claim(desk)) == ["one"]


async def test_messages_of_one_key_leave_in_their_order(desk: Desk) -> None:
    """The second waits for the first, however often that is tried; others pass by."""
    await written(desk, a_message("one", order_key="run"), a_message("two", order_key="run"), a_message("other"))
    one, other = await claim(desk)
    assert (one.id, other.id) == ("one", "other")
    await desk.do(deliveries.later, one, "no", desk.clock.now(), desk.clock.now() + timedelta(seconds=5))
    assert await claim(desk) == ()
    await desk.do(deliveries.delivered, other.hold, "mail", desk.clock.now())
    assert not await desk.see(deliveries.untried, desk.clock.now()), "the second waits for the first"
    assert await desk.see(deliveries.next_due, desk.clock.now()) == desk.clock.now() + timedelta(seconds=5)
    desk.clock.advance(5)
    (again,) = await claim(desk)
    await desk.do(deliveries.delivered, again.hold, "chat", desk.clock.now())
    assert names(await claim(desk)) == ["two"]


async def test_what_was_told_alone_leaves_before_what_tells_several(desk: Desk) -> None:
    """Whoever is told by it, and by the same rule and channel; of other rules each has its own order."""
    several = a_message("several", order_key="failures/several", group_key="crowd", hold_until=START)
    others = (a_message("other", rule="starts"), a_message("anns", user="ann"))
    await written(desk, a_message("one"), a_message("two"), *others)
    assert not await desk.see(messages.is_in_line, "chat", "failures/several", START)
    (found,) = await claim(desk, limit=1)
    assert await desk.do(messages.line_up, several) == 2
    await desk.do(messages.write, several)
    assert await desk.see(messages.is_in_line, "chat", "failures/several", START)
    assert not await desk.see(messages.is_in_line, "mail", "failures/several", START)
    assert await desk.see(messages.is_gathering, "crowd", START - timedelta(seconds=1))
    assert not await desk.see(messages.is_gathering, "crowd", START)
    assert names(await claim(desk)) == ["other", "anns"]
    for after in ("two", "several"):
        await desk.do(deliveries.delivered, found.hold, "chat", START)
        (found,) = await claim(desk)
        assert found.id == after
    await desk.do(deliveries.delivered, found.hold, "chat", START)
    assert not await desk.see(messages.is_in_line, "chat", "failures/several", START)


async def test_words_are_kept_once_and_only_by_who_holds_the_message(desk: Desk) -> None:
    await written(desk, a_message("one"))
    (first,) = await claim(desk)
    assert await desk.do(deliveries.rendered, first.hold, "s", "t", "text")
    await desk.do(deliveries.reclaim_all)
    assert not await desk.do(deliveries.rendered, first.hold, "other", "words", "text")
    (second,) = await claim(desk)
    assert (second.subject, second.text, second.format) == ("s", "t", "text")


async def test_claims_heed_room_pools_and_the_time(desk: Desk) -> None:
    held = a_message("held", hold_until=START + timedelta(minutes=2))
    await written(desk, *(a_message(str(number)) for number in range(6)), a_message("away", channel="mail"), held)
    assert await claim(desk, pools=()) == ()
    assert await claim(desk, pools=("other",)) == ()
    assert not await desk.see(deliveries.claimable, None, ["chat", "mail"], START)
    assert await desk.see(deliveries.claimable, ("default",), ["chat"], START)
    assert names(await claim(desk, chat=2)) == ["0", "1", "away"]
    assert names(await claim(desk, limit=3, pools=("default",))) == ["2", "3", "4"]
    assert names(await claim(desk, chat=0)) == []
    desk.clock.advance(120)
    assert names(await claim(desk)) == ["5", "held"]


async def test_a_channel_that_moves_takes_along_what_waits(desk: Desk) -> None:
    await written(desk, a_message("one"))
    await desk.do(messages.set_channels, [Channel("chat", "far", {"spec": {"type": "teams"}}, "2f0c")])
    assert await claim(desk, pools=("default",)) == ()
    (found,) = await claim(desk, pools=("far",))
    assert (found.pinned, found.commit) == ({"spec": {"type": "teams"}}, "2f0c")
    assert await desk.see(deliveries.pinned, ["chat", "mail"]) == {"chat": {"spec": {"type": "teams"}}}


async def test_a_day_after_its_first_attempt_a_message_is_dead_and_that_is_told_once(desk: Desk) -> None:
    await written(desk, a_message("one"))
    (first,) = await claim(desk)
    await desk.do(deliveries.later, first, "no", desk.clock.now(), desk.clock.now())
    desk.clock.advance(DEADLINE.total_seconds())
    (last,) = await claim(desk)
    assert await desk.do(deliveries.later, last, "status 500", desk.clock.now(), desk.clock.now())
    assert await state(desk, "one") == "dead"
    (notice,) = await desk.see(notices.pending)
    assert (notice.type, notice.kind, notice.name) == ("notification.dead", "NotificationChannel", "chat")
    assert notice.data["error"] == "not delivered within 24 h: status 500"
    assert notice.data["attempts"] == 2


async def test_a_dead_letter_about_dead_letters_tells_nobody(desk: Desk) -> None:
    context = {"event": {**EVENT, "type": "notification.dead"}}
    await written(desk, a_message("one", context=context), a_message("two", context={"events": [context["event"]]}))
    for one in await claim(desk):
        assert await desk.do(deliveries.dead, one, "no", START)
    assert await desk.see(notices.pending) == ()


async def test_what_waits_for_a_channel_that_is_away_dies_with_it(desk: Desk) -> None:
    """A thousand messages need no thousand days: the first failure starts the time of all that would be sent."""
    await written(desk, *(a_message(str(number)) for number in range(3)))
    assert await desk.do(deliveries.away, "chat", "no", desk.clock.now()) == 0
    desk.clock.advance(DEADLINE.total_seconds() - 1)
    assert await desk.do(deliveries.away, "chat", "no", desk.clock.now()) == 0
    desk.clock.advance(1)
    assert await desk.do(deliveries.away, "chat", "no", desk.clock.now()) == 3
    assert len(await desk.see(notices.pending)) == 3
    (found,) = await desk.see(letters.dead, channel="chat", id="0")
    assert found.error == "never tried, as nothing got there for 24 h: no"
    assert found.subject == "backup FAILED", "who looks at the list reads of what nobody was told"


async def test_replay_sends_dead_letters_as_they_were(desk: Desk) -> None:
    await written(desk, a_message("abc1"), a_message("abd2"), a_message("mail1", channel="mail"), a_message("fine"))
    for one in await claim(desk):
        if one.id == "fine":
            await desk.do(deliveries.delivered, one.hold, "chat", START)
        else:
            await desk.do(deliveries.rendered, one.hold, "s", f"words of {one.id}", "text")
            await desk.do(deliveries.dead, one, "no", START)
    assert await desk.do(deadletters.replay, id="abc") == 1
    assert await desk.do(deadletters.replay, channel="mail") == 1
    assert await desk.do(deadletters.replay) == 1
    assert await desk.do(deadletters.replay) == 0
    found = await claim(desk)
    assert names(found) == ["abc1", "abd2", "mail1"]
    assert [(one.text, one.attempts) for one in found] == [(f"words of {one.id}", 1) for one in found]


async def test_a_success_hastens_what_waits(desk: Desk) -> None:
    await written(desk, a_message("one"), a_message("two"))
    one, two = await claim(desk)
    await desk.do(deliveries.later, one, "no", desk.clock.now(), desk.clock.now() + timedelta(minutes=15))
    await desk.do(deliveries.delivered, two.hold, "chat", desk.clock.now())
    assert names(await claim(desk)) == ["one"]


async def test_what_is_over_is_kept_for_a_while(desk: Desk) -> None:
    """Dead letters longer than the others: somebody may yet want them."""
    await written(desk, *map(a_message, ("one", "two", "three", "last")))
    one, two, _, last = await claim(desk)
    await desk.do(deliveries.delivered, one.hold, "chat", START)
    await desk.do(deliveries.delivered, last.hold, "chat", START)
    await desk.do(deliveries.dead, two, "no", START)
    assert await desk.do(deadletters.trim, START + deadletters.KEPT) == 0
    assert await desk.do(deadletters.trim, START + deadletters.KEPT + timedelta(seconds=1)) == 1
    assert await desk.do(deadletters.trim, START + deadletters.DEAD_KEPT + timedelta(seconds=1)) == 1
    assert await state(desk, "three") == "sending"
    assert await state(desk, "last") == "delivered", "a channel's file goes on saying when it worked last"


async def shown(desk: Desk) -> ChannelView | None:
    """The file of the channel where the outbox has named it since the last time; then it has to be what it was."""
    named = ("channel", "chat") in (await desk.see(outbox.pending, "status", 100)).objects
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    assert named
    return await desk.see(letters.view, "chat")


async def test_the_file_of_a_channel_changes_with_how_it_does_and_not_with_each_message(desk: Desk) -> None:
    await desk.do(outbox.advance, "status", await desk.see(outbox.last))
    await written(desk, *map(a_message, ("one", "two", "three", "four")))
    one, two, three, four = await claim(desk)
    assert await desk.see(letters.view, "chat") is None
    await desk.do(deliveries.delivered, one.hold, "chat", START)
    assert await shown(desk) == ChannelView("chat", last_delivered=START)
    await desk.do(deliveries.delivered, two.hold, "chat", START + timedelta(minutes=1))
    assert (await desk.see(outbox.pending, "status", 100)).objects == ()
    for _ in range(2):
        await desk.do(deliveries.later, three, "status 500", START, START + timedelta(minutes=1))
        failing = ChannelView("chat", 2, 0, START + timedelta(minutes=1), START, "status 500")
        assert await desk.see(letters.view, "chat") == failing
    assert await shown(desk) == failing
    await desk.do(messages.write, a_message("five"))
    await desk.do(messages.write, a_message("held", hold_until=START + timedelta(days=1)))
    assert await shown(desk) == replace(failing, waiting=3)
    await desk.do(deliveries.delivered, four.hold, "chat", START + timedelta(minutes=2))
    assert await shown(desk) == replace(failing, waiting=2, last_delivered=START + timedelta(minutes=2))
    desk.clock.advance(3600)
    three, five = await claim(desk)
    await desk.do(deliveries.delivered, three.hold, "chat", desk.clock.now())
    works = ChannelView("chat", last_delivered=START + timedelta(minutes=2))
    assert await shown(desk) == works, "of the newest message that is there"
    await desk.do(deliveries.dead, five, "status 404", desk.clock.now())
    refused = replace(works, dead=1, failing_since=desk.clock.now(), error="status 404")
    assert await shown(desk) == refused
    assert await desk.do(deadletters.replay) == 1
    assert await shown(desk) == replace(refused, dead=0, waiting=1)
    (again,) = await claim(desk)
    await desk.do(deliveries.delivered, again.hold, "chat", desk.clock.now())
    assert await shown(desk) == replace(works, last_delivered=desk.clock.now())


async def test_a_channel_fails_until_a_message_gets_there_whatever_was_given_up(desk: Desk) -> None:
    """After 24 hours in vain nothing waits: that is no sign that it works."""
    await written(desk, a_message("one"), a_message("two"))
    one, two = await claim(desk)
    await desk.do(deliveries.dead, one, "status 404", START)
    refused = ChannelView("chat", 1, 1, None, START, "status 404")
    assert await shown(desk) == refused
    assert await desk.see(letters.failing) == (refused,)
    desk.clock.advance(60)
    await desk.do(deliveries.later, two, "status 500", desk.clock.now(), desk.clock.now())
    desk.clock.advance(DEADLINE.total_seconds())
    (two,) = await claim(desk)
    assert await desk.do(deliveries.later, two, "status 500", desk.clock.now(), desk.clock.now())
    given_up = ChannelView("chat", 0, 2, None, START, "status 500")
    assert await shown(desk) == given_up
    assert await desk.see(letters.failing) == (given_up,)
    await desk.do(messages.write, a_message("three"))
    assert await shown(desk) == replace(given_up, waiting=1)
    (three,) = await claim(desk)
    await desk.do(deliveries.delivered, three.hold, "chat", desk.clock.now())
    assert await shown(desk) == ChannelView("chat", 0, 2, desk.clock.now())
    assert await desk.see(letters.failing) == ()


async def test_that_a_channel_fails_follows_its_name_and_goes_with_it(desk: Desk) -> None:
    await written(desk, a_message("one"))
    (one,) = await claim(desk)
    await desk.do(deliveries.dead, one, "status 404", START)
    await desk.do(messages.set_channels, [Channel("talk", "default", {}, "2f0c")])
    for _ in range(2):
        await desk.do(messages.follow, {"chat": "talk"})
    assert await desk.see(letters.failing) == (ChannelView("talk", 0, 1, None, START, "status 404"),)
    await desk.do(messages.set_channels, [])
    await desk.do(messages.follow, {})
    assert await desk.see(letters.failing) == (), "nobody can make a channel work that is not there"
    await desk.do(messages.write, a_message("two", channel="talk"))
    (two,) = await claim(desk)
    await desk.do(deliveries.dead, two, "there is no such channel any more", START)
    assert await desk.see(letters.failing) == ()


async def test_what_people_are_shown_of_messages(desk: Desk) -> None:
    await written(desk, *map(a_message, ("one", "two", "three")), a_message("lost", channel="gone"))
    one, two, three, lost = await claim(desk)
    await desk.do(deliveries.rendered, one.hold, "backup FAILED", "t", "text")
    await desk.do(deliveries.dead, one, "status 404", START)
    await desk.do(deliveries.later, two, "status 500", START, START + timedelta(minutes=1))
    await desk.do(deliveries.delivered, three.hold, "mail", START)
    await desk.do(deliveries.dead, lost, "no", START)
    assert await desk.see(letters.counts) == {"waiting": 1, "dead": 2}
    assert [one.id for one in await desk.see(letters.recent)] == ["lost", "three", "two", "one"]
    assert [one.id for one in await desk.see(letters.waiting)] == ["two"]
    (found,) = await desk.see(letters.dead, channel="chat", id="o")
    assert (found.subject, found.error, found.tells) == ("backup FAILED", "status 404", ("run.failed",))
    assert await desk.see(letters.dead_by_channel) == (
        DeadLettersView("chat", 1, START, "status 404"),
        DeadLettersView("gone", 1, START, "no"),
    )
    assert await desk.see(letters.failing) == (ChannelView("chat", 1, 1, START, START, "status 500"),)


async def test_what_a_newer_message_makes_untrue_is_dropped(desk: Desk) -> None:
    """What waits or is dead goes when the newer one is written; what is under way, when it did not arrive."""
    await written(desk, a_message("first", order_key="k"), a_message("other"))
    assert await desk.see(messages.known, "first")
    assert await desk.do(messages.supersede, "chat", "k") == 1
    assert not await desk.see(messages.known, "first")
    await desk.do(messages.write, a_message("second", order_key="k"))
    other, second = await claim(desk)
    assert (other.id, second.id) == ("other", "second")
    assert not await desk.do(deliveries.outdated, second)
    assert await desk.do(messages.supersede, "chat", "k") == 0
    await desk.do(messages.write, a_message("third", order_key="k"))
    assert await claim(desk) == ()
    assert not await desk.do(deliveries.outdated, other)
    assert await desk.do(deliveries.outdated, second)
    assert not await desk.do(deliveries.later, second, "no", START, START)
    (third,) = await claim(desk)
    assert third.id == "third"
    assert await desk.do(deliveries.dead, third, "no", START)
    assert await desk.do(messages.supersede, "chat", "k") == 1


async def test_a_dead_status_of_a_commit_is_the_projects(desk: Desk) -> None:
    event = {**EVENT, "type": "commit.failure", "kind": "Project", "name": "fleet"}
    await desk.do(messages.set_channels, [Channel("commitStatus", "default", {"spec": {}}, "1f0c")])
    await desk.do(messages.write, a_message("one", channel="commitStatus", context={"event": event}))
    (claimed,) = await claim(desk)
    assert await desk.do(deliveries.dead, claimed, "no", START)
    [notice] = await desk.see(notices.pending)
    assert (notice.kind, notice.name, notice.data["tells"]) == ("Project", "fleet", ["commit.failure"])
    assert notice.data["run"] is None


async def test_what_waits_for_a_channel_follows_its_name(desk: Desk) -> None:
    await written(desk, a_message("one"), a_message("two"), a_message("other", channel="mail"))
    first, *_ = await claim(desk, limit=1)
    await desk.do(messages.set_channels, [Channel(name, "default", {}, "2f0c") for name in ("talk", "mail")])
    for _ in range(2):
        await desk.do(messages.follow, {"chat": "talk", "mail": "talk"})
    assert await desk.do(deliveries.later, first, "no", START, START)
    assert [(one.id, one.channel) for one in await claim(desk)] == [("one", "talk"), ("two", "talk"), ("other", "mail")]
    assert ("channel", "talk") in (await desk.see(outbox.pending, "someone")).objects


async def test_dead_letters_are_sent_again_wherever_the_journal_is(desk: Desk, url: str) -> None:
    """By the command line, beside an engine that is at work: from its folder, or from the database of several."""
    await written(desk, a_message("abc1"), a_message("abd2"), a_message("fine"))
    for one in await claim(desk):
        if one.id != "fine":
            await desk.do(deliveries.dead, one, "status 404", START)
    listed = await asyncio.to_thread(telling.dead_letters, url, channel="chat", id=None)
    assert [(one.id, one.error) for one in listed] == [("abc1", "status 404"), ("abd2", "status 404")]
    (again,) = await asyncio.to_thread(telling.replay, url, channel=None, id="abc")
    assert (again.id, await state(desk, "abc1"), await state(desk, "abd2")) == ("abc1", "waiting", "dead")


async def test_of_a_channel_that_nobody_mends_the_newest_dead_letters_are_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadletters, "DEAD_MOST", 2)
    await written(desk, *(a_message(str(number)) for number in range(4)), a_message("other", channel="mail"))
    for one in await claim(desk):
        await desk.do(deliveries.dead, one, "status 404", START)
    assert await desk.do(deadletters.trim, START) == 2
    assert [one.id for one in await desk.see(letters.dead)] == ["2", "3", "other"]
    assert await desk.do(deadletters.trim, START) == 0
