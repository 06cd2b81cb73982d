"""`nmap.scan`: looks which ports are open, by nmap on the runner's own host.

It changes nothing, and its process is ended provably: an attempt that was ended on order is TimedOut or Cancelled.
"""

import json
import os
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from engine.runs.outcome import Failed, Outcome, Succeeded, Unreachable
from runners.connections import Session
from runners.connections.program import NotStarted, ProgramSession
from runners.limits import KEPT
from runners.nmap.report import Host
from runners.nmap.running import scanned
from runners.nmap.scan import NotAllowed, Profile, Scan, allowed, ports_of
from runners.steps import ReadyStep
from runners.steps.inputs import Given, Unfit, given
from runners.steps.reaching import Forbidden, Unreached, addresses_of


class NmapScan:
    """Scans, and reads the report as it comes. The hosts that answered, as JSON, are the step's stdout."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            found = given(step)
            scan, names = await _scan(found)
            if not isinstance(session, ProgramSession):
                raise NotStarted("nmap is started on the runner's own host only")
            return await _scanned(scan, names, dict(step.env), session)
        except (Unfit, NotStarted, NotAllowed, Forbidden) as error:
            return Failed(str(error), ran=False)
        except Unreached as error:
            return Unreachable(str(error))


Names = dict[str, str]
"""What addresses were called in the step, by address."""


async def _scan(found: Given) -> tuple[Scan, Names]:
    """What is scanned: names are looked up here, once, and nmap is given addresses."""
    inputs, around = found.inputs, found.around
    ports = ports_of(inputs.get("ports") or ())
    asked, authored = inputs.get("hosts"), False
    if asked is None:
        if around.target is None or around.target.host is None:
            raise NotAllowed("'hosts' is left out, and there is no target with a host")
        asked, authored = [around.target.host], True
    names: Names = {}
    texts = []
    for text in asked:
        if _is_network(text):
            texts.append(text)
            continue
        addresses = await addresses_of(text.strip("[]"), None, authored=authored, networks=around.networks)
        first = ip_address(addresses[0]).version
        for address in addresses:
            if ip_address(address).version == first:
                names[address] = text
                texts.append(address)
    system = bool(inputs.get("osDetection"))
    if system and os.geteuid() != 0:
        raise NotAllowed("'osDetection' needs a runner that is root; leave it out, and TCP connects need no rights")
    networks = allowed(texts, around.networks, authored=authored)
    profile: Profile = inputs.get("profile") or "normal"
    return Scan(networks, ports, profile, bool(inputs.get("serviceDetection")), system), names


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return "/" in text  # it is none, and `allowed` says so
    return True


async def _scanned(scan: Scan, names: Names, env: dict[str, str], session: ProgramSession) -> Outcome:
    hosts = await scanned(scan, env, session)
    if not isinstance(hosts, list):
        return hosts
    capture = session.capture
    said = [_said(host, names) for host in sorted(hosts, key=lambda host: _order(host.address))]
    capture.feed("stdout", json.dumps({"hosts": said}, ensure_ascii=True, separators=(",", ":")).encode())
    capture.close()
    return Succeeded(replace(capture.output(), values=_values(said)))


def _order(address: str) -> tuple[int, int]:
    ip = ip_address(address)
    return ip.version, int(ip)


def _said(host: Host, names: Names) -> dict[str, Any]:
    """A host as later steps read it."""
    services = [
        {
            "port": one.port,
            "protocol": one.protocol,
            "service": one.name,
            "product": one.product,
            "version": one.version,
            "tls": one.tls,
        }
        for one in host.services
    ]
    said: dict[str, Any] = {"address": host.address, "name": names.get(host.address)}
    said |= {"ports": [one.port for one in host.services], "services": services}
    if host.guesses:
        said["os"] = [{"name": name, "certainty": certainty} for name, certainty in host.guesses]
    return said


def _values(said: list[dict[str, Any]]) -> dict[str, Any]:
    """The outputs `hosts`, `open` and `count`. The lists are null where they are larger than KEPT."""
    places = [f"{_bracketed(host['address'])}:{port}" for host in said for port in host["ports"]]
    values: dict[str, Any] = {"count": len(said)}
    for name, found in (("hosts", said), ("open", places)):
        values[name] = found if len(json.dumps(found)) <= KEPT else None
    return values


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
