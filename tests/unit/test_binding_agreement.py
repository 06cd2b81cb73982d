"""Validation and planning judge a script alike: what the one passes, the other plans."""

import json
from typing import Any

import pytest

from engine.compile import compile_files
from engine.runs.planning import Planned, plan_run
from engine.runs.refused import PlanRefused
from engine.scripts.binding import NUMBER_HINT
from schemas.job import Job
from schemas.kinds import MODELS
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\n"
PARAMS = {"n": {"type": "integer", "default": 1}, "s": {"type": "string", "default": "a"}, "m": {"type": "integer"}}
RIGHT: list[dict[str, Any]] = [
    {"run": "echo $(( ${{ params.n }} + ${{ params.m }} ))"},
    {"run": "n=${{ params.n }}; echo $((n))"},
    {"run": "echo $((N))", "env": {"N": "${{ params.n }}"}},
    {"run": "echo $((N))", "env": {"N": "${{ int(params.s) }}"}},
    {"run": "echo $((N)) $JOB", "env": {"N": "5"}},
    {"run": "case $N in *[!0-9]*) exit 2;; esac; echo $((N))", "env": {"N": "${{ params.s }}"}},
    {"uses": "local.exec", "with": {"run": "echo $((N)) ${{ params.s }}"}, "env": {"N": "${{ params.n }}"}},
    {"run": "print(int(N), ${{ params.s }})", "shell": "python3", "env": {"N": "${{ params.s }}"}},
    {"run": "echo ${{ n }}", "forEach": {"items": ["a"], "as": "n"}},
    {"run": "exit 1", "id": "a", "outputs": {"n": "${{ int(stdout) }}"}, "rescue": [
        {"run": "echo $((N)) $(( ${{ steps.a.outputs.n }} ))", "env": {"N": "${{ steps.a.outputs.n }}"}}
    ]},
    {"run": "exit 1", "id": "a", "outputs": {"n": 3, "m": "${{ exitCode + 1 }}"}, "rescue": [
        {"run": "echo $(( ${{ steps.a.outputs.n }} + ${{ steps.a.outputs.m }} ))"}
    ]},
]  # fmt: skip
WRONG: list[dict[str, Any]] = [
    {"run": "echo $(( ${{ params.s }} + 1 ))"},
    {"run": "n=${{ params.s }}; echo $((n))"},
    {"run": "echo $((N))", "env": {"N": "${{ params.s }}"}},
    {"run": "echo $((JOB))"},
    {"run": "m=$N; (( m > 1 ))", "shell": "bash", "env": {"N": "x${{ params.s }}"}},
    {"uses": "local.exec", "with": {"run": "echo $((N))", "shell": "bash"}, "env": {"N": "${{ params.s }}"}},
    {"run": "echo $(( ${{ item }} ))", "forEach": {"items": ["a"]}},
    {"run": "echo $(( ${{ params.n }} ))", "forEach": {"items": [{"n": "a"}], "as": "params"}},
    {"run": "true", "rescue": [{"run": "echo $((N))", "env": {"N": "${{ params.s }}"}}]},
    {"run": "flock l -c ${{ params.s }}"},
    {"run": "exit 1", "id": "a", "outputs": {"n": "${{ stdout }}", "m": "1${{ stdout }}"}, "rescue": [
        {"run": "echo $(( ${{ steps.a.outputs.n }} )) $(( ${{ steps.a.outputs.m }} ))"}
    ]},
    {"run": "echo $(( ${{ steps.step_1.outputs.n }} ))"},
]  # fmt: skip


def judged(step: dict[str, Any]) -> tuple[list[str], Planned | PlanRefused]:
    """The codes that validation finds, and what planning says."""
    spec = {"params": PARAMS, "env": {"JOB": "${{ job.name }}"}, "targets": {"names": ["t"]}, "steps": [step]}
    document = {"apiVersion": "opsconductor/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    files = {
        "opsconductor.yaml": f"{HEAD}kind: Project\nmetadata: {{name: x}}\n",
        "definitions/t.yaml": f"{HEAD}kind: Target\nmetadata: {{name: t}}\nspec: {{connections: {{local: {{}}}}}}\n",
    }
    around = [read(text.encode(), file) for file, text in files.items()]
    bare = compile_files("c0ffee", around)
    found = compile_files("c0ffee", [*around, read(json.dumps(document).encode(), "definitions/j.yaml")])
    job = MODELS["Job"].model_validate(document)
    assert bare.catalog is not None, bare.findings
    assert isinstance(job, Job)
    return [one.code for one in found.findings if one.severity == "error"], plan_run(bare.catalog, job, params={})


@pytest.mark.parametrize("step", RIGHT)
def test_what_is_valid_is_planned(step: dict[str, Any]) -> None:
    codes, plan = judged(step)
    assert codes == []
    assert isinstance(plan, Planned), plan


@pytest.mark.parametrize("step", WRONG)
def test_what_is_refused_is_not_planned(step: dict[str, Any]) -> None:
    codes, plan = judged(step)
    assert "OC404" in codes
    assert isinstance(plan, PlanRefused)


def test_the_hint_names_a_way_that_is_right() -> None:
    assert "int(" in NUMBER_HINT
    assert judged({"run": "n=${{ params.s }}; case $n in ''|*[!0-9]*) exit 2;; esac; echo $((n))"})[0] == []
