"""A repository, keys and a trust file for tests of whom the engine believes: real keys, real git."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from engine.authority.trust import Mode, Permits, SignedBy, anybody
from reconciler.authority.authorities import Authorities
from reconciler.authority.chain import Chain, Followed, Trusted
from reconciler.authority.keyfiles import KeyFiles
from reconciler.authority.signatures import Signatures
from reconciler.definitions import Definitions
from reconciler.repository.history import History
from reconciler.repository.objects import Objects
from tests.signing import Keys, Repository, SshKey

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {{name: p}}\nspec: {{verify: {{mode: {mode}}}}}\n"
JOB = "definitions/job.yaml"


def user(name: str, *keys: SshKey) -> dict[str, str]:
    """The file of a User."""
    listed = ", ".join(f'"{key.public}"' for key in keys)
    text = f"apiVersion: opsconductor/v1\nkind: User\nmetadata: {{name: {name}}}\n"
    return {f"definitions/users/{name}.yaml": f"{text}spec: {{email: {name}@example.org, signingKeys: [{listed}]}}\n"}


@dataclass
class Ground:
    """A repository, keys, a trust file, and the chain that judges."""

    folder: Path
    repository: Repository
    keys: Keys
    lines: list[str] = field(default_factory=list)
    trust_file: bool = True
    permits: Permits = anybody

    @property
    def ana(self) -> SshKey:
        return self.keys.ssh("ana")

    @property
    def bob(self) -> SshKey:
        return self.keys.ssh("bob")

    @property
    def eve(self) -> SshKey:
        return self.keys.ssh("eve")

    @property
    def file(self) -> Path:
        return self.folder / "trust"

    def chain(self, mode: Mode = "none") -> Chain:
        if self.trust_file:
            self.file.write_text("".join(f"{line}\n" for line in self.lines))
        path = self.repository.path
        history = History(path)
        files = KeyFiles(self.file if self.trust_file else None, self.folder / "private")
        authorities = Authorities(Definitions(Objects(path)), history)
        return Chain(authorities, history, Signatures(files), mode=mode, permits=self.permits)

    def follow(
        self, head: str, trusted: str | None, *, mode: Mode = "none", by_name: str | None = None, now: datetime = NOW
    ) -> Followed:
        """What comes of the branch, where the commit that is trusted asks for `range`."""
        before = Trusted(trusted, "range") if trusted is not None else None
        return self.chain(mode).follow(head, before, by_name=by_name, now=now)

    def root(self, *people: dict[str, str], mode: Mode = "range") -> str:
        """The first commit, in which ana is a User."""
        files = {"opsconductor.yaml": PROJECT.format(mode=mode), **user("ana", self.ana)}
        for one in people:
            files |= one
        return self.repository.commit(files)

    def commit(self, text: str, *parents: str, by: SshKey | Path | None = None, at: str | None = None) -> str:
        return self.repository.commit({JOB: f"# {text}\n"}, *parents, by=by, at=at)


def made_ground(folder: Path) -> Ground:
    """All of it in a folder."""
    (folder / "keys").mkdir()
    return Ground(folder, Repository.made(folder / "ops.git"), Keys(folder / "keys"))


def why(followed: Followed) -> str:
    assert followed.stopped is not None, followed
    return followed.stopped.message


def at(followed: Followed) -> str | None:
    return followed.trusted.commit if followed.trusted is not None else None


def by(followed: Followed) -> str | None:
    """The User who answers for what is trusted now."""
    assert followed.trusted is not None
    assert isinstance(followed.trusted.signature, SignedBy), followed
    return followed.trusted.signature.user
