"""The installed program at work on a repository on this machine, watched from outside."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pygit2
import yaml
from pygit2.enums import FileMode

MAIN = "refs/heads/main"
REQUESTS = "refs/heads/opsconductor/requests"
STATUS = "refs/heads/opsconductor/status"
_LIMIT = 120
_US = pygit2.Signature("Ann", "ann@example.org")


class Source:
    """A bare repository that people push to; a push is what its refs see of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._repository = pygit2.init_repository(str(path), bare=True, initial_head="main")

    def commit(self, ref: str, files: Mapping[str, str]) -> str:
        """A commit on top of the branch that adds or replaces files."""
        known = self._repository.references.get(ref)
        parents = [known.target] if known else []
        base = self._repository[known.target].tree if known else None
        tree = self._tree(base, [(path.split("/"), text) for path, text in files.items()])
        commit = self._repository.create_commit(None, _US, _US, "change", tree, parents)
        return str(commit)

    def push(self, ref: str, commit: str) -> None:
        self._repository.create_reference(ref, commit, force=True)

    def applied(self) -> str | None:
        """The commit in force, as sync.yaml says."""
        known = self._repository.references.get(STATUS)
        if known is None:
            return None
        sync = self._repository[known.target].tree / "sync.yaml"
        assert isinstance(sync, pygit2.Blob)
        found: str | None = yaml.safe_load(sync.data)["status"].get("appliedCommit")
        return found

    def _tree(self, base: pygit2.Tree | None, files: list[tuple[list[str], str]]) -> pygit2.Oid:
        builder = self._repository.TreeBuilder(base) if base is not None else self._repository.TreeBuilder()
        below: dict[str, list[tuple[list[str], str]]] = {}
        for (name, *rest), text in files:
            if rest:
                below.setdefault(name, []).append((rest, text))
            else:
                builder.insert(name, self._repository.create_blob(text.encode()), FileMode.BLOB)
        for name, inner in below.items():
            child = base[name] if base is not None and name in base else None
            builder.insert(name, self._tree(child, inner), FileMode.TREE)  # type: ignore[arg-type]
        return builder.write()


@dataclass(frozen=True, slots=True)
class Running:
    """An engine that has taken in the first commit."""

    pid: int
    state: Path

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Look into its journal from outside."""
        with closing(sqlite3.connect(f"file:{self.state / 'journal.sqlite3'}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    async def asked(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """The rows, as soon as there are any."""
        async with asyncio.timeout(_LIMIT):
            while not (found := self.ask(query, *values)):
                await asyncio.sleep(0.01)
        return found

    def resident(self) -> int:
        """Bytes of memory that the process has in use (VmRSS)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


@asynccontextmanager
async def up(source: Source, state: Path) -> AsyncIterator[Running]:
    """`opsconductor up`, from the first commit in force to the drained stop."""
    log = state.with_suffix(".log")
    program = Path(sys.executable).with_name("opsconductor")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(program), "up", str(source.path), "--state", str(state), "--grace", "1s",
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT):
            while not source.applied():
                if process.returncode is not None:
                    raise RuntimeError(f"the engine ended with code {process.returncode}:\n{log.read_text()[-2000:]}")
                await asyncio.sleep(0.05)
        yield Running(process.pid, state)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()
