"""An expression in 'stdin' of a step: what is refused would have run, and what takes it as data is left alone."""

import subprocess
from pathlib import Path

import pytest

from engine.scripts.binding import evaluated_stdin

RUN = [
    "bash", "cat | bash", ". /dev/stdin", 'x=$(</dev/stdin); eval "$x"', "echo $(( $(cat) ))", "cat > f; . ./f",
    "read -r a b < <(cat); echo $((a))", "exec 3<&0; read -r n <&3; echo $((n))", "xargs -I{} sh -c {}",
    "bash -c 'read -r n; echo $((n))'", "trap 'read -r n; echo $((n))' EXIT", 'x=$(cut -d, -f1); eval "$x"',
    'x=$(tail -n +1); eval "$x"', 'x=$(sort -t ,); eval "$x"', 'x=$(tee log); eval "$x"', "x=`cat`; eval \"$x\"",
    'read -r x < /dev/stdin; eval "$x"', 'x=$(uniq); eval "$x"', "eval 'read -r n; echo $((n))'",
]  # fmt: skip
DATA = [
    "cat > f", 'read -r x; echo "$x"', "jq .a", "./tool", "psql -f q.sql", "python3 x.py", "sort f | head",
    'x=$(cat f); eval "$x"', "sh -c 'cat > f'", "kubectl apply -f -", "ssh h 'cat > x'", "sh x.sh", "bash deploy",
    "echo ls | sh", "sh <<'E'\nls\nE", "cat > f; sh g", "head -n 5 f > g; sh g", "n=$(wc -l < f); echo $((n))",
    "head=1; echo $((head + 1)); cat > f", "trap 'rm -f x' EXIT; cat > x", "docker login --password-stdin",
]  # fmt: skip


@pytest.mark.parametrize("script", RUN)
def test_what_runs_its_standard_input_takes_no_expression_there(script: str, tmp_path: Path) -> None:
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is not None
    for value in ("touch pwned\n", "a[$(touch${IFS}pwned)]\n"):
        subprocess.run(
            ["bash", "-c", script], input=value.encode(), cwd=tmp_path, capture_output=True, timeout=20, check=False
        )
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("script", DATA)
def test_what_takes_it_as_data_may_have_one(script: str) -> None:
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is None
