"""The connection `winrm`: from a Target's settings and a Credential to a session."""

from runners.bootstrap import Command
from runners.connections import Probe, Site, Stop, Unusable
from runners.connections.probing import asked
from runners.connections.ways import Settings
from runners.connections.winrm import scripts
from runners.connections.winrm.place import WinrmLimits, WinrmPlace
from runners.connections.winrm.session import WinrmConnections, WinrmSession
from runners.limits import Capture
from schemas.paths import PEM

_PORTS = {"https": 5986, "http": 5985}
_HARMLESS = Command("powershell", scripts.VERSION)


class OverWinrm:
    """See Connection. Its threads and warm connections are those of the whole runner."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.limits
        self._connections = WinrmConnections(
            WinrmLimits(connect=limits.connect, login=limits.login, idle=limits.idle, total=limits.total)
        )

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> WinrmSession:
        if site.become is not None:
            raise Unusable("over winrm a step runs as the user that logs in; 'become' is for POSIX hosts")
        return WinrmSession(_place(site), self._connections, capture, stop, mark=mark)

    async def probe(self, site: Site) -> Probe:
        return await asked(lambda capture, stop: self.open(site, capture, stop, mark=""), _HARMLESS)

    async def close(self) -> None:
        await self._connections.close()


def _place(site: Site) -> WinrmPlace:
    target = site.target
    if target is None or target.connections.winrm is None:
        raise Unusable(f"{f'Target {target.name}' if target else 'the runner'} has no connection 'winrm'")
    winrm = target.connections.winrm
    if winrm.credential_ref is None:
        raise Unusable(f"Target {target.name} has no spec.connections.winrm.credentialRef to log in with")
    if winrm.ca_cert is not None and PEM not in winrm.ca_cert:
        raise Unusable(f"Target {target.name}: 'caCert' names a file; write the PEM text out")
    credential = site.opened(winrm.credential_ref)
    return WinrmPlace(
        target=target.name,
        host=target.host or "",
        port=winrm.port or _PORTS[winrm.scheme],
        protocol=winrm.protocol,
        scheme=winrm.scheme,
        transport=winrm.transport,
        user=credential.username or "",
        password=credential.fields.get("password"),
        certificate=credential.fields.get("certificate"),
        ca=winrm.ca_cert,
        server_name=winrm.server_name,
    ).checked()
