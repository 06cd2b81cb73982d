"""What this version cannot do as it is written is checked, said, and not run."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.catalog import Catalog
from engine.compile import compile_files
from engine.runs.planning import plan_run
from engine.runs.refused import PlanRefused
from engine.schedules.fires import upcoming
from schemas.reader import read

HEAD = "apiVersion: opsconductor/v1\n"
PROJECT = HEAD + "kind: Project\nmetadata: {name: p}\n"
PLAIN = HEAD + "kind: Job\nmetadata: {name: plain}\nspec: {steps: [{uses: dummy}]}\n"
START = datetime(2026, 11, 21, tzinfo=UTC)


def catalog(*documents: str) -> Catalog:
    text = "---\n".join((PLAIN, *documents))
    compiled = compile_files("c0ffee", [read(PROJECT.encode(), "opsconductor.yaml"), read(text.encode(), "x.yaml")])
    assert compiled.catalog is not None, compiled.findings
    return compiled.catalog


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            "{steps: [{uses: dummy, become: root}]}",
            "'become' of a step that the runner itself does is not supported yet",
        ),
    ],
)
def test_a_job_that_would_run_otherwise_than_it_is_written_does_not_run(spec: str, reason: str) -> None:
    found = catalog(f"{HEAD}kind: Job\nmetadata: {{name: held}}\nspec: {spec}\n")

    refused = plan_run(found, found.jobs["held"], params={})

    assert isinstance(refused, PlanRefused)
    assert (refused.reason, reason in refused.message) == ("notSupported", True)
    assert not isinstance(plan_run(found, found.jobs["plain"], params={}), PlanRefused)


def test_a_schedule_that_is_held_or_whose_job_is_does_not_fire() -> None:
    every = "every: 1h"
    found = catalog(
        f"{HEAD}kind: Job\nmetadata: {{name: held}}\nspec: {{steps: [{{uses: dummy, become: root}}]}}\n",
        f"{HEAD}kind: Schedule\nmetadata: {{name: a}}\nspec: {{jobRef: plain, {every}}}\n",
        f"{HEAD}kind: Schedule\nmetadata: {{name: b}}\nspec: {{jobRef: held, {every}}}\n",
    )

    assert {fire.schedule for fire in upcoming(found, START, START + timedelta(days=1))} == {"a"}
    assert set(found.held) == {"Job/held"}
