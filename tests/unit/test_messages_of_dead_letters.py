"""What is told of a message that could not be delivered: which one it was, and how to send it again."""

from datetime import UTC, datetime

from engine.notifications import noticecontext
from engine.notifications.notices import Event
from engine.notifications.noticewords import words
from tests.catalogs import catalog

AT = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)


def said(**more: object) -> list[str]:
    data = {"message": "3f9a" * 8, "error": "status 404", "attempts": 1, "tells": ["run.failed"], **more}
    event = Event("n", "notification.dead", AT, "NotificationChannel", "chat", None, data)
    return words(noticecontext.context_of(event, (), None, catalog(), None)).text.splitlines()


def test_it_says_which_message_was_lost_and_how_to_send_that_one_again() -> None:
    assert said(subject="backup FAILED", run="backup-1")[:4] == [
        "Message: backup FAILED",
        "Of run: backup-1",
        "Tried 1 time; the last error: status 404",
        "It can be sent again: opsconductor notify replay 3f9a3f9a3f9a",
    ]


def test_of_one_that_was_never_made_it_says_what_it_would_have_told() -> None:
    assert said(subject=None, attempts=3)[:2] == ["Message: run.failed", "Tried 3 times; the last error: status 404"]
