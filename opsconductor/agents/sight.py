"""A repository as agents see it: commits of the definitions branch, the status branch, logs. Nothing in it is changed.

What lives elsewhere is fetched into the program's own cache, never into somebody's checkout; files on disk that nobody
has committed are not looked at.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.catalog import Catalog
from engine.compile import Compiled
from opsconductor.agents.keptlogs import KeptLogs
from opsconductor.checking.validation import validate_commit
from opsconductor.evidence import Evidence
from opsconductor.exits import UsageError
from opsconductor.inquiry import Inquiry
from opsconductor.repository import Refs, Repository
from opsconductor.status import StatusReader
from opsconductor.workspace import Workspace

_KEPT = 3
"""Commits whose definitions are kept in memory."""
_NOT_KNOWN = "the definitions branch, since it is not known what is in force"


@dataclass
class Sight:
    """One look after another at the same repository. Not for several threads at once."""

    repository: Repository
    branch: str
    offline: bool
    logs: Path
    """The engine's folder of logs, if it runs on this machine."""
    kept: KeptLogs | None = None
    """Where it keeps them besides, if that is known."""
    _kept: dict[str, Compiled] = field(default_factory=dict)

    @classmethod
    def open(
        cls, where: str, *, remote: str | None = None, branch: str = "main", offline: bool = False,
        state: str | None = None, logs: str | None = None,
    ) -> "Sight":  # fmt: skip
        """Raises UsageError where there is no repository, and Refused where `logs` is no place for them."""
        here = Repository.open(where, remote=remote)
        there = here.engine_source
        folder = Workspace(here, branch, offline=True).state_folder(state).logs
        kept = None if logs is None else KeptLogs(logs)
        if here.remote == "." or there == here.source:
            return cls(Repository.open(where, remote="."), branch, offline, folder, kept)
        # A fetch writes objects and refs: into a clone of our own, not into the checkout.
        clone = Repository.open(there.text, remote="." if there.path is not None else None)
        return cls(clone, branch, offline, folder, kept)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def git_dir(self) -> Path:
        return self.repository.git_dir

    def head(self) -> str:
        """The newest commit of the definitions branch. Raises UsageError where there is none to be seen."""
        found = self.repository.head_of(Refs(branch=self.branch).definitions, fetch=not self.offline)
        if found is None:
            why = "no copy of it is here: start the server without --offline once" if self.offline else "see --branch"
            raise UsageError(f"there is no branch {self.branch!r} in {self.repository.source.shown}; {why}")
        return found

    def commit(self, rev: str | None) -> str:
        """The commit that is meant; the newest by default. Raises UsageError."""
        if rev is None:
            return self.head()
        self.head()  # fetches
        found = self.repository.resolve(rev)
        if found is None:
            raise UsageError(f"there is no commit {rev}; leave 'base' out for the newest of {self.branch!r}")
        return found

    def compiled(self, commit: str) -> Compiled:
        """The definitions of a commit."""
        found = self._kept.pop(commit, None) or validate_commit(self.git_dir, commit).compiled
        self._kept[commit] = found
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    def readable(self, commit: str) -> Catalog:
        """Its documents, those that are well formed where others are not. Raises UsageError where none can be read."""
        compiled = self.compiled(commit)
        found = compiled.catalog or compiled.readable
        if found is None:
            raise UsageError(f"the definitions of commit {commit[:12]} cannot be read; see validate_change")
        return found

    def refs(self) -> Refs:
        """The branches, as the Project names them; the defaults while it cannot be read."""
        catalog = self.compiled(self.head()).catalog
        if catalog is None:
            return Refs(branch=self.branch)
        spec = catalog.project.spec
        return Refs(branch=self.branch, status=spec.status.ref, requests=spec.requests.ref)

    def status_commit(self) -> str | None:
        return self.repository.head_of(self.refs().status, fetch=not self.offline)

    def status(self) -> StatusReader:
        """The newest status. Raises UsageError where no engine has published any."""
        commit = self.status_commit()
        if commit is None:
            raise UsageError(f"no engine has published to {self.refs().status} yet; its status is not known")
        return StatusReader(self.git_dir, commit)

    def inquiry(self) -> Inquiry:
        """For questions why."""
        at_hand = self.compiled(self.head()).catalog
        tip = self.status_commit()
        evidence = Evidence(self.git_dir, tip) if tip else None
        sync = evidence.sync() if evidence else None
        applied = sync.applied if sync else None
        in_force = None
        if applied is not None and self.repository.resolve(applied) is not None:
            in_force = self.compiled(applied).catalog
        called = applied if in_force is not None and applied is not None else _NOT_KNOWN
        return Inquiry(self.repository, evidence, self.now, in_force or at_hand, called, at_hand)

    def sync(self, status: StatusReader) -> dict[str, Any]:
        """What the engine says of itself."""
        found = (status.read("sync.yaml") or {}).get("status")
        return found if isinstance(found, dict) else {}
