"""The programs that the tests start are installed by the Makefile, on a machine that has none of them, too."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLED = {
    target: set(named.replace("\\\n", " ").split())
    for target, named in re.findall(
        r"^(\S+):[^\n]*\n\t@tools/programs\.sh ((?:[^\n]*\\\n)*[^\n]*)", (ROOT / "Makefile").read_text(), re.M
    )
}
PACKAGES = set(re.findall(r"\[([\w.-]+)\]=", (ROOT / "tools" / "programs.sh").read_text()))
SOUGHT = re.compile(r"\bwhich\(\"([\w.-]+)\"\)")
ONLY_JUDGED = ("python_lists.py",)
"""They hold scripts that name programs, and start none."""
OF_EVERY_SYSTEM = {"true", "useradd"}
OF_PACKAGES = {"ssh": "ssh-keygen", "systemd-analyze": "journalctl"}
"""They come with another program's package."""


@pytest.mark.parametrize("target", sorted(INSTALLED))
def test_a_package_is_known_for_each_program_that_a_target_asks_for(target: str) -> None:
    assert INSTALLED[target] <= PACKAGES


def test_what_the_tests_look_for_is_installed_by_the_targets_they_need() -> None:
    texts = (path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name not in ONLY_JUDGED)
    sought = {name for text in texts for name in SOUGHT.findall(text)} - OF_EVERY_SYSTEM
    needed = {OF_PACKAGES.get(name, name) for name in sought}
    assert "chromium" in needed
    assert needed - {"node"} <= INSTALLED["programs"] | INSTALLED["host-programs"]  # node: $(NODE_PROGRAMS)/.made
