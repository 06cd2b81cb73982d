"""Draws docs/pictures/run.svg: the sample's job is run for real, and its terminal is the picture.

Usage: python tools/picture.py  (from the root of the checkout, with the development environment)
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "run.svg"
PROGRAM = [sys.executable, "-m", "opsconductor.cli.main"]
SHOWN = (
    ("opsconductor run disk-space -p limit=10 --wait", ["run", "disk-space", "-p", "limit=10", "--wait"]),
    ("opsconductor run disk-space --wait", ["run", "disk-space", "--wait"]),
    ("opsconductor history disk-space", ["history", "disk-space"]),
)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        environment = {**os.environ, "XDG_STATE_HOME": f"{folder}/state", "NO_COLOR": "1"}
        repository = Path(folder) / "fleet"
        subprocess.run([*PROGRAM, "init", str(repository)], env=environment, check=True, capture_output=True)
        engine = subprocess.Popen([*PROGRAM, "up", str(repository)], env=environment, stderr=subprocess.DEVNULL)
        try:
            while '"appliedCommit": "' not in _output(["get", "sync", "-o", "json"], repository, environment):
                time.sleep(0.2)
            lines = [line for title, words in SHOWN for line in _shown(title, words, repository, environment)]
        finally:
            engine.send_signal(signal.SIGTERM)
            engine.wait(timeout=60)
    _draw(lines)
    return 0


def _shown(title: str, words: list[str], repository: Path, environment: dict[str, str]) -> list[str]:
    return [f"$ {title}", *_output(words, repository, environment).rstrip().splitlines(), ""]


def _output(words: list[str], repository: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [*PROGRAM, *words],
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout


def _draw(lines: list[str]) -> None:
    console = Console(record=True, width=max(len(line) for line in lines) + 1, file=Path(os.devnull).open("w"))  # noqa: SIM115
    for line in lines:
        text = Text(line, style="bold" if line.startswith("$") else "")
        text.highlight_regex(r"\bsucceeded\b", "green")
        text.highlight_regex(r"\bfailed\b", "red")
        console.print(text, no_wrap=True, crop=False)
    # The fonts that rich names would be fetched from elsewhere; the reader's own will do.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="fleet"), flags=re.DOTALL)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(drawn.replace("Fira Code, ", ""))


if __name__ == "__main__":
    shutil.which("git") or sys.exit("git is needed")
    sys.exit(main())
