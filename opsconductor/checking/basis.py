"""What an answer about a folder rests on: all that was looked at, so that one can see whether it is so still."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opsconductor.checking.tree import Tree, walked
from schemas.diagnostic import Diagnostic


@dataclass(frozen=True, slots=True)
class Basis:
    """All that was read and asked. Same basis, same answer, as long as the same program gives it."""

    globs: tuple[str, ...]
    """Which files were read."""
    read: str
    """The digest of their paths and bytes, and of what was found on the way to them."""
    held: Mapping[str, bool]
    """Further files, and whether they were there."""
    small: Mapping[str, str | None]
    """Further files and the digests of their bytes; None: none that could be read."""

    def stands(self, root: Path) -> bool:
        """Whether the folder is still as it was looked at."""
        tree = walked(root, self.globs)
        files = {path: data for path in sorted(tree.paths) if (data := tree.read(path)) is not None}
        return (
            _digest_of(files, tree.findings) == self.read
            and all(tree.holds(path) is there for path, there in self.held.items())
            and all(_digest(tree.small(path)) == digest for path, digest in self.small.items())
        )


@dataclass
class Looks:
    """A tree that notes what it is asked."""

    tree: Tree
    _files: dict[str, bytes] = field(default_factory=dict)
    _held: dict[str, bool] = field(default_factory=dict)
    _small: dict[str, str | None] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        """As `Tree.read`, of the files that the globs choose."""
        data = self.tree.read(path)
        if data is not None:
            self._files[path] = data
        return data

    def holds(self, path: str) -> bool:
        """As `Tree.holds`."""
        self._held[path] = self.tree.holds(path)
        return self._held[path]

    def small(self, path: str) -> bytes | None:
        """As `Tree.small`."""
        data = self.tree.small(path)
        self._small[path] = _digest(data)
        return data

    def basis(self) -> Basis:
        """Once the answer is there."""
        return Basis(self.tree.globs, _digest_of(self._files, self.tree.findings), self._held, self._small)


def _digest(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def _digest_of(files: Mapping[str, bytes], findings: Iterable[Diagnostic]) -> str:
    found = hashlib.sha256()
    for path in sorted(files):
        name = path.encode("utf-8", "surrogatepass")
        found.update(b"%d %d " % (len(name), len(files[path])) + name + files[path])
    found.update(repr(list(findings)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()
