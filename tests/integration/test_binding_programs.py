"""Values as words of programs that hand them on: what is refused would have run."""

from pathlib import Path

import pytest

from engine.scripts.binding import Bound, bind, prelude
from tests.integration.test_binding_injection import CANARY, run, sprung, trap

__all__ = ["trap"]

# Starts what --entrypoint names with the words after the image, as docker does in a container.
DOCKER = """#!/bin/sh
[ "$1" = run ] && shift
case $1 in
    --entrypoint=) shift 2; exec "$@" ;;
    --entrypoint=*) entry=${1#*=}; shift 2; exec "$entry" "$@" ;;
esac
"""
IN_CONTAINERS = [
    "docker run --entrypoint=sh alpine -c ${{ e }}",
    "docker run --entrypoint=/bin/sh alpine -ec ${{ e }}",
    "docker run --entrypoint=env alpine ${{ e }}",
    "docker run --entrypoint= alpine ${{ e }}",
    "docker run --entrypoint=sh alpine -c 'eval \"$1\"' _ ${{ e }}",
]


@pytest.mark.parametrize("script", IN_CONTAINERS)
def test_an_entry_point_is_the_command_that_gets_the_value(script: str, trap: Path) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    docker = trap.parent / "bin" / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    run("bash", prelude("bash", [CANARY]) + script.replace("${{ e }}", '"${OC1}"'), trap)
    assert sprung(trap)


BY_ARRAYS = [
    'c=(dash); if false; then c=(echo); fi; c+=(-c); "${c[@]}" ${{ e }}',
    'c=(echo); f() { c+=(-c); }; c=(dash); f; "${c[@]}" ${{ e }}',
    'f() { "${c[@]}" ${{ e }}; }; c=(echo); h() { c+=(-c); f; }; g() { c=(dash); h; }; g',
    'c=(dash); declare -n r=c; r+=(-c); "${c[@]}" ${{ e }}',
    'c=(dash); x=-c; c+=($x); "${c[@]}" ${{ e }}',
    'x=-c; c=(dash "$x"); "${c[@]}" ${{ e }}',
    'x="dash -c"; c=($x); "${c[@]}" ${{ e }}',
    'd=(-c); c=(dash "${d[@]}"); "${c[@]}" ${{ e }}',
    'c=(-c); c=(dash "${c[@]}"); "${c[@]}" ${{ e }}',
    'set -- -c; c=(dash "$@"); "${c[@]}" ${{ e }}',
    'c=(dash $(printf %s -c)); "${c[@]}" ${{ e }}',
    'c=(dash); x=1; c+=("${x:+-c}"); "${c[@]}" ${{ e }}',
    'c=(dash); true && c+=(-c); false && c+=(-s); "${c[@]}" ${{ e }}',
    'c=(dash); for i in 1 2; do [ $i = 2 ] && c+=(-c); [ $i = 1 ] && c+=(-e); done; "${c[@]}" ${{ e }}',
    'c=(dash); for i in -c; do c+=($i); done; "${c[@]}" ${{ e }}',
    'c=(echo); for i in 1 2; do "${c[@]}" ${{ e }}; c=(dash -c); done',
    'c=(dash -- -c); unset "c[1]"; "${c[@]}" ${{ e }}',
    'c=(echo); c[0]=eval; "${c[@]}" ${{ e }}',
]
FILLED = [
    'c=(kubectl -n "$NS"); [ x ] && c+=(--context "$CTX"); "${c[@]}" get pod ${{ e }}',
    'c=(docker run --rm)\n[ a ] && c+=(-e A=1)\n[ b ] && c+=(-v "$PWD:/x")\n[ d ] && c+=(--init)\n[ f ] && c+=(-t)\n'
    '"${c[@]}" "$image" --name ${{ e }}',
    'c=(docker run)\nfor p in 80 443; do c+=(-p "$p:$p"); done\n"${c[@]}" "$image" --name ${{ e }}',
    'opts=(-a --delete); c=(rsync "${opts[@]}"); "${c[@]}" ${{ e }} a b',
    'NS=web; c=(kubectl -n $NS); "${c[@]}" get ${{ e }}',
    'c=(curl -sS); c=("${c[@]}" -k); "${c[@]}" "https://x/${{ e }}"',
    'c=(curl -H "A: ${T:-none}" -o "$(mktemp)"); "${c[@]}" ${{ e }}',
    'SUDO=(); [ x ] && SUDO=(sudo); c=("${SUDO[@]}" systemctl); "${c[@]}" restart ${{ e }}',
    'c=(aws s3)\nfor i in 1 2 3; do [ $i = 3 ] && c+=(--debug); done\n"${c[@]}" cp ${{ e }} x',
    'for h in a b; do c=(ssh-keyscan); [ x ] && c+=(-p 22); "${c[@]}" ${{ e }}; done',
    'f() { local c=(sudo -u app); [ x ] && c+=(-n); "${c[@]}" ls ${{ e }}; }; f',
    "c=(ls)\n" + "".join(f"[ {number} ] && c+=(--o{number})\n" for number in range(6)) + '"${c[@]}" ${{ e }}',
]


@pytest.mark.parametrize("script", BY_ARRAYS)
def test_all_that_an_array_may_hold_is_judged_as_the_command(script: str, trap: Path) -> None:
    assert isinstance(bind(script, "bash"), tuple)
    run("bash", prelude("bash", [CANARY]) + script.replace("${{ e }}", '"${OC1}"'), trap)
    assert sprung(trap)


@pytest.mark.parametrize("script", FILLED)
def test_arrays_that_the_script_fills_with_its_own_words_are_accepted(script: str) -> None:
    assert isinstance(bind(script, "bash"), Bound), bind(script, "bash")


def test_the_hint_says_how_an_array_is_known() -> None:
    refused = bind('c=(curl --retry $N); "${c[@]}" ${{ e }}', "bash")
    assert isinstance(refused, tuple)
    assert 'command=(curl --retry "$n")' in refused[0].hint
    assert isinstance(bind('c=(curl --retry "$N"); "${c[@]}" ${{ e }}', "bash"), Bound)
