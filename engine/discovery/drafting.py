"""From a host and the rules of its Discovery to the data of a Target document."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.discovery import listing
from engine.discovery.matching import ANSWERS, CERTIFICATES, MAC, NAME, OF
from engine.discovery.seen import Answer, SeenHost
from engine.discovery.trust import as_note, proposed_certificates
from engine.expressions.expression import ExpressionError, condition
from engine.expressions.inference import LIST, MAP, TEXT
from schemas.discovery import Classification
from schemas.envelope import API_VERSION, is_name

Os = Literal["linux", "windows", "network", "other"]
_SURE = 85
"""Percent of nmap's certainty from which its guess of an operating system counts."""
_OF_NETWORKS = ("cisco", "ios", "juniper", "junos", "mikrotik", "routeros", "switch", "router", "firewall", "aruba")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9.-]+")
_USUAL = {"ssh": 22, "rdp": 3389, "winrm": 5986, "http": 443}


@dataclass(frozen=True, slots=True)
class Classified:
    """What the rules say of a host. `problems` are rules whose condition failed on it."""

    os: Os
    labels: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of connections, as documents write them."""
    credential: str | None = None
    problems: tuple[str, ...] = ()


def classified(host: SeenHost, rules: Sequence[Classification]) -> Classified:
    """Each rule adds to those before it. One that fails on a host says nothing of it, and is told."""
    os, credential = guessed(host), None
    labels: dict[str, str] = {} if host.listed is None else listing.labels(host.listed)
    settings: dict[str, dict[str, Any]] = {}
    if host.listed is not None and host.listed.way == "ssh" and host.listed.user:
        settings["ssh"] = {"user": host.listed.user}
    problems = []
    about = {"host": context(host)}
    for number, rule in enumerate(rules):
        try:
            if not condition(rule.if_, about):
                continue
        except ExpressionError as error:
            problems.append(f"classify[{number}].if: {error.message}")
            continue
        os, credential = rule.os or os, rule.credential_ref or credential
        labels |= rule.labels
        if rule.connections is not None:
            for name, given in rule.connections.to_json().items():
                settings[name] = {**settings.get(name, {}), **(given or {})}
    return Classified(os, labels, settings, credential, tuple(problems))


FIELDS: Mapping[str, frozenset[str]] = {
    "address": TEXT, "name": TEXT, "names": LIST, "mac": TEXT, "vendor": TEXT, "ports": LIST, "services": LIST,
    "answers": LIST, "os": TEXT, "systems": LIST, "groups": LIST, "vars": MAP,
}  # fmt: skip
"""What a condition reads of `host`, and the types of it."""


def context(host: SeenHost) -> dict[str, Any]:
    """What a condition reads as `host`."""
    return {
        "address": host.address,
        "name": host.name,
        "names": list(host.names),
        "mac": host.mac,
        "vendor": host.vendor,
        "ports": [one.port for one in host.services],
        "services": [
            {"port": one.port, "service": one.name, "product": one.product, "version": one.version, "tls": one.tls}
            for one in host.services
        ],
        "answers": [one.mark for one in host.answers],
        "os": guessed(host),
        "systems": [{"name": name, "certainty": sure} for name, sure in host.systems],
        "groups": [] if host.listed is None else list(host.listed.groups),
        "vars": {} if host.listed is None else dict(host.listed.vars),
    }


def guessed(host: SeenHost) -> Os:
    """What a host seems to run: by what answers, else by what nmap takes it for, or how an inventory reaches it."""
    kinds = {one.kind for one in host.answers}
    if host.listed is not None and not kinds:
        return {"ssh": "linux", "winrm": "windows"}.get(host.listed.way or "", "other")  # type: ignore[return-value]
    products = [one.product.lower() for one in host.services]
    if "winrm" in kinds or any("windows" in one for one in products):
        return "windows"
    if "ssh" in kinds and not any(word in one for one in products for word in _OF_NETWORKS):
        return "linux"
    for name, sure in host.systems:
        said = name.lower()
        if sure < _SURE:
            continue
        if "windows" in said:
            return "windows"
        if any(word in said for word in _OF_NETWORKS):
            return "network"
        if "linux" in said:
            return "linux"
    return "windows" if "rdp" in kinds else "network" if "ssh" in kinds else "other"


def connection(host: SeenHost, kind: str, found: Classified, credentials: Mapping[str, str]) -> dict[str, Any] | None:
    """A connection as a Target has it; None where nothing answered. `credentials` are their types, by name."""
    given = dict(found.settings.get(kind, {}))
    asked = given.pop("port", None)
    answers = [one for one in host.answers if one.kind == kind]
    if not answers:
        return None
    answer = min(answers, key=lambda one: (one.port != asked, one.port != _USUAL[kind], not one.tls, one.port))
    made = _of_answer(host, answer) | given
    named = found.credential
    if named is not None and "credentialRef" not in made and credentials.get(named) in _takes(kind, made):
        made["credentialRef"] = named
    order = ("port", "baseUrl", "scheme", "protocol", "transport", "user", "credentialRef")
    return {key: made[key] for key in sorted(made, key=lambda key: order.index(key) if key in order else len(order))}


def _takes(kind: str, made: Mapping[str, Any]) -> tuple[str, ...]:
    """Types of Credentials that a connection logs in with."""
    if kind == "winrm":
        return ("certificate",) if made.get("transport") == "certificate" else ("password",)
    return ("ssh", "password") if kind == "ssh" else ()


def _of_answer(host: SeenHost, answer: Answer) -> dict[str, Any]:
    trust: dict[str, Any] = {} if answer.trusted or not answer.certificate else {"caCert": answer.certificate}
    match answer.kind:
        case "ssh":
            return _port(answer, 22) | {"hostKeys": list(answer.keys)}
        case "rdp":
            return {"port": answer.port}
        case "winrm":
            name = host.name_in(answer) or (answer.names[0] if answer.names else None)
            named = {} if name is None else {"serverName": name}
            scheme = {} if answer.tls else {"scheme": "http"}
            return _port(answer, 5986 if answer.tls else 5985) | scheme | (named if answer.tls else {}) | trust
        case "http":
            # by a name of the certificate, so that TLS takes it for the host's
            return {"baseUrl": _url(host.name_in(answer) or host.address, answer)} | trust


def _port(answer: Answer, usual: int) -> dict[str, Any]:
    return {} if answer.port == usual else {"port": answer.port}


def _url(address: str, answer: Answer) -> str:
    place = f"[{address}]" if ":" in address else address
    port = "" if answer.port == (443 if answer.tls else 80) else f":{answer.port}"
    return f"{'https' if answer.tls else 'http'}://{place}{port}/"


def marks(host: SeenHost) -> str:
    """What answers, as it is noted in the document: what a person takes out of it later is not proposed again."""
    return " ".join(sorted({one.mark for one in host.answers}))


def document(
    name: str, host: SeenHost, discovery: str, found: Classified, credentials: Mapping[str, str]
) -> dict[str, Any]:
    """The Target that is proposed for a host."""
    kinds = ("ssh", "winrm", "http", "rdp")
    made = {kind: one for kind in kinds if (one := connection(host, kind, found, credentials)) is not None}
    noted = {OF: discovery, MAC: host.mac, NAME: host.name, ANSWERS: marks(host)}
    if host.listed is not None:
        noted[listing.GROUPS] = " ".join(host.listed.groups)
    noted[CERTIFICATES] = as_note(proposed_certificates(made, host))
    metadata: dict[str, Any] = {"name": name}
    if found.labels:
        metadata["labels"] = dict(found.labels)
    metadata["annotations"] = {key: text for key, text in noted.items() if text}
    spec: dict[str, Any] = {"host": host.address, "os": found.os}
    if made:
        spec["connections"] = made
    if host.listed is not None and host.listed.vars:
        spec["vars"] = dict(host.listed.vars)
    return {"apiVersion": API_VERSION, "kind": "Target", "metadata": metadata, "spec": spec}


def name_for(host: SeenHost, taken: Collection[str]) -> str:
    """A name that no Target has: that of an inventory, else the first part of its DNS name, all of it, its address."""
    numbered = f"host-{host.address.replace('.', '-').replace(':', '-')}".rstrip("-")
    if not is_name(numbered):
        numbered = "host"
    listed = () if host.listed is None else _from_inventory(host.listed.name)
    for wanted in (*listed, *_from_dns(host.names), numbered):
        if wanted not in taken:
            return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{numbered}-{number}") not in taken)


def _from_inventory(name: str) -> Iterable[str]:
    plain = _NOT_IN_NAMES.sub("-", name.lower()).strip("-.")
    if is_name(plain) and not plain.isdigit():
        yield plain


def _from_dns(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        plain = name.replace("_", "-").strip("-.")
        for wanted in (plain.partition(".")[0].strip("-"), plain):
            if is_name(wanted) and not wanted.isdigit():
                yield wanted
