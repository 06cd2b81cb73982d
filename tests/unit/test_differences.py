"""What differs between two trees: as libgit2 says it, and bounded where a tree is made to have no end."""

from pathlib import Path

import pygit2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygit2.enums import FileMode

from engine.globs import any_may_hold
from reconciler.repository.differences import Differing, TooManyFiles, between, counted
from reconciler.repository.history import History
from reconciler.repository.objects import Objects
from tests.trees import endless, merges_without_end, without_end

_NAMES = st.sampled_from(["a", "b", "c.yaml", "é", "\t"])
_FILES = st.tuples(st.sampled_from([FileMode.BLOB, FileMode.BLOB_EXECUTABLE, FileMode.LINK]), st.binary(max_size=1))
_TREES = st.recursive(_FILES, lambda below: st.dictionaries(_NAMES, below, min_size=1, max_size=3), max_leaves=8)


def written(repository: pygit2.Repository, tree: object) -> pygit2.Oid:
    builder = repository.TreeBuilder()
    for name, value in tree.items() if isinstance(tree, dict) else ():
        match value:
            case dict():
                builder.insert(name, written(repository, value), FileMode.TREE)
            case (mode, content):
                builder.insert(name, repository.create_blob(content), mode)
    return builder.write()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    return pygit2.init_repository(str(tmp_path_factory.mktemp("trees")), bare=True)


@settings(deadline=None)
@given(old=_TREES, new=_TREES)
def test_it_is_what_libgit2_finds(repository: pygit2.Repository, old: object, new: object) -> None:
    trees = [written(repository, one) for one in (old, new)]
    first, second = (repository[one].peel(pygit2.Tree) for one in trees)
    deltas = first.diff_to_tree(second).deltas
    expected = {file.path for delta in deltas for file in (delta.old_file, delta.new_file)}
    assert {one.path for one in between(repository, *trees)} == expected


def test_each_path_says_what_it_was_and_is(repository: pygit2.Repository) -> None:
    plain, other = (FileMode.BLOB, b"x"), (FileMode.BLOB, b"y")
    old = written(repository, {"a": plain, "b": plain, "same": {"c": plain}, "d": {"e": plain}, "f": plain})
    new = written(repository, {"a": other, "same": {"c": plain}, "d": plain, "f": (FileMode.LINK, b"a"), "g": plain})
    x, y = (str(repository.create_blob(content)) for content in (b"x", b"y"))
    assert between(repository, old, new) == (
        Differing("a", x, y),
        Differing("b", x, None),
        Differing("d", None, x),
        Differing("d/e", x, None),
        Differing("f", x, None, irregular=True),
        Differing("g", None, x),
    )


def test_only_folders_that_are_meant_are_opened(repository: pygit2.Repository) -> None:
    empty, tree = written(repository, {}), written(repository, {"docs": {"a.yaml": (FileMode.BLOB, b"x")}})
    assert between(repository, empty, tree, within=lambda folder: any_may_hold(("definitions/**",), folder)) == ()


def test_what_a_walk_would_cost_is_counted_without_walking(repository: pygit2.Repository) -> None:
    tree = written(
        repository, {"a": {"x": {"1": (FileMode.BLOB, b"")}, "y": {}}, "b": {"x": {"1": (FileMode.BLOB, b"")}}}
    )
    assert counted(repository, tree) == 7
    assert counted(repository, without_end(repository)) > 10**12


def test_a_tree_without_end_is_bounded_wherever_trees_are_compared(tmp_path: Path) -> None:
    """A pull request of three kilobytes must not take the memory of the machine that only looks at it."""
    before, after = endless(tmp_path / "ops.git")
    objects, history = Objects(tmp_path / "ops.git"), History(tmp_path / "ops.git")
    with pytest.raises(TooManyFiles, match="more than"):
        history.differing(before, after)
    with pytest.raises(TooManyFiles, match="more than"):
        objects.changed(before, after)
    with pytest.raises(TooManyFiles, match="more than"):
        objects.files(after, "")
    globs = ("definitions/**/*.yaml",)
    assert objects.snapshot(before, globs).files == objects.snapshot(after, globs).files
    assert history.differing(before, after, lambda folder: any_may_hold(globs, folder)) == ()
    assert objects.introduced(after, "opsconductor.yaml").id == before


def test_a_merge_of_a_tree_without_end_is_not_made_to_see_what_git_makes_of_it(tmp_path: Path) -> None:
    """A forge signs what anybody merges by its pages."""
    good, bad = merges_without_end(tmp_path / "ops.git")
    history = History(tmp_path / "ops.git")
    assert (history.only_merges(good), history.only_merges(bad)) == (True, False)
