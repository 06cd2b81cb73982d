"""A file that is no YAML: an act there rejects no commit, and a definition there never vanishes without a word."""

import pytest

from engine.compile import compile_files
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: p}}\n"
ACT = f"{HEAD}kind: RunRequest\nmetadata: {{name: ask}}\nspec: {{jobRef: important"
JOB = "metadata: {name: important}\nspec: {steps: [{uses: dummy}]}\n"
FLOW = "{apiVersion: opsconductor/v1, kind: Job, metadata: {name: important}, spec: {steps: [{uses: dummy}]}}\n"


def accepted(text: str) -> bool:
    compiled = compile_files("c0ffee", [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "x.yaml")])
    assert compiled.findings
    return compiled.catalog is not None


@pytest.mark.parametrize(
    "text",
    [
        ACT,
        f"# asked by ann\n{ACT}",
        f"---\n{ACT}\n",
        f"{ACT}}}\n---\n{ACT}",
        f"--- # one\n\n{ACT}",
        f"{HEAD}kind : 'RunRequest'\nmetadata: {{name: ask}}\nspec: {{jobRef: x",
        f"{HEAD}kind: Approval\nmetadata: {{name: yes-yes}}\nspec: &x {{gate: x}}\n",
    ],
)
def test_an_act_that_is_no_yaml_rejects_no_commit(text: str) -> None:
    assert accepted(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{FLOW}---\n{ACT}",
        f"--- {FLOW}---\n{ACT}",
        f'{HEAD}"kind": Job\n{JOB}---\n{ACT}',
        f"{HEAD}? kind\n: Job\n{JOB}---\n{ACT}",
        f"{HEAD}kind: Job\n{JOB}---\n{ACT}",
        f"{HEAD}kind : Job\n{JOB}---\n{ACT}",
        f"{HEAD}!!str kind: Job\n{JOB}---\n{ACT}",
        f"{HEAD}{JOB}kind:\n  Job\n---\n{ACT}",
        f'{{kind: Job, x: "\nkind: RunRequest\n"}}\n---\n{ACT}',
        f"...\n{FLOW}---\n{ACT}",
        f"{ACT}\n---\n{FLOW}",
        f"{ACT}\nkind: Job\n",
        "}",
        "# nothing\n---\n}",
    ],
)
def test_a_file_that_may_hold_a_definition_rejects_its_commit(text: str) -> None:
    assert not accepted(text)


@pytest.mark.parametrize(
    ("text", "invalid"),
    [
        (f"{ACT}, wrong: 1}}\n", {"ask": 4}),
        (f"{ACT}, jobRef: x}}\n", {"ask": 4}),
        (f"{ACT}, wrong: 1}}\n---\n{ACT.replace('ask', 'two')}}}\n", {"ask": 4}),
        (f"{ACT}}}\n---\n{ACT.replace('ask', 'two')}, jobRef: x}}\n", {"two": 9}),
        (f"{HEAD}kind: Job\n{JOB}---\n{ACT}, wrong: 1}}\n", {"ask": 9}),
        (f"{HEAD}kind: Job\nspec: {{}}\n{JOB}---\n{ACT}, wrong: 1}}\n", {}),
        (f"{ACT}}}\n", {}),
        (ACT, {}),
    ],
)
def test_an_act_at_fault_is_known_by_its_name(text: str, invalid: dict[str, int]) -> None:
    """Not where the file cannot be read, or a definition in it spoils it: then nobody knows whether it is at fault."""
    found = read(text.encode(), "x.yaml").within("y.yaml").invalid_acts
    assert {name: error.span.line for name, error in found} == invalid
    assert all(error.span.file == "y.yaml" for _, error in found)
