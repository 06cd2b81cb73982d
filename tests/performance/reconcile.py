"""Loading a commit of ten thousand files: the first time, and after a commit that changed one of them."""

import asyncio
import time
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from reconciler.definitions import Definitions
from reconciler.repository.objects import Objects
from tests.catalogs import HEAD, PROJECT, job, local_target
from tests.performance.measuring import alternating, milliseconds, times
from tests.performance.table import Row, Verdict

FILES = 10_000
_ROUNDS = 7
_US = pygit2.Signature("Ann", "ann@example.org", 1_795_000_000, 0)


class _Source:
    """A repository whose definitions are half targets, half jobs on one of them."""

    def __init__(self, path: Path) -> None:
        self._repository = pygit2.init_repository(str(path), bare=True)
        self._project = self._repository.create_blob(PROJECT.encode())
        self._definitions = self._repository.TreeBuilder()
        for number in range(FILES // 2):
            self._put(f"target-{number}", local_target(f"host-{number}", "{role: web}"))
            self._put(f"job-{number}", _job(number, "true"))
        self._count = 0

    def commit(self) -> str:
        """Change one job."""
        self._count += 1
        self._put(f"job-{self._count}", _job(self._count, f"echo {self._count}"))
        root = self._repository.TreeBuilder()
        root.insert("opsconductor.yaml", self._project, FileMode.BLOB)
        root.insert("definitions", self._definitions.write(), FileMode.TREE)
        return str(self._repository.create_commit(None, _US, _US, "change", root.write(), []))

    def _put(self, name: str, document: str) -> None:
        blob = self._repository.create_blob((HEAD + document).encode())
        self._definitions.insert(f"{name}.yaml", blob, FileMode.BLOB)


def _job(number: int, run: str) -> str:
    return job(f"job-{number}", run=run, spec=f"  targets: {{names: [host-{number}]}}\n")


async def rows(folder: Path) -> list[Row]:
    source = _Source(folder / "source.git")
    warm = Definitions(Objects(folder / "source.git"))
    began = time.perf_counter()
    await _load(warm, source.commit())
    cold = time.perf_counter() - began

    async def one_changed() -> float:
        commit = source.commit()
        started = time.perf_counter()
        await _load(warm, commit)
        return time.perf_counter() - started

    async def nothing_but_the_tree() -> float:
        commit, objects = source.commit(), Objects(folder / "source.git")
        started = time.perf_counter()
        await asyncio.to_thread(objects.snapshot, commit, ("**/*.yaml",))
        return time.perf_counter() - started

    taken = await alternating(_ROUNDS, {"warm": one_changed, "tree": nothing_but_the_tree})
    share = taken.of("warm") / cold
    return [
        Row(f"a reconcile of 1 changed file among {FILES:,}", milliseconds(taken.of("warm")),
            f"the first one {cold:.1f} s", f"{share:.1%} of it", "at most 5%", Verdict.of(share <= 0.05)),
        Row("", milliseconds(taken.of("warm")), f"reading the tree alone {milliseconds(taken.of('tree'))}",
            times(taken.ratio("warm", "tree"))),
    ]  # fmt: skip


async def _load(definitions: Definitions, commit: str) -> None:
    compiled = await definitions.load(commit)
    assert compiled.catalog is not None, compiled.findings[:3]
