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
        ("/api/v1/kinds/Job/a.json", "api/v1/kinds/Job/a.json.json"),
        ("/static/style.css?v=1a2b", "static/style.css"),
        ("/jobs/backup.ics", "jobs/backup.ics.html"),
        ("/kinds/Job/static", "kinds/Job/static.html"),
        ("/badge/backup.ics.svg", "badge/backup.ics.svg"),
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


_NAMES = st.from_regex(r"[a-z0-9](\.?[a-z0-9]|\.(json|html|ics|svg))?", fullmatch=True)
_PAGES = st.builds(
    "{}/{}{}".format,
    st.sampled_from(["/jobs", "/targets", "/kinds/Job", "/api/v1/kinds/Job"]),
    _NAMES,
    st.sampled_from(["", "?page=2"]),
)


@settings(deadline=None)
@given(st.lists(_PAGES, unique=True, max_size=8))
def test_no_two_pages_are_one_file(addresses: list[str]) -> None:
    files = [file_of(one) for one in [*addresses, "/schedule.ics", "/api/v1/openapi.json"]]
    assert None not in files and len(set(files)) == len(files)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_address_leads_out(text: str) -> None:
    file = file_of("/" + text.lstrip("/"))
    assert file is None or (not file.startswith("/") and ".." not in file.split("/"))
