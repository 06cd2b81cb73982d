"""What a bug of ours leaves behind: a report file that only its user may read, and exit code 70."""

import subprocess
import sys
from pathlib import Path

BROKEN = r"""
import sys
from opsconductor.cli import main

def broken(arguments):
    raise RuntimeError("a file named \udcff")

main._answer = broken
sys.exit(main.call(["validate"]))
"""


def broken(folder: Path) -> "subprocess.CompletedProcess[str]":
    """The program in a process of its own, whose standard error is what a person's is."""
    script = f"import tempfile; tempfile.tempdir = {str(folder)!r}\n{BROKEN}"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)


def test_a_bug_leaves_a_report_whatever_its_message_holds(tmp_path: Path) -> None:
    done = broken(tmp_path)
    (report,) = tmp_path.iterdir()
    assert (done.returncode, str(report) in done.stderr) == (70, True)
    assert report.stat().st_mode & 0o077 == 0
    assert r"RuntimeError: a file named \udcff" in report.read_text(encoding="utf-8")


def test_a_bug_is_one_also_where_no_report_can_be_written(tmp_path: Path) -> None:
    done = broken(tmp_path / "missing")
    assert done.returncode == 70
    assert done.stderr.endswith("No report could be written: No such file or directory.\n")
