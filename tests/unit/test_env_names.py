"""Variables of `env` that shells and programs evaluate by their names are told where they are set, once."""

import pytest

from engine.compile import compile_files
from schemas.diagnostic import Diagnostic
from schemas.reader import read

PROJECT = "apiVersion: opsconductor/v1\nkind: Project\nmetadata: {name: ops}\n"
TARGET = "apiVersion: opsconductor/v1\nkind: Target\nmetadata: {name: a}\nspec: {connections: {local: {}}}\n"
JOB = (
    "apiVersion: opsconductor/v1\nkind: Job\nmetadata: {name: j}\nspec:\n"
    "  params: {p: {type: string}, n: {type: integer}}\n"
)
ON_TARGETS = JOB + "  targets: {names: [a]}\n"
WAIT = "    - {uses: wait, with: {duration: 1s}}\n"


def found(job: str) -> list[Diagnostic]:
    files = {"opsconductor.yaml": PROJECT, "t.yaml": TARGET, "j.yaml": job}
    return list(compile_files("c" * 40, [read(text.encode(), path) for path, text in files.items()]).findings)


def told(job: str) -> list[tuple[int, str, str]]:
    return [(one.span.line, one.code, one.severity) for one in found(job)]


@pytest.mark.parametrize(
    "steps", ["    - run: 'true'\n" * 2, WAIT, "    - run: echo $PATH\n" * 400, "    - run: |\n        $EDITOR x\n"]
)
def test_one_of_a_job_is_told_once_where_it_is_set(steps: str) -> None:
    env = "  env:\n    EDITOR: '${{ params.p }}'\n    PATH: '${{ params.p }}'\n    PS4: '${{ params.n }}'\n"
    job = f"{ON_TARGETS}{env}  steps:\n{steps}"
    assert told(job) == [(8, "OC404", "error"), (9, "OC404", "warning")]


def test_one_of_a_step_is_told_where_it_is_set() -> None:
    job = f"{ON_TARGETS}  steps:\n    - run: 'true'\n      env:\n        BASH_ENV: '${{{{ params.p }}}}'\n"
    assert told(job) == [(10, "OC404", "error")]
    step = "    - uses: script\n      with: {file: /opt/x}\n      env: {VISUAL: '${{ params.p }}'}\n"
    assert (10, "OC404", "error") in told(f"{ON_TARGETS}  steps:\n{step}")


def test_one_of_many_steps_hides_nothing_else() -> None:
    job = f"{ON_TARGETS}  env: {{EDITOR: '${{{{ params.p }}}}'}}\n  steps:\n" + "    - run: 'true'\n" * 400
    job += "    - run: echo ${{ params.q }}\n"
    assert [one.code for one in found(job)] == ["OC404", "OC402"]


def test_what_a_script_itself_evaluates_is_told_at_the_script() -> None:
    job = f"{ON_TARGETS}  env: {{N: '${{{{ params.p }}}}'}}\n  steps:\n    - run: echo $((N + 1))\n"
    assert told(job) == [(9, "OC404", "error")]
