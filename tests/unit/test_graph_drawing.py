"""Graphs of workflows as drawings: who needs whom is seen from left to right, and nothing lies on anything."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconductor.dashboard.graphdrawing import MOST, drawing


def node(name: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "needs": list(needs), "under": "", **more}


def test_what_needs_another_stands_to_its_right() -> None:
    drawn = drawing([node("build"), node("test", "build"), node("ship", "test", "build")])
    assert drawn is not None
    build, test, ship = drawn.boxes
    assert build.x < test.x < ship.x
    assert len(drawn.lines) == 3


def test_a_line_past_a_column_passes_beside_its_boxes() -> None:
    drawn = drawing([node("a"), node("b", "a"), node("c", "b", "a")])
    assert drawn is not None
    (long,) = [line for line in drawn.lines if "H" in line]
    middle = next(box for box in drawn.boxes if box.label == "b")
    passes = float(long.partition("H")[0].split()[-1])
    assert not middle.y <= passes <= middle.y + drawn.box_height


@settings(deadline=None)
@given(
    st.integers(1, 25).flatmap(
        lambda count: st.lists(st.sets(st.integers(0, count - 1), max_size=4), min_size=count, max_size=count)
    )
)
def test_no_box_lies_on_another_and_all_are_within(wanted: list[set[int]]) -> None:
    """Also where nodes need each other in a circle, or themselves, which validation refuses."""
    drawn = drawing([node(f"n{n}", *(f"n{one}" for one in needs)) for n, needs in enumerate(wanted)])
    assert drawn is not None
    assert len(drawn.boxes) == len(wanted)
    for one, other in combinations(drawn.boxes, 2):
        assert abs(one.x - other.x) >= drawn.box_width or abs(one.y - other.y) >= drawn.box_height
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width - drawn.box_width and 0 <= box.y <= drawn.height - drawn.box_height


def test_long_names_are_cut_and_said_whole_beside() -> None:
    drawn = drawing([node("n" * 60, under="u" * 60, state="failed")])
    assert drawn is not None
    (box,) = drawn.boxes
    assert len(box.label) == 20 and box.label.endswith("…")
    assert box.title == f"{'n' * 60}: {'u' * 60}"
    assert box.node["state"] == "failed"


@pytest.mark.parametrize("count", [0, MOST + 1])
def test_what_nobody_could_read_is_not_drawn(count: int) -> None:
    assert drawing([node(f"n{number}") for number in range(count)]) is None
