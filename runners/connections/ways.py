"""The connections of a runner, by name: each is made when it is first used, and kept until the runner ends.

Built-in connections and those of plug-ins come through one door: the entry point group `opsconductor.connections` names
factories that take `Settings` and give a `Connection`.
"""

from dataclasses import dataclass

from runners.connections import Connection, Limits
from runners.connections.local import LocalHost
from runners.doors import Door

DOOR: Door[Connection] = Door(
    "opsconductor.connections",
    "connection",
    {
        "http": "runners.connections.overhttp:OverHttp",
        "local": "runners.connections.onrunner:OnRunner",
        "rdp": "runners.connections.overrdp:OverRdp",
        "ssh": "runners.connections.overssh:OverSsh",
        "winrm": "runners.connections.overwinrm:OverWinrm",
    },
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of the runner's host says, for connections."""

    limits: Limits
    local: LocalHost
    """This host, as steps may use it."""

    @property
    def restricted(self) -> bool:
        """Whether nothing may be done to the runner's own host, and no program of it started."""
        return self.local.settings.restricted


class Ways:
    """The connections of one runner."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: dict[str, Connection] = {}

    def get(self, name: str) -> Connection:
        """Raises runners.doors.NoPart."""
        if name not in self._made:
            self._made[name] = DOOR.factory(name)(self._settings)
        return self._made[name]

    async def close(self) -> None:
        """After the last session has ended."""
        for connection in self._made.values():
            await connection.close()
        self._made.clear()
