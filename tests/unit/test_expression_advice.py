"""What an expression is advised that calls what there is, in a form in which there is none."""

import pytest

from engine.compile import compile_files
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\nkind: "


@pytest.mark.parametrize(
    ("condition", "advice"),
    [
        ('matches(params.s, "x")', "it is called on a value, as in value.matches(…)"),
        ("params.s.int() == 1", "it is called by itself, as in int(value)"),
        ("params.s.success()", "it is called by itself, as in success()"),
        ('params.s.match("x")', "did you mean 'matches'?"),
    ],
)
def test_the_form_in_which_it_is_called_is_shown(condition: str, advice: str) -> None:
    job = (
        f"{HEAD}Job\nmetadata: {{name: j}}\n"
        f"spec: {{params: {{s: {{type: string}}}}, steps: [{{uses: dummy, if: '{condition}'}}]}}\n"
    )
    project = f"{HEAD}Project\nmetadata: {{name: p}}\nspec: {{}}\n"
    files = [read(project.encode(), "opsconductor.yaml"), read(job.encode(), "definitions/j.yaml")]
    (found,) = (one for one in compile_files("c", files).findings if one.code == "OC401")
    assert found.hint == advice
