"""A definitions repository as a person works with it: its documents, its status, its acts."""

from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from journal.errors import Refused
from opsconductor.acts import made_for
from opsconductor.exits import UsageError
from opsconductor.remembered import remembered
from opsconductor.repository import Refs, Repository
from opsconductor.settings import StateFolder, default_state
from opsconductor.status import StatusReader
from reconciler.repository.source import Source


class Workspace:
    """Opened once by a command; everything is read through it."""

    def __init__(self, repository: Repository, branch: str, *, offline: bool = False) -> None:
        self._repository = repository
        self._branch = branch
        self._offline = offline
        self._compiled: Any = None

    @classmethod
    def open(cls, where: str, *, remote: str | None = None, branch: str = "main", offline: bool = False) -> "Workspace":
        """`offline`: nothing is fetched; what was fetched before is what there is."""
        return cls(Repository.open(where, remote=remote), branch, offline=offline)

    @property
    def is_remote(self) -> bool:
        return self._repository.remote != "."

    @property
    def work_tree(self) -> Path | None:
        """The folder with the files, None for a bare repository."""
        return self._repository.work_tree

    @property
    def pause(self) -> timedelta:
        """How long to wait between two looks at the status branch."""
        return timedelta(seconds=2) if self.is_remote else timedelta(milliseconds=300)

    @property
    def source(self) -> Source:
        return self._repository.engine_source

    def state_folder(self, given: str | None) -> StateFolder:
        """The state folder of the engine that serves this repository, if it runs on this machine."""
        return StateFolder(Path(given).resolve() if given else remembered(self.source) or default_state(self.source))

    def refs(self) -> Refs:
        """The branches, as the Project names them; the defaults while it cannot be read."""
        catalog = self.definitions().catalog
        if catalog is None:
            return Refs(branch=self._branch)
        spec = catalog.project.spec
        return Refs(branch=self._branch, status=spec.status.ref, requests=spec.requests.ref)

    def definitions(self) -> Any:
        """The compiled definitions: of the files on disk where there are any, else of the branch.

        For the one thread of a command: all cores are used.
        """
        from opsconductor.checking.validation import ALONE, validate_commit, validate_paths

        if self._compiled is None:
            if self._repository.work_tree is not None:
                self._compiled = validate_paths(self._repository.work_tree, process=ALONE).compiled
            else:
                commit = self.head()
                if commit is None:
                    here = (
                        "no copy of it is here; ask once without --offline"
                        if self._offline
                        else "name one with --branch"
                    )
                    raise UsageError(f"there is no branch {self._branch!r} in {self.source.shown}; {here}")
                self._compiled = validate_commit(self._repository.git_dir, commit, process=ALONE).compiled
        return self._compiled

    def content(self, path: str) -> bytes:
        """A file of the repository, from where the definitions come. Raises runners.repository.NoFile."""
        from opsconductor.committed import MirroredFiles, file_below

        if self._repository.work_tree is not None:
            return file_below(self._repository.work_tree, path)
        return MirroredFiles(self._repository.git_dir).read(self.head() or "", path)

    def status(self) -> StatusReader | None:
        """The newest status that can be seen, None where no engine has published any."""
        commit = self._repository.head_of(self.refs().status, fetch=not self._offline)
        return StatusReader(self._repository.git_dir, commit) if commit else None

    def head(self) -> str | None:
        """The newest commit of the definitions branch, None where there is no such branch."""
        return self._repository.head_of(Refs(branch=self._branch).definitions, fetch=not self._offline)

    def check_act(self, text: str) -> None:
        """Refuse here what the engine would refuse for its form. Raises UsageError with all findings."""
        from schemas.diagnostic import has_errors
        from schemas.reader import read

        findings = read(text.encode(), "request").findings
        if has_errors(findings):
            said = dict.fromkeys(f"{found.message}{f' ({found.hint})' if found.hint else ''}" for found in findings)
            raise UsageError("; ".join(said))

    def push_act(self, name: str, text: str, *, on_branch: bool) -> str:
        """Commit and push the act to the requests branch, or to the definitions branch; gives the commit."""
        refs = self.refs()
        message = f"request: {name}"
        if not on_branch:
            path = f"requests/{name}.yaml"
            return self._repository.push_act(refs.requests, path, text, message, besides=self._made_for())
        return self._repository.push_act(refs.definitions, self._place_on_branch(name), text, message)

    def _made_for(self) -> str | None:
        """The line that says for which engine a commit was made; None where none has claimed the status branch."""
        status = self.status()
        sync = (status.read("sync.yaml") if status is not None else None) or {}
        engine = (sync.get("status") or {}).get("engine") or {}
        return made_for(engine["id"]) if engine.get("id") else None

    def _place_on_branch(self, name: str) -> str:
        """A path that the Project's `include` covers."""
        from engine.compile import included

        catalog = self.definitions().catalog
        if catalog is None:
            return f"definitions/requests/{name}.yaml"
        for glob in catalog.project.spec.include:
            fixed = [part for part in PurePosixPath(glob).parts[:-1] if not set(part) & set("*?[")]
            path = str(PurePosixPath(*fixed, "requests", f"{name}.yaml"))
            if path in included([path], catalog.project):
                return path
        raise Refused("the Project's 'include' leaves no place for a request; push it to the requests branch instead")
