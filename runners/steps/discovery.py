"""`discovery.scan`: the one step of a run that scans for a Discovery. nmap finds who answers; then each is asked.

It changes nothing. What it saw is handed over as data, cleaned and bounded (`engine.discovery.seen`).
"""

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from engine.discovery.seen import (
    ANSWERS,
    SERVICES,
    Answer,
    SeenHost,
    Service,
    line,
    mac_address,
    names_of,
    to_json,
)
from engine.discovery.seen import (
    Scan as Seen,
)
from engine.runs.outcome import Failed, Outcome, Succeeded
from runners.connections import Session
from runners.connections.program import NotStarted, ProgramSession
from runners.nmap.asking import told
from runners.nmap.plans import scans_of
from runners.nmap.report import Host
from runners.nmap.running import scanned
from runners.nmap.scan import NotAllowed, Scan
from runners.steps import ReadyStep
from runners.steps.inputs import Given, Unfit, given

_AT_ONCE = {"polite": 4, "normal": 16, "fast": 48}
"""Ports that are asked at once."""
_LOOKUP, _SILENT = 3.0, 3
"""Seconds for the name of an address; after so many in a row that got none in time, no more is looked up."""
_ARP = Path("/proc/net/arp")


class DiscoveryScan:
    """See StepType."""

    async def run(self, step: ReadyStep, session: Session) -> Outcome:
        try:
            found = given(step)
            scans = _scans(found)
            if not isinstance(session, ProgramSession):
                raise NotStarted("nmap is started on the runner's own host only")
            return await _Scanning(found, session, dict(step.env)).outcome(scans)
        except (Unfit, NotStarted, NotAllowed) as error:
            return Failed(str(error), ran=False)


def _scans(found: Given) -> list[Scan]:
    """Raises NotAllowed."""
    if found.inputs.get("osDetection") and os.geteuid() != 0:
        raise NotAllowed("'osDetection' needs a runner that is root; leave it out, and TCP connects need no rights")
    return list(scans_of(found.inputs, found.around.networks))


class _Scanning:
    """One scan: nmap, then the hosts that answered, and what is known of them besides."""

    def __init__(self, found: Given, session: ProgramSession, env: dict[str, str]) -> None:
        self._found, self._session, self._env = found, session, env
        self._began = datetime.now(UTC)
        self._turns = asyncio.Semaphore(_AT_ONCE[found.inputs["profile"]])
        self._silent = 0

    async def outcome(self, scans: Sequence[Scan]) -> Outcome:
        hosts: list[Host] = []
        for scan in scans:
            self._say(f"nmap asks {scan.addresses:,} addresses")
            found = await scanned(scan, self._env, self._session, self._progress)
            if not isinstance(found, list):
                return found
            # whatever it reports, only what was to be scanned is spoken to
            hosts += [host for host in found if _is_asked(host.address, scan)]
        self._say(f"{len(hosts):,} hosts answered; now they are asked who they are")
        work = asyncio.gather(*(self._seen(host) for host in hosts))
        if not await self._session.stop.first(work):
            work.cancel()
            await asyncio.wait({work})
            return _ended(self._session)
        seen = _with_macs(work.result(), await asyncio.to_thread(_neighbours))
        return self._told(scans, sorted(seen, key=lambda host: (ip_address(host.address).version, _order(host))))

    def _told(self, scans: Sequence[Scan], hosts: Sequence[SeenHost]) -> Outcome:
        for host in hosts:
            self._say(f"{host.address} {host.name} {' '.join(one.mark for one in host.answers)}".strip())
        addresses = sum(scan.addresses for scan in scans)
        run = self._found.around.run
        name = str(self._found.inputs["discovery"])
        # finished by the same clock that it began by: how long it took is a difference
        seen = Seen(name, str(run.id), self._began, datetime.now(UTC), addresses, tuple(hosts))
        self._session.capture.close()
        values: dict[str, Any] = {"addresses": addresses, "hosts": len(hosts)}
        return Succeeded(replace(self._session.capture.output(), values=values, found=to_json(seen)))

    def _say(self, text: str) -> None:
        self._session.capture.feed("stdout", f"{text}\n".encode("utf-8", "replace"))

    def _progress(self, task: str, percent: float) -> None:
        self._say(f"{line(task, 60)}: {percent:.0f} %")

    async def _seen(self, host: Host) -> SeenHost:
        names = names_of((*await self._names(host.address), *host.names))
        services = [
            Service(one.port, line(one.name), line(one.product), line(one.version), one.tls, one.sure)
            for one in host.services
            if one.protocol == "tcp"
        ][:SERVICES]
        answers: list[Answer] = []
        for number, service in enumerate(services[:ANSWERS]):
            async with self._turns:
                found = await told(host.address, service, names)
            if found.trouble is not None:
                self._say(found.trouble)
            if found.answer is not None:
                answers.append(found.answer)
            if found.product and not service.product:
                services[number] = replace(service, product=line(found.product))
        systems = tuple((line(name), sure) for name, sure in host.guesses)
        mac = mac_address(host.mac)
        return SeenHost(host.address, mac, line(host.vendor), names, tuple(services), tuple(answers), systems)

    async def _names(self, address: str) -> list[str]:
        """What the DNS, or the runner's own hosts file, has for the address."""
        if self._silent >= _SILENT:
            return []
        loop = asyncio.get_running_loop()
        async with self._turns:
            try:
                async with asyncio.timeout(_LOOKUP):
                    name, _ = await loop.getnameinfo((address, 0), socket.NI_NAMEREQD)
            except TimeoutError:
                self._silent += 1
                return []
            except OSError:
                self._silent = 0
                return []
        self._silent = 0
        return [name]


def _is_asked(address: str, scan: Scan) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in one for one in scan.networks) and not any(ip in one for one in scan.exclude)


def _order(host: SeenHost) -> int:
    return int(ip_address(host.address))


def _ended(session: Session) -> Outcome:
    """On order, while hosts were asked: nothing of it runs any more."""
    from runners.connections import Ended
    from runners.steps.script import outcome_of

    return outcome_of(Ended(), session.capture.output(), session.stop)


def _neighbours() -> dict[str, str]:
    """MAC addresses by address, of hosts on the runner's own networks: what the kernel knows after it spoke to them."""
    try:
        lines = _ARP.read_text("ascii", "replace").splitlines()[1:]
    except OSError:
        return {}
    fields = (one.split() for one in lines)
    return {one[0]: one[3] for one in fields if len(one) >= 4 and one[2] != "0x0"}


def _with_macs(hosts: Iterable[SeenHost], known: dict[str, str]) -> list[SeenHost]:
    return [host if host.mac else replace(host, mac=mac_address(known.get(host.address, ""))) for host in hosts]
