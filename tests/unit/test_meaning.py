"""What the models say of expressions in their fields, against the checks that read these expressions."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from schemas.kinds import MODELS
from schemas.meaning import Meaning, meanings
from tests.document_cases import CASES, Case

JOB = "kind: Job\nmetadata: {name: j}\nspec: "
STEP = JOB + '{targets: {groups: [everything]}, steps: [{run: "true", '
WORKFLOW = "kind: Workflow\nmetadata: {name: w}\nspec: "
NODE = WORKFLOW + "{jobs: {n: {jobRef: free, "
TRIGGER = "kind: Trigger\nmetadata: {name: t}\nspec: {event: {run: {jobs: [free]}}, jobRef: free, "
LIBRARY_STEP = "kind: Step\nmetadata: {name: s}\nspec: {script: s.sh, "
EVALUATED = {
    "Step.if": STEP + "if: X}]}",
    "Step.run": JOB + '{targets: {groups: [everything]}, steps: [{run: "echo X"}]}',
    "Step.with": JOB + "{steps: [{uses: wait, with: {for: X}}]}",
    "Step.env": STEP + "env: {A: X}}]}",
    "Step.workingDir": STEP + "workingDir: X}]}",
    "Step.stdin": STEP + "stdin: X}]}",
    "Step.forEach.items": STEP + "forEach: {items: X}}]}",
    "Step.okExitCodes": STEP + "okExitCodes: [X]}]}",
    "Step.retry.if": STEP + "retry: {maxAttempts: 2, if: X}}]}",
    "Step.outputs": STEP + "outputs: {a: X}}]}",
    "JobSpec.env": STEP + "}], env: {A: X}}",
    "JobSpec.outputs": STEP + "}], outputs: {a: X}}",
    "JobSpec.concurrency.group": STEP + "}], concurrency: {group: X}}",
    "Node.if": NODE + "if: X}}}",
    "Node.params": NODE + "params: {a: X}}}}",
    "Node.limit": NODE + "limit: {selector: {matchLabels: {a: X}}}}}}",
    "Node.forEach.items": NODE + "forEach: {items: X}}}}",
    "WorkflowSpec.outputs": NODE + "}}, outputs: {a: X}}",
    "WorkflowSpec.concurrency.group": NODE + "}}, concurrency: {group: X}}",
    "TriggerSpec.if": TRIGGER + "if: X}",
    "TriggerSpec.params": TRIGGER + "params: {a: X}}",
    "TriggerSpec.dedupe.key": TRIGGER + "dedupe: {key: X, window: 1h}}",
    "Classification.if": "kind: Discovery\nmetadata: {name: d}\nspec: {networks: [10.9.0.0/24], classify: [{if: X}]}",
    "LibraryStepSpec.env": LIBRARY_STEP + "env: {A: X}}",
    "LibraryStepSpec.outputs.value": LIBRARY_STEP + "outputs: {a: {type: string, value: X}}}",
}
"""By field: a document with an expression in it, for which X stands, over a name that nowhere is."""
SHARED = {
    "Retry": "Step.retry",
    "ForEach": "Step.forEach",
    "Concurrency": "JobSpec.concurrency",
    "Dedupe": "TriggerSpec.dedupe",
}
"""Models that are part of others, by where they are."""
LIBRARY = CASES / "right" / "library" / "library.yaml"


@pytest.mark.parametrize("field", EVALUATED)
def test_an_expression_is_read_in_the_fields_that_the_models_call_evaluated(field: str) -> None:
    text = EVALUATED[field]
    written = text.replace("X", "${{ nobody.here }}" if "echo X" in text else '"${{ nobody.here }}"')
    placed = "libraries/web-core/steps/s.yaml" if "kind: Step\n" in text else "case.yaml"
    data = f"apiVersion: opsconductor/v1\n{written}\n".encode()

    found = Case(field, data, (), placed, beside=(LIBRARY,)).compiled().findings

    told = [one for one in found if one.span.file == placed]
    assert [one.code for one in told if "there is no 'nobody'" in one.message] == ["OC402"]
    assert "OC407" not in [one.code for one in told]


def test_no_other_field_is_called_evaluated() -> None:
    marked = {
        f"{SHARED.get(model.__name__, model.__name__)}.{alias}"
        for model in _models()
        for _, alias, meaning in meanings(model)
        if meaning is Meaning.EXPRESSION
    }

    again = {"Node.forEach.items", "WorkflowSpec.concurrency.group"}
    assert marked == EVALUATED.keys() - again - {"LibraryStepSpec.outputs.value"}


def _models() -> Iterator[type[BaseModel]]:
    """All models that documents are made of."""
    seen: set[type[BaseModel]] = set()
    waiting: list[Any] = list(MODELS.values())
    while waiting:
        one = waiting.pop()
        if not (isinstance(one, type) and issubclass(one, BaseModel)):
            waiting += get_args(one)
        elif one not in seen:
            seen.add(one)
            yield one
            waiting += (field.annotation for field in one.model_fields.values())
