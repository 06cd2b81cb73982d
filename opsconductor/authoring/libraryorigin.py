"""Where a library comes from: the files that make it up, read from a folder or from a commit of a git repository.

A stranger may have made them. Nothing is checked out, no link is followed, no submodule is fetched, and no hook or
program of theirs runs: the files are read from git's objects, or from a folder as `validate` reads it.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pygit2

from engine.vendored import is_library_file
from journal.errors import Refused
from opsconductor.checking.tree import files_below
from opsconductor.exits import UsageError
from opsconductor.settings import parse_source
from opsconductor.terminal import printable
from reconciler.repository.gitprogram import Git, explain
from reconciler.repository.objects import Objects
from reconciler.repository.source import Source, redacted
from schemas.diagnostic import Diagnostic

MAX_FILES = 500
MAX_SIZE = 8 * 1024 * 1024
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_GLOBS = ("library.yaml", "steps/*", "*/library.yaml", "*/steps/*", "libraries/*/library.yaml", "libraries/*/steps/*")
"""Where a library may lie in its origin: at the root, in a folder of its name, or where a repository keeps one."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What `library add` is given: a folder or a repository, and a branch, tag or commit of it."""

    source: Source
    ref: str | None = None

    @property
    def is_git(self) -> bool:
        """Whether it is a repository: what is committed there counts, and not what lies around."""
        path = self.source.path
        return path is None or (path / ".git").exists() or ((path / "objects").is_dir() and (path / "refs").is_dir())


@dataclass(frozen=True, slots=True)
class Found:
    """A library as its origin has it. `files` are by their paths from its own folder."""

    files: Mapping[str, bytes] = field(repr=False)
    commit: str | None = None


def parse(text: str) -> Origin:
    """PATH, URL, PATH@REF or URL@REF. Raises UsageError for what is none of them."""
    at = _ref_mark(text)
    where, ref = (text, None) if at is None else (text[:at], text[at + 1 :])
    if ref is not None and (not _REF.fullmatch(ref) or ".." in ref or ref.endswith((".lock", "/", "."))):
        raise UsageError(f"{redacted(ref)!r} is no branch, tag or commit")
    origin = Origin(parse_source(where), ref)
    if origin.source.path is not None and not origin.source.path.is_dir():
        raise UsageError(f"{where}: there is no such folder")
    if ref is not None and not origin.is_git:
        raise UsageError(f"{where} is no git repository, so there is no '{ref}' of it")
    return origin


def _ref_mark(text: str) -> int | None:
    """Where the `@` before a ref stands: one that belongs to no login."""
    if "://" in text:
        begin = text.find("/", text.index("://") + 3)
    elif re.match(r"[^/@]+@[^/:]+:", text) or (":" in text.partition("/")[0] and not Path(text).exists()):
        begin = text.index(":")
    else:
        begin = 0
    at = text.rfind("@", begin) if begin >= 0 else -1
    return at if at > 0 and not (begin == 0 and Path(text).exists()) else None


def found(origin: Origin, name: str | None, environment: Mapping[str, str] = os.environ) -> Found:
    """The library in its origin; `name` says which where there are several.

    Raises Refused for what no repository should hold, and Unavailable where the origin cannot be reached.
    """
    if not origin.is_git:
        assert origin.source.path is not None
        files, findings = files_below(origin.source.path, _GLOBS)
        return Found(_chosen(files, findings, name, origin, files.__getitem__))
    with tempfile.TemporaryDirectory(prefix="opsconductor-library-") as folder:
        mirror = Path(folder) / "origin.git"
        pygit2.init_repository(str(mirror), bare=True)
        commit = asyncio.run(_fetched(Git(environment, origin.source.login), mirror, origin))
        objects = Objects(mirror)
        snapshot = objects.snapshot(commit, _GLOBS)
        blobs = snapshot.files
        return Found(_chosen(blobs, snapshot.findings, name, origin, lambda path: objects.blob(blobs[path].id)), commit)


async def _fetched(git: Git, mirror: Path, origin: Origin) -> str:
    """Bring the commit, and nothing of its history, into the empty repository `mirror`."""
    address, shown = origin.source.address, origin.source.shown
    listed = await git.run("ls-remote", "--quiet", "--", address, directory=mirror)
    if listed.code != 0:
        raise explain("looking at the library", listed.stderr, shown, mirror)
    refs = {ref: commit for commit, _, ref in (line.partition("\t") for line in listed.stdout.splitlines())}
    ref = origin.ref or "HEAD"
    wanted = next((one for one in (f"refs/tags/{ref}", f"refs/heads/{ref}", ref) if one in refs), None)
    if wanted is None and not _COMMIT.fullmatch(ref):
        raise Refused(f"{shown} has no branch, tag or commit '{ref}'{'' if refs else ': it is empty'}")
    brought = "refs/opsconductor/library"
    attempts: list[tuple[str, ...]] = [("--depth=1", f"+{wanted or ref}:{brought}")]
    if wanted is None:  # not every server hands out a commit by its id alone
        attempts.append(("--update-head-ok", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"))
    for options in attempts:
        flags = [one for one in options if one.startswith("--")]
        specs = [one for one in options if not one.startswith("--")]
        fetch = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *flags, "--", address, *specs)
        done = await git.run(*fetch, directory=mirror)
        if done.code == 0:
            break
    else:
        raise explain("fetching the library", done.stderr, shown, mirror)
    repository = pygit2.Repository(str(mirror))
    try:
        whole = repository.revparse_single(ref if wanted is None else brought)
        return str(whole.peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise Refused(f"{shown} has no branch, tag or commit '{ref}'") from error


def _below(finding: Diagnostic, folder: str) -> str:
    return finding.span.file.removeprefix(folder).partition("/")[0]


def _chosen(
    paths: Iterable[str],
    findings: Iterable[Diagnostic],
    name: str | None,
    origin: Origin,
    read: Callable[[str], bytes],
) -> dict[str, bytes]:
    """The files of one library, by their paths from its own folder."""
    there, shown = frozenset(paths), origin.source.shown
    folders = sorted({path.removesuffix("library.yaml") for path in there if path.endswith("library.yaml")})
    if "" not in folders and name is not None:
        folders = [folder for folder in folders if folder.rstrip("/").rpartition("/")[2] == name]
    if not folders:
        what = f"no library '{name}'" if name is not None else "no library.yaml"
        raise Refused(f"{shown} holds {what}: neither at its root, nor in a folder of its own, nor in libraries/")
    if "" not in folders and len(folders) > 1:
        names = printable(", ".join(folder.rstrip("/").rpartition("/")[2] for folder in folders))
        raise Refused(f"{shown} holds several libraries: {names}; say which by --name")
    folder = "" if "" in folders else folders[0]
    mine = ("library.yaml", "steps")
    # Of a tree that is read in part only, nobody knows whether all of the library was.
    in_part = ("OC122", "OC126")
    bad = next((one for one in findings if _below(one, folder) in mine or one.code in in_part), None)
    if bad is not None:
        raise Refused(printable(f"{shown}: {bad.span.file}: {bad.message}"))
    inner = {path.removeprefix(folder): path for path in there if path.startswith(folder)}
    wanted = {short: path for short, path in inner.items() if short == "library.yaml" or short.startswith("steps/")}
    if odd := next((short for short in sorted(wanted) if not is_library_file(short)), None):
        raise Refused(
            printable(f"{shown}: '{odd}' is no name for a file of a library: letters, digits, '.', '_' and '-'")
        )
    if len(wanted) > MAX_FILES:
        raise Refused(f"{shown}: {len(wanted)} files; a library has at most {MAX_FILES}")
    files = {short: read(path) for short, path in sorted(wanted.items())}
    if (size := sum(map(len, files.values()))) > MAX_SIZE:
        raise Refused(f"{shown}: {size} bytes; a library has at most {MAX_SIZE >> 20} MiB")
    return files
