"""A variable may be reached without its name: by `${!x}`, by a list of names, by a reference, by the environment."""

import subprocess
from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind
from schemas.job import Shell
from tests.everyday_scripts import EVERYDAY_BASH

RUN = {
    'set -- ${{ e }}; eval "${!#}"',
    'set -- ${{ e }}; i=1; eval "${!i}"',
    'n=1; set -- ${{ e }}; n=$#; eval "${!n}"',
    'f() { eval "${!#}"; }; f a ${{ e }}',
    'f() { local last=$#; eval "${!last}"; }; f a ${{ e }}',
    'set -- ${{ e }}; sh -c "${!#}"',
    'set -- ${{ e }}; last=${!#}; eval "$last"',
    'bash -c \'f() { eval "${!#}"; }; f "$@"\' _ ${{ e }}',
    'y_a=${{ e }}; for v in ${!y_*}; do eval "${!v}"; done',
    'y_a=${{ e }}; for v in "${!y_@}"; do x=${!v}; eval "$x"; done',
    'y_a=${{ e }}; set -- ${!y*}; eval "${!1}"',
    'y_a=${{ e }}; a=(${!y*}); eval "${!a}"',
    'y_a=${{ e }}; for v in $(compgen -v y_); do eval "${!v}"; done',
    'y_a=${{ e }}; n=a; k="y_$n"; eval "${!k}"',
    'y_a=${{ e }}; v=y; v+=_a; eval "${!v}"',
    'y_a=${{ e }}; printf -v z %s "${!y_@}"; eval "${!z}"',
    'y_a=${{ e }}; v=y; declare -n r=${v}_a; eval "$r"',
    'export y_a=${{ e }}; eval "$(printenv y_a)"',
    'export y_a=${{ e }}; eval "$(env | sed -n s/^y_a=//p)"',
    "history -s ${{ e }}; fc -s",
}
"""With `touch FILE` as the value bash makes the file."""
EXPANDED = {
    "read -r PS4 <<< ${{ e }}; set -x; :",
    "for PS4 in ${{ e }}; do set -x; :; done",
    'x=${{ e }}; for PS4 in "$x"; do set -x; :; done',
    'x=${{ e }}; unset PS4; : "${PS4:=$x}"; set -x; :',
    'set -- ${{ e }}; echo "${@@P}"',
    'set -- ${{ e }}; echo "${1@P}"',
    'set -- ${{ e }}; echo "${!#@P}"',
}
"""The same with `$(touch FILE)`."""
SET_OTHERWISE = (
    "for PATH in ${{ e }}; do ls; done",
    "read -r PATH <<< ${{ e }}; ls",
    "read -r BASH_ENV <<< ${{ e }}; export BASH_ENV; bash -c :",
    "export EDITOR; read -r EDITOR <<< ${{ e }}; git commit",
    'set -- ${{ e }}; "${!#}"',
    "GNUMAKEFLAGS=${{ e }} make",
    "SVN_SSH=${{ e }} svn ls svn+ssh://h/r",
    "RSYNC_CONNECT_PROG=${{ e }} rsync a b",
    "BORG_PASSCOMMAND=${{ e }} borg list",
    "x=${{ e }}; echo $(( ${#x} + x ))",
    "x=${{ e }}; echo $(( ${#a[$x]} ))",
    "x=${{ e }}; echo $(( ${#a[x]} ))",
    'systemd-run --property="ExecStartPost=${{ e }}" ls',
    "logrotate -m ${{ e }} c",
    'exim -be "${{ e }}"',
    "go build -toolexec ${{ e }} ./...",
    "gcc -wrapper ${{ e }} f.c",
    "gtimeout 5 ${{ e }}",
    "genv ${{ e }}",
    "gxargs ${{ e }}",
)


def ran(script: str, value: str, folder: Path) -> bool:
    """What bash makes of it, were it accepted."""
    bound = script.replace("${{ e }}", '"${OC1}"')
    environment = {"PATH": "/usr/bin:/bin", "OC1": value, "HOME": str(folder)}
    subprocess.run(["bash", "-c", bound], env=environment, cwd=folder, capture_output=True, timeout=20, check=False)
    return (folder / "MADE").exists()


@pytest.mark.parametrize("script", sorted(RUN))
def test_a_value_that_is_reached_without_its_name_is_refused(script: str, tmp_path: Path) -> None:
    assert ran(script, "touch MADE", tmp_path)
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", sorted(EXPANDED))
def test_what_is_expanded_once_more_is_refused(script: str, tmp_path: Path) -> None:
    assert ran(script, "$(touch MADE)", tmp_path)
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("script", SET_OTHERWISE)
def test_variables_that_programs_evaluate_take_no_value_in_any_way(script: str) -> None:
    assert not isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize(
    "script",
    [
        'for v in HOST PORT; do [ -n "${!v}" ] || exit 1; done; echo ${{ e }}',
        'n=HOST; x=${!n}; ssh -- "$x" uptime; echo ${{ e }}',
        'x=${{ e }}; for k in A B; do v=${!k}; echo $((v + 1)); done; echo "$x"',
        'a=(1 2); for i in "${!a[@]}"; do echo $((i+1)) ${{ e }}; done',
        'f() { local -n out=$1; out+=(1); echo "${#out[@]}"; }; f y; echo ${{ e }}',
        'set -- a ${{ e }}; last=${!#}; ls -- "$last"',
        'x=${{ e }}; n=$(printenv COUNT); echo $((n+1)) "$x"',
        "x=${{ e }}; echo $(( ${#x} + 1 ))",
        "x=${{ e }}; [[ ${#x} -gt 3 ]] && echo long",
        "x=(${{ e }}); for ((i = 0; i < ${#x[@]}; i++)); do echo $i; done",
        'x=${{ e }}; : "${EDITOR:=vi}"; for ENV in dev prod; do echo "$ENV $x"; done',
    ],
)
def test_names_that_are_written_out_refuse_nothing_else(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_list_of_names_hides_nothing_in_everyday_scripts(shell: Shell) -> None:
    """An indirection by a written name stands beside any of them."""
    if shell == "bash":
        beside = (f'which=HOST; there="${{!which}}"; {line}' for line in EVERYDAY_BASH)
        assert [line for line in beside if not isinstance(bind(line, shell), Bound)] == []
    assert isinstance(bind("env | sort; echo ${{ e }}", shell), Bound)
