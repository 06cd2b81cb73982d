"""Of documents without a line between them the names are known, and what names another is told."""

import pytest

from engine.compile import compile_files
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = f"{HEAD}kind: Project\nmetadata: {{name: ops}}\n"
SPEC = "spec: {connections: {local: {}}}\n"


def target(name: str) -> str:
    return f"{HEAD}kind: Target\nmetadata: {{name: {name}}}\n{SPEC}"


def job(name: str, on: str) -> str:
    return (
        f"{HEAD}kind: Job\nmetadata: {{name: {name}}}\nspec: {{targets: {{names: [{on}]}}, steps: [{{run: 'true'}}]}}\n"
    )


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (target("a") + target("b"), "ab"),
        (target("a") + target("b") + target("c"), "abc"),
        (f"{HEAD}kind: Target\nmetadata: {{name: a}}\nmetadata: {{name: b}}\n{SPEC}", "ab"),
        (f'{HEAD}kind: Target\nmetadata:\n  name:\n    a\nmetadata: {{"name": "b"}}\n{SPEC}', "ab"),
    ],
    ids=["two", "three", "metadata twice", "written otherwise"],
)
def test_who_names_neither_of_two_documents_in_one_hears_of_it(file: str, names: str) -> None:
    jobs = [job(f"j{number}", name) for number, name in enumerate((*names, "zz"))]
    files = [read(text.encode(), f"definitions/{number}.yaml") for number, text in enumerate((file, *jobs))]
    found = compile_files("c" * 40, [read(PROJECT.encode(), "opsconductor.yaml"), *files]).findings

    assert {one.code for one in found if one.span.file == "definitions/0.yaml"} == {"OC108"}
    others = [(one.span.file, one.code) for one in found if one.span.file != "definitions/0.yaml"]
    assert others == [(f"definitions/{len(names) + 1}.yaml", "OC305")]
