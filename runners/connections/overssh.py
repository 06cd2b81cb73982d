"""The connection `ssh`: from a Target's settings and a Credential to a session."""

from engine.runs.pinned import PinnedTarget
from runners.connections import Probe, Site, Stop, Unusable
from runners.connections.becoming import becoming, chosen
from runners.connections.login import SshPlace
from runners.connections.probing import asked
from runners.connections.ssh import SshSession
from runners.connections.ways import Settings
from runners.limits import Capture
from runners.sessions import SshConnections
from schemas.target import SshConnection


class OverSsh:
    """See Connection. Its warm connections are those of the whole runner."""

    def __init__(self, settings: Settings) -> None:
        self._connections = SshConnections(settings.limits)

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> SshSession:
        place = _place(site)
        ssh = site.target.connections.ssh if site.target is not None else None
        become = becoming(chosen(site.become, ssh.become if ssh is not None else None), site.opened)
        return SshSession(place, self._connections, capture, stop, mark=mark, become=become)

    async def probe(self, site: Site) -> Probe:
        return await asked(lambda capture, stop: self.open(site, capture, stop, mark=""))

    async def close(self) -> None:
        await self._connections.close()


def _place(site: Site) -> SshPlace:
    target = site.target
    if target is None or target.connections.ssh is None:
        raise Unusable(f"{f'Target {target.name}' if target else 'the runner'} has no connection 'ssh'")
    return _place_of(site, target, target.connections.ssh)


def _place_of(site: Site, target: PinnedTarget, ssh: SshConnection) -> SshPlace:
    if ssh.credential_ref is None:
        raise Unusable(f"Target {target.name} has no spec.connections.ssh.credentialRef to log in with")
    credential = site.opened(ssh.credential_ref)
    user = ssh.user or credential.username
    if user is None:
        raise Unusable(f"neither Target {target.name} nor credential '{credential.name}' names a user")
    return SshPlace(
        target=target.name,
        host=target.host or "",
        port=ssh.port,
        user=user,
        host_keys=ssh.host_keys,
        private_key=credential.fields.get("privateKey"),
        password=credential.fields.get("password"),
        passphrase=credential.fields.get("passphrase"),
        certificate=credential.fields.get("certificate"),
        via=_via(site, target, ssh),
    )


def _via(site: Site, target: PinnedTarget, ssh: SshConnection) -> SshPlace | None:
    if ssh.jump is None:
        return None
    through = site.jumps.get(ssh.jump)
    if through is None or through.connections.ssh is None:
        raise Unusable(f"Target {target.name} is reached through '{ssh.jump}', of which the plan knows no ssh")
    return _place_of(site, through, through.connections.ssh)
