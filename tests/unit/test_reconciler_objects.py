"""Trees are a stranger's: what is read of them, what is left out and said, and what stays bounded."""

from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode

from engine import entries
from reconciler.repository import objects
from reconciler.repository.objects import CommitInfo, NoSuchCommit, Objects
from schemas.characters import MAX_BYTES

GLOBS = ("definitions/**/*.yaml",)


class Store:
    def __init__(self, path: Path) -> None:
        self.repository = pygit2.init_repository(str(path), bare=True)
        self.objects = Objects(path)
        self.zero = self.repository.create_blob(b"x")

    def tree(self, entries: dict[str, object], mode: int = FileMode.BLOB) -> pygit2.Oid:
        """bytes: a file; dict: a folder; (mode, id): as it is."""
        builder = self.repository.TreeBuilder()
        for name, value in entries.items():
            match value:
                case bytes():
                    builder.insert(name, self.repository.create_blob(value), mode)
                case dict():
                    builder.insert(name, self.tree(value), FileMode.TREE)
                case (kind, identity):
                    builder.insert(name, identity, kind)
        return builder.write()

    def raw(self, *entries: tuple[bytes, bytes, pygit2.Oid]) -> pygit2.Oid:
        return self.repository.odb.write(
            2, b"".join(mode + b" " + name + b"\0" + oid.raw for mode, name, oid in entries)
        )

    def commit(
        self, tree: pygit2.Oid | dict[str, object], *parents: str, who: str = "Ann", at: int = 1_700_000_000
    ) -> str:
        made = tree if isinstance(tree, pygit2.Oid) else self.tree(tree)
        signature = pygit2.Signature(who, f"{who.lower()}@x", at, 120)
        return str(self.repository.create_commit(None, signature, signature, "message\n", made, list(parents)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def said(store: Store, commit: str, globs: tuple[str, ...] = GLOBS) -> list[tuple[str, str, str]]:
    found = store.objects.snapshot(commit, globs).findings
    return [(finding.span.file, finding.code, finding.severity) for finding in found]


def test_a_snapshot_holds_the_files_that_the_globs_choose(store: Store) -> None:
    commit = store.commit(
        {
            "opsconductor.yaml": b"p",
            "README.md": b"r",
            "definitions": {"a.yaml": b"a", "b.txt": b"b", "c": {"d.yaml": b"d"}},
        }
    )
    snapshot = store.objects.snapshot(commit, GLOBS)
    assert sorted(snapshot.files) == ["definitions/a.yaml", "definitions/c/d.yaml", "opsconductor.yaml"]
    assert snapshot.findings == ()
    assert store.objects.blob(snapshot.files["definitions/a.yaml"].id) == b"a"
    assert snapshot.files["definitions/a.yaml"].size == 1
    assert len(store.objects.snapshot(commit).files) == 5


def test_what_is_no_regular_file_is_said_and_not_followed(store: Store) -> None:
    """An error where a document is expected, a warning where documents might lie behind, nothing elsewhere."""
    link, module = (FileMode.LINK, store.zero), (FileMode.COMMIT, store.zero)
    commit = store.commit(
        {
            "README": link,
            "opsconductor.yaml": link,
            "vendor": {"x": module},
            "definitions": {"a.yaml": link, "b": link, "c": module, "d.yaml": module},
        }
    )
    assert store.objects.snapshot(commit, GLOBS).files == {}
    assert said(store, commit) == [
        ("definitions/a.yaml", "OC121", "error"),
        ("definitions/b", "OC121", "warning"),
        ("definitions/c", "OC121", "warning"),
        ("definitions/d.yaml", "OC121", "error"),
        ("opsconductor.yaml", "OC121", "error"),
    ]


def test_executable_files_are_regular(store: Store) -> None:
    commit = store.commit(store.tree({"a.yaml": b"x"}, FileMode.BLOB_EXECUTABLE))
    assert list(store.objects.snapshot(commit).files) == ["a.yaml"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\xff.yaml", "\\xff.yaml"),
        (b"a\nb.yaml", "a\\u000ab.yaml"),
        (b"a\x1b[31m.yaml", "a\\u001b[31m.yaml"),
        ("a\u202e.yaml".encode(), "a\\u202e.yaml"),
        (b"a\\b.yaml", "a\\b.yaml"),
        (b" a.yaml", " a.yaml"),
        ("e\u0301.yaml".encode(), "e\u0301.yaml"),
    ],
)
def test_odd_names_are_said_and_not_read(name: bytes, shown: str, store: Store) -> None:
    """Shown so that no terminal obeys them."""
    commit = store.commit(store.raw((b"100644", name, store.zero)))
    snapshot = store.objects.snapshot(commit, ("*.yaml",))
    assert snapshot.files == {}
    assert [(finding.span.file, finding.code) for finding in snapshot.findings] == [(shown, "OC124")]


def test_ordinary_names_of_any_script_are_fine(store: Store) -> None:
    commit = store.commit({"größe.yaml": b"", "日本 語.yaml": b"", "a:b.yaml": b""})
    assert len(store.objects.snapshot(commit, ("*.yaml",)).files) == 3


def test_a_file_that_is_too_large_is_not_read(store: Store) -> None:
    commit = store.commit({"a.yaml": b"x" * (MAX_BYTES + 1), "b.yaml": b"x" * MAX_BYTES})
    snapshot = store.objects.snapshot(commit, ("*.yaml",))
    assert list(snapshot.files) == ["b.yaml"]
    assert [finding.code for finding in snapshot.findings] == ["OC116"]
    large = str(pygit2.hash(b"x" * (MAX_BYTES + 1)))
    with pytest.raises(ValueError, match="larger than"):
        store.objects.blob(large)


def test_depth_is_bounded(store: Store) -> None:
    tree: dict[str, object] = {"deep.yaml": b"x"}
    for _ in range(30):
        tree = {"d": tree, "a.yaml": b"x"}
    snapshot = store.objects.snapshot(store.commit(tree))
    assert len(snapshot.files) == 17
    assert [(finding.code, finding.span.file.count("/")) for finding in snapshot.findings] == [("OC123", 16)]


def test_the_bytes_of_all_files_together_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One blob under many names costs git nothing, and whoever reads them all that many times its size."""
    monkeypatch.setattr(entries, "MAX_TOTAL", 10_000)
    full, small = b"#" * 1_000, b"#"
    snapshot = store.objects.snapshot(store.commit(store.tree({f"{n}.yaml": full for n in range(10, 50)})))
    assert len(snapshot.files) == 11
    assert [finding.code for finding in snapshot.findings] == ["OC126"]

    right = {f"{n}.yaml": full for n in range(10, 20)}
    for files, expected in ((right, []), ({**right, "15.yaml": full + small}, ["OC126"]), (right, [])):
        snapshot = store.objects.snapshot(store.commit(store.tree(files)))
        assert [finding.code for finding in snapshot.findings] == expected, "also where one file was edited"
        assert len(snapshot.files) == 10


def test_a_tree_that_repeats_itself_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten levels of ten times the same folder are ten thousand million paths in eleven objects."""
    monkeypatch.setattr(entries, "MAX_FILES", 500)
    tree = store.tree({"a.yaml": b"x"})
    for _ in range(10):
        tree = store.tree({f"d{number}": (FileMode.TREE, tree) for number in range(10)})
    snapshot = store.objects.snapshot(store.commit(tree))
    assert len(snapshot.files) == 501
    assert [finding.code for finding in snapshot.findings] == ["OC122"]

    monkeypatch.setattr(entries, "MAX_ENTRIES", 5000)
    empty = store.tree({"a": b"x"})
    for _ in range(10):
        empty = store.tree({f"d{number}": (FileMode.TREE, empty) for number in range(10)})
    snapshot = store.objects.snapshot(store.commit(empty), ("**/*.yaml",))
    assert [finding.code for finding in snapshot.findings] == ["OC122"]


def test_reading_one_file(store: Store) -> None:
    commit = store.commit({"a": {"b.yaml": b"b"}, "l": (FileMode.LINK, store.zero)})
    assert store.objects.file(commit, "a/b.yaml") == b"b"
    assert store.objects.file(commit, "a") is None
    assert store.objects.file(commit, "l") is None
    assert store.objects.file(commit, "none/there") is None
    assert store.objects.files(commit, "a/") == ("a/b.yaml",)
    assert store.objects.files(commit, "none") == ()


def test_a_commit_that_is_not_there(store: Store) -> None:
    commit = store.commit({"a": b"a"})
    for call in (store.objects.snapshot, store.objects.commit_info):
        with pytest.raises(NoSuchCommit, match="no commit 1111"):
            call("1" * 40)
    with pytest.raises(NoSuchCommit):
        store.objects.snapshot(str(store.zero))
    assert not store.objects.has("1" * 40)
    assert store.objects.has(commit)


def test_ancestry(store: Store) -> None:
    first = store.commit({"a": b"1"})
    second = store.commit({"a": b"2"}, first)
    side = store.commit({"a": b"3"}, first)
    assert store.objects.is_ancestor(first, second)
    assert store.objects.is_ancestor(second, second)
    assert not store.objects.is_ancestor(second, first)
    assert not store.objects.is_ancestor(side, second)
    assert not store.objects.is_ancestor("1" * 40, second)
    assert [store.objects.history(first, head) for head in (first, second)] == ["same", "forward"]
    assert store.objects.history(side, second) == "rewritten"
    assert store.objects.changed(first, second) == ("a",)
    assert store.objects.changed(None, second) == ("a",)


def test_who_brought_many_files_is_found_in_one_walk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as one by one; the commits are read once, not once a file."""
    count, files, head, brought = 60, {}, store.commit({"a": b"a"}), {}
    for number in range(count):
        files[f"r{number:02}"] = f"{number}".encode()
        head = store.commit(dict(files), head)
        brought[f"r{number:02}"] = head
    files["r07"] = b"again"
    head = brought["r07"] = store.commit(dict(files), head)
    one_by_one = {path: store.objects.introduced(head, path) for path in ("r00", "r07", "r59")}
    assert {path: info and info.id for path, info in one_by_one.items()} == {path: brought[path] for path in one_by_one}
    read: list[str] = []
    commit = store.objects._commit
    monkeypatch.setattr(store.objects, "_commit", lambda name: read.append(name) or commit(name))
    found = store.objects.introductions(head, brought)
    assert {path: info and info.id for path, info in found.items()} == brought
    assert len(read) <= 3 * count


def test_who_brought_a_file(store: Store) -> None:
    """The commit that gave it its present content, along first parents."""
    first = store.commit({"r": b"1"}, who="Ann")
    second = store.commit({"r": b"1", "x": b"x"}, first, who="Bob")
    third = store.commit({"r": b"2", "x": b"x"}, second, who="Cid", at=1_700_000_100)
    fourth = store.commit({"r": b"2"}, third, who="Dan")
    assert store.objects.introduced(second, "r") == store.objects.commit_info(first)
    assert store.objects.introduced(fourth, "r") == store.objects.commit_info(third)
    with pytest.raises(NoSuchCommit, match="has no file x"):
        store.objects.introduced(fourth, "x")
    assert store.objects.commit_info(third) == CommitInfo(
        third, "Cid", "cid@x", "Cid", "cid@x", datetime.fromtimestamp(1_700_000_100, UTC), (second,), "message\n"
    )


def test_nobody_brought_what_is_older_than_the_walk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the walk ends, or history was cut off, stands anybody's commit. The first of all did bring what it has."""
    monkeypatch.setattr(objects, "_MAX_WALK", 3)
    line = [store.commit({"r": b"1"})]
    for number in range(5):
        line.append(store.commit({"r": b"1", "x": b"%d" % number}, line[-1]))
    found = [store.objects.introduced(head, "r") for head in line]
    assert [info and info.id for info in found] == [line[0]] * 4 + [None] * 2
    assert store.objects.introductions(line[4], ("r", "x")) == {"r": None, "x": store.objects.commit_info(line[4])}
    (Path(store.repository.path) / "shallow").write_text(f"{line[2]}\n")
    cut_off = Objects(Path(store.repository.path))
    assert [cut_off.introduced(head, "r") for head in line[2:4]] == [None, None]


@pytest.mark.parametrize(("seconds", "year"), [(b"99999999999999", 9999), (b"0", 1970)])
def test_a_commit_may_claim_any_year(seconds: bytes, year: int, store: Store) -> None:
    tree = str(store.tree({})).encode()
    raw = b"tree %s\nauthor \xff <a> %s +0000\ncommitter \xff <a> %s +0000\n\n\xffm" % (tree, seconds, seconds)
    info = store.objects.commit_info(str(store.repository.odb.write(1, raw)))
    assert info.committed_at.year == year
    assert info.author_name == "\ufffd"
    assert info.message == "\ufffdm"


BEFORE: dict[str, object] = {
    "opsconductor.yaml": b"p",
    "README.md": b"r",
    "definitions": {"a.yaml": b"a", "b.yaml": b"b", "c": {"d.yaml": b"d"}, "large.yaml": b"#" * (MAX_BYTES + 1)},
}


def edited(**changes: object) -> dict[str, object]:
    definitions = BEFORE["definitions"]
    assert isinstance(definitions, dict)
    within = {f"{name}.yaml": value for name, value in changes.items() if name != "README"}
    kept = {name: value for name, value in {**definitions, **within}.items() if value is not None}
    return {**BEFORE, "README.md": changes.get("README", b"r"), "definitions": kept}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"a": b"other"}, {"a": b"1", "b": b"2"}, {"README": b"other"}, {"a": None}, {"new": b"n"},
        {"a": None, "moved": b"a"}, {"a": b"#" * (MAX_BYTES + 1)}, {"large": b"small"}, {"a": {"x.yaml": b"x"}},
        {"a": (FileMode.LINK, "zero")}, {"a": (FileMode.BLOB_EXECUTABLE, "zero")}, {"a": (FileMode.COMMIT, "zero")},
    ],
)  # fmt: skip
def test_a_snapshot_after_another_is_the_same_as_one_by_itself(changes: dict[str, object], store: Store) -> None:
    """Only what was edited is looked at; whatever else happened, the tree is walked."""
    meant = {
        name: (value[0], store.zero) if isinstance(value, tuple) else value  # a link, a program, a submodule
        for name, value in changes.items()
    }
    first, second = store.commit(BEFORE), store.commit(edited(**meant))

    store.objects.snapshot(first, GLOBS)
    after = store.objects.snapshot(second, GLOBS)

    assert after == Objects(Path(store.repository.path)).snapshot(second, GLOBS)
    assert store.objects.snapshot(first, GLOBS) == Objects(Path(store.repository.path)).snapshot(first, GLOBS)
