"""Where a page cannot be shown, its reader is told why, and where to go on."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from journal.clock import SystemClock
from journal.errors import Unavailable
from opsconductor.dashboard import app
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Sources


class _Sources:
    """Nothing but the time: what is shown here is shown where there is nothing else."""

    clock = SystemClock()
    public_url = None


def _asking(monkeypatch: pytest.MonkeyPatch, error: Exception) -> TestClient:
    async def load(sources: Sources, asked: Asked) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(app, "PAGES", (Page("/runs/{run}/log", "log", load),))
    return TestClient(app.pages_alone(_Sources()), raise_server_exceptions=False)  # type: ignore[arg-type]


def test_a_bucket_that_is_away_is_not_called_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs may be kept at a place of their own: its error says what it is."""
    said = "the logs cannot be listed: there is no such bucket"
    asking = _asking(monkeypatch, Unavailable(said, timedelta(seconds=1)))
    away = asking.get("/runs/a/log")
    assert (away.status_code, away.text) == (503, f"this cannot be shown now: {said}\n")
    shown = asking.get("/runs/a/log", headers={"Accept": "text/html"})
    assert shown.status_code == 503 and f"This cannot be shown now: {said}." in shown.text
    assert asking.get("/api/v1/runs/a/log").json() == {"error": f"this cannot be shown now: {said}"}


def test_a_fault_of_a_page_is_a_page_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the fault was of: that may be anything."""
    asking = _asking(monkeypatch, ValueError("hunter2"))
    for headers in ({}, {"Accept": "text/html"}):
        fault = asking.get("/runs/a/log", headers=headers)
        assert fault.status_code == 500 and "its own log says more" in fault.text and "hunter2" not in fault.text
