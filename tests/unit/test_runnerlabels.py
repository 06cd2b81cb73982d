"""Labels that jobs ask of runners."""

import pytest

from engine.catalog import Catalog
from engine.runs.planning import Planned, plan_run
from engine.runs.runnerlabels import labels_of, left_to_ask, met, text_of
from engine.runs.waits import Wait, sentence, wait_file
from tests.catalogs import catalog


def test_labels_are_one_text_in_the_order_of_the_keys() -> None:
    assert text_of({"site": "eu", "gpu": ""}) == "gpu=,site=eu"
    assert labels_of("gpu=,site=eu") == {"site": "eu", "gpu": ""}
    assert text_of({}) is None
    assert labels_of(None) == {}


@pytest.mark.parametrize(
    ("asked", "has", "answer"),
    [
        (None, {}, True),
        ("site=eu", {"site": "eu", "rack": "7"}, True),
        ("rack=7,site=eu", {"site": "eu"}, False),
        ("site=eu", {"site": "us"}, False),
        ("site=eu", {}, False),
        ("site=eu", None, True),
    ],
)
def test_a_runner_must_have_all_labels(asked: str | None, has: dict[str, str] | None, answer: bool) -> None:
    assert met(asked, has) is answer


def test_what_the_pool_has_is_not_asked_of_its_runners() -> None:
    assert left_to_ask({"site": "eu", "gpu": "yes"}, {"site": "eu", "gpu": "no"}) == {"gpu": "yes"}


def planned(found: Catalog, job: str) -> dict[str, str]:
    plan = plan_run(found, found.jobs[job], params={})
    assert isinstance(plan, Planned)
    return plan.spec.needs


def test_a_plan_keeps_what_the_runner_itself_must_say() -> None:
    found = catalog(
        "kind: RunnerPool\nmetadata: {name: default}\nspec: {labels: {site: eu}}",
        "kind: Job\nmetadata: {name: plain}\nspec: {steps: [{uses: wait, with: {duration: 1s}}]}",
        "kind: Job\nmetadata: {name: asks}\n"
        "spec: {runsOn: {labels: {site: eu, gpu: 'yes'}}, steps: [{uses: wait, with: {duration: 1s}}]}",
    )
    assert planned(found, "plain") == {}
    assert planned(found, "asks") == {"gpu": "yes"}


def test_what_waits_says_for_which_runner() -> None:
    waits = wait_file(Wait(pool="dmz", needs="gpu=yes,site=eu"))
    assert waits == {"waitsFor": {"pool": "dmz", "labels": {"gpu": "yes", "site": "eu"}}}
    assert sentence(waits["waitsFor"]) == "waits for a runner of pool dmz with labels gpu=yes,site=eu"
