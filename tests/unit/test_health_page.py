"""The page of the engine's health says of messages what becomes of them, and no more."""

import re
from typing import Any

import pytest

from opsconductor.dashboard.rendering import page

AT = "2026-11-22T08:00:00Z"
FACTS: dict[str, Any] = {
    "here": "/health", "json": None, "navigation": (), "at": AT, "ready": True, "sentence": "", "parts": [],
    "version": "1", "startedAt": AT, "upSeconds": 1, "clock": {"now": AT, "timeZoneData": {"version": "2026a"}},
    "paused": False, "unpublished": None, "git": [], "working": None, "rank": None, "unread": None, "controllers": [],
    "runners": [], "untaken": [], "queues": [], "open": [], "gates": 0, "behind": [], "messages": [], "dead": [],
    "store": {"journal": 1, "writeAheadLog": 1, "free": 1},
}  # fmt: skip


def failing(channel: str, waiting: int, *, own: bool = True) -> dict[str, Any]:
    return {"channel": channel, "waiting": waiting, "since": AT, "error": "status 404", "canBeTried": own}


def words(*channels: dict[str, Any]) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page("health", **FACTS, failing=list(channels))).split())


@pytest.mark.parametrize(
    ("waiting", "own", "said"),
    [
        (0, True, "nothing: all was given up"),
        (1, True, "1 message status 404"),
        (3, True, "3 messages status 404"),
        (2, False, "2 messages, of each the newest status 404"),
    ],
)
def test_it_is_said_of_each_channel_that_fails_what_is_tried_again(waiting: int, own: bool, said: str) -> None:
    shown = words(failing("ops", waiting, own=own))
    assert said in shown
    assert ("opsconductor notify test ops" in shown) is own, "nobody can try what has no document of its own"


def test_it_is_a_channel_of_its_own_that_is_to_be_tried() -> None:
    assert "opsconductor notify test ops" in words(failing("commitStatus", 1, own=False), failing("ops", 1))
