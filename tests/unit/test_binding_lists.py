"""Lists of words that a script for Python puts together: for what evaluates them, and for what takes data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, prelude
from tests.python_lists import (
    DATA_OF_LISTS,
    EVALUATED_OF_LISTS,
    EVALUATING,
    IN_ANY_ORDER,
    TAKING_DATA,
    UNKNOWN,
    WAYS,
    scripts,
)


@pytest.mark.parametrize("words", EVALUATING, ids=" ".join)
def test_a_program_that_evaluates_its_words_takes_no_value_by_any_list(words: tuple[str, ...]) -> None:
    """It is told of every way in which the same words may be put together, parted in every place."""
    assert [name for name, script in scripts(words, WAYS | UNKNOWN) if isinstance(bind(script, "python3"), Bound)] == []


@pytest.mark.parametrize("words", TAKING_DATA, ids=" ".join)
def test_a_program_that_takes_data_takes_a_value_by_any_list(words: tuple[str, ...]) -> None:
    """A list whose words come in any order is not known to be for git what it is, whose first words are options."""
    ways = {name: way for name, way in WAYS.items() if name not in IN_ANY_ORDER or words[0] not in ("git", "sudo")}
    refused = [name for name, script in scripts(words, ways) if not isinstance(bind(script, "python3"), Bound)]
    assert refused == []


@pytest.mark.parametrize("script", EVALUATED_OF_LISTS)
def test_what_is_not_known_to_take_data_is_refused(script: str) -> None:
    refused = bind(script, "python3")
    assert isinstance(refused, tuple), refused
    assert "subprocess.run([" in refused[0].hint


@pytest.mark.parametrize("script", DATA_OF_LISTS)
def test_what_is_known_to_take_data_is_accepted(script: str) -> None:
    assert isinstance(bind(script, "python3"), Bound), bind(script, "python3")


@pytest.mark.parametrize(
    "script",
    [
        'def ssh(host, *words): subprocess.run(["ssh", host, *words])\nssh("web1", "systemctl", "restart", x)',
        'words = ["ls"]\nwords.append(x)\nsubprocess.run(["ssh", "h"] + words)',
        'class Host:\n    def run(self, *words): subprocess.run(["ssh", "h", *words])\nHost().run("ls", x)',
        'def add(c, v): c.append(v)\nc = ["ssh", "h"]\nadd(c, x)\nsubprocess.run(c)',
        'def r(c, i): subprocess.run(c, input=i, text=True)\nr(["sh"], x)',
        'cmd = ["ssh", "web1", "sh -s"]\nsubprocess.run(cmd, input="ls " + x, text=True)',
        'subprocess.run([sys.executable], input="import os; os.system(\'" + x + "\')", text=True)',
        'c = f"ls {q}"\nsubprocess.run(["ssh", "jump", "ssh", "h2", c])',
        'c = f"ls {q}"\nsubprocess.run(["ssh", "h", "sh -c \'" + c + "\'"])',
        'c = f"ls {q}"\nsubprocess.run(["sh", "-c", "ssh h " + c])',
        'subprocess.run([shutil.which("ssh"), "h", "ls", x])',
        'subprocess.run([os.environ.get("SSH", "ssh"), "h", x])',
        'for s in ("ssh", "rsh"): subprocess.run([s, "h", x])',
        'subprocess.run(["env", "A=a[$(" + x + ")]", "bash", "-c", "echo $((A))"])',
    ],
)
def test_such_a_script_does_run_what_is_in_the_value(script: str, tmp_path: Path) -> None:
    """The refusals are no fear of ours: a shell behind the list runs a program that the value names."""
    begin = "import os, shlex, shutil, subprocess, sys\nx = ${{ e }}\nq = shlex.quote(x)\n"
    assert isinstance(bind(begin + script, "python3"), tuple)
    for name in ("ssh", "rsh"):
        # What the machine at the other end does: a shell reads all words as one text.
        remote = tmp_path / name
        remote.write_text('#!/bin/sh\nshift\n[ "$1" = ssh ] || exec sh -c "$*"\nexec sh -c "$*"\n')
        remote.chmod(0o755)
    (tmp_path / "web").mkdir()
    for value in ("; touch ran", "touch ran", "; touch ran; #", "'; touch ran; '", "$(touch ran)"):
        text = prelude("python3", [value]) + (begin + script).replace("${{ e }}", "OC1")
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(
            [sys.executable, "-c", text], cwd=tmp_path / "web", check=False, capture_output=True, env=environment
        )
    assert (tmp_path / "web" / "ran").exists()
