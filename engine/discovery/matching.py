"""Which host is which Target: by SSH host key, MAC address, DNS name and address, in this order.

A sign counts only where one host shows it and one Target has it: copies of one machine have the same host keys. A
weaker sign never joins what a stronger one tells apart: at the address of a host that is gone there may be another.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, TypeVar

from engine.discovery.seen import SeenHost, dns_name, host_key, mac_address
from schemas.target import Target

T = TypeVar("T")
Sign = Literal["host key", "MAC address", "name", "address"]
OF = "opsconductor.discovery"
"""Annotations that a proposed Target has: the Discovery that found it, and what it was known by."""
_NUMBERS = re.compile(r"[0-9.]+")
"""An address with a mistake in it reads like a DNS name, which no host has."""
MAC, NAME, ANSWERS = f"{OF}.mac", f"{OF}.name", f"{OF}.answers"
CERTIFICATES = f"{OF}.certificates"


@dataclass(frozen=True, slots=True)
class Known:
    """What a Target can be told by."""

    target: str
    keys: frozenset[str] = frozenset()
    macs: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Matched:
    """Hosts and Targets that are one, by the `id` of the host; and why."""

    target: Mapping[str, str] = field(default_factory=dict)
    by: Mapping[str, Sign] = field(default_factory=dict)


def known(target: Target) -> Known:
    """What a Target says of its host."""
    spec, noted = target.spec, target.metadata.annotations
    ssh = spec.connections.ssh
    keys = (host_key(text) for text in (ssh.host_keys if ssh else ()) if not text.startswith("@"))
    host = (spec.host or "").strip("[]")
    address = _address(host)
    names = (dns_name(noted.get(NAME, "")), "" if address else dns_name(host))
    return Known(
        target.name,
        frozenset(key for key in keys if key is not None),
        frozenset({mac} if (mac := mac_address(noted.get(MAC, ""))) else ()),
        frozenset(name for name in names if name),
        frozenset({address} if address else ()),
    )


def matched(hosts: Sequence[SeenHost], targets: Iterable[Known]) -> Matched:
    """Each host and each Target at most once. In any order of either the same."""
    left = {one.target: one for one in targets}
    unmet = {host.address: host for host in hosts}
    target: dict[str, str] = {}
    by: dict[str, Sign] = {}
    for sign, of_host, of_target in _SIGNS:
        shown = _by_value(unmet.values(), of_host, lambda host: host.address)
        held = _by_value(left.values(), of_target, lambda one: one.target)
        for value in sorted(shown.keys() & held.keys()):
            addresses, names = shown[value] & unmet.keys(), held[value] & left.keys()
            if len(shown[value]) != 1 or len(held[value]) != 1 or not addresses or not names:
                continue
            (address,), (name,) = addresses, names
            if _told_apart(unmet[address], left[name], sign):
                continue
            target[address], by[address] = name, sign
            del unmet[address], left[name]
    return Matched(target, by)


def _by_value(
    items: Iterable[T], values: Callable[[T], Iterable[str]], name: Callable[[T], str]
) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item in items:
        for value in values(item):
            found.setdefault(value, set()).add(name(item))
    return found


def _told_apart(host: SeenHost, target: Known, sign: Sign) -> bool:
    """Whether a stronger sign says that they are two. A machine that was set up anew has new keys, and its old MAC."""
    other_keys = bool(host.keys and target.keys and not host.keys & target.keys)
    other_mac = bool(host.mac and target.macs and host.mac not in target.macs)
    match sign:
        case "host key" | "MAC address":
            return False
        case "name":
            return other_keys and other_mac
        case "address":
            # Of one address the DNS has had two names: with nothing else to go by, that is a lease given anew.
            same = bool(host.keys & target.keys) or host.mac in target.macs
            other_names = bool(host.names and target.names and not target.names & set(host.names))
            return other_keys or other_mac or (other_names and not same)


def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None


_Of = tuple[Sign, Callable[[SeenHost], Iterable[str]], Callable[[Known], Iterable[str]]]
_SIGNS: tuple[_Of, ...] = (
    ("host key", lambda host: host.keys, lambda one: one.keys),
    ("MAC address", lambda host: [host.mac] if host.mac else [], lambda one: one.macs),
    # A firewall may answer for each address of a network, and the DNS has the names of hosts that are gone.
    ("name", lambda host: host.names if host.services else (), lambda one: one.names),
    ("address", lambda host: [host.address] if host.services else [], lambda one: one.addresses),
)


class Ignored:
    """What a Discovery's `ignore` names: hosts by any of their signs, and networks of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        read = [(text, as_sign(text)) for text in texts]
        # A host without a MAC has "" for it: what is no sign must not be one of theirs.
        self._signs = frozenset(sign for _, sign in read if sign)
        self._networks = [network for text, sign in read if not sign and (network := as_network(text)) is not None]

    def __contains__(self, host: SeenHost) -> bool:
        signs = {sign for sign in (host.address, host.mac, *host.names, *host.keys) if sign}
        if signs & self._signs:
            return True
        # an inventory may have a name there
        address = _address(host.address) if self._networks else None
        return address is not None and any(ip_address(address) in network for network in self._networks)


def as_sign(text: str) -> str:
    """An SSH host key, address, MAC address or DNS name as hosts are told by it; empty for what is none."""
    sign = host_key(text) or _address(text) or mac_address(text) or dns_name(text)
    return "" if _NUMBERS.fullmatch(sign) and _address(sign) is None else sign


def as_network(text: str) -> IPv4Network | IPv6Network | None:
    """A network; None for what is none, or has bits set beside its prefix."""
    try:
        return ip_network(text)
    except ValueError:
        return None
