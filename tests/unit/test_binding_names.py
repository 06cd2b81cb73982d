"""Commands whose name is known only when the script runs, and programs that read what the script exports to them."""

import os
import subprocess
from pathlib import Path

import pytest

from engine.scripts.binding import BindError, Bound, Shell, bind

H = "${{ params.v }}"
RUNNING: list[tuple[Shell, str]] = [
    ("sh", f"echo {H} | $SHELL"),
    ("sh", f"echo {H} | ${{SHELL:-sh}}"),
    ("sh", f"echo {H} | $(command -v sh)"),
    ("sh", f"echo {H} | `command -v bash`"),
    ("sh", f"{{ echo {H}; }} | $SHELL"),
    ("sh", f"echo {H} | {{ x=1; $SHELL; }}"),
    ("sh", f"f() {{ $SHELL; }}; echo {H} | f"),
    ("sh", f'retry() {{ "$@"; }}; echo {H} | retry $SHELL'),
    ("sh", f"cat <<EOF | $SHELL\n{H}\nEOF"),
    ("sh", f"$SHELL <<EOF\n{H}\nEOF"),
    ("sh", f"${{SHELL:-/bin/sh}} <<EOF\n{H}\nEOF"),
    ("sh", f"s=bash; $s <<EOF\n{H}\nEOF"),
    ("sh", f"s=bash; echo {H} | $s"),
    ("sh", f"s='bash -s'; echo {H} | $s"),
    ("sh", f"s=cat; s=sh; echo {H} | $s"),
    ("sh", f"for s in sh; do echo {H} | $s; done"),
    ("sh", f"x={H}; echo \"$x\" | $SHELL"),
    ("bash", f"$SHELL <<< {H}"),
    ("bash", f"$SHELL < <(echo {H})"),
    ("sh", f"export X={H}; $SHELL -c '$X'"),
    ("sh", f"export X={H}; $SHELL -c 'eval \"$X\"'"),
    ("sh", f"export X={H}; $SHELL <<'EOF'\neval \"$X\"\nEOF"),
    ("sh", f"export X={H}; perl -e 'system($ENV{{X}})'"),
    ("sh", f"X={H}; export X; perl -e 'system($ENV{{\"X\"}})'"),
    ("sh", f"set -a; X={H}; perl -e 'for (keys %ENV) {{ system($ENV{{$_}}) if $_ =~ /^X/ }}'"),
    ("sh", f"y={H}; export X=\"$y\"; perl -e 'system($ENV{{X}})'"),
    ("sh", f"f() {{ export X=\"$1\"; perl -e 'system($ENV{{X}})'; }}; f {H}"),
    ("sh", f"export X={H}; awk 'BEGIN{{system(ENVIRON[\"X\"])}}'"),
    ("sh", f"export X={H}; awk -f - <<'EOF'\nBEGIN{{system(ENVIRON[\"X\"])}}\nEOF"),
    ("sh", f"export X={H}; python3 -c 'import os; os.system(os.environ.get(\"X\"))'"),
    ("sh", f"export X={H}; python3 -c 'import os; k = \"X\"; os.system(os.environ[k])'"),
    ("sh", f"export X={H}; python3 -c 'import os; os.system(\"$X\")'"),
    ("sh", f"export X={H}; python3 <<'EOF'\nimport os\nos.system(os.getenv('X'))\nEOF"),
    ("sh", f"export X={H}; cat <<'EOF' | python3 -\nimport os\nos.system(os.getenv('X'))\nEOF"),
    ("sh", f"X={H} python3 - <<'EOF'\nimport os\nos.system(os.environ['X'])\nEOF"),
    ("sh", f"python3 - {H} <<'EOF'\nimport sys,os\nos.system(sys.argv[1])\nEOF"),
    ("sh", f"python3 /dev/stdin {H} <<'EOF'\nimport sys,os\nos.system(sys.argv[1])\nEOF"),
    ("bash", f"python3 - {H} <<< 'import sys,os; os.system(sys.argv[1])'"),
    ("sh", f"echo 'import sys,os; os.system(sys.argv[1])' | python3 - {H}"),
    ("sh", f"perl - {H} <<'EOF'\nsystem($ARGV[0])\nEOF"),
]  # fmt: skip
"""Each runs the value, when it stands where the expression does."""
REFUSED: list[tuple[Shell, str]] = [
    ("sh", f"echo {H} | $0"),
    ("sh", f"$0 <<EOF\n{H}\nEOF"),
    ("sh", f"echo {H} | $SUDO tee x"),
    ("sh", f"echo {H} | xargs $tool"),
    ("sh", f"export X={H}; $0 -c '$X'"),
    ("sh", f"export X={H}; node -e 'require(\"child_process\").execSync(process.env.X)'"),
    ("sh", f"export X={H}; ruby -e 'system(ENV[\"X\"])'"),
    ("sh", f"export X={H}; php -r 'system(getenv(\"X\"));'"),
    ("sh", f"export X={H}; make -f - <<'EOF'\nall:\n\t$(X)\nEOF"),
    ("sh", f"export X={H}; make -f - <<'EOF'\nall:\n\teval \"$$X\"\nEOF"),
    ("sh", f"X={H} make -f - <<'EOF'\nall:\n\t$(X)\nEOF"),
    ("sh", f"ruby - {H} <<'EOF'\nsystem(ARGV[0])\nEOF"),
    ("sh", f"node - {H} <<'EOF'\nrequire('child_process').execSync(process.argv[2])\nEOF"),
]  # fmt: skip
ACCEPTED = (
    f'SUDO=; [ "$(id -u)" = 0 ] || SUDO=sudo; echo {H} | $SUDO tee /etc/x',
    f'SUDO="sudo -n"; $SUDO tee /etc/x <<EOF\n{H}\nEOF',
    f"zip=gzip; tar c {H} | $zip > f",
    f"if [ -n \"$x\" ]; then cat=zcat; else cat=cat; fi; $cat f | grep {H}",
    f"for c in a b; do echo {H} | tee $c; done",
    f"$SUDO systemctl restart {H}; echo {H} | tee x",
    f'cmd="docker ps"; out=$($cmd); echo {H} | tee x',
    f'run() {{ echo "$*"; "$@"; }}; echo {H} | tee x; run ls',
    f'retry() {{ "$@" || "$@"; }}; echo {H} | retry curl -d @- h',
    f"export NAME={H}; ./deploy.sh",
    f"export X={H}; python3 -c 'import os; print(os.environ[\"X\"])'",
    f"export X={H}; python3 - <<'E'\nimport os\nprint(os.environ['X'])\nE",
    f"export X={H}; awk 'BEGIN{{print ENVIRON[\"X\"]}}'",
    f"export X={H}; perl -e 'print $ENV{{X}}'",
    f"export X={H}; node -e 'console.log(process.env.X)'",
    f"export TOKEN={H}; python3 -c 'import subprocess; subprocess.run([\"ls\"])'",
    f"id={H}; awk '{{ id=$1; system(\"date\") }}' f; echo \"$id\"",
    f"id={H}; perl -e 'my $id = 1; system(\"ls $id\")'; echo \"$id\"",
    f"python3 - {H} <<'E'\nimport sys\nprint(sys.argv[1])\nE",
    f"python3 x.py {H} <<'E'\nsystem\nE",
    f"X={H} python3 -c 'print(1)' <<'E'\nsystem\nE",
    f"export X={H}; make install",
    f"X={H} make -f Makefile",
    f"export X={H}; make -f - <<'E'\nall:\n\t./x \"$$X\"\nE",
)  # fmt: skip


@pytest.mark.parametrize(("shell", "script"), RUNNING)
def test_what_would_run_the_value_is_refused(shell: Shell, script: str, tmp_path: Path) -> None:
    """And it would: each of them, with the value put where the expression stands."""
    found = bind(script, shell)
    environment = {**os.environ, "SHELL": "/bin/bash"}
    with_value = script.replace(H, "touch pwned" if f"\n{H}" in script else "'touch pwned'")
    subprocess.run(
        ["bash", "-c", with_value], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, check=False, timeout=20
    )

    assert (tmp_path / "pwned").exists()
    assert not isinstance(found, Bound)


@pytest.mark.parametrize(("shell", "script"), REFUSED)
def test_what_may_run_it_is_refused(shell: Shell, script: str) -> None:
    assert not isinstance(bind(script, shell), Bound)


@pytest.mark.parametrize("script", ACCEPTED)
def test_what_takes_it_as_data_is_not(script: str) -> None:
    for shell in ("sh", "bash"):
        assert isinstance(bind(script, shell), Bound)


def test_the_finding_says_what_to_do() -> None:
    script = f"echo {H} | $SUDO tee x"

    assert bind(script, "sh") == (
        BindError(
            5,
            len(H),
            "the expression 'params.v' goes to the input of a command whose name is not known here, which may run it",
            "write the name of the command in the script, or set the variable to nothing but such names: SUDO=sudo",
        ),
    )
