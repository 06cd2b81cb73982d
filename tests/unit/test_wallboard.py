"""The wall says that all is well only where nothing is not."""

import pytest

from engine.status.wellness import Troubles
from opsconductor.dashboard.pages.wallboard import _headline


@pytest.mark.parametrize(
    "troubles, says",
    [
        (Troubles(), "All is well"),
        (Troubles(failing=2), "2 failing"),
        (Troubles(late=1), "1 run is late"),
        (Troubles(missed=2), "2 schedules have missed starts"),
        (Troubles(overdue=1), "1 start is overdue"),
        (Troubles(dead_letters=3), "3 messages are undelivered"),
        (Troubles(channels=1, dead_letters=1), "1 channel fails, and 1 message is undelivered"),
        (Troubles(unreachable=1), "1 target is unreachable"),
        (Troubles(behind=True), "The newest commit is not in force"),
        (Troubles(failing=1, behind=True, late=1), "1 failing, the newest commit is not in force, and 1 run is late"),
    ],
)
def test_every_trouble_is_said(troubles: Troubles, says: str) -> None:
    assert _headline(troubles, applied="b" * 40, ready=True) == says


def test_an_engine_that_does_not_do_its_work_is_not_well() -> None:
    assert _headline(Troubles(), applied="b" * 40, ready=False) == "The engine does not do its work"
    assert _headline(Troubles(), applied=None, ready=True) == "No commit is in force"
