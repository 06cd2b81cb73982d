"""`validate` says again what it said of the same files, and never what others would have it say."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opsconductor.checking import keptverdict
from opsconductor.cli.main import call
from tests.catalogs import HEAD, PROJECT

JOB = f"{HEAD}kind: Job\nmetadata: {{name: x}}\nspec: {{steps: [{{uses: dummy}}]}}\n"
WITH_A_FILE = f"""{HEAD}kind: Job
metadata: {{name: y}}
spec: {{targets: {{names: [here]}}, steps: [{{uses: template, with: {{source: motd.j2, destination: /etc/motd}}}}]}}
"""
TARGET = f"{HEAD}kind: Target\nmetadata: {{name: here}}\nspec: {{connections: {{local: {{}}}}}}\n"
FORGED = "a thousand documents, no findings"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "opsconductor" / "validate"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "fleet"
    (root / "definitions").mkdir(parents=True)
    (root / "opsconductor.yaml").write_text(PROJECT)
    (root / "definitions" / "x.yaml").write_text(JOB)
    (root / "definitions" / "here.yaml").write_text(TARGET)
    (root / "definitions" / "y.yaml").write_text(WITH_A_FILE)
    (root / "motd.j2").write_text("Hello\n")
    return root


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def asked(root: Path, *words: str) -> tuple[int, str]:
        code = call(["validate", str(root), *words])
        return code, capsys.readouterr().out

    return asked


Asked = Callable[..., tuple[int, str]]


def forge(cache: Path) -> None:
    """Makes every kept answer one that nobody would give."""
    for file in cache.iterdir():
        file.write_text(json.dumps({**json.loads(file.read_text()), "said": FORGED}))


def test_what_was_said_of_the_same_files_is_said_again(root: Path, cache: Path, asked: Asked) -> None:
    first = asked(root)
    assert first == asked(root)

    forge(cache)
    assert asked(root) == (0, f"{FORGED}\n"), "it is what is kept that was said"
    assert asked(root, "--format", "json") != (0, f"{FORGED}\n"), "another format is another answer"


def test_findings_are_said_again_with_their_exit_code(root: Path, cache: Path, asked: Asked) -> None:
    (root / "definitions" / "x.yaml").write_text(JOB.replace("uses", "use"))

    first = asked(root)

    assert first[0] == 1
    assert first == asked(root)
    assert len([*cache.iterdir()]) == 1


def test_saying_it_again_loads_neither_models_nor_yaml(root: Path, cache: Path) -> None:
    program = (
        f"import sys; from opsconductor.cli.main import call; call(['validate', {str(root)!r}]); print(*sys.modules)"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert not {"pydantic", "yaml", "engine.compile", "schemas.reader", "typer"} & set(done.stdout.split())


CHANGES: dict[str, Callable[[Path], object]] = {
    "a document": lambda root: (root / "definitions" / "x.yaml").write_text(JOB.replace("uses", "use")),
    "a document more": lambda root: (root / "definitions" / "z.yaml").write_text(JOB),
    "a document less": lambda root: (root / "definitions" / "here.yaml").unlink(),
    "another name of a file": lambda root: (root / "definitions" / "x.yaml").rename(root / "definitions" / "w.yaml"),
    "a link": lambda root: (root / "definitions" / "z.yaml").symlink_to("x.yaml"),
    "the Project": lambda root: (root / "opsconductor.yaml").write_text(PROJECT.replace("Project", "Projekt")),
    "what is included": lambda root: (root / "opsconductor.yaml").write_text(f"{PROJECT}  include: ['other/*.yaml']\n"),
    "no Project": lambda root: (root / "opsconductor.yaml").unlink(),
    "a template": lambda root: (root / "motd.j2").write_text("{{ "),
    "no template": lambda root: (root / "motd.j2").unlink(),
    "a lock file": lambda root: (root / "opsconductor.lock").write_text("x: ["),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_an_answer_rests_on_is_asked_for(change: str, root: Path, cache: Path, asked: Asked) -> None:
    before = asked(root)
    forge(cache)

    CHANGES[change](root)

    code, said = asked(root)
    assert FORGED not in said
    for file in cache.iterdir():
        file.unlink()
    assert (code, said) == asked(root)
    assert change == "another name of a file" or (code, said) != before


def test_another_program_is_asked_anew(
    root: Path, cache: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked(root)
    forge(cache)

    (tmp_path / "packages" / "pydantic-99.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "packages")

    assert FORGED not in asked(root)[1]


def test_a_program_is_told_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    module = tmp_path / "checks" / "one.py"
    module.write_text("a = 1\n")
    known = [*keptverdict._files(str(tmp_path))]

    os.utime(module, ns=(1, 1))

    assert [*keptverdict._files(str(tmp_path))] != known


@pytest.mark.parametrize("place", ["fleet", "fleet/definitions/.cache", "."])
def test_nobody_gets_past_a_check_with_an_answer_of_his_own(
    place: str, root: Path, cache: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A cache within the checkout, as some pipelines have it, is one that a commit could bring."""
    (root / "definitions" / "x.yaml").write_text(JOB.replace("uses", "use"))
    asked(root)
    forge(cache)
    cache.parent.rename(tmp_path / "taken")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "taken").rename(tmp_path / place / "opsconductor")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
    if place == ".":
        (tmp_path / ".git").mkdir()  # the Project lies in a folder of a larger repository

    code, said = asked(root)
    assert code == 1
    assert FORGED not in said


def test_a_cache_that_others_may_write_is_not_believed(root: Path, cache: Path, asked: Asked) -> None:
    asked(root)
    forge(cache)

    cache.chmod(0o770)

    assert FORGED not in asked(root)[1]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"program": 1}', b"\x00" * 300, b"\xff"])
def test_a_damaged_answer_is_none(data: bytes, root: Path, cache: Path, asked: Asked) -> None:
    first = asked(root)
    for file in cache.iterdir():
        file.write_bytes(data)

    assert asked(root) == first
    forge(cache)
    assert FORGED in asked(root)[1], "the damaged one was replaced"


def test_without_a_place_for_it_nothing_is_kept(root: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")

    assert asked(root) == asked(root)


def test_only_the_last_answers_are_kept(root: Path, cache: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keptverdict, "_MOST", 2)
    for form in ("text", "json", "github", "gitlab"):
        asked(root, "--format", form)

    assert len([*cache.iterdir()]) == 2
    forge(cache)
    assert FORGED in asked(root, "--format", "gitlab")[1]


def test_a_commit_is_never_answered_from_it(root: Path, cache: Path, asked: Asked) -> None:
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=n", "-c", "user.email=n@e", "commit", "-qm", "one"]):
        subprocess.run(["git", *words], check=True, cwd=root)

    asked(root, "--rev", "HEAD")

    assert not cache.exists()
