"""`opsconductor library`: from an origin into the repository and its lock, whole or not at all."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from journal.errors import Refused, Unavailable
from opsconductor import exits
from opsconductor.authoring import libraries, libraryorigin
from opsconductor.authoring.libraries import Libraries
from opsconductor.checking.validation import validate_paths
from opsconductor.cli.application import answer
from opsconductor.exits import UsageError
from tests.catalogs import HEAD, PROJECT

LIBRARY = f"{HEAD}kind: StepLibrary\nmetadata: {{name: logs}}\nspec: {{version: 1.0.0}}\n"
STEP = f"{HEAD}kind: Step\nmetadata: {{name: trim}}\nspec:\n  script: trim.sh\n"
FILES = {"library.yaml": LIBRARY, "steps/trim.yaml": STEP, "steps/trim.sh": "echo trim\n", "README.md": "more"}


def write(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return write(tmp_path / "fleet", {"opsconductor.yaml": PROJECT, "definitions/.keep": ""})


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return write(tmp_path / "logs", FILES)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


def call(repo: Path, *arguments: str) -> int:
    return answer(["library", *arguments, "-C", str(repo)])


def listed(repo: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    capsys.readouterr()
    assert call(repo, "list", "-o", "json") == exits.OK
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def findings(repo: Path) -> list[str]:
    return [found.code for found in validate_paths(repo).findings]


def test_a_folder_is_brought_locked_and_taken_out(repo: Path, origin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(repo, "add", str(origin)) == exits.OK

    held = listed(repo, capsys)
    assert (held["logs"]["state"], held["logs"]["source"], held["logs"]["version"]) == ("locked", "../logs", "1.0.0")
    assert held["linux-core"]["state"] == "built in"
    assert sorted(path.name for path in (repo / "libraries/logs").rglob("*")) == [
        "library.yaml", "steps", "trim.sh", "trim.yaml",
    ]  # fmt: skip
    assert findings(repo) == []
    assert call(repo, "verify") == exits.OK
    assert call(repo, "remove", "logs") == exits.OK
    assert [path.name for path in (repo / "libraries").iterdir()] == []
    assert findings(repo) == []


def test_the_rest_of_the_lock_stays_as_it_is(repo: Path, origin: Path) -> None:
    """Plug-ins are locked in the same file."""
    plugins = {"acme-steps": {"version": "1.2", "steps": {"acme.ping": {"description": "Ping.", "inputs": {}}}}}
    lock = repo / "opsconductor.lock"
    lock.write_text(yaml.safe_dump({"plugins": plugins}))
    for arguments in (("add", str(origin)), ("update", "logs", "--force"), ("remove", "logs")):
        assert call(repo, *arguments) == exits.OK
        assert yaml.safe_load(lock.read_text())["plugins"] == plugins


def test_a_library_that_cannot_be_put_in_its_place_leaves_the_former(
    repo: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(repo, "add", str(origin))
    write(origin, {"steps/trim.sh": "echo new\n"})
    real = Path.rename
    with monkeypatch.context() as patched:
        full = OSError(28, "No space left on device")

        def rename(self: Path, target: Path) -> Path:
            if target == repo / "libraries/logs" and self.name == "logs":
                raise full
            return real(self, target)

        patched.setattr(Path, "rename", rename)
        with pytest.raises(OSError, match="No space left"):
            Libraries(repo).update("logs", ref=None)
    assert Libraries(repo).held()[0].state == "locked"
    assert findings(repo) == []


def test_a_commit_is_brought_and_update_follows_its_branch(
    repo: Path, origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = commit(origin)
    git(origin, "tag", "-a", "v1", "-m", "x")
    assert call(repo, "add", f"{origin}@main") == exits.OK
    assert listed(repo, capsys)["logs"]["commit"] == first
    write(origin, {"library.yaml": LIBRARY.replace("1.0.0", "1.1.0")})
    assert call(repo, "update") == exits.OK
    assert listed(repo, capsys)["logs"]["version"] == "1.0.0", "what is not committed is not taken"
    second = commit(origin)

    assert call(repo, "update", "logs") == exits.OK
    assert (listed(repo, capsys)["logs"]["version"], listed(repo, capsys)["logs"]["commit"]) == ("1.1.0", second)
    assert call(repo, "update", "logs", "--ref", "v1") == exits.OK
    assert (listed(repo, capsys)["logs"]["ref"], listed(repo, capsys)["logs"]["commit"]) == ("v1", first)
    assert call(repo, "update", "logs", "--ref", second) == exits.OK
    assert listed(repo, capsys)["logs"]["commit"] == second


def test_what_was_changed_here_is_said_and_not_lost_by_chance(
    repo: Path, origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(repo, "add", str(origin))
    (repo / "libraries/logs/steps/trim.sh").write_text("curl evil\n")

    assert call(repo, "verify") == exits.FINDINGS
    assert "logs: changed" in capsys.readouterr().err
    assert findings(repo) == ["OC318"]
    with pytest.raises(Refused, match="changed here"):
        call(repo, "update", "logs")
    assert call(repo, "update", "logs", "--force") == exits.OK
    assert call(repo, "verify") == exits.OK


def test_one_of_several_is_named(repo: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    write(many, {f"libraries/logs/{path}": text for path, text in FILES.items()})
    write(many, {"other/library.yaml": LIBRARY.replace("logs", "other")})
    with pytest.raises(Refused, match="several libraries: logs, other"):
        call(repo, "add", str(many))
    assert call(repo, "add", str(many), "--name", "logs") == exits.OK
    with pytest.raises(Refused, match="no library 'nothing'"):
        call(repo, "add", str(many), "--name", "nothing")
    with pytest.raises(Refused, match="is here already"):
        call(repo, "add", str(many), "--name", "logs")


def _link(origin: Path) -> None:
    (origin / "steps/passwd.sh").symlink_to("/etc/passwd")


def _linked_folder(origin: Path) -> None:
    (origin / "steps/trim.yaml").unlink()
    (origin / "steps/trim.sh").unlink()
    (origin / "steps").rmdir()
    (origin / "steps").symlink_to("/etc")


def _large(origin: Path) -> None:
    (origin / "steps/big.bin").write_bytes(b"x" * (2 << 20))


def _many(origin: Path) -> None:
    write(origin, {f"steps/{number}.sh": "" for number in range(600)})


def _odd(origin: Path) -> None:
    write(origin, {"steps/\x1b[31m.sh": ""})


def _blank(origin: Path) -> None:
    write(origin, {"steps/a b.sh": ""})


def _hidden(origin: Path) -> None:
    write(origin, {"steps/.profile": ""})


def _unsound(origin: Path) -> None:
    write(origin, {"steps/trim.yaml": STEP.replace("trim.sh", "../../../etc/passwd")})


def _no_library(origin: Path) -> None:
    write(origin, {"library.yaml": "a: [\n"})


def _renamed(origin: Path) -> None:
    write(origin, {"library.yaml": LIBRARY.replace("name: logs", "name: ../logs")})


@pytest.mark.parametrize("as_git", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [_link, _linked_folder, _large, _many, _odd, _blank, _hidden, _unsound, _no_library, _renamed],
)
def test_a_hostile_library_is_refused_and_nothing_is_left(
    repo: Path, origin: Path, spoil: Callable[[Path], None], as_git: bool
) -> None:
    spoil(origin)
    if as_git:
        commit(origin)

    with pytest.raises(Refused) as refused:
        call(repo, "add", str(origin))

    assert "\x1b" not in refused.value.message
    assert sorted(path.name for path in repo.iterdir()) == ["definitions", "opsconductor.yaml"]


def test_all_that_is_wrong_with_a_library_is_said_at_once(repo: Path, origin: Path) -> None:
    write(origin, {"steps/trim.yaml": STEP.replace("trim.sh", "gone.sh"), "steps/more.yaml": "kind: Jobb\n"})
    with pytest.raises(Refused) as refused:
        call(repo, "add", str(origin))
    assert {"steps/trim.yaml", "steps/more.yaml"} <= {
        line.strip().partition(":")[0].removeprefix("libraries/logs/") for line in refused.value.message.splitlines()
    }


def test_a_submodule_is_refused_and_no_hook_runs(repo: Path, origin: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"x": "x"})
    commit(other)
    commit(origin)
    ran = tmp_path / "ran"
    for hook in ("post-checkout", "post-merge", "pre-receive", "reference-transaction", "fsmonitor"):
        write(origin / ".git/hooks", {hook: f"#!/bin/sh\necho {hook} >> {ran}\n"})
        (origin / ".git/hooks" / hook).chmod(0o755)
    git(origin, "config", "core.fsmonitor", str(origin / ".git/hooks/fsmonitor"))
    git(origin, "config", "uploadpack.packObjectsHook", str(origin / ".git/hooks/fsmonitor"))
    ran.unlink(missing_ok=True)

    assert call(repo, "add", str(origin)) == exits.OK
    assert not ran.exists()

    call(repo, "remove", "logs")
    git(origin, "submodule", "--quiet", "add", str(other), "steps/more")
    commit(origin)
    with pytest.raises(Refused, match="steps/more"):
        call(repo, "add", str(origin))


def test_an_origin_that_cannot_be_reached_or_is_none_is_said_so(repo: Path, origin: Path) -> None:
    commit(origin)
    with pytest.raises(Unavailable, match="cannot be reached"):
        call(repo, "add", "https://127.0.0.1:9/logs.git@v1")
    with pytest.raises(Refused, match="no branch, tag or commit 'v9'"):
        call(repo, "add", f"{origin}@v9")
    with pytest.raises(Refused):
        call(repo, "add", f"{origin}@{'0' * 40}")
    for bad in ("ext::sh -c x", "git://example.org/x", f"{origin}@-x", f"{origin}@a..b", "/no/where"):
        with pytest.raises(UsageError):
            call(repo, "add", bad)
    with pytest.raises(UsageError, match="here or above"):
        call(origin.parent, "list")


@pytest.mark.parametrize(
    ("text", "where", "ref"),
    [
        ("https://user:pass@host/a/b.git@v1", "https://host/a/b.git", "v1"),
        ("https://user@host/a/b.git", "https://host/a/b.git", None),
        ("git@host:a/b.git@feature/x", "git@host:a/b.git", "feature/x"),
        ("git@host:a/b.git", "git@host:a/b.git", None),
        ("ssh://git@host/a/b@1.2", "ssh://git@host/a/b", "1.2"),
    ],
)
def test_an_origin_is_taken_apart(text: str, where: str, ref: str | None) -> None:
    found = libraryorigin.parse(text)
    assert (found.source.address, found.ref) == (where, ref)


@pytest.mark.parametrize("kept", range(5))
def test_whoever_stops_it_leaves_a_whole_library_or_none(
    repo: Path, origin: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before each rename: `validate` accepts what is there only where it is whole and locked."""
    call(repo, "add", str(origin))
    before = (repo / "libraries/logs/steps/trim.sh").read_text()
    write(origin, {"steps/trim.sh": "echo new\n", "steps/more.sh": "", "steps/trim.yaml": STEP})
    left = kept
    real = {"rename": Path.rename, "replace": Path.replace}

    def cut(name: str) -> Callable[[Path, Path], Path]:
        def move(self: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return real[name](self, target)

        return move

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", cut("rename"))
        patched.setattr(Path, "replace", cut("replace"))
        patched.setattr(libraries.shutil, "rmtree", lambda *_, **__: None)  # power is gone
        try:
            call(repo, "update", "logs")
            assert left >= 0
        except KeyboardInterrupt:
            pass

    sound = "OC318" not in findings(repo)
    text = (repo / "libraries/logs/steps/trim.sh").read_text() if (repo / "libraries/logs").exists() else None
    assert text in (before, "echo new\n", None)
    if text is not None:
        assert sorted(path.name for path in (repo / "libraries/logs/steps").iterdir()) == (
            ["trim.sh", "trim.yaml"] if text == before else ["more.sh", "trim.sh", "trim.yaml"]
        )
    assert sound == (text == before if kept == 0 else kept >= 3)
    call(repo, "update", "logs", "--force")
    assert Libraries(repo).held()[0].state == "locked"
    assert findings(repo) == []
