"""Notices and messages: recorded once, read in their order, kept as long as they are wanted."""

from dataclasses import replace
from datetime import timedelta

from journal import messages, notices
from journal.messages import Channel, NewMessage
from journal.notices import Notice
from tests.contract.conftest import START, Desk


def a_notice(name: str = "backup", occurrence: str = "one", type: str = "run.failed") -> Notice:  # noqa: A002
    return Notice(type, START, "Job", name, occurrence, data={"state": "failed"})  # type: ignore[arg-type]


def a_message(name: str = "m1") -> NewMessage:
    return NewMessage(name, "oncall", "default", "failures", "backup", {"event": {}}, ("n1",), START)


async def test_what_happened_once_is_one_notice(desk: Desk) -> None:
    """Whoever repeats a change that was cut off tells nobody twice."""
    assert await desk.do(notices.happened, a_notice())
    assert not await desk.do(notices.happened, a_notice())
    assert await desk.do(notices.happened, a_notice(occurrence="two"))
    assert [row.id for row in await desk.see(notices.pending)] == [a_notice().id, a_notice(occurrence="two").id]


async def test_the_cursor_goes_forward_only(desk: Desk) -> None:
    for number in range(4):
        await desk.do(notices.happened, a_notice(occurrence=str(number)))
    second = (await desk.see(notices.pending, 2))[-1]
    await desk.do(notices.advance, second.seq)
    await desk.do(notices.advance, second.seq - 1)
    assert [row.seq for row in await desk.see(notices.pending)] == [second.seq + 1, second.seq + 2]


async def test_notices_are_kept_until_they_are_decided_and_then_for_a_while(desk: Desk) -> None:
    for number in range(6):
        await desk.do(notices.happened, a_notice(occurrence=str(number)))
    assert await desk.do(notices.trim, 2, START + timedelta(days=1)) == 0
    await desk.do(notices.advance, 6)
    assert await desk.do(notices.trim, 2, START) == 4
    assert [row.seq for row in await desk.see(notices.recent)] == [6, 5]
    assert await desk.do(notices.trim, 2, START + timedelta(days=1)) == 2


async def test_a_message_is_written_once(desk: Desk) -> None:
    assert await desk.do(messages.write, a_message())
    assert not await desk.do(messages.write, a_message())


async def test_channels_are_those_of_the_commit_in_force(desk: Desk) -> None:
    await desk.do(messages.set_channels, [Channel("oncall", "default", {"type": "slack"}, "1f0c")])
    await desk.do(messages.set_channels, [])


async def test_events_of_a_group_are_added_to_its_message_while_that_is_held(desk: Desk) -> None:
    first = replace(a_message(), group_key="g", hold_until=START + timedelta(minutes=2))
    grow = lambda before, count: {**before, "count": count}  # noqa: E731
    assert not await desk.do(messages.gather, first, grow)
    await desk.do(messages.write, first)
    later = replace(first, notices=("n2",), created_at=START + timedelta(minutes=1))
    assert await desk.do(messages.gather, later, grow)
    assert await desk.do(messages.gather, later, grow)  # the same again adds nothing
    assert not await desk.do(messages.gather, replace(later, created_at=START + timedelta(minutes=2)), grow)
    assert await desk.see(messages.lately, "oncall", "failures", START - timedelta(minutes=1)) == 0
