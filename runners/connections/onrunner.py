"""The connection `local`: steps on the runner's own host."""

from runners.connections import Probe, Session, Site, Stop, Unusable
from runners.connections.becoming import becoming
from runners.connections.here import Here, here
from runners.connections.local import RESTRICTED, LocalSession
from runners.connections.probing import asked
from runners.connections.ssh import SshSession
from runners.connections.ways import Settings
from runners.limits import Capture


class OnRunner:
    """See Connection. A step that runs as another user is started and ended by one who has the right to."""

    def __init__(self, settings: Settings) -> None:
        self._host = settings.local

    def open(self, site: Site, capture: Capture, stop: Stop, *, mark: str) -> Session:
        if site.become is None:
            return LocalSession(self._host, capture, stop, mark=mark)
        if self._host.settings.restricted:
            raise Unusable(RESTRICTED)
        become = becoming(site.become, site.opened)
        return SshSession(here(site.name), Here(self._host.settings), capture, stop, mark=mark, become=become)

    async def probe(self, site: Site) -> Probe:
        return await asked(lambda capture, stop: self.open(site, capture, stop, mark=""))

    async def close(self) -> None:
        """Nothing is kept: the host belongs to the runner."""
