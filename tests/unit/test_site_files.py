"""Which addresses become files, and which: none leads out of the site's folder, and no two are one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconductor.dashboard.export import file_of


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/", "index.html"),
        ("/kinds/Job/web.prune", "kinds/Job/web.prune.html"),
        ("/api/v1/runs/a-1", "api/v1/runs/a-1.json"),
        ("/api/v1/openapi.json", "api/v1/openapi.json"),
        ("/static/style.css", "static/style.css"),
        ("/schedule.ics", "schedule.ics"),
        ("/grid?range=7d", None),
        ("/health", None),
        ("/feed.atom", None),
        ("/runs/a/log?target=x&step=y&line=7", None),
        ("/runs/../../etc", None),
        ("/runs/%2e%2e%2fpasswd", None),
        ("/runs/.hidden", None),
    ],
)
def test_addresses_and_their_files(address: str, file: str | None) -> None:
    assert file_of(address) == file


def test_each_question_has_a_file_of_its_own() -> None:
    first, second = file_of("/runs/a/log?target=x&step=y"), file_of("/runs/a/log?target=x&step=z")
    assert first is not None and second is not None and first != second


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_address_leads_out(text: str) -> None:
    file = file_of("/" + text.lstrip("/"))
    assert file is None or (not file.startswith("/") and ".." not in file.split("/"))
