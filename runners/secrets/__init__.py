"""Opening credentials. Only runners do it, only for the pools and jobs that the credential names, and only when a run
needs it.

A Credential is a secret by reference, and `runners.secrets.sources` says who reads it: `file` reads below the runner's
secret folder, `env` reads variables named OPSCONDUCTOR_SECRET_*, `vault` asks the server and `command` starts the
programs that the host's owner names; nothing else of the host can be read by a document.
Or it is encrypted in place, and `runners.secrets.sops` opens it with the runner's age keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.selection import matches
from runners.doors import NoPart
from runners.secretforms import SHORTEST
from runners.secrets.sources import DOOR, Host, Settings
from schemas.credential import FIELDS, Credential, CredentialSpec
from schemas.reader import read

TEXT_FIELD = {
    "ssh": "privateKey",
    "password": "password",
    "token": "token",
    "certificate": "certificate",
    "generic": "value",
}
"""Which field a secret of one text is, by type."""


class Sealed(Exception):  # noqa: N818 - named after what the credential is: it cannot be opened
    """The credential cannot be opened here; the message says why and holds no secret."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A credential with its secret. Never logged, never written."""

    name: str
    username: str | None
    fields: Mapping[str, str] = field(repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be masked."""
        return tuple(self.fields.values())

    def get(self, name: str) -> str:
        """A field as expressions name it, the user name included. Raises Sealed where it has none."""
        if name == "username" and self.username is not None:
            return self.username
        if name not in self.fields:
            raise Sealed(f"credential '{self.name}' has no {name}")
        return self.fields[name]


@dataclass(frozen=True, slots=True)
class Secrets:
    """What this runner may open. `folder` None: no files. `pools` gives those it serves now, None for every one."""

    folder: Path | None
    environ: Mapping[str, str] = field(repr=False)
    pools: Callable[[], frozenset[str]] | None = None
    restricted: bool = False
    host: Host = field(default_factory=Host)
    identities: tuple[Path, ...] = ()
    """Files with the age keys of this runner."""
    own: tuple[Path, ...] = ()
    """Files and folders of the engine besides its keys that no document may have read."""
    for_jobs: bool = True
    """False where somebody tries what is on this machine: which jobs a credential is for is not asked."""

    def open(
        self,
        name: str,
        spec: CredentialSpec,
        *,
        labels: Mapping[str, str] = MappingProxyType({}),
        pool: str | None = None,
        sealed: str | None = None,
    ) -> Opened:
        """Read it anew, for a job with these labels and the pool that works on it (None: no pool does); `sealed` is its
        file where it is encrypted in place. Raises Sealed.

        Whether the job and its pool may use it was judged when the run was planned. It is judged again here, before
        anything is read, by the pool that the work was claimed for: a fault in what plans opens no other's secret. What
        is encrypted in place is judged a third time, by what its MAC proves.
        """
        self._judge(name, spec, labels, pool)
        if sealed is None:
            given = self._read(name, spec)
        else:
            given, spec = self._unsealed(name, sealed)
            self._judge(name, spec, labels, pool)
        fields = {key: _ended(text, key) for key, text in given.items()}
        username = fields.pop("username", None)
        if any(len(text.strip()) < SHORTEST for text in fields.values()):
            raise Sealed(
                f"credential '{name}' is shorter than {SHORTEST} characters, too short to be kept out of logs; "
                "put a longer one in its place"
            )
        return Opened(name, spec.username or username, fields)

    def _judge(self, name: str, spec: CredentialSpec, labels: Mapping[str, str], pool: str | None) -> None:
        if spec.pools and pool is not None and pool not in spec.pools:
            raise Sealed(
                f"credential '{name}' may not be opened by pool '{pool}', which this is for: it names the pools "
                f"{', '.join(spec.pools)}"
            )
        served = self.pools() if self.pools is not None else None
        if spec.pools and served is not None and not served & set(spec.pools):
            raise Sealed(f"credential '{name}' may not be opened here: it names the pools {', '.join(spec.pools)}")
        if self.for_jobs and spec.allowed_for is not None and not matches(spec.allowed_for, labels):
            has = ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) or "none"
            raise Sealed(
                f"credential '{name}' is not allowed for this job: its allowedFor does not match the labels that the "
                f"run was planned with ({has}); give the job the labels, or widen allowedFor, and start a new run"
            )

    def _unsealed(self, name: str, text: str) -> tuple[Mapping[str, str], CredentialSpec]:
        """The fields of a document that proves itself, and what it says of itself."""
        from runners.secrets import agekeys, sops

        try:
            fields = sops.unseal(text, agekeys.read(self.identities)).fields
        except (sops.NotOpened, agekeys.NoKey) as error:
            raise Sealed(f"credential '{name}' cannot be opened: {error}") from error
        except OSError as error:
            raise Sealed(f"credential '{name}' cannot be opened: {error.filename}: {error.strerror}") from error
        written = next((one.document for one in read(text.encode(), name).documents), None)
        if not isinstance(written, Credential) or written.name != name:
            raise Sealed(f"credential '{name}' cannot be opened: its file holds another document")
        if odd := sorted(fields.keys() - FIELDS[written.spec.type]):
            raise Sealed(f"credential '{name}' of type {written.spec.type} has no {odd[0]}, which its file gives")
        return fields, written.spec

    def _read(self, name: str, spec: CredentialSpec) -> Mapping[str, str]:
        given = spec.from_.model_dump(mode="json", by_alias=True, exclude_none=True) if spec.from_ is not None else {}
        token = (self.host.vault.token,) if self.host.vault is not None else ()
        own = (*self.identities, *token, *self.own)
        settings = Settings(self.folder, self.environ, self.restricted, self.host, own)
        for source, reference in (_of_plug_in(one) if key == "plugin" else (key, one) for key, one in given.items()):
            try:
                found = DOOR.factory(source)(settings).read(reference)
            except (OSError, ValueError, NoPart) as error:
                why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                raise Sealed(f"credential '{name}' cannot be opened: {why}") from error
            fields = {TEXT_FIELD[spec.type]: found} if isinstance(found, str) else dict(found)
            if odd := sorted(fields.keys() - FIELDS[spec.type]):
                raise Sealed(f"credential '{name}' of type {spec.type} has no {odd[0]}, which its source gives")
            return fields
        raise Sealed(f"credential '{name}' has a source that this version cannot open")


def _of_plug_in(reference: Any) -> tuple[str, Any]:
    return reference["name"], reference.get("with", {})


def _ended(text: str, field: str) -> str:
    """Without the line end that editors add, which only the text of a key needs."""
    return text if field == "privateKey" else text.removesuffix("\n").removesuffix("\r")
