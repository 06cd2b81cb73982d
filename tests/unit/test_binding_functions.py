"""Functions that are called from a script within the script, or by a variable that holds their name."""

import subprocess
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, evaluated_env

EVALS = 'f() { eval "ls $1"; }; '
INNER = {
    EVALS + "x=${{ e }}; trap 'f \"$x\"' EXIT",
    EVALS + "x=${{ e }}; trap 'y=$x; f \"$y\"' EXIT",
    EVALS + 'x=${{ e }}; g() { f "$1"; }; trap \'g "$x"\' EXIT',
    EVALS + 'x=${{ e }}; trap "f \\"\\$x\\"" EXIT',
    EVALS + 'x=${{ e }}; trap \'eval "f \\"\\$x\\""\' EXIT',
    EVALS + 'x=${{ e }}; a=("$x"); trap \'f "${a[@]}"\' EXIT',
    EVALS + 'g=f; x=${{ e }}; trap \'"$g" "$x"\' EXIT',
    EVALS + "x=${{ e }}; eval 'f \"$x\"'",
    EVALS + 'x=${{ e }}; y=`f "$x"`',
    EVALS + "export -f f; timeout 5 bash -c 'f \"$1\"' _ ${{ e }}",
    EVALS + "export -f f; bash -c 'f \"$@\"' _ ${{ e }}",
    EVALS + "export -f f; bash -c 'x=$1; f \"$x\"' _ ${{ e }}",
    EVALS + 'export -f f; bash -c \'g() { f "$1"; }; g "$1"\' _ ${{ e }}',
    EVALS + "declare -fx f; bash -c 'f \"$1\"' _ ${{ e }}",
    EVALS + "export -f f; export x=${{ e }}; bash -c 'f \"$x\"'",
    EVALS + "export -f f; export x=${{ e }}; bash <<'E'\nf \"$x\"\nE\n",
    EVALS + "export -f f; bash -s -- ${{ e }} <<'E'\nf \"$1\"\nE\n",
    EVALS + "export -f f; find . -maxdepth 0 -exec bash -c 'f \"$1\"' _ ${{ e }} ';'",
    "f() { echo $(( $1 + 1 )); }; x=${{ e }}; trap 'f \"$x\"' EXIT",
    'f() { "$@"; }; x=${{ e }}; trap \'f sh -c "$x"\' EXIT',
    'f() { "$@"; }; export -f f; bash -c \'f sh -c "$1"\' _ ${{ e }}',
    "f() { sh; }; x=${{ e }}; trap 'echo \"$x\" | f' EXIT",
    'f() { read -r l; eval "$l"; }; x=${{ e }}; trap \'echo "$x" | f\' EXIT',
    "f() { sh; }; export -f f; bash -c 'echo \"$1\" | f' _ ${{ e }}",
    "f() { sh; }; export -f f; bash -c 'f <<< \"$1\"' _ ${{ e }}",
    'f() { echo "$d"; }; d=${{ e }}; trap \'eval "$(f)"\' EXIT',
    "set -- ${{ e }}; eval 'eval \"$1\"'",
}
BY_VARIABLE = {
    "f() { sh; }; g=f; echo ${{ e }} | $g",
    "f() { sh; }; case a in a) g=f;; esac; echo ${{ e }} | $g",
    "a() { bash -s; }; b() { :; }; run=a; [ -n '' ] && run=b; echo ${{ e }} | $run",
    'f() { sh; }; retry="f"; echo ${{ e }} | $retry -x',
    'f() { eval "$2"; }; g=f; $g a ${{ e }}',
    'f() { eval "$1"; }; g=f; "$g" ${{ e }}',
    'f() { eval "$1"; }; g=$(echo f); "$g" ${{ e }}',
    'f() { eval "$2"; }; for g in f; do $g a ${{ e }}; done',
    'f() { eval "$1"; }; a=(f ${{ e }}); "${a[@]}"',
    'f() { eval "$1"; }; set -- f; g=$1; "$g" ${{ e }}',
    'f() { echo ${{ e }}; }; g=f; x=$($g); eval "$x"',
    "f() { echo ${{ e }}; }; g=f; $g > s; sh s",
    "f() { echo ${{ e }}; }; g=f; $g | sh",
}
DATA = (
    "dir=${{ e }}; trap 'rm -rf \"$dir\"' EXIT",
    'x=${{ e }}; cleanup() { rm -f "$1"; }; trap \'cleanup "$x"\' EXIT',
    'x=${{ e }}; log() { logger "$*"; }; end() { log "$1"; rm -- "$1"; }; trap \'end "$x"\' EXIT INT',
    'deploy() { cp -r "$1" /srv; }; export -f deploy; timeout 600 bash -c \'deploy "$1"\' _ ${{ e }}',
    'put() { cp "$1" "$2"; }; export -f put; find . -exec bash -c \'put "$1" "$2"\' _ {} ${{ e }} \';\'',
    'retry() { "$@" || "$@"; }; x=${{ e }}; trap \'retry rm -- "$x"\' EXIT',
    'retry() { "$@" || "$@"; }; export -f retry; bash -c \'retry ls -- "$1"\' _ ${{ e }}',
    'f() { echo "$1"; }; x=${{ e }}; y=`f "$x"`; ls "$y"',
    'x=${{ e }}; end() { rc=$?; echo "$rc for $x"; exit "$rc"; }; trap end EXIT',
    'x=${{ e }}; failed() { echo "line $1"; }; trap \'failed $LINENO\' ERR; ls "$x"',
    'log() { while read -r l; do echo "> $l"; done; }; x=${{ e }}; trap \'rm -- "$x"\' EXIT; ls "$x" | log',
    'start() { ls "$1"; }; stop() { rm -- "$1"; }; for a in start stop; do "$a" ${{ e }}; done',
    "SUDO=sudo; f() { sh x.sh; }; echo ${{ e }} | $SUDO tee y",
    'wait_for() { [[ $1 -gt 3 ]] || sleep "$1"; }; wait_for 5; "$PYTHON" ${{ e }}',
)
VALUES = ("touch MADE", "; touch MADE", "a[$(touch MADE)]")


def runs(script: str, folder: Path) -> bool:
    """Whether bash runs a part of a value, were the script accepted."""
    bound = script.replace("${{ e }}", '"${OC1}"')
    for value in VALUES:
        environment = {"PATH": "/usr/bin:/bin", "OC1": value, "HOME": str(folder)}
        subprocess.run(["bash", "-c", bound], env=environment, cwd=folder, capture_output=True, timeout=20, check=False)
    return (folder / "MADE").exists()


@pytest.mark.parametrize("script", sorted(INNER))
def test_a_script_within_the_script_calls_the_functions_around_it(script: str, tmp_path: Path) -> None:
    assert runs(script, tmp_path)
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", sorted(BY_VARIABLE))
def test_a_variable_may_hold_the_name_of_a_function(script: str, tmp_path: Path) -> None:
    assert runs(script, tmp_path)
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", DATA)
def test_functions_that_take_data_are_called_there_like_anywhere(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)


def test_a_variable_of_env_is_followed_into_a_function_from_a_script_within_the_script() -> None:
    script = 'cleanup() { ssh web1 "rm -rf /tmp/$1"; }; trap \'cleanup "$DIR"\' EXIT'

    assert [one.name for one in evaluated_env(script, "bash", {"DIR": "${{ params.x }}"})] == ["DIR"]
