"""From the inputs of a Discovery's scan to what nmap is called with. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from runners.nmap.scan import Scan, allowed, ports_of

_RATES = {"polite": 50, "normal": 1_000, "fast": 5_000}
"""Packets a second."""


def scans_of(inputs: Mapping[str, Any], networks: Sequence[str]) -> Iterator[Scan]:
    """One of IPv4 and one of IPv6 addresses, where there are such. `networks` are the pool's. Raises NotAllowed."""
    ports, profile = ports_of(inputs.get("ports") or ()), inputs["profile"]
    for version in (4, 6):
        asked, without = _of(version, inputs["networks"]), _of(version, inputs.get("exclude") or ())
        if asked:
            yield Scan(
                allowed(asked, networks),
                ports,
                profile,
                bool(inputs.get("serviceDetection")),
                bool(inputs.get("osDetection")),
                tuple(ip_network(text) for text in without),
                _RATES[profile],
                progress=True,
            )


def _of(version: int, texts: Sequence[str]) -> list[str]:
    return [text for text in texts if ip_network(text).version == version]
