"""`get decision` as a table: a row for each record of the days' files, the newest first."""

from collections.abc import Iterable, Mapping
from typing import Any

from opsconductor.cli.output import Table

_COLUMNS = ("SCHEDULE", "FROM", "TO", "COUNT", "REASON")


def of_schedule(name: str, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The days with what was decided of a schedule, and nothing of others."""
    found = ({**item, "decisions": [one for one in _records(item) if one.get("schedule") == name]} for item in items)
    return [item for item in found if item["decisions"]]


def decision_table(items: list[dict[str, Any]], *, empty: str) -> Table:
    """The newest first, as the days come."""
    rows = [_row(one) for item in items for one in reversed(_records(item))]
    return Table(_COLUMNS, rows, {"items": items}, (), empty)


def _records(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those of a day's file; others may write the branch, and what is none is left out."""
    found = item.get("decisions")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(one.get(key, "")) for key in ("schedule", "from", "to", "count", "reason"))
