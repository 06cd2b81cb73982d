"""How many years a window lasts is counted by the calendar."""

import pytest

from engine.compile import compile_files
from schemas.reader import read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: ops}\n"


def said(begin: str, end: str) -> list[str]:
    text = (
        "apiVersion: opsconductor/v1\nkind: Window\nmetadata: {name: w}\n"
        f"spec: {{effect: deny, from: '{begin}', until: '{end}'}}\n"
    )
    files = [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "w.yaml")]
    return [one.message.partition(":")[0] for one in compile_files("c" * 40, files).findings if one.code == "OC506"]


@pytest.mark.parametrize(
    ("begin", "end", "years"),
    [
        ("2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z", 10),  # two leap days
        ("2024-01-01T00:00:00Z", "2034-01-01T00:00:00Z", 10),  # three
        ("2026-01-01T00:00:00Z", "2035-12-31T23:59:59Z", None),
        ("2028-02-29T00:00:00Z", "2038-02-28T00:00:00Z", None),
        ("2028-02-29T00:00:00Z", "2038-03-01T00:00:00Z", 10),
        ("2026-01-01T00:00:00+02:00", "2035-12-31T22:00:00Z", 10),
        ("2026-01-01T00:00:00+02:00", "9999-12-31T23:59:59Z", 7974),
    ],
)
def test_a_window_of_ten_years_of_the_calendar_is_told(begin: str, end: str, years: int | None) -> None:
    assert said(begin, end) == ([f"it ends after {years:,} years"] if years else [])
