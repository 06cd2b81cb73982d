"""Commits are loaded at the cost of what changed."""

import asyncio
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from engine.compile import Compiled
from reconciler import definitions as module
from reconciler.definitions import Definitions
from reconciler.repository.objects import Objects

HEAD = "apiVersion: opsconductor/v1\nkind: "
PROJECT = HEAD + "Project\nmetadata: {name: p}\nspec: {include: ['*/*.yaml'], defaults: {timeZone: UTC}}\n"
WRONG = HEAD + "Job\nmetadata: {name: wrong}\nspec: {targets: {names: [nobody]}, steps: [{uses: dummy}]}\n"


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _committed(folder: Path) -> str:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "next")
    return _git(folder, "rev-parse", "HEAD")


def _repository(folder: Path) -> str:
    _git(folder, "init", "-q")
    (folder / "a").mkdir()
    (folder / "opsconductor.yaml").write_text(PROJECT)
    (folder / "a/wrong.yaml").write_text(WRONG)
    for n in range(20):
        text = f"Job\nmetadata: {{name: j{n}}}\nspec: {{steps: [{{uses: dummy}}]}}\n"
        (folder / f"a/j{n}.yaml").write_text(HEAD + text)
    return _committed(folder)


def test_after_files_were_moved_a_commit_costs_what_it_changes(tmp_path: Path) -> None:
    """What stayed as it was is the same object, so that all that is known of it still holds."""
    loaded: list[Compiled] = []
    definitions = Definitions(Objects(tmp_path / ".git"))
    heads = [_repository(tmp_path)]
    _git(tmp_path, "mv", "a", "b")
    heads.append(_committed(tmp_path))
    for number in range(2):
        (tmp_path / "b/j7.yaml").write_text((tmp_path / "b/j7.yaml").read_text() + f"# {number}\n")
        heads.append(_committed(tmp_path))
    for head in heads:
        loaded.append(asyncio.run(definitions.load(head)))

    same = [
        len({id(one) for one in earlier.definitions} & {id(one) for one in later.definitions})
        for earlier, later in pairwise(loaded)
    ]

    assert len(loaded[0].definitions) == 22
    assert same == [1, 21, 21], "the Project stays where it is; after the move all but the one that was edited stay"
    assert [one.findings[0].span.file for one in loaded] == ["a/wrong.yaml", *["b/wrong.yaml"] * 3]


def test_a_file_that_was_moved_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    parse = module.read
    monkeypatch.setattr(module, "read", lambda data, path: (read.append(path), parse(data, path))[1])
    definitions = Definitions(Objects(tmp_path / ".git"))
    asyncio.run(definitions.load(_repository(tmp_path)))
    first = len(read)
    _git(tmp_path, "mv", "a", "b")
    asyncio.run(definitions.load(_committed(tmp_path)))

    assert set(read[first:]) == {"opsconductor.yaml"}
