"""Logs of runs that retention removed go too, and nothing else does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.identity import Cause, RunId, run_id
from opsconductor.runlog import log_files
from runners import logs
from runners.logs import LogFile

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def written(root: Path, name: str, at: datetime = NOON) -> RunId:
    """A run with a log on two targets."""
    run = run_id("rotate", Cause("request", name, at))
    for target in ("web-01", "-"):
        file = LogFile(root, logs.reference(run, at, target, "steps", "space", 1))
        file.write(b"71%\n")
        file.close()
    return run


def below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_the_logs_of_a_run_go_and_those_of_the_same_day_stay(tmp_path: Path) -> None:
    gone, kept = written(tmp_path, "gone"), written(tmp_path, "kept")
    assert logs.remove(tmp_path, gone)
    assert [path.name for path in tmp_path.glob("*/*/*/*")] == [kept]
    assert len(list(tmp_path.glob(f"2026/11/21/{kept}/*/*.log"))) == 2


def test_empty_folders_of_days_go_up_to_those_that_hold_something(tmp_path: Path) -> None:
    gone = written(tmp_path, "gone")
    kept = written(tmp_path, "kept", NOON.replace(day=20))
    assert logs.remove(tmp_path, gone)
    assert [path.name for path in tmp_path.glob("2026/11/*")] == ["20"]
    assert logs.remove(tmp_path, kept)
    assert below(tmp_path) == []
    assert tmp_path.is_dir()


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    """Whoever keeps logs on another disk links the folder there."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "disk")
    assert logs.remove(tmp_path / "logs", written(tmp_path / "logs", "gone"))
    assert below(tmp_path / "disk") == []


def test_removing_again_or_what_never_was_is_harmless(tmp_path: Path) -> None:
    gone = written(tmp_path, "gone")
    assert logs.remove(tmp_path, gone)
    assert not logs.remove(tmp_path, gone)
    assert not logs.remove(tmp_path / "never", gone)


STAMP = "20261121T120000Z-0123456789"


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "2026", f"../2026/x-{STAMP}", f"/x-{STAMP}"])
def test_a_name_that_is_no_runs_removes_nothing(tmp_path: Path, name: str) -> None:
    root = tmp_path / "logs"
    written(root, "kept")
    (tmp_path / "outside").mkdir()
    before = below(tmp_path)
    assert not logs.remove(root, RunId(name))
    assert below(tmp_path) == before


@pytest.mark.parametrize("linked", ["2026", "2026/11", "2026/11/21", "run"])
def test_a_link_is_not_followed_out_of_the_folder(tmp_path: Path, linked: str) -> None:
    root, outside = tmp_path / "logs", tmp_path / "outside"
    run = written(outside, "precious")
    path = root / (f"2026/11/21/{run}" if linked == "run" else linked)
    path.parent.mkdir(parents=True)
    path.symlink_to(outside / path.relative_to(root))
    assert not logs.remove(root, run)
    assert len(list(outside.glob(f"2026/11/21/{run}/*/*.log"))) == 2


def test_what_was_fetched_is_no_log_whatever_it_is_called(tmp_path: Path) -> None:
    run = run_id("rotate", Cause("request", "one", NOON))
    folder = tmp_path / logs.files_of(run, NOON, "web-01").removesuffix("/files")
    for name in ("steps.fetch.1.log", "steps.fetch/again.1.log", "files/var/log/messages.log", "files/steps.x.1.log"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()

    found = {(target, name) for target, name, _ in log_files(tmp_path, run)}

    assert found == {("web-01", "steps.fetch.1.log"), ("web-01", "steps.fetch/again.1.log")}
