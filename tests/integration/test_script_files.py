"""Scripts that lie in the repository, from the plan to what they print."""

from dataclasses import replace

from engine.runs.pinned import PlannedStep, Script
from engine.runs.planning import Planned, plan_run
from engine.states import StepState
from tests.planned import job, tree
from tests.running import Bench, bench

__all__ = ["bench"]

OK, FAILED = StepState.SUCCEEDED, StepState.FAILED
HERE = "kind: Target\nmetadata: {name: here}\nspec: {connections: {local: {}}}\n"


def planned(steps: str) -> tuple[PlannedStep, ...]:
    compiled = tree(HERE, job("work", "{names: [here]}", steps=steps))
    assert compiled.catalog is not None, compiled.findings
    found = plan_run(compiled.catalog, compiled.catalog.jobs["work"], params={})
    assert isinstance(found, Planned), found
    return tuple(replace(step, continue_on_error=True) for step in found.spec.steps)


async def test_a_script_of_the_repository_runs_as_it_stands_there(bench: Bench) -> None:
    (bench.files / "say.sh").write_text("printf '%s' \"$WORD ${{ params.no }}\"")
    (bench.files / "say.py").write_text("import os; print(os.environ['WORD'] * 2, end='')")
    (bench.files / "raw").write_bytes(b"\xff\xfe")
    text = "outputs: {said: '${{ stdout }}'}, env: {WORD: '$(id) ${{ 1 + 1 }}'}"
    steps = planned(
        f"""[{{id: sh, uses: script, with: {{file: "${{{{ 'say' }}}}.sh", shell: bash}}, {text}}},
        {{id: py, uses: local.exec, with: {{file: say.py, shell: python3}}, {text}}},
        {{id: raw, uses: script, with: {{file: raw}}}},
        {{id: gone, uses: script, with: {{file: gone.sh}}}},
        {{id: out, uses: script, with: {{file: "${{{{ '../say.sh' }}}}"}}}}]"""
    )
    assert isinstance(steps[0].action, Script)
    ran = await bench.execute(*steps)
    assert ran.states() == {"sh": FAILED, "py": OK, "raw": FAILED, "gone": FAILED, "out": FAILED}, ran.steps()
    assert ran.steps()["py"].outputs == {"said": "$(id) 2$(id) 2"}
    assert "bad substitution" in (ran.steps()["sh"].stderr_tail or ""), "nothing in the file is an expression"
    assert "UTF-8" in (ran.steps()["raw"].error or "")
    assert "within the repository" in (ran.steps()["out"].error or "")
