"""Documents as lines: they say what the document says, and link what it names."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconductor.dashboard.documentlines import MASK, Line, lines, masked

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs", "S")), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-9999, 9999) | TEXT | st.lists(TEXT, max_size=4).map("\n".join)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=12
)


def written(found: tuple[Line, ...]) -> str:
    return "\n".join(line.text + line.named for line in found) + "\n"


@settings(deadline=None)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_the_lines_are_yaml_that_says_the_same(document: dict[str, Any]) -> None:
    assert (yaml.safe_load(written(lines(document, {}))) or {}) == document


def test_what_is_named_leads_there() -> None:
    document = {"spec": {"targets": {"names": ["web-01", "web-02"]}, "steps": [{"uses": "linux-core/service@1"}]}}
    links = {("spec", "targets", "names", 1): "/a", ("spec", "steps", 0, "uses"): "/b"}
    found = lines(document, links)
    assert [line.number for line in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [(line.text, line.named, line.href) for line in found if line.href] == [
        ("      - ", "web-02", "/a"),
        ("    - uses: ", "linux-core/service@1", "/b"),
    ]
    assert yaml.safe_load(written(found)) == document


def test_a_script_is_read_line_by_line() -> None:
    found = lines({"run": "df /var\necho ok\n"}, {})
    assert [line.text for line in found] == ["run: |", "  df /var", "  echo ok"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "hunter2-and-more"}, {"password": MASK}),
        ({"url": "https://ann:hunter2xyz@example.org/"}, {"url": f"https://ann:{MASK}@example.org/"}),
        ({"PASSWORD": "${{ secrets.db.password }}"}, {"PASSWORD": "${{ secrets.db.password }}"}),
        ({"run": "true\nexport DB_PASSWORD=hunter2xyz9\n"}, {"run": f"true\nexport DB_PASSWORD={MASK}\n"}),
        ({"count": 3, "on": True, "none": None}, {"count": 3, "on": True, "none": None}),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(value: Any, shown: Any) -> None:
    assert masked(value) == shown
