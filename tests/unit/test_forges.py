"""Links to lines, where the forge is known."""

import pytest

from opsconductor.dashboard.forges import commit_at, line_at


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/blob/abc/jobs/a%20b.yaml#L7"),
        ("git@github.com:o/r.git", "https://github.com/o/r/blob/abc/jobs/a%20b.yaml#L7"),
        (
            "ssh://git@gitlab.example.org:2222/g/sub/r",
            "https://gitlab.example.org/g/sub/r/-/blob/abc/jobs/a%20b.yaml#L7",
        ),
        ("https://codeberg.org/o/r/", "https://codeberg.org/o/r/src/commit/abc/jobs/a%20b.yaml#L7"),
        ("https://git.example.org/o/r.git", None),
        ("https://github.com/", None),
        ("https://github.com", None),
        ("/srv/definitions.git", None),
        ("https://github.com/o/r?x=javascript:alert(1)", None),
    ],
)
def test_a_line_has_an_address_where_the_forge_is_known(source: str, expected: str | None) -> None:
    assert line_at(source, "abc", "jobs/a b.yaml", 7) == expected


def test_a_commit_has_one_too() -> None:
    assert commit_at("https://gitlab.com/o/r.git", "abc") == "https://gitlab.com/o/r/-/commit/abc"
    assert commit_at("/srv/definitions.git", "abc") is None
