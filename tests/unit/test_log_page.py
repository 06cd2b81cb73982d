"""A log as a page: any window of any file, nothing of it executed, and the first error found."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsconductor.dashboard import logindex
from opsconductor.dashboard.logindex import Indexes
from opsconductor.dashboard.logpage import Line, Piece, Window, groups, pieces
from opsconductor.dashboard.logpage import window as window_of


def window(path: Path, first: int | None) -> Window:
    """The window of a file that is known whole."""
    return window_of(path, first, Indexes().of(path, patience=60))


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
        patch.setattr(logindex, "BLOCK", 16)
        found = window(file, first)

    begin = min(first, max(len(data), 1))
    expected = [tuple(pieces(line.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2])) for line in data]
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


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_it_is_said_how_much_of_a_line_is_not_shown(tmp_path: Path, end: str, counted: bool) -> None:
    text = "é" * 2047 + "x" + "é" * 3000
    (tmp_path / "log").write_bytes(f"short\n{'y' * 4096}\n{text}{end}".encode())
    index = Indexes().of(tmp_path / "log", patience=60)
    lines = window_of(tmp_path / "log", None, index if counted else replace(index, whole=False)).lines
    assert [line.cut for line in lines] == [0, 0, len(text.encode()) - 4096]
    assert "".join(piece.text for piece in lines[2].pieces) == text[:2048], "no half of a letter"


def test_of_progress_the_last_is_shown_as_a_terminal_shows_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"10 %\r50 %\r100 %\nnext\r\n")
    assert shown(tmp_path / "log", 1) == [(1, "100 %"), (2, "next")]


def test_the_first_error_is_found(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("fine\n" * 400_000 + "Fatal: no space\nerror\n")
    assert window(tmp_path / "log", 1).error == 400_001


def test_an_error_is_a_word_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("errors=0 noerror\nno_panic failed2\nit FAILED.\n")
    assert window(tmp_path / "log", 1).error == 3


def test_an_error_in_a_colour_is_one(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\x1b[1mmerror\nm\x1b[merrors\n\x1b[0;1;31mERROR\x1b[0m no space\n")
    assert window(tmp_path / "log", 1).error == 3


def test_the_end_is_shown_before_the_lines_are_counted(tmp_path: Path) -> None:
    """A log of any size opens at once; its lines have numbers as soon as they are counted."""
    file = tmp_path / "log"
    file.write_text("".join(f"line {number}\n" for number in range(400_000)))
    indexes = Indexes()
    first = indexes.of(file, patience=0)
    assert not first.whole and first.size == logindex.BLOCK
    found = window_of(file, None, first)
    assert (found.first, len(found.lines), found.lines[-1]) == (None, 1000, Line(None, (Piece("line 399999"),)))
    assert window_of(file, 400_000, first).first == first.lines, "as far as they are counted"
    assert window_of(file, None, indexes.of(file, patience=60)).lines[-1] == Line(400_000, (Piece("line 399999"),))


def test_a_log_that_grows_is_read_on_from_where_it_was(tmp_path: Path) -> None:
    file, indexes, text = tmp_path / "log", Indexes(), ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logindex, "BLOCK", 64)
        for number in range(60):
            text += f"line {number}" + "\n" * (number % 3)
            file.write_text(text)
            index = indexes.of(file, patience=60)
            assert index == Indexes().of(file, patience=60)
            lines = text.splitlines()
            assert [line.number for line in window_of(file, 1, index).lines] == list(range(1, len(lines) + 1))


def test_another_file_in_its_place_is_read_anew(tmp_path: Path) -> None:
    file, indexes = tmp_path / "log", Indexes()
    file.write_text("one\ntwo\n")
    assert indexes.of(file).lines == 2
    file.write_text("one\n")
    assert indexes.of(file).lines == 1


def test_a_file_of_another_name_that_got_the_number_of_one_that_is_gone_is_another_file(tmp_path: Path) -> None:
    """As file systems do it at once; here two names of one file stand for it."""
    first, second, indexes = tmp_path / "first", tmp_path / "second", Indexes()
    first.write_text("one\n")
    second.hardlink_to(first)
    assert indexes.of(first).lines == 1
    first.unlink()
    assert indexes.of(second).lines == 1


def test_two_who_look_at_one_log_see_the_same(tmp_path: Path) -> None:
    file, indexes = tmp_path / "log", Indexes()
    file.write_text("one\nerror\n")
    assert indexes.of(file) == indexes.of(file) == Indexes().of(file)


def test_a_longer_log_in_the_place_of_another_is_read_anew(tmp_path: Path) -> None:
    """Nor does its number tell it: it may be the same again."""
    file, indexes = tmp_path / "log", Indexes()
    file.write_text("one\nerror\n")
    assert indexes.of(file).error == 2
    file.write_text("one\ntwo\nthree\nfour\n")
    assert indexes.of(file) == Indexes().of(file)
    file.unlink()
    file.write_text("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\nerror\n")
    assert indexes.of(file).error == 11


_PARTS = st.sampled_from(
    ["error", "fatal", "traceback", "FAILED", "panic", "fat", "al", "or", "_", "s", "m", " ", ":", "\x1b[1;31m", "\n"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(_PARTS, min_size=1, max_size=5).map("".join), max_size=12), st.integers(1, 20))
def test_an_error_is_found_however_the_file_grew_and_wherever_a_block_ends(
    tmp_path_factory: pytest.TempPathFactory, growth: list[str], block: int
) -> None:
    file, indexes, text = tmp_path_factory.getbasetemp() / "words.log", Indexes(), ""
    file.unlink(missing_ok=True)
    words = r"(?:(?<!\w)|(?<=\x1b\[1;31m))(error|fatal|traceback|failed|panic)(?!\w)"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logindex, "BLOCK", block)
        for part in growth:
            text += part
            file.write_text(text)
            found = re.search(words, text, re.IGNORECASE)
            assert indexes.of(file, patience=60).error == (text.count("\n", 0, found.start()) + 1 if found else None)


def test_long_groups_between_blank_lines_may_be_folded() -> None:
    def grouped(*texts: str) -> list[tuple[int, bool]]:
        return [(one.lines, one.folds) for one in groups([Line(1, tuple(pieces(text))) for text in texts])]

    assert grouped("a", "b", "", "c", "", "") == [(6, False)]
    assert grouped("a", "", *["x"] * 30, "", "b") == [(2, False), (31, True), (1, False)]
    assert grouped(*["x"] * 31) == [(31, True)]
    assert grouped() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [Piece("plain")]),
        ("\x1b[31mred\x1b[0m not", [Piece("red", "ansi1"), Piece(" not")]),
        ("\x1b[1;92mloud", [Piece("loud", "ansi2 bold")]),
        ("\x1b[38;2;1;2;3mdark\x1b[38;2;250;20;10mred", [Piece("dark", "ansi0"), Piece("red", "ansi1")]),
        ("\x1b[1;38;5;22mgreen\x1b[38;5;1mred", [Piece("green", "ansi2 bold"), Piece("red", "ansi1 bold")]),
        ("\x1b[31;48;5;1mred\x1b[48;2;0;1;22mstill", [Piece("red", "ansi1"), Piece("still", "ansi1")]),
        ("\x1b[38;5mnone\x1b[38mat all", [Piece("none", "ansi0"), Piece("at all")]),
        ("\x1b[2J\x1b]0;title\x07x\x1b]8;;javascript:alert(1)\x1b\\y", [Piece("xy")]),
        ("a\x00\x9b31mb\u202ec", [Piece("a��31mb�c")]),
        ("\x1b[999999999999999999999999999999999999m!", [Piece("!")]),
        ("<script>alert(1)</script>", [Piece("<script>alert(1)</script>")]),
    ],
)
def test_a_line_becomes_text_and_classes_of_our_own(text: str, expected: list[Piece]) -> None:
    assert list(pieces(text)) == expected
