"""What cannot work is an error: a gate that wants more people than there are never opens."""

import pytest

from tests.planned import tree

ANA = "kind: User\nmetadata: {name: ana}\nspec: {email: ana@example.org, teams: [ops]}\n"


@pytest.mark.parametrize(
    ("approval", "severity"), [("{teams: [ops], count: 3}", "error"), ("{teams: [ops], notRequester: true}", "warning")]
)
def test_a_gate_that_wants_more_people_than_there_are_is_an_error(approval: str, severity: str) -> None:
    flow = f"kind: Workflow\nmetadata: {{name: w}}\nspec: {{jobs: {{ask: {{approval: {approval}}}}}}}\n"
    found = tree(ANA, flow)
    assert {one.severity for one in found.findings if one.code == "OC316"} == {severity}, found.findings
