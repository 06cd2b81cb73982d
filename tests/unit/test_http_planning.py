"""What a plan pins for steps that talk to servers themselves."""

import pytest

from engine.runs.pinned import dump, load
from engine.runs.planning import Planned, plan_run
from engine.runs.refused import PlanRefused
from tests.planned import tree

POOL = "kind: RunnerPool\nmetadata: {name: default}\nspec: {networks: [10.1.0.0/16]}\n"
TOKEN = "kind: Credential\nmetadata: {name: tok}\nspec: {type: token, from: {file: tok}REST}\n"
API = (
    "kind: Target\nmetadata: {name: api}\n"
    "spec: {connections: {http: {baseUrl: 'https://api.example.org/v1', credentialRef: tok}}}\n"
)
JOB = "kind: Job\nmetadata: {name: call}\nspec: {STEPS}\n"
NAMED = "steps: [{uses: http.request, with: {url: 'https://a.example/', credentialRef: tok}}]"
BELOW = "targets: {names: [api]}, steps: [{uses: http.request, with: {url: /items}}]"
ABSOLUTE = "targets: {names: [api]}, steps: [{uses: http.request, with: {url: 'https://a.example/'}}]"


def planned(steps: str) -> Planned | PlanRefused:
    found = tree(POOL, TOKEN.replace("REST", ""), API, JOB.replace("STEPS", steps))
    assert found.catalog is not None, found
    return plan_run(found.catalog, found.catalog.jobs["call"], params={})


@pytest.mark.parametrize(("steps", "credentials"), [(NAMED, {"tok"}), (BELOW, {"tok"}), (ABSOLUTE, set())])
def test_a_plan_has_the_credentials_and_the_networks_of_its_requests(steps: str, credentials: set[str]) -> None:
    found = planned(steps)
    assert isinstance(found, Planned), found
    assert set(found.spec.credentials) == credentials
    assert found.spec.networks == ("10.1.0.0/16",)
    assert load(dump(found.spec)) == found.spec


def test_a_request_gets_no_credential_that_its_job_may_not_use() -> None:
    found = tree(POOL, TOKEN.replace("REST", ", allowedFor: {matchLabels: {team: other}}"), JOB.replace("STEPS", NAMED))
    assert found.catalog is None and "OC604" in {finding.code for finding in found.findings}
