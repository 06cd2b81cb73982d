"""What a scan saw, as the runner hands it over: every text of a host cleaned and bounded, whoever wrote it.

A host may say of itself what it likes. So nothing of it ever names a file, and no text of it has more than a line.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Literal

from schemas.quantities import format_instant, parse_instant

Kind = Literal["ssh", "winrm", "rdp", "http"]
Way = Literal["ssh", "winrm"]
"""By which an inventory says that a host is reached."""
KINDS: tuple[Kind, ...] = ("ssh", "winrm", "rdp", "http")
LONGEST = 256
"""Characters of a text that a host says."""
ADDRESSES = 65_536
"""Of IPv4, and of IPv6, that one scan asks."""
HOSTS, SERVICES, ANSWERS, NAMES, SYSTEMS, KEYS = 65_536, 1_024, 64, 16, 5, 16
MEMBERSHIPS = 64
"""Groups of one host in an inventory."""
LONGEST_KEY, LONGEST_CERTIFICATE = 4_096, 16_384
_KEY = re.compile(r"(?P<type>(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]{1,64}) (?P<data>[A-Za-z0-9+/]{16,}={0,2})")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n(?:[A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----\n?")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")


@dataclass(frozen=True, slots=True)
class Service:
    """An open port, and what it is taken for. `sure` where the port was asked, and not looked up by its number."""

    port: int
    name: str = ""
    product: str = ""
    version: str = ""
    tls: bool = False
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A port that spoke the protocol of a connection.

    `keys` are SSH host keys without a host name; `certificate` is what a TLS port showed, as PEM, and `names` are those
    in it. `trusted`: the runner's own authorities vouch for it by the host's name or address.
    """

    kind: Kind
    port: int
    tls: bool = False
    keys: tuple[str, ...] = ()
    certificate: str = ""
    names: tuple[str, ...] = ()
    trusted: bool = False

    @property
    def mark(self) -> str:
        """`ssh:22`, and `https:443`: what tells it from the others of its host."""
        return f"{'https' if self.kind == 'http' and self.tls else self.kind}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listed:
    """What an inventory says of a host. `vars` are those that the Discovery names; `way` None: another connection."""

    name: str
    groups: tuple[str, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)
    way: Way | None = None
    port: int | None = None
    user: str = ""


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A host that answered, or that an inventory lists. `names` are those that the DNS has for its address, `systems`
    guesses with 0 to 100. The address of a listed one is what the inventory says, and may be a name.
    """

    address: str
    mac: str = ""
    vendor: str = ""
    names: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    answers: tuple[Answer, ...] = ()
    systems: tuple[tuple[str, int], ...] = ()
    listed: Listed | None = None

    @property
    def id(self) -> str:
        """What tells it from the others of its scan: several names of an inventory may share an address."""
        return self.address if self.listed is None else self.listed.name

    @property
    def keys(self) -> frozenset[str]:
        """Its SSH host keys, on whichever ports."""
        return frozenset(key for answer in self.answers for key in answer.keys)

    def name_in(self, answer: Answer) -> str | None:
        """The name of it that the certificate of an answer is good for; None where it bears no such name."""
        if not answer.tls:
            return None
        if answer.trusted and self.names:  # the runner asked for it by this one
            return self.names[0]
        return next((name for name in self.names if name in answer.names), None)

    @property
    def name(self) -> str:
        """Its name in the inventory, else in the DNS; empty where it has none."""
        return self.listed.name if self.listed is not None else self.names[0] if self.names else ""


@dataclass(frozen=True, slots=True)
class Scan:
    """What one run of a Discovery saw. `addresses` is how many were asked; `listing`: an inventory was read.

    `facts` are the outputs of a run that gathers facts, by target; None of any other.
    """

    discovery: str
    run: str
    started_at: datetime
    finished_at: datetime
    addresses: int
    hosts: tuple[SeenHost, ...]
    listing: bool = False
    facts: Mapping[str, Mapping[str, Any]] | None = None


def host_key(text: str) -> str | None:
    """An SSH public key as `type base64`, whatever stands around it; None where there is none."""
    found = _KEY.search(text[: 2 * LONGEST_KEY])
    return f"{found['type']} {found['data']}" if found and len(found[0]) <= LONGEST_KEY else None


def mac_address(text: str) -> str:
    """`aa:bb:cc:dd:ee:ff`; empty for what is none, or stands for no one machine."""
    mac = text.strip().lower().replace("-", ":")
    # A group address, or all zeros, is no machine's own.
    if not _MAC.fullmatch(mac) or mac == "00:00:00:00:00:00" or int(mac[:2], 16) & 1:
        return ""
    return mac


def dns_name(text: str) -> str:
    """A host name in lower case, without the last dot; empty for what is no host name, or is an address."""
    name = text.strip().lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        return ""
    name = name.rstrip(".")
    return "" if _is_address(name) or name in ("localhost", "localhost.localdomain") else name


def line(text: str, most: int = LONGEST) -> str:
    """Text of a host as one line of letters that can be seen."""
    seen = "".join(one if _visible(one) else " " for one in text[: most * 4])
    return " ".join(seen.split())[:most]


def is_shown(text: str, most: int = LONGEST) -> bool:
    """Whether it is one line of letters that can be seen, and not longer."""
    return 0 < len(text) <= most and text.strip() == text and all(one == " " or _visible(one) for one in text)


def _visible(one: str) -> bool:
    return unicodedata.category(one)[0] not in "CZ"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def to_json(scan: Scan) -> bytes:
    said = asdict(scan)
    said |= {"started_at": format_instant(scan.started_at), "finished_at": format_instant(scan.finished_at)}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=True).encode()


def from_json(data: bytes) -> Scan:
    """What `to_json` wrote, cleaned and bounded again. Raises ValueError for what is no scan."""
    try:
        said = json.loads(data)
        return Scan(
            discovery=str(said["discovery"]),
            run=str(said["run"]),
            started_at=parse_instant(said["started_at"]),
            finished_at=parse_instant(said["finished_at"]),
            addresses=int(said["addresses"]),
            hosts=tuple(_host(one) for one in said["hosts"][:HOSTS]),
            listing=bool(said.get("listing")),
            facts=None if said.get("facts") is None else {name: dict(one) for name, one in said["facts"].items()},
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no scan: {error}") from error


def _host(said: Mapping[str, Any]) -> SeenHost:
    listed = said.get("listed")
    return SeenHost(
        address=str(ip_address(said["address"])) if listed is None else _place(said["address"]),
        mac=mac_address(said["mac"]),
        vendor=line(said["vendor"]),
        names=names_of(said["names"]),
        services=tuple(_service(one) for one in said["services"][:SERVICES]),
        answers=tuple(_answer(one) for one in said["answers"][:ANSWERS]),
        systems=tuple((line(name), max(0, min(100, int(sure)))) for name, sure in said["systems"][:SYSTEMS]),
        listed=None if listed is None else _listed(listed),
    )


def _listed(said: Mapping[str, Any]) -> Listed:
    if not is_shown(said["name"]) or said["way"] not in (None, "ssh", "winrm"):
        raise ValueError("what an inventory says of a host cannot be used")
    groups = (one for one in said["groups"][:MEMBERSHIPS] if is_shown(one, 63) and " " not in one)
    port = None if said["port"] is None else _port(said["port"])
    return Listed(said["name"], tuple(groups), dict(said["vars"]), said["way"], port, line(said["user"]))


def _place(text: str) -> str:
    """An address, or a host name."""
    if _is_address(text):
        return str(ip_address(text))
    if not (name := dns_name(text)):
        raise ValueError("what an inventory says is no host")
    return name


def names_of(said: Iterable[str]) -> tuple[str, ...]:
    """The host names among texts, each once, at most NAMES."""
    return tuple(dict.fromkeys(name for text in said if (name := dns_name(text))))[:NAMES]


def _service(said: Mapping[str, Any]) -> Service:
    name, product, version = (line(said[key]) for key in ("name", "product", "version"))
    return Service(_port(said["port"]), name, product, version, tls=bool(said["tls"]), sure=bool(said["sure"]))


def _answer(said: Mapping[str, Any]) -> Answer:
    if said["kind"] not in KINDS:
        raise ValueError(f"{said['kind']!r} is no connection that is looked for")
    keys = sorted({key for text in said["keys"][:KEYS] if (key := host_key(text)) is not None})
    pem = said["certificate"]
    return Answer(
        kind=said["kind"],
        port=_port(said["port"]),
        tls=bool(said["tls"]),
        keys=tuple(keys),
        certificate=pem if len(pem) <= LONGEST_CERTIFICATE and _PEM.fullmatch(pem) else "",
        names=names_of(said["names"]),
        trusted=bool(said["trusted"]),
    )


def _port(value: object) -> int:
    if not isinstance(value, int) or not 1 <= value <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return value
