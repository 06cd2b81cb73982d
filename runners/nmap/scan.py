"""What nmap is asked: which addresses may be scanned, and the fixed words it is called with. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

from engine.discovery.seen import ADDRESSES
from runners.steps.addresses import never

Profile = Literal["polite", "normal", "fast"]
Network = IPv4Network | IPv6Network
FEW = 16
"""So many addresses are scanned whether they answer a first knock or not."""
_TIMING = {"polite": "-T2", "normal": "-T3", "fast": "-T4"}
_SERVICES = ("--version-intensity", "6", "--script-timeout", "1m")
"""From intensity 7 on nmap asks every port that it does not know for RPC, and reads what such a port sends without an
end and without a limit: one host would hold up the scan of a whole network."""
_USUAL = ("22", "80", "135", "443", "445", "3389", "5985", "8080")


class NotAllowed(Exception):  # noqa: N818 - named after the scan
    """It is not scanned: the message says why, and what to do. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What is looked for, where. `ports` as nmap reads them; none for the thousand most used."""

    networks: tuple[Network, ...]
    ports: tuple[str, ...] = ()
    profile: Profile = "normal"
    services: bool = False
    system: bool = False
    exclude: tuple[Network, ...] = ()
    rate: int | None = None
    """Packets a second, at most."""
    progress: bool = False
    """Whether it tells every ten seconds how far it is."""

    @property
    def addresses(self) -> int:
        """How many are asked."""
        left: set[Network] = set(self.networks)
        for gone in self.exclude:
            left = {part for network in left for part in _without(network, gone)}
        return sum(network.num_addresses for network in left)

    @property
    def argv(self) -> tuple[str, ...]:
        """TCP connects only, which need no rights, unless the operating system is asked for. No name is looked up."""
        size = sum(network.num_addresses for network in self.networks)
        words = ["nmap", "-oX", "-", "--no-stylesheet", "-n", "-sT", _TIMING[self.profile]]
        words.append("-O" if self.system else "--unprivileged")
        words += ["-6"] if self.networks[0].version == 6 else []
        words += ["-sV", *_SERVICES] if self.services else []
        words += ["--max-rate", str(self.rate)] if self.rate is not None else []
        words += ["--stats-every", "10s"] if self.progress else []
        words += ["--exclude", ",".join(map(str, self.exclude))] if self.exclude else []
        words.append("-Pn" if size <= FEW else self._knock)
        words += ["-p", ",".join(self.ports)] if self.ports else ["--top-ports", "1000"]
        # from here on every word is an address that was parsed
        return (*words, *(_written(network) for network in self.networks))

    @property
    def _knock(self) -> str:
        """A few usual ports, and those that are asked for where they are few."""
        more = [port for port in self.ports if port not in _USUAL] if len(self.ports) <= FEW else []
        return f"-PS{','.join((*_USUAL, *more))}"


def ports_of(given: Iterable[int | str]) -> tuple[str, ...]:
    """Ports as nmap reads them. Raises NotAllowed."""
    found = []
    for one in given:
        first, _, last = str(one).partition("-")
        numbers = int(first), int(last or first)
        if not 1 <= numbers[0] <= numbers[1] <= 65535:
            raise NotAllowed(f"'{one}' is no port and no range of ports")
        found.append(str(one))
    return tuple(found)


def allowed(asked: Sequence[str], pool: Iterable[str], *, authored: bool = False) -> tuple[Network, ...]:
    """The networks of addresses and CIDR texts, when they may be scanned. `authored`: the one host of a Target.

    Raises NotAllowed.
    """
    networks = tuple(dict.fromkeys(_network(text) for text in asked))
    if len({network.version for network in networks}) > 1:
        raise NotAllowed("IPv4 and IPv6 addresses are scanned in steps of their own")
    size = sum(network.num_addresses for network in networks)
    if size > ADDRESSES:
        raise NotAllowed(f"{size:,} addresses are too many for one step: at most {ADDRESSES:,}")
    reached = [ip_network(text, strict=False) for text in pool]
    for network in networks:
        if (why := never(network)) is not None:
            raise NotAllowed(f"{_written(network)} has {why}; it is never scanned")
        if not authored and not any(_within(network, one) for one in reached):
            raise NotAllowed(
                f"{_written(network)} is not within the networks of the pool; add its network to spec.networks of the "
                "RunnerPool that runs this"
            )
    return networks


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise NotAllowed(f"'{text}' is no address and no network; a network is written as 10.1.0.0/24") from None


def _without(network: Network, gone: Network) -> Iterator[Network]:
    if _within(network, gone):
        return
    match network, gone:
        case (IPv4Network(), IPv4Network()) if _within(gone, network):
            yield from network.address_exclude(gone)
        case (IPv6Network(), IPv6Network()) if _within(gone, network):
            yield from network.address_exclude(gone)
        case _:
            yield network


def _within(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network) and isinstance(other, IPv4Network):
        return network.subnet_of(other)
    return isinstance(network, IPv6Network) and isinstance(other, IPv6Network) and network.subnet_of(other)


def _written(network: Network) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)
