"""What nmap reports, read as it comes. Everything in it comes from hosts that anybody may run: it is data, and bounded.

nmap's XML has a document type without a content, and no entities. What has more than that is refused, so nothing can be
expanded or fetched; so is what is too long, too deep, or of too many hosts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

MOST = 256 * 1024 * 1024
"""Bytes of a report, at most."""
HOSTS, PORTS = 65_536, 65_535
_DEPTH, _TEXT = 16, 256


class BadReport(Exception):  # noqa: N818 - named after what was read
    """It is no report of nmap, or none that is taken."""


@dataclass(frozen=True, slots=True)
class Service:
    """An open port, and what nmap takes it for. `sure` where it was asked, and not looked up by the number alone."""

    port: int
    protocol: str
    name: str = ""
    product: str = ""
    version: str = ""
    extra: str = ""
    tls: bool = False
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """A host that answered. `guesses` are of its operating system, with nmap's own certainty from 0 to 100."""

    address: str
    mac: str = ""
    vendor: str = ""
    names: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    guesses: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True)
class _Draft:
    address: str = ""
    mac: str = ""
    vendor: str = ""
    names: list[str] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    guesses: list[tuple[str, int]] = field(default_factory=list)
    answered: bool = False
    port: tuple[int, str] | None = None
    is_open: bool = False
    service: Mapping[str, str] = field(default_factory=dict)


class Report:
    """Reads a report in pieces, and hands out every host that answered once it is complete. Raises BadReport."""

    def __init__(
        self, found: Callable[[Host], None], progress: Callable[[str, float], None] = lambda task, percent: None
    ) -> None:
        """`progress` is told of nmap's tasks and how far they are, in percent."""
        self._found = found
        self._progress = progress
        self._path: list[str] = []
        self._draft = _Draft()
        self._size = self._hosts = 0
        self._finished: str | None = None
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = False
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._refused
        parser.ExternalEntityRefHandler = self._refused
        parser.UnparsedEntityDeclHandler = self._refused
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MOST:
            raise BadReport(f"it is longer than {MOST >> 20} MiB")
        self._parse(data, final=False)

    def close(self) -> None:
        """After the last piece: the report must be whole, and end well."""
        self._parse(b"", final=True)
        if self._finished is None:
            raise BadReport("it does not say that the scan was finished")
        if self._finished:
            raise BadReport(f"nmap says: {self._finished}")

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise BadReport(f"it is no whole XML: {expat.ErrorString(error.code)}") from error

    def _doctype(self, name: str, system: str | None, public: str | None, subset: int) -> None:
        if name != "nmaprun" or system is not None or public is not None or subset:
            raise BadReport("it has a document type that nmap does not write")

    def _refused(self, *_: object) -> int:
        raise BadReport("it has entities, which nmap does not write")

    def _start(self, name: str, given: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _DEPTH or self._path[0] != "nmaprun":
            raise BadReport("it is deeper than nmap writes" if len(self._path) > _DEPTH else "it is no report of nmap")
        match self._path[1:]:
            case ["host"]:
                self._draft = _Draft()
            case ["taskprogress"]:
                self._progress(_text(given, "task"), _percent(given))
            case ["runstats", "finished"]:
                well = given.get("exit") == "success"
                self._finished = "" if well else _text(given, "errormsg") or "the scan failed"
            case ["host", *below]:
                self._in_host(below, given)

    def _in_host(self, below: list[str], given: dict[str, str]) -> None:
        draft = self._draft
        match below:
            case ["status"]:
                # "user-set": it was told to take it for up, and has not looked
                draft.answered = given.get("state") == "up" and given.get("reason") != "user-set"
            case ["address"] if given.get("addrtype") == "mac":
                draft.mac, draft.vendor = _text(given, "addr"), _text(given, "vendor")
            case ["address"]:
                draft.address = _text(given, "addr")
            case ["hostnames", "hostname"] if len(draft.names) < 16:
                draft.names.append(_text(given, "name"))
            case ["ports", "port"]:
                draft.port, draft.is_open = (_number(given, "portid"), _text(given, "protocol")), False
                draft.service = {}
            case ["ports", "port", "state"]:
                draft.is_open = given.get("state") == "open"
                draft.answered = draft.answered or given.get("state") in ("open", "closed")
            case ["ports", "port", "service"]:
                draft.service = given
            case ["ports", "extraports"]:
                draft.answered = draft.answered or given.get("state") == "closed"
            case ["os", "osmatch"] if len(draft.guesses) < 5:
                draft.guesses.append((_text(given, "name"), _number(given, "accuracy")))

    def _end(self, name: str) -> None:
        if self._path[1:] == ["host", "ports", "port"]:
            self._add_service()
        elif self._path[1:] == ["host"]:
            self._add_host()
        self._path.pop()

    def _add_service(self) -> None:
        draft, said = self._draft, self._draft.service
        if draft.port is None or not draft.is_open:
            return
        if len(draft.services) >= PORTS:
            raise BadReport("a host has more ports than there are")
        number, protocol = draft.port
        name, product, version, extra = (_text(said, key) for key in ("name", "product", "version", "extrainfo"))
        tls, sure = said.get("tunnel") == "ssl", said.get("method") == "probed"
        draft.services.append(Service(number, protocol, name, product, version, extra, tls=tls, sure=sure))

    def _add_host(self) -> None:
        draft = self._draft
        if not draft.answered or not draft.address:
            return
        self._hosts += 1
        if self._hosts > HOSTS:
            raise BadReport(f"it has more than {HOSTS:,} hosts")
        services = tuple(sorted(draft.services, key=lambda one: (one.protocol, one.port)))
        names, guesses = tuple(draft.names), tuple(draft.guesses)
        self._found(Host(draft.address, draft.mac, draft.vendor, names, services, guesses))


def _text(given: Mapping[str, str], name: str) -> str:
    return given.get(name, "")[:_TEXT]


def _percent(given: Mapping[str, str]) -> float:
    try:
        return max(0.0, min(100.0, float(given.get("percent", "")[:8])))
    except ValueError:
        raise BadReport("'percent' is no number") from None


def _number(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise BadReport(f"'{name}' is no number")
    return int(text)
