"""The walk-throughs for those who come from another tool: every file of a page is laid out, every command is called."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconductor import exits

pytestmark = pytest.mark.slow

PAGES = sorted((Path(__file__).parents[2] / "docs" / "coming-from").glob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+)\n")


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """The language and the text of each block, and the text that follows it, where that is what it says."""
    found = [(block[1], block[2]) for block in _BLOCK.finditer(page.read_text())]
    for (language, text), (after, said) in zip(found, [*found[1:], ("", "")], strict=True):
        yield language, text, said if language == "sh" and after == "text" else ""


def surroundings(folder: Path) -> dict[str, str]:
    """Those of a newcomer with git and the program, and with nothing of whoever runs the tests."""
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Ann\nemail = ann@example.org\n")
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "LANG") if name in os.environ}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "NO_COLOR": "1"}


def test_there_is_a_page_for_each_of_them() -> None:
    assert [page.stem for page in PAGES] == ["ansible-and-awx", "cron", "dagu", "rundeck", "systemd-timers"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_walk_through_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """What a page shows as said must be among what was printed; an exit code of 1 only where it says what was left."""
    environment = surroundings(tmp_path)
    here = tmp_path / "work"
    here.mkdir()
    where = tmp_path / "where"
    for language, text, said in blocks(page):
        if language == "sh":
            script = f"trap 'pwd > {where}' EXIT\n{text}"
            answer = subprocess.run(
                ["sh", "-ec", script], cwd=here, env=environment, capture_output=True, text=True, check=False
            )
            here = Path(where.read_text().strip())
            allowed = (exits.OK, exits.FINDINGS) if "not carried: " in said else (exits.OK,)
            assert answer.returncode in allowed, answer.stdout + answer.stderr
            for line in said.splitlines():
                assert line.strip() in answer.stdout + answer.stderr
        elif language != "text" and (named := _FILE.match(text)) is not None:
            place = tmp_path / "work" / named[1]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text[named.end() :])
