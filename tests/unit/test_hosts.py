"""Hosts: a name or an address, and nothing of a port or a user."""

import pytest

from schemas.reader import read

TARGET = "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {{name: web-01}}\nspec: {{host: '{}'}}\n"


def codes(host: str) -> list[str]:
    return [one.code for one in read(TARGET.format(host).encode(), "t.yaml").findings]


@pytest.mark.parametrize(
    "host",
    ["web-01", "web_1.example.org", "10.0.0.7", "::1", "2001:db8::2", "::ffff:10.0.0.7", "fe80::1%eth0", "bücher.de"],
)
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert codes(host) == []


@pytest.mark.parametrize(
    "host", ["web-01:22", "10.0.0.7:22", "web-01:", "ops@web-01", "[::1]", "[::1]:22", "-oops", "a b"]
)
def test_ports_and_users_are_none_of_a_host(host: str) -> None:
    assert codes(host) == ["OC207"]
