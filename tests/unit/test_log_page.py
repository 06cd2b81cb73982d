"""A log as a page: any window of any file, nothing of it executed, and the first error found."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconductor.dashboard import logpage
from opsconductor.dashboard.logpage import Piece, pieces, window


def shown(path: Path, first: int | None) -> list[tuple[int, str]]:
    return [(line.number, "".join(piece.text for piece in line.pieces)) for line in window(path, first).lines]


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("first", [None, -5, 1, 2, 999, 1000, 1001, 29_500, 40_000])
def test_a_window_is_those_lines_of_the_file(tmp_path: Path, first: int | None, *, ended: bool) -> None:
    lines = [f"line {number} " + "x" * (number % 90) for number in range(1, 30_001)]
    (tmp_path / "log").write_text("\n".join(lines) + ("\n" if ended else ""))
    begin = 29_001 if first is None else min(max(first, 1), 30_000)

    assert window(tmp_path / "log", first).total == 30_000
    assert shown(tmp_path / "log", first) == list(enumerate(lines, 1))[begin - 1 : begin + 999]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")), max_size=30), st.integers(1, 40))
def test_a_window_of_a_file_in_small_blocks(
    tmp_path_factory: pytest.TempPathFactory, data: list[bytes], first: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "blocks.log"
    file.write_bytes(b"".join(line + b"\n" for line in data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logpage, "_BLOCK", 16)
        found = window(file, first)

    begin = min(first, max(len(data), 1))
    expected = [tuple(pieces(line.decode("utf-8", "replace").rstrip("\r"))) for line in data]
    assert [line.pieces for line in found.lines] == expected[begin - 1 :]
    assert found.total == len(data)


def test_an_empty_log_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert window(tmp_path / "log", None).lines == ()


def test_a_line_without_end_is_cut_and_the_next_one_stands_by_itself(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a" * 10_000_000 + "\nnext\n")
    (first, text), second = shown(tmp_path / "log", 1)

    assert (first, set(text)) == (1, {"a"}) and 1000 < len(text) <= 4096
    assert second == (2, "next")


def test_the_first_error_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("fine\n" * 400_000 + "Fatal: no space\nerror\n")
    assert window(tmp_path / "log", 1).error == 400_001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [Piece("plain")]),
        ("\x1b[31mred\x1b[0m not", [Piece("red", "ansi1"), Piece(" not")]),
        ("\x1b[1;92mloud", [Piece("loud", "ansi2 bold")]),
        ("\x1b[2J\x1b]0;title\x07x\x1b]8;;javascript:alert(1)\x1b\\y", [Piece("xy")]),
        ("a\x00\x9b31mb\u202ec", [Piece("a��31mb�c")]),
        ("\x1b[999999999999999999999999999999999999m!", [Piece("!")]),
        ("<script>alert(1)</script>", [Piece("<script>alert(1)</script>")]),
    ],
)
def test_a_line_becomes_text_and_classes_of_our_own(text: str, expected: list[Piece]) -> None:
    assert list(pieces(text)) == expected
