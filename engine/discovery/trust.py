"""Where a known host shows other SSH host keys or another certificate than its Target trusts, and what would be new.

What is compared is what one connection meets: the keys and the certificate of the port that it goes to. Only
certificates that were proposed, and stand as they were, are ever replaced; an annotation has their digests.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.discovery.changing import Change, Drop, Put
from engine.discovery.matching import NAME
from engine.discovery.seen import Answer, SeenHost, host_key
from schemas.target import SshConnection, Target

WARNING = "SHOWS "
OTHER_KEYS = f"{WARNING}OTHER SSH HOST KEYS: it was set up anew, or somebody stands in its place"


def other_keys(target: Target, host: SeenHost) -> tuple[str, ...]:
    """The keys at the port of the Target's connection, where none of them is one that it has."""
    ssh = target.spec.connections.ssh
    if ssh is None:
        return ()
    had = {host_key(text) for text in ssh.host_keys if not _is_marked(text)} - {None}
    shown = {key for one in host.answers if one.kind == "ssh" and one.port == ssh.port for key in one.keys}
    return tuple(sorted(shown)) if had and shown and not had & shown else ()


def with_keys(ssh: SshConnection, keys: tuple[str, ...]) -> list[str]:
    """`hostKeys` with these for those that it has. What a person says of authorities, or revokes, stays."""
    return [*(text for text in ssh.host_keys if _is_marked(text)), *keys]


def _is_marked(text: str) -> bool:
    return text.lstrip().startswith("@")


def proposed_certificates(made: Mapping[str, Mapping[str, Any]], host: SeenHost) -> dict[str, str]:
    """By connection, digests of the certificates that are the host's; one of a rule is a person's."""
    shown = {one.certificate for one in host.answers if one.certificate}
    return {kind: _digest(one["caCert"]) for kind, one in made.items() if one.get("caCert") in shown}


def noted(text: str) -> dict[str, str]:
    """Digests as the annotation has them, by connection."""
    return {kind: digest for one in text.split() for kind, _, digest in [one.partition(":")]}


def as_note(digests: Mapping[str, str]) -> str:
    return " ".join(f"{kind}:{digest}" for kind, digest in sorted(digests.items()))


def other_certificates(target: Target, host: SeenHost, digests: dict[str, str], notes: list[str]) -> Iterator[Change]:
    """Changes for certificates that were proposed and are no longer shown. `digests` is brought up to date."""
    for kind in ("winrm", "http"):
        connection = getattr(target.spec.connections, kind)
        had = None if connection is None else connection.ca_cert
        answer = _answer(target, host, kind)
        if had is None or answer is None or not answer.certificate or _digest(had) != digests.get(kind):
            continue
        if _digest(answer.certificate) == digests[kind]:
            continue
        place = ("spec", "connections", kind)
        notes.append(f"{WARNING}ANOTHER CERTIFICATE at {answer.mark}: it was renewed, or somebody stands in its place")
        if answer.trusted:
            del digests[kind]
            yield Drop((*place, "caCert"))
        else:
            digests[kind] = _digest(answer.certificate)
            yield Put((*place, "caCert"), answer.certificate)
        if kind == "winrm" and connection.server_name and answer.names and connection.server_name not in answer.names:
            yield Put((*place, "serverName"), host.name_in(answer) or answer.names[0])


def _answer(target: Target, host: SeenHost, kind: str) -> Answer | None:
    """What answers where the connection goes to."""
    for one in host.answers:
        if one.kind == kind and one.tls and _goes_to(target, host, one):
            return one
    return None


def _goes_to(target: Target, host: SeenHost, answer: Answer) -> bool:
    winrm, http = target.spec.connections.winrm, target.spec.connections.http
    if answer.kind == "winrm":
        return winrm is not None and winrm.scheme == "https" and (winrm.port or 5986) == answer.port
    address = target.spec.host or ""
    # what it was called when it was proposed counts as well: the DNS may be away
    of_host = [f"[{address}]" if ":" in address else address, target.metadata.annotations.get(NAME, ""), *host.names]
    places = [f"https://{one}{port}" for one in of_host for port in (f":{answer.port}", *_usual(answer))]
    url = "" if http is None else str(http.base_url)
    return any(url == one or url.startswith(f"{one}/") for one in places)


def _usual(answer: Answer) -> Sequence[str]:
    return ("",) if answer.port == 443 else ()


def _digest(certificate: str) -> str:
    """Not secret and no proof of anything: it says that a text is the one that was proposed."""
    return hashlib.sha256(certificate.strip().encode()).hexdigest()[:32]
