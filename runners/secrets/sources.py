"""Sources of secrets: where the text of a credential is read from.

Built-in sources and those of plug-ins come through one door: the entry point group `opsconductor.secrets` names
factories that take `Settings` and give a `SecretSource`. Which one reads a credential is the field of its `spec.from`;
those of plug-ins are named in `spec.from.plugin`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from runners.doors import Door


@dataclass(frozen=True, slots=True)
class VaultServer:
    """A HashiCorp Vault or OpenBao. `token` is the file its token stands in, `ca` the authorities it is trusted by."""

    url: str
    token: Path
    ca: Path | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """What else of its host a runner may ask for secrets, as its owner says. By itself: nothing."""

    system: Path | None = None
    """The folder with the credentials that the system hands to the service (systemd.exec, CREDENTIALS_DIRECTORY)."""
    programs: tuple[Path, ...] = ()
    """Those that documents may start."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What such a program has for an environment."""
    vault: VaultServer | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of the runner's host says, for sources. `folder` None: no files may be read."""

    folder: Path | None
    environ: Mapping[str, str] = field(repr=False)
    restricted: bool = False
    host: Host = field(default_factory=Host)
    own: tuple[Path, ...] = ()
    """Files and folders that are the engine's own, such as its keys and its state: no document has them read."""


class SecretSource(Protocol):
    """Reads secrets from one kind of place. Made once by a runner, and serves all its runs.

    Whether the credential may be opened here was judged before. Nothing that is read may be logged or kept.
    """

    def read(self, reference: Any) -> str | Mapping[str, str]:
        """Read anew what `reference` names: the secret, or its fields by name where it has several.

        `reference` is what stands in the document below the source's name, of a plug-in's what its `with` holds; it is
        not trusted. Runs in a thread, and ends within 30 seconds. Raises ValueError or OSError with a message for
        people that holds nothing of any secret.
        """
        ...


DOOR: Door[SecretSource] = Door(
    "opsconductor.secrets",
    "secret source",
    {
        "command": "runners.secrets.command:Commands",
        "env": "runners.secrets.env:Variables",
        "file": "runners.secrets.file:Files",
        "vault": "runners.secrets.vault:Vault",
    },
)
