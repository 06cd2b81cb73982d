"""Values as words of programs that hand them on: what is refused would have run."""

from pathlib import Path

import pytest

from engine.scripts.binding import bind, prelude
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
