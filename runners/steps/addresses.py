"""Which addresses a step may talk to: the guard against request forgery. Pure.

A host that its author wrote (in the step, or in the Target) may be anything but the forms below. A host that came from
an expression or from a redirect must lie in the networks of the pool. Judged is the address that is then connected to.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_NEVER = {
    "169.254.0.0/16": "a link-local address, where clouds keep their metadata",
    "fe80::/10": "a link-local address",
    "fd00:ec2::254/128": "an address of cloud metadata",
    "fd20:ce::254/128": "an address of cloud metadata",
    "100.100.100.200/32": "an address of cloud metadata",
    "192.0.0.192/32": "an address of cloud metadata",
    "168.63.129.16/32": "an address of cloud metadata",
    "0.0.0.0/8": "an unspecified address",
    "::/128": "an unspecified address",
    "224.0.0.0/4": "a multicast address",
    "ff00::/8": "a multicast address",
    "240.0.0.0/4": "a reserved address",
    "::ffff:0:0/96": "an IPv4 address in an IPv6 form",
    "64:ff9b::/96": "an IPv4 address behind NAT64",
    "64:ff9b:1::/48": "an IPv4 address behind NAT64",
    "2002::/16": "an IPv4 address behind 6to4",
    "2001::/32": "an IPv4 address behind Teredo",
    "fec0::/10": "a site-local address, long abolished",
}
_REFUSED = tuple((ip_network(network), why) for network, why in _NEVER.items())
_COMPATIBLE, _LOOPBACK = ip_network("::/96"), IPv6Address("::1")


def refusal(address: str, *, authored: bool, networks: Iterable[str], public: bool = False) -> str | None:
    """Why an address may not be connected to; None where it may. `networks` are the pool's, in CIDR form.

    `public`: any address of the public internet may be.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return f"{address} is no address"
    if isinstance(ip, IPv6Address) and ip.scope_id is not None:
        return f"{address} is a link-local address"
    if (why := _never(ip)) is not None:
        return f"{address} is {why}; it is never talked to"
    if authored or (public and ip.is_global) or any(_within(ip, network) for network in networks):
        return None
    if public:
        return (
            f"{address} is neither public nor within the networks of the pool, and the URL is no word of a document; "
            "add its network to spec.networks of the RunnerPool"
        )
    return (
        f"{address} is not within the networks of the pool, and the host comes from an expression or a redirect; "
        "write the host out in the step, or add its network to spec.networks of the RunnerPool"
    )


def never(network: IPv4Network | IPv6Network) -> str | None:
    """Which addresses in a network are never talked to; None where it has none of them."""
    for refused, why in _REFUSED:
        if network.version == refused.version and network.overlaps(refused):
            return why
    if network.version == 6 and network.overlaps(_COMPATIBLE) and network != ip_network(_LOOPBACK):
        return "an IPv4 address in an IPv6 form"
    return None


def _never(ip: IPv4Address | IPv6Address) -> str | None:
    for network, why in _REFUSED:
        if ip.version == network.version and ip in network:
            return why
    if ip.version == 6 and ip in _COMPATIBLE and ip != _LOOPBACK:
        return "an IPv4 address in an IPv6 form"
    return None


def _within(ip: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        found = ip_network(network, strict=False)
    except ValueError:
        return False
    return ip.version == found.version and ip in found
