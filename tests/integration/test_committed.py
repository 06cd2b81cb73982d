"""Files of commits as steps get them: regular files of any kind, and nothing else."""

import subprocess
from pathlib import Path

import pytest

from opsconductor.committed import MirroredFiles
from runners.repository import Entry, NoFile


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    return subprocess.run(
        ["git", *who, "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main", ".")
    (tmp_path / "files" / "deep").mkdir(parents=True)
    (tmp_path / "files" / "raw").write_bytes(b"\xff\0" * 700_000)
    (tmp_path / "files" / "deep" / "run.sh").write_text("true")
    (tmp_path / "files" / "deep" / "run.sh").chmod(0o755)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "out").symlink_to("/etc/passwd")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_files_are_those_of_the_commit_and_no_links(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD").strip()
    files = MirroredFiles(repository / ".git")
    assert files.listed(first, "files") == (Entry("deep/run.sh", 4, True), Entry("raw", 1_400_000, False))
    assert files.read(first, "files/raw") == b"\xff\0" * 700_000, "larger than a document may be"
    assert files.read(first, "files/raw") is files.read(first, "files/raw"), "in memory once for many targets"
    (repository / "files" / "raw").write_bytes(b"two")
    git(repository, "commit", "-qam", "two")
    second = git(repository, "rev-parse", "HEAD").strip()
    assert files.read(second, "files/raw") == b"two"
    assert files.read(first, "files/raw") != b"two"
    for commit, path, why in (
        (first, "linked/out", "no regular file"),
        (first, "files", "no regular file"),
        (first, "files/gone", "there is no"),
        ("0" * 40, "files/raw", "not here any more"),
    ):
        with pytest.raises(NoFile, match=why):
            files.read(commit, path)
    with pytest.raises(NoFile, match="no regular file"):
        files.listed(first, "linked")
    with pytest.raises(NoFile, match="no folder"):
        files.listed(first, "files/raw")
