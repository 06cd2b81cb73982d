"""A status commit into a branch of ten thousand files: ours, bare pygit2, and the git program."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygit2
from pygit2.enums import FileMode

from journal.clock import SystemClock
from reconciler.publication.publish import Publisher
from reconciler.repository.mirror import Mirror
from tests.performance.measuring import Taken, alternating, milliseconds, times
from tests.performance.table import Row, Verdict

FILES = 10_000
_A_DAY = 1_000
_BATCH = 2_000
_ROUNDS = 15
_REF = "refs/heads/opsconductor/status"
_US = pygit2.Signature("OpsConductor", "opsconductor@localhost", 1_795_000_000, 0)


class _NotPushed(Mirror):
    """A mirror whose source is never told, to measure the commit without the push."""

    async def push(self, local_commit: str, ref: str, expected: str | None) -> None:
        return


def _path(number: int, a_folder: int) -> str:
    """Run files by day, as on the branch; or all in one folder."""
    return f"runs/2026/11/{number // a_folder + 1:02}/rotate-{number:05}-20261121T000000Z-9f31c2a07b.yaml"


def _content(number: int, version: int) -> bytes:
    facts = "".join(
        f"    web-{target}: {{state: succeeded, duration: {number * 7 % 97 / 10}}}\n" for target in range(6)
    )
    return f"kind: Run\nmetadata: {{name: rotate-{number}}}\nstatus:\n  attempt: {version}\n{facts}".encode()


class _Branch:
    """A source with ten thousand status files, and a publisher for it."""

    def __init__(self, folder: Path, mirror: type[Mirror], a_folder: int) -> None:
        folder.mkdir()
        self.a_folder = a_folder
        self.version = 0
        pygit2.init_repository(str(folder / "source.git"), bare=True)
        self.mirror = mirror(folder / "mirror.git", str(folder / "source.git"), environment=os.environ)
        self.publisher = Publisher(self.mirror, _REF, engine_id="bench", clock=SystemClock())

    async def fill(self) -> None:
        await self.publisher.publish(self.changed(range(FILES)), "fill")

    def changed(self, numbers: range) -> dict[str, bytes | None]:
        self.version += 1
        return {_path(number, self.a_folder): _content(number, self.version) for number in numbers}

    async def one(self) -> None:
        number = self.version * 37 % FILES
        await self.publisher.publish(self.changed(range(number, number + 1)), "one")

    async def batch(self) -> None:
        first = self.version * _BATCH % FILES
        await self.publisher.publish(self.changed(range(first, first + _BATCH)), "batch")


class _Pygit2:
    """The least that a commit takes with pygit2: the blobs, the trees on the way, the commit."""

    def __init__(self, branch: _Branch) -> None:
        self._branch = branch
        self._repository = pygit2.Repository(str(branch.mirror.path))
        self._line = branch.publisher.tip or ""

    async def one(self) -> None:
        number = self._branch.version * 37 % FILES
        await asyncio.to_thread(self._commit, self._branch.changed(range(number, number + 1)))

    async def batch(self) -> None:
        first = self._branch.version * _BATCH % FILES
        await asyncio.to_thread(self._commit, self._branch.changed(range(first, first + _BATCH)))

    def _commit(self, writes: Mapping[str, bytes | None]) -> None:
        nested: dict[str, Any] = {}
        for path, data in writes.items():
            *folders, name = path.split("/")
            here = nested
            for folder in folders:
                here = here.setdefault(folder, {})
            here[name] = data
        base: Any = self._repository[self._line]
        tree = self._tree(base.tree, nested)
        self._line = str(self._repository.create_commit(None, _US, _US, "one", tree, [self._line]))

    def _tree(self, base: Any, nested: Mapping[str, Any]) -> pygit2.Oid:
        builder = self._repository.TreeBuilder(base)
        for name, below in nested.items():
            if isinstance(below, bytes):
                builder.insert(name, self._repository.create_blob(below), FileMode.BLOB)
            else:
                builder.insert(name, self._tree(base[name], below), FileMode.TREE)
        return builder.write()


class _GitProgram:
    """hash-object, update-index, write-tree, commit-tree, with an index that is kept from commit to commit."""

    def __init__(self, branch: _Branch) -> None:
        self._branch = branch
        self._line = branch.publisher.tip or ""
        self._environment = {
            **os.environ,
            "GIT_DIR": str(branch.mirror.path),
            "GIT_INDEX_FILE": str(branch.mirror.path.parent / "index"),
            **{f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self._git("read-tree", self._line)

    async def one(self) -> None:
        await asyncio.to_thread(self._commit)

    def _commit(self) -> None:
        number = self._branch.version * 37 % FILES
        ((path, data),) = self._branch.changed(range(number, number + 1)).items()
        blob = self._git("hash-object", "-w", "--stdin", stdin=data)
        self._git("update-index", "--cacheinfo", f"100644,{blob},{path}")
        tree = self._git("write-tree")
        self._line = self._git("commit-tree", tree, "-p", self._line, "-m", "one")

    def _git(self, *arguments: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(["git", *arguments], env=self._environment, input=stdin, check=True, capture_output=True)
        return done.stdout.decode().strip()


async def rows(folder: Path) -> list[Row]:
    found = await _one(folder / "days", _A_DAY, "a status commit of 1 file into 10,000, 1,000 a folder")
    found += await _one(folder / "flat", FILES, "the same, all in one folder")
    return found + await _batches(folder / "batches")


async def _one(folder: Path, a_folder: int, what: str) -> list[Row]:
    branch = _Branch(folder, _NotPushed, a_folder)
    await branch.fill()
    taken = await alternating(
        _ROUNDS, {"ours": branch.one, "pygit2": _Pygit2(branch).one, "git": _GitProgram(branch).one}
    )
    branch.mirror.close()
    bare, program = taken.ratio("ours", "pygit2"), taken.ratio("git", "ours")
    ours = milliseconds(taken.of("ours"))
    return [
        Row(what, ours, f"bare pygit2 {milliseconds(taken.of('pygit2'))}", times(bare), "at most 2x",
            Verdict.of(bare <= 2)),
        Row("", ours, f"the git program {milliseconds(taken.of('git'))}", f"{times(program)} faster",
            "at least 10x", Verdict.of(program >= 10)),
    ]  # fmt: skip


async def _batches(folder: Path) -> list[Row]:
    folder.mkdir()
    committed, pushed = _Branch(folder / "committed", _NotPushed, _A_DAY), _Branch(folder / "pushed", Mirror, _A_DAY)
    for branch in (committed, pushed):
        await branch.fill()
    taken = await alternating(5, {"ours": committed.batch, "pygit2": _Pygit2(committed).batch, "pushed": pushed.batch})
    for branch in (committed, pushed):
        branch.mirror.close()
    return [_rate("status files a second in batches of 2,000", "ours", taken), _rate("", "pushed", taken)]


def _rate(what: str, name: str, taken: Taken) -> Row:
    rate = _BATCH / taken.of(name)
    bare = f"bare pygit2 {_BATCH / taken.of('pygit2'):,.0f} a second"
    ours = f"{rate:,.0f}" if name == "ours" else f"{rate:,.0f} with the push, on the source's disk"
    return Row(what, ours, bare, times(taken.ratio(name, "pygit2")), "at least 5,000", Verdict.of(rate >= 5000))
