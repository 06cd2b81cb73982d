"""The address by which others open the dashboard: what may be said, and who may ask by it."""

import pytest
from starlette.datastructures import Headers

from opsconductor.dashboard.access import Access, host_of
from opsconductor.service.address import parse_public


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://ops.example.org", "https://ops.example.org"),
        ("https://Ops.Example.org/", "https://ops.example.org"),
        ("http://10.0.0.5:8420", "http://10.0.0.5:8420"),
        ("http://[fd00::5]:8420/", "http://[fd00::5]:8420"),
    ],
)
def test_an_address_is_where_links_begin(text: str, found: str) -> None:
    assert parse_public(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ops.example.org", "write https://HOST"),
        ("ftp://ops.example.org", "write https://HOST"),
        ("https://", "write https://HOST"),
        ("https://ops.example.org:port", "write https://HOST"),
        ("https://ops.example.org:99999", "write https://HOST"),
        ("https://[nonsense", "write https://HOST"),
        ("https://ops example.org", "write https://HOST"),
        ("https://ops.example.org\n", "write https://HOST"),
        ("https://öps.example.org", "write https://HOST"),
        ("https://ops:secret@ops.example.org", "without a login"),
        ("https://ops.example.org?x=1", "without a login, a query"),
        ("https://ops.example.org#top", "a fragment"),
        ("https://example.org/ops", "without a path"),
    ],
)
def test_what_no_link_could_begin_with_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="write https") as refused:
        parse_public(text)
    assert said in str(refused.value) and "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("ops.example.org", True),
        ("OPS.example.org:443", True),
        ("localhost:8420", True),
        ("evil.example.org", False),
        ("ops.example.org.evil.example", False),
        ("", False),
    ],
)
def test_a_proxy_on_this_machine_may_ask_by_the_public_name(host: str, passes: bool) -> None:
    access = Access(public=host_of("https://Ops.Example.org:8443"))
    assert (access.refusal("GET", "/", Headers({"host": host})) is None) is passes


def test_with_a_token_the_name_alone_lets_nobody_in() -> None:
    access = Access("x" * 20, host_of("https://ops.example.org"))
    refused = access.refusal("GET", "/", Headers({"host": "ops.example.org"}))
    assert refused is not None and refused.status_code == 401


def test_without_a_public_address_no_name_but_this_machines_passes() -> None:
    assert host_of(None) is None
    refused = Access().refusal("GET", "/", Headers({"host": ""}))
    assert refused is not None and refused.status_code == 421


@pytest.mark.parametrize("login", [b"Basic \xe9", b"Basic x", b"Basic", b"Bearer \xe9"])
def test_a_login_that_is_none_is_refused(login: bytes) -> None:
    refused = Access("x" * 20).refusal("GET", "/", Headers(raw=[(b"authorization", login)]))
    assert refused is not None and refused.status_code == 401
