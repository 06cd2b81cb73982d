"""How many items of a forEach ended in which way, and how many never began."""

import pytest

from engine.itemcounts import counted


@pytest.mark.parametrize(
    ("ends", "total", "said"),
    [
        (["cancelled", "succeeded"], 4, "4 items: 1 succeeded, 1 cancelled, 2 did not begin"),
        (["failed", "rescued", "skipped", "failed"], 4, "4 items: 1 rescued, 1 skipped, 2 failed"),
        (["unknown"], 1, "1 item: 1 unknown"),
        ([], 3, "3 items: 3 did not begin"),
    ],
)
def test_all_of_them_are_counted_once(ends: list[str], total: int, said: str) -> None:
    assert counted(ends, total) == said
