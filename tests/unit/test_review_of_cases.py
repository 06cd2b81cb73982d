"""Plans and impacts of every document of the corpus, right, wrong and hostile: no crash, never beyond a comment."""

import pytest

from engine.changes.impact import impact
from engine.changes.plan_documents import Documents
from opsconductor.plans.planmarkdown import MOST_BYTES, as_markdown
from opsconductor.plans.planreport import as_json, as_text
from tests.document_cases import Case, cases
from tests.planned import planned, tree


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_case_can_be_planned_in_and_out_and_asked_about(case: Case) -> None:
    compiled, nothing = case.compiled(), tree()
    assert planned(compiled, compiled).documents == Documents()
    for base, head in ((nothing, compiled), (compiled, nothing)):
        plan = planned(base, head)
        assert len(as_markdown(plan).encode()) <= MOST_BYTES
        assert as_text(plan) and as_json(plan).encode()
    assert compiled.readable is not None
    for authored in (*compiled.definitions, *compiled.acts):
        assert impact(compiled.readable, authored.document.kind, authored.document.name, compiled.acts) is not None
