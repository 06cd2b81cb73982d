"""What a host may be: a name, or an address that is one."""

import pytest

from schemas.reader import read


def codes(host: str) -> list[str]:
    text = (
        "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: t}\n"
        f"spec: {{host: '{host}', connections: {{local: {{}}}}}}\n"
    )
    return [one.code for one in read(text.encode(), "t.yaml").findings]


@pytest.mark.parametrize(
    "host", ["web-01.example.org", "10.0.0.7", "::1", "::", "2001:db8::1", "::ffff:1.2.3.4", "fe80::1%eth0"]
)
def test_a_name_or_an_address_is_a_host(host: str) -> None:
    assert codes(host) == []


@pytest.mark.parametrize(
    "host", ["a:b:c", "1:2:3:4:5:6:7:8:9:0", "1::2::3", "12345::", "::1.2.3", "::g", "10.0.0.7:22", "[::1]"]
)
def test_what_only_looks_like_an_address_is_none(host: str) -> None:
    assert len(codes(host)) == 1
