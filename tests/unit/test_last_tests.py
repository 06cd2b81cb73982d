"""What `target test` found last is kept for the pages: whole, or as if it had not been."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opsconductor.lasttests import LastTest, Trial, keep, last
from runners.trying import Tried

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_the_last_test_of_each_target_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    keep(folder, [Tried("web-01", "ssh", True, "Linux", 0.3), Tried("web-01", "http", False, "x" * 9000, 1.5)], AT)
    keep(folder, [Tried("web-02", "ssh", True, "Linux", 0.3)], AT)
    assert last(folder, "web-01") == LastTest(
        AT, (Trial("ssh", True, "Linux", 0.3), Trial("http", False, "x" * 500, 1.5))
    )
    keep(folder, [Tried("web-01", "ssh", False, "away", 9.0)], AT + timedelta(hours=1))
    assert last(folder, "web-01") == LastTest(AT + timedelta(hours=1), (Trial("ssh", False, "away", 9.0),))
    assert last(folder, "web-02") is not None
    assert {file.name for file in folder.iterdir()} == {"web-01.json", "web-02.json"}


@pytest.mark.parametrize(
    "text", ["", "\0\0\0", "[]", '{"at": 1, "trials": []}', '{"at": "2026-11-22T08:00:00Z", "trials": [{}]}']
)
def test_what_a_power_cut_left_is_no_test(tmp_path: Path, text: str) -> None:
    (tmp_path / "web-01.json").write_text(text)
    assert last(tmp_path, "web-01") is None
