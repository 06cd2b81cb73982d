"""A workflow's graph as a drawing: boxes in columns, each to the right of what it needs, and lines between them. Pure.

What it gives is measured in the units of an SVG's view box; the template `graph.html` writes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from engine.graph import bottom_up

MOST = 400
"""Nodes that are drawn; a larger graph is a table only."""
_WIDTH, _HEIGHT = 176, 44
_COLUMN, _ROW = 232, 60
_MARGIN = 8
_LETTERS = 20
_SWEEPS = 4
_Slot = tuple[str, int]
"""A node in its column, or a line that passes through a column on its way to a further one."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node: `label` and `under` fit into it, `title` is all of it. `node` is what was given."""

    x: float
    y: float
    label: str
    under: str
    title: str
    node: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drawing:
    """`lines` are paths of SVG, each from a node to one that needs it."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    box_width: int = _WIDTH
    box_height: int = _HEIGHT


def drawing(nodes: Sequence[Mapping[str, Any]]) -> Drawing | None:
    """The graph of `nodes`, each with `id`, `needs` and `under`, a few words; None where it is too large to be seen.

    What else a node has (`state`, `href`) is the template's. Names in `needs` that are no node are passed over.
    """
    if not 0 < len(nodes) <= MOST:
        return None
    needs = {str(node["id"]): [one for one in node["needs"] if one != node["id"]] for node in nodes}
    needs = {name: [one for one in wanted if one in needs] for name, wanted in needs.items()}
    ways = _ways(needs, _columns(needs))
    rows = _rows(ways, needs)
    boxes = tuple(_box(node, *rows[_end(ways, str(node["id"]))]) for node in nodes)
    lines = tuple(_line([rows[slot] for slot in way]) for way in ways if len(way) > 1)
    right, low = max(box.x for box in boxes) + _WIDTH, max(y for _, y in rows.values()) + _HEIGHT
    return Drawing(right + _MARGIN, low + _MARGIN, boxes, lines)


def _columns(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Each one to the right of all that it needs."""
    found: dict[str, int] = {}
    for name in bottom_up(needs):
        found[name] = 1 + max((found[one] for one in needs[name] if one in found), default=-1)
    return found


def _ways(needs: Mapping[str, Sequence[str]], columns: Mapping[str, int]) -> list[list[_Slot]]:
    """Each line column by column, and each node that has none by itself. A need to the right of it is not drawn."""
    ways: list[list[_Slot]] = []
    for name, wanted in needs.items():
        here = columns[name]
        ways.append([(name, here)])
        for one in wanted:
            if columns[one] < here:
                between = [(f"{one} {name}", column) for column in range(columns[one] + 1, here)]
                ways.append([(one, columns[one]), *between, (name, here)])
    return ways


def _end(ways: Sequence[Sequence[_Slot]], name: str) -> _Slot:
    return next(way[0] for way in ways if len(way) == 1 and way[0][0] == name)


def _rows(ways: Sequence[Sequence[_Slot]], needs: Mapping[str, Sequence[str]]) -> dict[_Slot, tuple[float, float]]:
    """The corner of each slot. Within a column they stand near what they are joined to, so that few lines cross."""
    joined: dict[_Slot, list[_Slot]] = {slot: [] for way in ways for slot in way}
    for way in ways:
        for left, right in pairwise(way):
            joined[left].append(right)
            joined[right].append(left)
    columns: dict[int, list[_Slot]] = {}
    for slot in joined:
        columns.setdefault(slot[1], []).append(slot)
    for sweep in range(_SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for column in sorted(columns, reverse=step < 0):
            place = {slot: row for row, slot in enumerate(columns.get(column - step, ()))}
            columns[column].sort(key=lambda slot, place=place: _middle(slot, joined, place))  # type: ignore[misc]
    tallest = max(len(slots) for slots in columns.values())
    return {
        slot: (_MARGIN + column * _COLUMN, _MARGIN + (row + (tallest - len(slots)) / 2) * _ROW)
        for column, slots in columns.items()
        for row, slot in enumerate(slots)
    }


def _middle(slot: _Slot, joined: Mapping[_Slot, Sequence[_Slot]], place: Mapping[_Slot, int]) -> float:
    rows = [place[other] for other in joined[slot] if other in place]
    return sum(rows) / len(rows) if rows else 0.0


def _box(node: Mapping[str, Any], x: float, y: float) -> Box:
    name, under = str(node["id"]), str(node.get("under") or "")
    title = f"{name}: {under}" if under else name
    return Box(x, y, _short(name), _short(under), title, node)


def _short(text: str) -> str:
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"


def _line(corners: Sequence[tuple[float, float]]) -> str:
    """From the right side of the first box to the left side of the last, through the middles of what is between."""
    (x, y), *rest = corners
    path = f"M{x + _WIDTH:g} {y + _HEIGHT / 2:g}"
    here = (x + _WIDTH, y + _HEIGHT / 2)
    for number, (left, top) in enumerate(rest):
        there = (left, top + _HEIGHT / 2)
        bend = (here[0] + there[0]) / 2
        path += f"C{bend:g} {here[1]:g} {bend:g} {there[1]:g} {there[0]:g} {there[1]:g}"
        if number < len(rest) - 1:
            path += f"H{left + _WIDTH:g}"
            there = (left + _WIDTH, there[1])
        here = there
    return path
