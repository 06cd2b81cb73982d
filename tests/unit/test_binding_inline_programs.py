"""A program in awk, perl or python within a script is given no value where it could start a command with it."""

import subprocess
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind

H = "${{ params.x }}"
STARTING = [
    f"awk -v x={H} 'BEGIN {{ system(x) }}'",
    f"echo {H} | awk '{{ system($0) }}'",
    f"X={H} awk 'BEGIN {{ system(ENVIRON[\"X\"]) }}'",
    f"echo a | awk -v x={H} '{{ print | x }}'",
    f"awk -v x={H} 'BEGIN {{ x | getline y }}'",
    f"awk 'BEGIN {{ system(ARGV[1]) }}' {H}",
    f"y={H}; awk -v x=\"$y\" 'BEGIN {{ system(x) }}'",
    f'y={H}; echo "$y" | awk \'{{ print | "sh" }}\'',
    f"perl -e 'system($ARGV[0])' {H}",
    f"echo {H} | perl -ne 'system($_)'",
    f"python3 -c 'import os,sys; os.system(sys.argv[1])' {H}",
    f"echo {H} | python3 -c 'import os,sys; os.system(sys.stdin.read())'",
]
HARMLESS = [
    f"awk -v x={H} '/foo|bar/ {{ print x }}' f",
    f"awk -v x={H} '$1 ~ /a|b/ || $2 == \"a|b\" {{ print x }}' f",
    f"awk -F'|' -v x={H} '{{ print $1, x }}' f",
    f"echo {H} | awk '{{ print $1 }}'",
    f"df | awk -v m={H} '$5+0 > m {{ print $6 }}'",
    f"awk '{{ system(\"date\") }}' f; echo {H}",
    f"python3 -c 'import sys; print(sys.argv[1])' {H}",
    f"echo {H} | python3 -c 'import json,sys; print(json.load(sys.stdin))'",
    f"perl -e 'print $ARGV[0]' -- {H}",
]


@pytest.mark.parametrize("script", STARTING)
def test_what_would_run_the_value_is_refused(script: str, tmp_path: Path) -> None:
    """And it would: each of them, with the value put where the expression stands."""
    assert not isinstance(bind(script, "bash"), Bound)
    subprocess.run(["bash", "-c", script.replace(H, "'touch pwned'")], cwd=tmp_path, check=False, timeout=20)
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("script", HARMLESS)
def test_what_takes_it_as_data_is_not(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)
