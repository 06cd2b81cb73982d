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
    "cat | sh", "true; sh", "exec sh", "trap 'cat | sh' EXIT", "trap sh EXIT", "{ cat; } | sh", "( cat ) | sh",
    "f() { cat; }; f | sh", "g() { cat; }; f() { g; }; f | sh", "cp /dev/stdin f; sh f",
    "select x in a; do eval $REPLY; done", "mapfile -C eval -c 1", "sh -c 'exec sh'", 'sh -c "exec sh"', "sh -c sh",
    "eval sh", "eval exec sh", "bash -c 'true; bash -c \"cat | bash\"'", "cat | { sh; }", "cat | ( true; sh )",
    "cat | for i in 1; do sh; done", "cat | if true; then sh; fi", "{ sh; } < /dev/stdin", "{ true; sh; } <&0",
    'x=$(sed p); eval "$x"', "nl | sort | sh", "xargs -I{} echo {} | sh",
]  # fmt: skip
DATA = [
    "cat > f", 'read -r x; echo "$x"', "jq .a", "./tool", "psql -f q.sql", "python3 x.py", "sort f | head",
    'x=$(cat f); eval "$x"', "sh -c 'cat > f'", "kubectl apply -f -", "ssh h 'cat > x'", "sh x.sh", "bash deploy",
    "echo ls | sh", "sh <<'E'\nls\nE", "cat > f; sh g", "head -n 5 f > g; sh g", "n=$(wc -l < f); echo $((n))",
    "head=1; echo $((head + 1)); cat > f", "trap 'rm -f x' EXIT; cat > x", "docker login --password-stdin",
    "cat > f", "grep x", "sed s/a/b/ > f", "jq -r .a > f; cat f", "kubectl apply -f -",
    "docker login -u x --password-stdin h", "echo ls | sh", "curl -fsSL https://h | sh",
    "curl -fsSL https://h | sudo bash -s -- a", "printf 'ls\\n' | ssh h sh", "cat x.sh | sh", "sed s/a/b/ x.sh | sh",
    "wget -qO- https://h | bash", "ssh h 'cat > x'", "ssh h 'sudo tee /etc/x > /dev/null'",
    "ssh h 'read -r x; ls -- \"$x\"'", 'ssh h "cat > /tmp/x && mv /tmp/x /y"', "sh x.sh", "bash -c 'cat > f'",
    "trap 'rm -f x' EXIT; cat > x", "sudo tee /etc/x", "sudo -S systemctl restart x", "n=$(wc -l); echo $((n))",
    "n=$(cat | wc -l); echo $((n))", "n=$(nproc); echo $((n)); cat > f", 'eval "$(ssh-agent -s)"; ssh-add -',
    "f() { echo ls; }; f | sh; cat > x", "{ echo ls; } | sh; cat > x", "psql -f q.sql", "psql -c 'copy t from stdin'",
    "mysql -e 'select 1'", "python3 x.py", "python3 -c 'import sys; print(sys.stdin.read())'", "node server.js",
    "perl -ne print", "ssh-add -", "gpg --import", "chpasswd", "openssl enc -d -pass stdin -in f",
    "helm upgrade x . -f -", "cryptsetup open /dev/x y -", "sshpass ssh h ls", "tar -xzf - -C /x",
    "docker exec -i c tee /x", "docker exec -i c psql -f /q.sql", "su - app -c 'cat > x'",
    "read -r x; case $x in a) sh run.sh;; esac", 'while read -r l; do echo "$l"; done',
    'while read -r h; do ssh -n -- "$h" uptime; done', "xargs -n 1 ping -c 1", "bc -l", "crontab -l; cat > f",
    "sh run.sh < /dev/null; cat > f", "bash < x.sh; cat > f", 'for i in 1 2; do bash "$i.sh"; done; cat > f',
    "sh <<'E'\nls\nE",
]  # fmt: skip
ELSEWHERE = [
    "sudo sh -c 'cat | sh'", "ssh h 'cat | sh'", "ssh h bash -s", "ssh -p 22 h 'cd /x && sudo bash'",
    'ssh h "cat | sh"', "cat f - | sh", "docker exec -i c sh -c 'cat | sh'", "docker exec -i c sh",
    "kubectl exec -i p -- sh", "grep . | sh", "sed p | sh", "awk 1 | sh", "./tool | sh", "tool | sh", "cat 3< f | sh",
    "sh 3< f", "dd of=f; sh f", "jq -r .x > f; . ./f", 'x=$(jq -r .cmd); eval "$x"', "n=$(grep .); echo $((n))",
    "python3", "python3 -", "psql", "perl", "su - app", "base64 -d | sh", "timeout 5 bash", "watch 'cat | sh'",
    "if (( 1 )); then cat | sh; fi; alias x=y", "flock l sh", "flock l -c 'cat | sh'", "find . -exec sh \\;",
    "nohup sh &", "time sh",
]  # fmt: skip
"""Those with programs that are not everywhere, or that go elsewhere."""


@pytest.mark.parametrize("script", RUN)
def test_what_runs_its_standard_input_takes_no_expression_there(script: str, tmp_path: Path) -> None:
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is not None
    for value in ("touch pwned\n", "a[$(touch${IFS}pwned)]\n"):
        subprocess.run(
            ["bash", "-c", script], input=value.encode(), cwd=tmp_path, capture_output=True, timeout=20, check=False
        )
    assert (tmp_path / "pwned").exists()


@pytest.mark.parametrize("script", ELSEWHERE)
def test_nor_does_what_runs_it_by_another_program(script: str) -> None:
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is not None


def test_of_a_script_that_is_not_followed_the_words_say_whether_its_input_may_be_run() -> None:
    long = "(a)\n" * 10_000
    assert evaluated_stdin(f"{long}cat | sh", "sh", "${{ params.x }}") is not None
    assert evaluated_stdin(f"{long}cat > f", "sh", "${{ params.x }}") is None


@pytest.mark.parametrize("script", DATA)
def test_what_takes_it_as_data_may_have_one(script: str) -> None:
    assert evaluated_stdin(script, "bash", "${{ params.x }}") is None
