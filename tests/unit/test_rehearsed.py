"""A dry run as text: of what is not known yet it is said which step or node gives it."""

import pytest

from opsconductor.rehearsed import of_place, of_step


@pytest.mark.parametrize(
    ("because", "said"),
    [
        ("steps.a.outputs.n > 60", "depends on what step 'a' gives: steps.a.outputs.n > 60"),
        ("steps.a.json == steps.b.state", "depends on what steps 'a' and 'b' give: steps.a.json == steps.b.state"),
        (
            "jobs.one.outputs.v in steps.a.json",
            "depends on what step 'a' and node 'one' give: jobs.one.outputs.v in steps.a.json",
        ),
        ("run.attempt > 1", "depends: run.attempt > 1"),
        (
            "failure() && steps.a.json: false while all goes well",
            "depends: failure() && steps.a.json: false while all goes well",
        ),
        ("whether 'maybe' runs", "depends: whether 'maybe' runs"),
        ("", "depends"),
    ],
)
def test_what_depends_on_results_names_who_gives_them(because: str, said: str) -> None:
    assert of_step({"verdict": "depends", "because": because}) == said


def test_what_runs_on_such_grounds_does_not_depend() -> None:
    assert (
        of_step({"verdict": "run", "because": "steps.a.state == 'skipped'"}) == "would run: steps.a.state == 'skipped'"
    )


def test_what_only_the_run_knows_is_said_with_its_giver() -> None:
    would = {"verdict": "run", "knownOnlyAtRunTime": ["steps.a.outputs.n > 2 && steps.b.exitCode == 0", "run.id"]}
    assert list(of_place({"steps": [{"id": "x", "would": would}]})) == [
        "x would run",
        "    known only at run time: steps.a.outputs.n > 2 && steps.b.exitCode == 0 (what steps 'a' and 'b' give)",
        "    known only at run time: run.id",
    ]
