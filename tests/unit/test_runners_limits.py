"""What a step may give is bounded: the kept end of its streams, its log, and nothing else."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.identity import RunId
from runners.limits import KEPT, Capture, last_bytes
from runners.logs import LogFile, reference
from runners.masking import MASK, Masker, visible


def test_streams_are_kept_apart_and_logged_together(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "a/b.log")
    capture = Capture(Masker(), log)
    capture.feed("stdout", b"one\n")
    capture.feed("stderr", b"two\n")
    capture.feed("stdout", b"three\n")
    capture.close()
    output = capture.output(3)
    assert (output.exit_code, output.stdout, output.stderr, output.cut) == (3, "one\nthree\n", "two\n", False)
    assert (tmp_path / "a/b.log").read_bytes() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("size", [1, 100, 1023, 1024, 9000, 70_000])
def test_the_end_of_a_long_stream_is_kept(size: int) -> None:
    capture = Capture(Masker())
    data = b"".join(b"%07d\n" % number for number in range(40_000 if size > 1 else 12_000))
    for at in range(0, len(data), size):
        capture.feed("stdout", data[at : at + size])
    output = capture.output()
    assert output.stdout.encode() == data[-KEPT:]
    assert output.cut


def test_a_secret_at_the_cut_is_not_shown_in_part() -> None:
    capture = Capture(Masker(["hunter2-long-secret"]))
    capture.feed("stdout", b"hunter2-long-secret" + b"." * (KEPT - 5))
    text = visible(capture.output().stdout)
    assert "secret" not in text
    assert "ecret" not in text
    assert text.startswith(MASK)


def test_binary_output_becomes_text_that_fits() -> None:
    capture = Capture(Masker())
    capture.feed("stdout", bytes(range(256)) * 1024)
    text = capture.output().stdout
    assert len(text.encode()) <= KEPT
    assert "\0" not in text


@pytest.mark.parametrize(("text", "limit", "end"), [("abc", 2, "bc"), ("aé", 1, ""), ("aé", 2, "é"), ("é" * 3, 3, "é")])
def test_text_is_cut_between_characters(text: str, limit: int, end: str) -> None:
    assert last_bytes(text, limit) == end


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    capture = Capture(Masker(), LogFile(tmp_path, "x.log"))
    capture.feed("stdout", b"in time\n")
    capture.close()
    capture.feed("stdout", b"late\n")
    capture.close()
    assert capture.output().stdout == "in time\n"
    assert (tmp_path / "x.log").read_text() == "in time\n"


def test_a_log_ends_at_its_cap_with_a_notice(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "x.log", cap=1 << 20)
    for _ in range(40):
        log.write(b"y" * 65_536)
    log.close()
    data = (tmp_path / "x.log").read_bytes()
    assert log.full
    assert data.startswith(b"y" * (1 << 20))
    assert data[1 << 20 :] == b"\n[opsconductor: the log ends here; the step wrote more than 1 MiB]\n"


def test_a_step_without_output_has_no_log(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "a/b/x.log")
    capture = Capture(Masker(), log)
    capture.feed("stdout", b"")
    capture.close()
    assert log.name is None
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_costs_a_note_and_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = LogFile(tmp_path, "file/x.log")
    capture = Capture(Masker(), log)
    capture.feed("stdout", b"text\n")
    capture.feed("stdout", b"more\n")
    capture.close()
    assert capture.output().stdout == "text\nmore\n"
    assert log.name is None
    assert log.note is not None
    assert "incomplete" in log.note


def test_a_full_disk_costs_a_note_and_no_run(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "x.log")
    log.write(b"before\n")
    assert log._file is not None
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, log._file)
    os.close(full)
    log.write(b"text\n")
    log.write(b"more\n")
    log.close()
    assert log.note == "the log is incomplete: No space left on device"
    assert log.name == "x.log"


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.log").symlink_to(tmp_path / "elsewhere")
    log = LogFile(tmp_path, "x.log")
    log.write(b"text\n")
    assert log.full
    assert not (tmp_path / "elsewhere").exists()


def test_the_reference_says_day_run_target_and_attempt() -> None:
    instant = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    assert (
        reference(RunId("r-1"), instant, "web-01", "finally", "tidy", 2) == "2026/11/21/r-1/web-01/finally.tidy.2.log"
    )
