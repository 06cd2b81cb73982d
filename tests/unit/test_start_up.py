"""What a command loads before it works: who checks a small repository must not wait for what only `up` needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "definitions" / "hello"
NEVER = {"asyncssh", "apprise", "mcp", "sqlalchemy", "asyncio", "jinja2", "pygit2", "jsonschema", "typer"}
RARELY = {
    "engine.times.recurrence",
    "engine.times.rulewalls",
    "engine.checks.nameddays",
    "schemas.status",
    "schemas.publish",
}
"""What a plain repository does not ask for."""
PLAIN = "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: plain}\nspec: {steps: [{uses: dummy}]}\n"
SCRIPT = """\
apiVersion: opsconductor/v1
kind: Target
metadata: {name: here}
spec: {connections: {local: {}}}
---
apiVersion: opsconductor/v1
kind: Job
metadata: {name: plain}
spec: {targets: {names: [here]}, steps: [{run: "echo"}]}
"""
SCANNERS = {
    "engine.scripts.posix_shell.plain",
    "engine.scripts.posix_shell.scan",
    "engine.scripts.python_script",
    "engine.scripts.powershell_script",
}
PROGRAM = """
import json, sys
from opsconductor.cli.main import call
code = call(["validate", sys.argv[1]])
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded(folder: Path) -> set[str]:
    """The modules that `validate` has loaded when it is done, of a folder that it has never seen."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PYDANTIC_DISABLE_PLUGINS": "__all__", "XDG_CACHE_HOME": os.devnull},
    )  # fmt: skip
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout
    return set(modules)


def test_validate_loads_nothing_that_it_does_not_use() -> None:
    assert loaded(SAMPLE) & (NEVER | RARELY) == set()


@pytest.mark.parametrize(("text", "expected"), [(PLAIN, False), (PLAIN.replace("dummy}", 'dummy, if: "1 > 0"}'), True)])
def test_expressions_are_loaded_where_there_is_one(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_text((SAMPLE / "opsconductor.yaml").read_text())
    (tmp_path / "definitions" / "x.yaml").write_text(text)

    assert ("cel.cel" in loaded(tmp_path)) is expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo a", set()),
        ("echo ${{ job.name }}", {"engine.scripts.posix_shell.plain"}),
        ("f() { echo ${{ job.name }}; }; f", {"engine.scripts.posix_shell.plain", "engine.scripts.posix_shell.scan"}),
    ],
)
def test_scripts_are_scanned_where_there_is_an_expression(tmp_path: Path, script: str, expected: set[str]) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "opsconductor.yaml").write_text((SAMPLE / "opsconductor.yaml").read_text())
    (tmp_path / "definitions" / "x.yaml").write_text(SCRIPT.replace("echo", script))

    assert loaded(tmp_path) & SCANNERS == expected
