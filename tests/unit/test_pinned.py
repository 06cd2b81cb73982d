"""A pinned spec is read back as it was written: a run keeps its plan through every restart."""

from engine.judge import ActFacts, Launch, judge
from engine.runs.pinned import digest, dump, load
from engine.runs.planning import Planned, plan_inline, plan_run
from schemas.act import InlineJob
from tests.catalogs import catalog
from tests.unit.test_judge import NOW, request

CATALOG = catalog(
    """kind: Credential
metadata: {name: fleet}
spec: {type: ssh, username: ops, pools: [], from: {file: fleet}}
""",
    """kind: Target
metadata: {name: web-01, labels: {role: web}}
spec:
  host: 127.0.0.1
  vars: {deep: {list: [1, 2.5, null, true, "x"]}}
  connections:
    ssh:
      port: 2201
      credentialRef: fleet
      hostKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl]
""",
    """kind: Job
metadata: {name: everything, labels: {team: web}}
spec:
  targets: {names: [web-01]}
  timeout: 40m
  steps:
    - id: look
      run: echo "${{ target.name }}"
      timeout: 90s
      okExitCodes: [0, 3]
      outputs: {n: "${{ size(stdout) }}", fixed: 3}
    - {id: check, uses: assert, with: {that: "${{ steps.look.outputs.n > 0 }}"}}
  finally: [{run: echo done, continueOnError: true}]
""",
)


def test_a_plan_is_read_back_equal() -> None:
    facts = ActFacts(committed_at=NOW, first_seen=NOW, requested_by="ana@example.org")
    launch = judge(request("{jobRef: everything}"), facts, CATALOG, NOW)
    assert isinstance(launch, Launch)
    spec = launch.planned.spec
    assert load(dump(spec)) == spec
    assert digest(dump(load(dump(spec)))) == digest(dump(spec))


def test_a_plan_has_the_labels_by_which_credentials_are_judged() -> None:
    """Those of the job, or of the request that holds the steps."""
    of_job = plan_run(CATALOG, CATALOG.jobs["everything"], params={})
    inline = InlineJob.model_validate({"steps": [{"run": "true"}]})
    of_request = plan_inline(CATALOG, "now", inline, labels={"team": "db"})
    assert isinstance(of_job, Planned)
    assert isinstance(of_request, Planned)
    assert (of_job.spec.labels, of_request.spec.labels) == ({"team": "web"}, {"team": "db"})
