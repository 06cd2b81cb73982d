"""The user's own checkout, as the command line sees it: read definitions and status, push acts.

GitPython and the user's git configuration (credentials, signing) serve here and nowhere else: the engine itself reads
git through `reconciler.repository.mirror` and `reconciler.repository.objects` alone.
"""

import contextlib
import hashlib
import shlex
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from journal.errors import Refused, Unavailable
from opsconductor import gitsettings
from opsconductor.exits import UsageError
from opsconductor.owncache import own_cache
from opsconductor.settings import parse_source
from reconciler.repository.source import Source, redacted
from schemas.project import DEFAULT_REQUESTS_REF, DEFAULT_STATUS_REF

if TYPE_CHECKING:
    import git

_ITSELF = "."
_SHA256 = 64
"""Digits of an object's name by SHA-256."""
_CHATTER = ("hint:", "To ", "error: failed to push some refs")
_PUSH_TRIES = 8
_PUSH_PAUSE = 0.05
"""Seconds more before each further try."""


@dataclass(frozen=True, slots=True)
class Refs:
    """Which branches hold what; the Project may rename the last two."""

    branch: str = "main"
    status: str = DEFAULT_STATUS_REF
    requests: str = DEFAULT_REQUESTS_REF

    @property
    def definitions(self) -> str:
        return self.branch if self.branch.startswith("refs/") else f"refs/heads/{self.branch}"


class Repository:
    """A checkout, a bare repository or (through a cached bare clone) a git URL."""

    def __init__(self, repo: "git.Repo", remote: str, source: Source) -> None:
        self._repo = repo
        self.remote = remote
        self.source = source

    @classmethod
    def open(cls, where: str = ".", *, remote: str | None = None) -> "Repository":
        """Raises UsageError where there is no repository."""
        import git

        source = parse_source(where)
        if source.path is None:
            return cls(_cached_clone(source), "origin", source)
        try:
            repo = git.Repo(source.path, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise UsageError(
                f"{where}: not a git repository; give one with --repo, or make one with 'opsconductor init DIR'"
            ) from error
        root = Path(repo.working_tree_dir or repo.git_dir)
        return cls(repo, remote or _remote_of(repo), parse_source(str(root)))

    @property
    def work_tree(self) -> Path | None:
        """The folder with the files, None for a bare repository."""
        return Path(self._repo.working_tree_dir) if self._repo.working_tree_dir else None

    @property
    def git_dir(self) -> Path:
        return Path(self._repo.common_dir)

    @property
    def engine_source(self) -> Source:
        """The SOURCE an engine that serves this repository was most likely started with.

        No engine can have been started with an address that is refused (http://, git://): then it serves the checkout.
        """
        if self.remote == _ITSELF:
            return self.source
        try:
            return parse_source(self._remote_url())
        except UsageError:
            return self.source

    def resolve(self, rev: str) -> str | None:
        """The full commit id of a revision, None where there is none.

        Raises UsageError where git does not read the repository for this user, and for SHA-256 names of objects.
        """
        import git

        try:
            found = str(self._repo.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"))
        except git.GitCommandError as error:
            if "dubious ownership" in str(error.stderr):
                raise UsageError(self._not_ours()) from error
            return None
        if len(found) == _SHA256:
            raise UsageError(
                f"{self._place} uses SHA-256 object names, which are not supported; use a SHA-1 repository"
            )
        return found

    @property
    def _place(self) -> Path:
        return self.work_tree or self.git_dir

    def _not_ours(self) -> str:
        allow = f"git config --global --add safe.directory {shlex.quote(str(self._place))}"
        return f"git does not read {self._place} because another user owns it; run as that user, or allow it: {allow}"

    def changed(self, before: str, now: str | None) -> tuple[str, ...]:
        """The paths that differ between two commits; None: the files on disk that git does not ignore."""
        from reconciler.repository.objects import Objects

        if now is not None:
            return Objects(self.git_dir).changed(before, now)
        apart = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
        edited = self._only_git().diff(*apart, before, "--")
        added = self._only_git().ls_files("--others", "--exclude-standard", "-z")
        return tuple(sorted({path for text in (edited, added) for path in text.split("\0") if path}))

    def _only_git(self) -> Any:
        """git that starts no program of the settings here: neither a watcher of files nor a filter of their contents.

        A file that a filter would bring back to what is committed, as one of git-lfs, is seen as it is on disk; git
        does not read what it knows to be unchanged.
        """
        import git

        drivers = r"^filter\..*\.(clean|process|required)$"
        settings = ["core.fsmonitor=false"]
        with contextlib.suppress(git.GitCommandError):  # there are none
            found = str(self._repo.git.config("--name-only", "-z", "--get-regexp", drivers))
            settings += [
                f"{name}={'false' if name.endswith('.required') else ''}" for name in found.split("\0") if name
            ]
        return self._repo.git(c=settings)

    def head_of(self, ref: str, *, fetch: bool = True) -> str | None:
        """The commit of a branch where it really lives: the remote's after a fetch, or this repository's own."""
        import git

        if self.remote == _ITSELF:
            return self.resolve(ref)
        tracking = f"refs/opsconductor/{ref.removeprefix('refs/heads/')}"
        if not fetch:
            return self.resolve(tracking)
        try:
            listed = str(self._repo.git.ls_remote("--", self.remote, ref)).split()
            if not listed:
                return None
            if listed[0] != self.resolve(tracking):
                # No ref is written by the fetch: another command in this checkout may be fetching at this moment.
                self._repo.git.fetch(
                    "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--", self.remote, ref
                )
                with contextlib.suppress(git.GitCommandError):
                    self._repo.git.update_ref(tracking, listed[0])
        except git.GitCommandError as error:
            raise Unavailable(f"cannot read {ref} from {self._remote_shown()}: {_reason(error)}") from error
        return listed[0]

    def push_act(self, ref: str, path: str, text: str, message: str, *, besides: str | None = None) -> str:
        """Commit one new file onto a branch and push it by compare-and-swap; gives the commit.

        Repeats when another push came between. The user's git identity and signing settings apply. `besides` is
        the last line of its message.
        """
        import git

        if self.remote == _ITSELF and self._is_checked_out(ref):
            return self._commit_in_work_tree(path, text, message)
        refusal: git.GitCommandError | None = None
        for attempt in range(_PUSH_TRIES):
            time.sleep(attempt * _PUSH_PAUSE)
            base = self.head_of(ref)
            commit = self._commit_onto(base, path, text, f"{message}\n\n{besides}" if besides else message)
            try:
                if self.remote == _ITSELF:
                    self._repo.git.update_ref("-m", message, ref, commit, base or "0" * 40)
                else:
                    self._repo.git.push(
                        "--quiet", f"--force-with-lease={ref}:{base or ''}", "--", self.remote, f"{commit}:{ref}"
                    )
                return commit
            except git.GitCommandError as error:
                # The branch moved, or another push holds its lock at this moment: again. Anything else stays as it is.
                refusal = error
        raise Refused(f"cannot push to {ref} of {self._remote_shown()}: {_reason(refusal)}") from refusal

    def _commit_onto(self, base: str | None, path: str, text: str, message: str) -> str:
        import git

        with tempfile.TemporaryDirectory(prefix="opsconductor-") as folder:
            blob_file = Path(folder) / "act.yaml"
            blob_file.write_text(text, encoding="utf-8")
            try:
                with self._repo.git.custom_environment(GIT_INDEX_FILE=str(Path(folder) / "index")):
                    if base:
                        self._repo.git.read_tree(base)
                    blob = self._repo.git.hash_object("-w", "--no-filters", "--", str(blob_file))
                    self._repo.git.update_index("--add", "--cacheinfo", f"100644,{blob},{path}")
                    tree = self._repo.git.write_tree()
                words = ["-p", base] if base else []
                if gitsettings.is_on(self._repo, "commit.gpgSign"):  # which `git commit` heeds, and commit-tree not
                    words.append("-S")
                return str(self._repo.git.commit_tree(tree, *words, "-m", message))
            except git.GitCommandError as error:
                raise _cannot_commit(error) from error

    def _commit_in_work_tree(self, path: str, text: str, message: str) -> str:
        import git

        assert self.work_tree is not None
        file = self.work_tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        try:
            self._repo.git.add("--", path)
            self._repo.git.commit("--quiet", "--only", "-m", message, "--", path)
        except git.GitCommandError as error:
            raise _cannot_commit(error) from error
        return str(self._repo.head.commit.hexsha)

    def _is_checked_out(self, ref: str) -> bool:
        head = self._repo.head
        return self.work_tree is not None and not head.is_detached and head.reference.path == ref

    def _remote_shown(self) -> str:
        return "this repository" if self.remote == _ITSELF else redacted(self._remote_url())

    def _remote_url(self) -> str:
        return str(self._repo.git.config("--get", f"remote.{self.remote}.url"))


def _remote_of(repo: "git.Repo") -> str:
    """The remote where status and acts live; the repository itself where an engine publishes into it."""
    names = [remote.name for remote in repo.remotes]
    status = next((head for head in repo.heads if head.path == DEFAULT_STATUS_REF), None)
    if not names or (status is not None and status.tracking_branch() is None):
        return _ITSELF
    if not repo.head.is_detached and (upstream := _upstream(repo)):
        return upstream.remote_name
    return "origin" if "origin" in names else names[0]


def _upstream(repo: "git.Repo") -> "git.RemoteReference | None":
    import git

    found: git.RemoteReference | None = repo.head.reference.tracking_branch()
    return found


def _cached_clone(source: Source) -> "git.Repo":
    import git

    folder = own_cache() / f"{hashlib.sha256(source.text.encode()).hexdigest()[:16]}.git"
    if (folder / "HEAD").exists():
        return git.Repo(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    repo = git.Repo.init(folder, bare=True)
    repo.create_remote("origin", source.text)
    return repo


def _cannot_commit(error: "git.GitCommandError") -> Refused:
    if "tell me who you are" in str(error.stderr):
        return Refused(
            "git does not know who you are, and a request carries its author: git config --global user.name NAME; "
            "git config --global user.email ADDRESS"
        )
    return Refused(f"git cannot commit the request: {_reason(error)}")


def _reason(error: "git.GitCommandError | None") -> str:
    """What git said, in one line; first what the other side said, which knows best what to do."""
    lines: Iterable[str] = str((error and error.stderr) or error).replace("stderr: '", "").strip(" '\n").splitlines()
    said = [line.strip() for line in lines if line.strip() and not line.startswith(_CHATTER)]
    theirs = [line.removeprefix("remote:").strip() for line in said if line.startswith("remote:")]
    ours = [line for line in said if not line.startswith("remote:")]
    return redacted("; ".join([line for line in theirs if line][:5] + ours[:3])) or "git failed without a word"
