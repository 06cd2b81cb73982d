"""The guard against request forgery: which addresses a step may talk to."""

import pytest

from runners.steps.addresses import refusal
from runners.steps.reaching import writes_host

NETWORKS = ("10.1.0.0/16", "fd12:3456::/32", "127.0.0.0/8", "::1/128")
NEVER = (
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%lo", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
    "192.0.0.192", "168.63.129.16", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.250", "ff02::1",
    "255.255.255.255", "240.0.0.1", "::ffff:127.0.0.1", "::ffff:10.1.0.5", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1",
    "64:ff9b::a01:5", "64:ff9b:1::a01:5", "2002:7f00:1::", "2002:a01:5::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "::127.0.0.1", "::10.1.0.5", "fec0::1", "localhost", "", "127.1",
)  # fmt: skip


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_talked_to(address: str) -> None:
    """Neither by the author's word, nor where a pool's networks hold them."""
    assert refusal(address, authored=True, networks=("0.0.0.0/0", "::/0"))
    assert refusal(address, authored=False, networks=("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize("address", ["10.1.0.5", "10.1.255.255", "fd12:3456::7", "127.0.0.1", "::1"])
def test_a_host_of_an_expression_lies_in_the_networks_of_the_pool(address: str) -> None:
    assert refusal(address, authored=False, networks=NETWORKS) is None
    assert "networks of the pool" in (refusal(address, authored=False, networks=()) or "")
    assert refusal(address, authored=True, networks=()) is None


@pytest.mark.parametrize("address", ["10.2.0.1", "192.168.1.1", "93.184.216.34", "2a00::1", "fd13::1"])
def test_a_host_of_an_expression_reaches_nothing_else(address: str) -> None:
    assert refusal(address, authored=False, networks=NETWORKS)
    assert refusal(address, authored=True, networks=NETWORKS) is None


@pytest.mark.parametrize(
    ("written", "literal"),
    [
        ("https://a.example/x", True),
        ("https://a.example", True),
        ("https://a.example/${{ params.x }}", True),
        ("https://a.example?q=${{ params.x }}", True),
        ("https://a.example${{ params.x }}", False),
        ("https://a.example:${{ params.x }}/", False),
        ("https://a.example\\${{ params.x }}/", False),
        ("https://${{ params.x }}/a", False),
        ("https://u@${{ params.x }}/a", False),
        ("${{ params.x }}", False),
        ("${{ 'https://a.example/' }}", False),
        (None, False),
    ],
)
def test_a_host_is_literal_when_nothing_else_can_stand_in_its_place(written: str | None, literal: bool) -> None:
    assert writes_host(written, url=True) is literal


@pytest.mark.parametrize(
    ("written", "literal"),
    [("a.example:22", True), ("a.example:${{ params.p }}", True), ("${{ params.h }}:22", False), ("22", True)],
)
def test_the_same_of_host_and_port(written: str, literal: bool) -> None:
    assert writes_host(written, url=False) is literal
