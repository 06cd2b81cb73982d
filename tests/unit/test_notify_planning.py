"""What a plan pins for messages, and which channels a job may use."""

import pytest

from engine.runs.pinned import dump, load
from engine.runs.planning import Planned, plan_run
from tests.planned import tree

SLACK = "kind: NotificationChannel\nmetadata: {name: ops}\nspec: {type: slack, credentialRef: url}\n"
URL = "kind: Credential\nmetadata: {name: url}\nspec: {type: token, from: {file: url}}\n"
MINE = URL.replace("}}", "}, allowedFor: {matchLabels: {a: b}}}")
FAR = "kind: NotificationChannel\nmetadata: {name: ops}\nspec: {type: slack, url: 'https://x.example/', pool: far}\n"
POOL = "kind: RunnerPool\nmetadata: {name: far}\n"


def job(channel: str = "ops", more: str = "") -> str:
    steps = f"[{{uses: notify, with: {{channel: '{channel}', text: hello}}}}]"
    return f"kind: Job\nmetadata: {{name: j}}\nspec: {{steps: {steps}{more}}}\n"


def test_a_plan_has_the_channel_and_what_it_needs() -> None:
    compiled = tree(job(), SLACK, URL)
    assert compiled.catalog is not None and not [one for one in compiled.findings if one.severity == "error"]
    planned = plan_run(compiled.catalog, compiled.catalog.jobs["j"], params={})
    assert isinstance(planned, Planned)
    assert planned.spec.channels == {"ops": {"type": "slack", "credentialRef": "url"}}
    assert set(planned.spec.credentials) == {"url"}
    assert load(dump(planned.spec)) == planned.spec


@pytest.mark.parametrize(
    ("documents", "code", "said"),
    [
        ((job(), FAR, POOL), "OC603", "is delivered by pool 'far', and pool 'default' runs this"),
        ((job("${{ params.x }}", ", params: {x: {type: string, default: ops}}"), SLACK, URL), "OC406", "written out"),
        ((job("nobody"), SLACK, URL), "OC305", "there is no NotificationChannel 'nobody'"),
        ((job(), SLACK, MINE), "OC604", "is not allowed for this job: its labels do not match, by channel 'ops'"),
    ],
)
def test_channels_that_a_job_may_not_use(documents: tuple[str, ...], code: str, said: str) -> None:
    found = [one for one in tree(*documents).findings if one.severity == "error"]
    assert [one.code for one in found] == [code] and said in found[0].message


def test_the_pool_of_the_channel_may_run_the_job() -> None:
    compiled = tree(job(more=", runsOn: {pool: far}"), FAR, POOL)
    assert compiled.catalog is not None
    assert isinstance(plan_run(compiled.catalog, compiled.catalog.jobs["j"], params={}), Planned)
