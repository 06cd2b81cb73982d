"""What is away is called by its name."""

from datetime import timedelta

from starlette.requests import Request

from journal.errors import Unavailable
from opsconductor.dashboard.app import _away


async def test_a_bucket_that_is_away_is_not_called_the_journal() -> None:
    """Logs may be kept at a place of their own: its error says what it is."""
    request = Request({"type": "http", "path": "/runs/a/log", "headers": []})
    away = await _away(request, Unavailable("the logs cannot be listed: there is no such bucket", timedelta(seconds=1)))
    assert away.status_code == 503
    assert away.body == b"this cannot be shown now: the logs cannot be listed: there is no such bucket\n"
