"""Who would be told if a job failed now: all whom the rules in force would have told, and why others would not."""

from typing import Any

from opsconductor.dashboard.pages.starts import Subject
from opsconductor.dashboard.told import told_of_failure
from tests.catalogs import catalog, job, local_target
from tests.contract.conftest import START, Desk

CHANNELS = tuple(
    f"kind: NotificationChannel\nmetadata: {{name: {name}}}\nspec: {{type: slack, url: 'https://c.example.org/{name}'}}\n"
    for name in ("chat", "phone")
)
PEOPLE = tuple(
    f"kind: User\nmetadata: {{name: {name}}}\nspec: {{email: {name}@example.org, notify: {{channels: {channels}}}}}\n"
    for name, channels in (("ana", "[phone]"), ("bob", "[phone, chat]"), ("eve", "[]"))
)
NIGHTLY = "kind: Schedule\nmetadata: {name: nightly, labels: {team: web}}\nspec: {jobRef: rotate, every: 1h}\n"
RULE = "kind: NotificationRule\nmetadata: {name: failures}\nspec: {events: [run.failed], REST}\n"


async def told(desk: Desk, rest: str) -> list[dict[str, Any]]:
    known = catalog(
        local_target("here"),
        job("rotate", spec="  targets: {names: [here]}\n"),
        *CHANNELS,
        *PEOPLE,
        NIGHTLY,
        RULE.replace("REST", rest),
    )
    subject = Subject("rotate", False, known.jobs["rotate"])
    return await desk.see(told_of_failure, known, subject, None, START)


async def test_people_are_told_by_the_channels_that_they_prefer(desk: Desk) -> None:
    """One message by a channel, whoever shares it: each is named."""
    phone, chat = await told(desk, "users: [ana, bob]")
    assert (phone["channel"], phone["users"], phone["byRule"]) == ("phone", ["ana", "bob"], False)
    assert (chat["channel"], chat["users"], chat["byRule"]) == ("chat", ["bob"], False)


async def test_who_shares_a_channel_of_the_rule_is_named(desk: Desk) -> None:
    chat, phone = await told(desk, "channels: [chat], users: [bob]")
    assert (chat["channel"], chat["users"], chat["byRule"]) == ("chat", ["bob"], True)
    assert (phone["channel"], phone["users"], phone["byRule"]) == ("phone", ["bob"], False)


async def test_who_prefers_no_channel_is_told_nothing_and_that_is_said(desk: Desk) -> None:
    (eve,) = await told(desk, "users: [eve]")
    assert (eve["tells"], eve["user"], eve["because"]) == (False, "eve", "notify.channels names none")


async def test_a_rule_about_its_schedule_tells_what_that_one_starts(desk: Desk) -> None:
    (found,) = await told(desk, "select: {selector: {matchLabels: {team: web}}}, channels: [chat]")
    assert (found["schedule"], found["channel"], found["tells"]) == ("nightly", "chat", True)
    (however,) = await told(desk, "channels: [chat]")
    assert however["schedule"] is None
    assert await told(desk, "select: {names: [here]}, channels: [chat]") == []
