"""`import systemd` where samples in files cannot show it: hostile input, and words as systemd reads them."""

import subprocess
from pathlib import Path

import pytest

from opsconductor.cli.main import call
from opsconductor.imports import execline
from opsconductor.imports.crontime import CarryError
from opsconductor.imports.drafts import Reading
from opsconductor.imports.service import _unescaped
from opsconductor.imports.systemd import Settings, read

TIMER = b"[Timer]\nOnCalendar=daily\n"


def reading(**files: bytes) -> Reading:
    return read({name.replace("_", "."): data for name, data in files.items()}, Settings("UTC"))


def script(text: str) -> str:
    [command] = execline.commands(text, lambda word: word)
    return command.script


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/bin/a b  c", "/bin/a b c"),
        ("/bin/a 'b c' \"d e\"", "/bin/a 'b c' 'd e'"),
        (r"/bin/a \x41 \101 \u0041 \s", "/bin/a A A A ' '"),
        (r"/bin/a \( \q", r"/bin/a '\(' '\q'"),
        ("/bin/a $$ $${X}", "/bin/a '$' '${X}'"),
        # words of a value are words, and no patterns of file names
        ("/bin/a ${X} $X p${X}s p$X", 'set -f\n/bin/a "${X}" $X p"${X}"s \'p$X\''),
        ('/bin/a ""', "/bin/a ''"),
        ("/bin/a *.txt ~ `id` x$(id)", "/bin/a '*.txt' '~' '`id`' 'x$(id)'"),
    ],
)
def test_a_shell_reads_the_words_that_systemd_would_pass(text: str, said: str) -> None:
    assert script(text) == said


@pytest.mark.parametrize(
    "text", ["/bin/a 'b", '/bin/a "', "-", r"/bin/a \x00", r"/bin/a \ud800", "/bin/a ${X:-y}", "/bin/a $(id)"]
)
def test_what_systemd_would_not_run_is_refused(text: str) -> None:
    with pytest.raises(CarryError):
        script(text)


def test_a_variable_of_several_words_is_no_pattern_of_file_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    said = subprocess.run(
        ["sh", "-c", script("/usr/bin/printf '<%s>' $X")],
        capture_output=True, check=True, cwd=tmp_path, env={"X": "* x"},
    )  # fmt: skip
    assert said.stdout == b"<*><x>"


@pytest.mark.parametrize("text", ["home-ann", r"caf\xc3\xa9", r"a\x2db-c\x5c", "é", r"\x7", ""])
def test_an_instance_is_unescaped_as_systemd_does(text: str) -> None:
    """By bytes: a letter beyond ASCII is several of them."""
    theirs = subprocess.run(["systemd-escape", "--unescape", "--", text], capture_output=True, check=False)
    if theirs.returncode == 0:
        assert _unescaped(text) == theirs.stdout.decode().removesuffix("\n")


def test_an_instance_of_bytes_that_are_no_text_is_refused() -> None:
    with pytest.raises(CarryError, match="no text"):
        _unescaped(r"caf\xe9")


def test_lines_that_are_not_utf8_are_listed_and_the_rest_is_carried() -> None:
    found = reading(a_timer=TIMER + b"Description=\xff\n", a_service=b"[Service]\nExecStart=/bin/a\n")
    assert [(one.place.line, one.what) for one in found.remarks] == [(3, "the line is not UTF-8")]
    assert [draft.path for draft in found.drafts] == ["a.yaml", "targets/localhost.yaml"]


def test_a_unit_of_many_lines_takes_no_time() -> None:
    service = b"[Service]\nExecStart=/bin/a\n" + b"Environment=A=1 \\\n" * 8_000
    assert reading(a_timer=TIMER, a_service=service).drafts
    times = b"[Timer]\n" + b"OnCalendar=*:0/5\n" * 2_000
    assert reading(a_timer=times, a_service=b"[Service]\nExecStart=/bin/a\n").drafts


def test_names_of_units_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "opsconductor.yaml").write_text(
        "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: sample}\nspec: {}\n"
    )
    printed = "# /etc/..@\\x2e\\x2e.timer\n[Timer]\nOnCalendar=daily\nUnit=../../etc/x.service\n"
    printed += "# /etc/../../...timer\n[Timer]\nOnCalendar=daily\n# /etc/...service\n[Service]\nExecStart=/bin/a\n"
    (tmp_path / "printed").write_text(printed)
    assert call(["import", "systemd", "--time-zone", "UTC", "printed"]) == 1
    written = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*.yaml")}
    assert all(one.startswith(("definitions/systemd/", "opsconductor.yaml")) for one in written)


def test_a_folder_is_read_for_units_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "units").mkdir()
    (tmp_path / "units/a.timer").write_bytes(TIMER)
    (tmp_path / "units/a.service").write_bytes(b"[Service]\nExecStart=/bin/a\n")
    (tmp_path / "units/README").write_bytes(b"\xff")
    (tmp_path / "units/masked.timer").symlink_to("/dev/null")
    (tmp_path / "opsconductor.yaml").write_text(
        "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: sample}\nspec: {}\n"
    )
    assert call(["import", "systemd", "--time-zone", "UTC", "units"]) == 0
