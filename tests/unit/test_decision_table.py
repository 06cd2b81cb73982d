"""What was skipped, as a table."""

from typing import Any

from opsconductor.cli.decisiontable import decision_table, of_schedule


def skipped(schedule: str, at: str, reason: str = "overlap", count: int = 1) -> dict[str, Any]:
    return {"schedule": schedule, "from": at, "to": at, "count": count, "reason": reason}


def day(name: str, *records: Any) -> dict[str, Any]:
    return {"kind": "Decision", "metadata": {"name": name}, "decisions": list(records)}


DAYS = [
    day("2026-11-22", skipped("often", "2026-11-22T01:00:00Z"), skipped("nightly", "2026-11-22T02:00:00Z", count=3)),
    day("2026-11-21", skipped("often", "2026-11-21T01:00:00Z", "window")),
]


def test_each_record_is_a_row_the_newest_first() -> None:
    table = decision_table(DAYS, empty="no Decision found")
    assert table.columns == ("SCHEDULE", "FROM", "TO", "COUNT", "REASON")
    assert [row[1] for row in table.rows] == ["2026-11-22T02:00:00Z", "2026-11-22T01:00:00Z", "2026-11-21T01:00:00Z"]
    assert table.rows[0][3:] == ("3", "overlap")
    assert table.data == {"items": DAYS}


def test_of_one_schedule_only_its_records_are_left() -> None:
    found = of_schedule("often", DAYS)
    assert [one["metadata"]["name"] for one in found] == ["2026-11-22", "2026-11-21"]
    assert {record["schedule"] for one in found for record in one["decisions"]} == {"often"}
    assert of_schedule("rarely", DAYS) == []


def test_what_others_have_written_into_the_branch_is_passed_over() -> None:
    table = decision_table([day("x", "text", {"schedule": "odd"}), {"metadata": {"name": "y"}}], empty="")
    assert table.rows == [("odd", "", "", "", "")]
