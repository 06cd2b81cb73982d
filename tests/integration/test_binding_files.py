"""Values by way of files: what is refused would have run, and what is accepted runs nothing."""

from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, prelude
from schemas.job import Shell
from tests.integration.test_binding_injection import CANARY, run, sprung, trap

__all__ = ["trap"]

VALUES = (
    CANARY, f"$({CANARY})", f"'; {CANARY}; '", f"x\\'; {CANARY}; #\nq", f"x'; {CANARY}; #\n", f'"; {CANARY}; "',
    f"a[$({CANARY})]", f"a\n{CANARY}\n", f"x\\047; {CANARY}; \\047", f"x'\n{CANARY}\n'",
)  # fmt: skip
QUOTED_FOR_OTHERS = [
    # Another shell than bash reads it.
    "printf 'A=%q\\n' ${{ e }} > f; dash f",
    "printf 'A=%q\\n' ${{ e }} > f.env; dash -c '. ./f.env; echo \"$A\"'",
    "printf 'A=%q\\n' ${{ e }} > f.env; dash <<'E'\n. ./f.env\nE",
    "printf '#!/bin/dash\\necho %q\\n' ${{ e }} > run.sh; chmod +x run.sh; ./run.sh",
    "printf 'A=%q\\n' ${{ e }} > f; mv f g; dash g",
    "printf 'A=%q\\n' ${{ e }} > f; cat f | dash",
    'x=${{ e }}; echo "A=${x@Q}" > f; dash f',
    # bash does, where it is more than a value.
    "printf 'sh -c %q\\n' ${{ e }} > f; . ./f",
    "printf 'eval A=%q\\n' ${{ e }} > f; . ./f",
    "printf \"A='%q'\\n\" ${{ e }} > f; . ./f",
    "printf '%q\\n' ${{ e }} > f; . ./f",
    "printf 'PS4=%q\\n' ${{ e }} > f; . ./f; set -x; true",
    'x=${{ e }}; echo "sh -c ${x@Q}" > f; . ./f',
    'x=${{ e }}; echo "A=\\"${x@Q}\\"" > f; . ./f',
    'x=${{ e }}; echo -e "A=${x@Q}" > f; . ./f',
    'shopt -s xpg_echo; x=${{ e }}; echo "A=${x@Q}" > f; . ./f',
    'a=(b ${{ e }}); echo "A=${a[@]@Q}" > f; . ./f',
    'x=${{ e }}; cat > f <<E\nA="${x@Q}"\nE\n. ./f',
    # Something else stands in the file, or changes it.
    "echo -n 'sh -c ' > f; printf 'A=%q\\n' ${{ e }} >> f; . ./f",
    "{ printf 'eval '; printf 'A=%q\\n' ${{ e }}; } > f; . ./f",
    "printf 'A=%q\\n' ${{ e }} > f; sed -i 's/[\\\\]//g' f; . ./f",
    "printf 'A=%q\\n' ${{ e }} | tr -d '\\\\' > f; . ./f",
    # The variable is evaluated.
    "printf 'A=%q\\n' ${{ e }} > f; . ./f; echo $((A))",
    "printf 'A=%q\\n' ${{ e }} > f; . ./f; eval \"$A\"",
    "x=${{ e }}; printf 'A=%q\\n' \"$x\" > f; source f; $A",
    "A=1; case $A in *[!0-9]*) exit 2;; esac; printf 'A=%q\\n' ${{ e }} > f; . ./f; echo $((A))",
    "declare -i A; printf 'A=%q\\n' ${{ e }} > f; . ./f",
    "printf 'RANDOM=%q\\n' ${{ e }} > f; . ./f",
]
WRITTEN = [
    "echo ${{ e }} | tee a b; . ./b",
    "echo ${{ e }} | tee a.log b.sh > /dev/null\ndash b.sh",
    "echo ${{ e }} > f; cat f > g; dash g",
    "echo ${{ e }} > f; cat f | tee g; dash g",
    "echo ${{ e }} > f; cat f f > g; cat g | tr a a > h; . ./h",
    "echo ${{ e }} > f; sed s/x/y/ f > g; dash g",
    "echo ${{ e }} > f; tr a a < f > g; dash g",
    'g() { echo "$1"; }; g ${{ e }} > run.sh\nchmod +x run.sh\n./run.sh',
    "g() { echo ${{ e }}; }; { g; } > f; . ./f",
    "g() { x=$1; cat <<E\n$x\nE\n}; g ${{ e }} | tee f; . ./f",
    "mkdir d; echo ${{ e }} > f; cp f d/; dash d/f",
    "mkdir d; echo ${{ e }} > f; cp f d; dash d/f",
    "mkdir d; echo ${{ e }} > f; cp -t d f; dash d/f",
    "echo ${{ e }} > f; install -m 700 f g; ./g",
    "mkdir d; echo ${{ e }} > d/f; cd d; . ./f",
    "mkdir d; cd d; echo ${{ e }} > f; cd ..; . d/f",
    "d=.; echo ${{ e }} > $d/f; . ./f",
    'd=$PWD; echo ${{ e }} > "$d/f"; . "$d/f"',
    'echo ${{ e }} > f; . "$(pwd)/f"',
    "echo ${{ e }} > f; chmod +x f; PATH=$PWD:$PATH f",
    'echo ${{ e }} > "b".sh; dash b.sh',
]
TO_PROCESSES = [
    "exec {fd}> >(sh); echo ${{ e }} >&$fd; exec {fd}>&-; sleep 0.3",
    "f() { sh; }; echo ${{ e }} > >(f); sleep 0.3",
    'f() { read -r x; eval "$x"; }; echo ${{ e }} > >(f); sleep 0.3',
]
NOT_RUN = [
    "echo ${{ e }} > /etc/default/app; /usr/bin/app reload",
    "echo ${{ e }} > d/f; . ./f",
    "echo ${{ e }} > a; cat a > b; sh c",
    "echo ${{ e }} | tee a b; cat a b",
    'echo ${{ e }} > "$dir/version"; cat "$dir/version"',
    "cp x d/; echo ${{ e }} > d/y; sh d/x",
    'log() { echo "$*"; }; log ${{ e }} >> log.txt; ./build.sh',
    "PATH=/opt/bin:$PATH; echo ${{ e }} > app.conf; app --check",
]
QUOTED = [
    "printf 'A=%q\\n' ${{ e }} > app.env; . ./app.env",
    'printf "A=%q\\n" ${{ e }} > app.env; . ./app.env; ls -- "$A"',
    "printf 'export A=%q\\nB=%q\\n' ${{ e }} ${{ e }} > app.env; source app.env; echo \"$A\"",
    "# app.env is ours\n{ echo '#!/bin/bash'; echo 'A=1'; printf 'B=%q\\n' ${{ e }}; } > app.env\n. ./app.env",
    "printf 'A=%q\\n' ${{ e }} > f.new; chmod 600 f.new; mv f.new f; . ./f; rm -f f",
    "printf 'A=%q\\n' ${{ e }} | tee app.env > /dev/null; . ./app.env",
    "trap 'rm -f app.env' EXIT\nx=${{ e }}\ncat > app.env <<E\nA=${x@Q}\nB=2\n\nE\n[ -f app.env ] && . ./app.env",
    "printf 'A=%q\\n' ${{ e }} > a.sh; bash a.sh",
    ": > app.env; printf 'A=%q\\n' ${{ e }} >> app.env; . ./app.env",
    'x=${{ e }}; echo "A=${x@Q}" > app.env; . ./app.env; case $A in *[!0-9]*) exit 2;; esac; echo $((A))',
]


def _springs(script: str, shell: Shell, trap: Path) -> bool:
    """Whether the script runs a value if it is bound in spite of a refusal."""
    for value in VALUES:
        text = script.replace("\n${{ e }}\n", "\n${OC1}\n").replace("${{ e }}", '"${OC1}"')
        run("bash" if shell == "bash" else "dash", prelude(shell, [value]) + text, trap)
        if sprung(trap):
            return True
    return False


@pytest.mark.parametrize("script", QUOTED_FOR_OTHERS)
def test_what_is_quoted_for_bash_is_refused_elsewhere(script: str, trap: Path) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    assert _springs(script, "bash", trap)


@pytest.mark.parametrize("script", WRITTEN)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_file_is_followed_to_where_it_is_run(script: str, shell: Shell, trap: Path) -> None:
    assert isinstance(bind(script, shell), tuple)
    assert _springs(script, shell, trap)


@pytest.mark.parametrize("script", TO_PROCESSES)
def test_what_goes_to_a_process_is_followed_into_functions(script: str, trap: Path) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    assert _springs(script, "bash", trap)


@pytest.mark.parametrize("script", NOT_RUN)
def test_a_file_that_is_not_run_takes_any_value(script: str) -> None:
    assert isinstance(bind(script, "sh"), Bound), bind(script, "sh")
    assert isinstance(bind(script, "bash"), Bound), bind(script, "bash")


@pytest.mark.parametrize("script", QUOTED)
def test_assignments_that_are_quoted_for_bash_are_accepted(script: str, trap: Path) -> None:
    bound = bind(script, "bash")
    assert isinstance(bound, Bound), bound
    assert isinstance(bind(script, "sh"), tuple), "/bin/sh may be dash"
    for value in VALUES:
        run("bash", prelude("bash", [value] * len(bound.holes)) + bound.text, trap)
        assert not sprung(trap), value
        (trap / "app.env").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("script", "shell", "quotes"),
    [
        ("echo A=${{ e }} > f; . ./f", "bash", True),
        ("echo A=${{ e }} > f; bash f", "bash", True),
        ("echo A=${{ e }} > f; . ./f", "sh", False),
        ("echo A=${{ e }} > f; sh f", "bash", False),
        ("echo A=${{ e }} > f; ./f", "bash", False),
        ("echo A=${{ e }} > f.py; python3 f.py", "bash", False),
        ("echo A=${{ e }} > f.sql; psql -f f.sql", "bash", False),
        ("echo A=${{ e }} > f; crontab f", "bash", False),
        ("echo A=${{ e }} > f; sh -c '. ./f'", "bash", False),
    ],
)
def test_the_hint_quotes_for_bash_only_where_bash_reads_the_file(script: str, shell: Shell, *, quotes: bool) -> None:
    refused = bind(script, shell)
    assert isinstance(refused, tuple)
    assert ("%q" in refused[0].hint) is quotes
    assert "as an argument" in refused[0].hint
