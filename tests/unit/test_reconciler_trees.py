"""Trees written by us are the trees git would write: compared with the git program over random histories."""

import os
import subprocess
from pathlib import Path

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.repository.trees import Trees

# Names that sort differently as a file and as a folder ("a", "a-b", "a.b", "a/..", "a0"), and other scripts.
_NAMES = st.sampled_from(["a", "a-b", "a.b", "a0", "b", "ä", "日", "z z"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_WRITES = st.dictionaries(_PATHS, st.one_of(st.none(), st.binary(max_size=3)), max_size=6)


def clean(writes: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """Without paths that are files in one place and folders in another."""
    return {path: data for path, data in writes.items() if not any(other.startswith(f"{path}/") for other in writes)}


def applied(files: dict[str, bytes], writes: dict[str, bytes | None]) -> dict[str, bytes]:
    """The model: a file written where a folder was replaces it, and the other way round."""
    for path, data in writes.items():
        if data is None:
            files = {known: old for known, old in files.items() if known != path}
            continue
        parents = {path.rsplit("/", count)[0] for count in range(1, path.count("/") + 1)}
        files = {k: old for k, old in files.items() if not k.startswith(f"{path}/") and k not in parents}
        files[path] = data
    return files


def by_git(repository: Path, files: dict[str, bytes], known: pygit2.Repository) -> str:
    """The tree as git's own index writes it."""
    index = repository / "test-index"
    index.unlink(missing_ok=True)
    lines = "".join(f"100644 {known.create_blob(data)}\t{path}\0" for path, data in files.items())
    environment = {"PATH": os.environ["PATH"], "GIT_DIR": str(repository), "GIT_INDEX_FILE": str(index)}
    subprocess.run(["git", "update-index", "-z", "--index-info"], input=lines.encode(), env=environment, check=True)
    return subprocess.run(
        ["git", "write-tree"], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(_WRITES, min_size=1, max_size=5), fresh=st.booleans())
def test_the_same_trees_as_git(history: list[dict[str, bytes | None]], fresh: bool, tmp_path: Path) -> None:
    """With what is remembered from the write before, and without."""
    path = tmp_path / "store"
    repository = pygit2.init_repository(str(path), bare=True)
    trees = Trees(path)
    files: dict[str, bytes] = {}
    tree: str | None = None
    for writes in map(clean, history):
        tree = (Trees(path) if fresh else trees).tree(tree, writes)
        files = applied(files, writes)
        assert tree == (by_git(path, files, repository) if files else None)


def test_a_large_folder_in_any_order(tmp_path: Path) -> None:
    repository = pygit2.init_repository(str(tmp_path), bare=True)
    trees = Trees(tmp_path)
    names = [f"{number * 7919 % 3000:04}" for number in range(3000)]
    tree = trees.tree(None, {f"d/{name}": name.encode() for name in names[:2000]})
    tree = trees.tree(tree, {f"d/{name}": name.encode() for name in names[2000:]})
    assert tree == by_git(tmp_path, {f"d/{name}": name.encode() for name in names}, repository)


def test_a_commit_that_git_accepts(tmp_path: Path) -> None:
    repository = pygit2.init_repository(str(tmp_path), bare=True)
    trees = Trees(tmp_path)
    tree = trees.tree(None, {"a/b": b"x"})
    assert tree is not None
    first = trees.commit(tree, None, who="Ops <o@x>", seconds=1_800_000_000, message="ein Grüßchen")
    second = trees.commit(trees.empty(), first, who="Ops <o@x>", seconds=1_800_000_001, message="two\n\nbody\0")
    repository.create_reference("refs/heads/x", second)
    subprocess.run(["git", "-C", tmp_path, "fsck", "--strict", "--full"], check=True, capture_output=True)
    found = repository[second]
    assert isinstance(found, pygit2.Commit)
    assert (found.message, [str(parent) for parent in found.parent_ids]) == ("two\n\nbody\n", [first])
    assert repository[first].committer.name == "Ops"


@pytest.mark.parametrize("writes", [{"a": b"1", "a/b": b"2"}, {"a/b": b"2", "a": b"1"}, {"a/b/c": b"1", "a/b": None}])
def test_a_file_and_a_folder_of_one_name(writes: dict[str, bytes | None], tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path), bare=True)
    with pytest.raises(ValueError, match="as a file and as a folder"):
        Trees(tmp_path).tree(None, writes)


@pytest.mark.slow
def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    pygit2.init_repository(str(tmp_path), bare=True)
    trees = Trees(tmp_path)
    tree = None
    for folder in range(30):
        tree = trees.tree(tree, {f"{folder}/{name}": b"x%d" % folder for name in range(2000)})
    assert sum(map(len, trees._known.values())) <= 40_000
