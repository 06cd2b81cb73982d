"""A network of a Discovery: scans after another, and what of them is merged."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.discovery.proposal import Base, Place, Proposal, Scanned, proposed
from engine.discovery.seen import Answer, Scan, SeenHost, Service
from schemas.discovery import Discovery
from schemas.guard import load
from schemas.reader import read
from schemas.target import Target

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
FOLDER = "definitions/targets"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def key(number: int) -> str:
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + number.to_bytes(32, "big")
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def ssh(number: int, port: int = 22) -> Answer:
    return Answer("ssh", port, keys=(key(number),))


def host(last: int, *answers: Answer, **more: Any) -> SeenHost:
    services = tuple(Service(one.port) for one in answers) or (Service(9100),)
    return SeenHost(f"10.1.0.{last}", answers=answers, services=services, **more)


def discovery(**spec: Any) -> Discovery:
    document = {
        "apiVersion": "opsconductor/v1",
        "kind": "Discovery",
        "metadata": {"name": "lab"},
        "spec": spec if "from" in spec else {"networks": ["10.1.0.0/24"], **spec},
    }
    found = read(json.dumps(document).encode(), "lab.yaml")
    assert not found.findings, found.findings
    made = found.documents[0].document
    assert isinstance(made, Discovery)
    return made


class Network:
    """Definitions, and scans after another, each merged or not."""

    def __init__(self, **spec: Any) -> None:
        self.discovery = discovery(**spec)
        self.files: dict[str, bytes] = {}
        self.last_seen: Mapping[str, datetime] = {}
        self.now = NOW

    def base(self) -> Base:
        targets: dict[str, Target] = {}
        places: dict[str, Place] = {}
        for file, text in self.files.items():
            found = read(text, file)
            assert not found.findings, found.findings
            for one in found.documents:
                if isinstance(one.document, Target):
                    targets[one.document.name] = one.document
                    places[one.document.name] = Place(file, one.index)
        return Base(targets, places, self.files.get, {"web-key": "ssh", "win": "password"})

    def scan(self, *hosts: SeenHost, after: timedelta = timedelta(hours=1), merged: bool = True) -> Proposal:
        self.now += after
        listing = self.discovery.spec.from_ is not None
        scan = Scan("lab", "discover-lab-1", self.now, self.now, 256, hosts, listing)
        made = proposed(self.base(), [Scanned(self.discovery, scan, self.last_seen)])
        self.last_seen = made.outcomes["lab"].last_seen
        if merged:
            self.files |= made.files
        return made

    def target(self, name: str) -> dict[str, Any]:
        found = load(self.files[f"{FOLDER}/{name}.yaml"], "").documents[0]
        assert isinstance(found, dict)
        return found

    def lines(self, name: str) -> list[str]:
        return self.files[f"{FOLDER}/{name}.yaml"].decode().splitlines()


def verdicts(made: Proposal) -> dict[str, str]:
    return {row.address: row.verdict for row in made.outcomes["lab"].rows}
