"""Dry runs: what would run is shown, and nothing runs."""

import shutil
from collections.abc import Callable

import pytest

from tests.acceptance.site import HERE, Site, job
from tests.acceptance.test_dashboard import pages_of

Make = Callable[..., Site]
STEPS = """\
- id: first
  run: echo "first ${{ target.name }} ${{ params.keep }}" >> EFFECTS/log; echo 71
  outputs: {n: "${{ int(stdout) }}"}
- id: second
  run: echo "${{ steps.first.outputs.n }}" >> EFFECTS/log
  if: steps.first.outputs.n > 60
- id: holder
  run: while ! test -e EFFECTS/go; do sleep 0.05; done
"""


@pytest.fixture
def site(bare: Site) -> Site:
    text = job("work", STEPS.replace("EFFECTS", str(bare.effects)), "params: {keep: {type: integer, default: 3}}")
    bare.create({"here.yaml": HERE, "work.yaml": text})
    bare.pulled()
    return bare


def test_nothing_runs_and_all_is_shown(site: Site) -> None:
    site.up("--dashboard", "127.0.0.1:0")
    done = site.run("run", "work", "-p", "keep=5", "--dry-run", "--wait")
    assert done.returncode == 0, done.stderr
    assert "first would run" in done.stdout
    assert "OC2 = 5" in done.stdout
    assert "second depends on what step 'first' gives: steps.first.outputs.n" in done.stdout
    assert "known only at run time: steps.first.outputs.n (what step 'first' gives)" in done.stdout
    assert site.left("log") == []
    (run,) = site.runs("work")
    assert run["spec"]["dryRun"] is True
    assert run["status"]["targets"]["here"]["state"] == "skipped"
    name = run["metadata"]["name"]
    assert site.run("logs", name).stdout == done.stdout
    assert "  dry run " in site.run("history", "work").stdout
    assert "dry run" in site.text("README.md")
    assert site.text("jobs/work.yaml") == "", "a job that has only been rehearsed has never run"
    shown = pages_of(site).page(f"/runs/{name}")
    assert "second depends on what step" in shown and ">would run</td>" in shown


@pytest.mark.slow
def test_it_takes_no_slot_and_is_no_success_of_the_job(site: Site) -> None:
    site.up()
    site.run("run", "work")
    site.wait(lambda: site.left("log"), what="the run's first step")
    done = site.run("run", "work", "--dry-run", "--wait")
    assert done.returncode == 0, "a rehearsal waits for nobody"
    (site.effects / "go").touch()
    real = site.ended("work", 2)
    (ran,) = [run for run in real if not run["spec"].get("dryRun")]
    (dry,) = [run for run in real if run["spec"].get("dryRun")]
    name = dry["metadata"]["name"]
    refused = site.run("rerun", name, "--failed-only", "--wait")
    assert (refused.returncode, "was a dry run" in refused.stderr) == (1, True)
    again = site.run("rerun", ran["metadata"]["name"], "--from-step", "second", "--dry-run", "--wait")
    assert "OC1 = 71" in again.stdout, "what is taken over is known"
    assert site.run("rerun", name, "--wait").returncode == 0, "what was rehearsed can be run as it was"
    assert site.status("jobs/work.yaml")["lastRun"]["run"] != name


@pytest.mark.slow
def test_a_rebuilt_store_knows_it(site: Site) -> None:
    daemon = site.up()
    before = site.run("run", "work", "--dry-run", "--wait").stdout
    assert daemon.stop() == 0
    shutil.rmtree(site.state)
    site.up()
    (run,) = site.runs("work")
    assert run["spec"]["dryRun"] is True
    assert site.run("logs", run["metadata"]["name"]).stdout == before


RELEASE = """\
apiVersion: opsconductor/v1
kind: Workflow
metadata: {name: release}
spec:
  params: {keep: {type: integer, default: 3}}
  jobs:
    build: {jobRef: work, params: {keep: "${{ params.keep }}"}}
    ask: {needs: [build], approval: {}}
    ship: {jobRef: work, needs: [ask], forEach: {items: [7, 8], as: one}, params: {keep: "${{ one }}"}}
    never: {jobRef: work, needs: [build], if: "${{ params.keep > 9 }}"}
"""


@pytest.mark.slow
def test_a_workflow_is_shown_as_a_graph_and_nothing_of_it_runs(site: Site) -> None:
    site.commit({"release.yaml": RELEASE})
    site.pulled()
    daemon = site.up("--dashboard", "127.0.0.1:0")
    done = site.run("run", "release", "-p", "keep=5", "--dry-run", "--wait")
    assert done.returncode == 0, done.stderr
    assert "build (job work) would run\n  params:\n    keep = 5\n" in done.stdout
    assert "        OC2 = 5" in done.stdout
    assert "ask would ask for approval, after build\n  one person must approve within 1d" in done.stdout
    assert "for one = 8" in done.stdout
    assert "never (job work) would be skipped: params.keep > 9 is false" in done.stdout
    (run,) = site.runs("release")
    name = run["metadata"]["name"]
    assert (run["spec"]["dryRun"], run["spec"]["workflow"]) == (True, "release")
    assert {node["state"] for node in run["status"]["nodes"].values()} == {"skipped"}
    assert site.runs("work") == [], "no node has had a run"
    assert "nodes" not in site.run("get", "runs").stdout, "no node has ended, since none was to begin"
    page = pages_of(site).page(f"/runs/{name}")
    assert ">would be skipped: params.keep &gt; 9 is false</td>" in page
    assert "would ask for approval, after build</td>" in page
    assert site.text("workflows/release.yaml") == "", "a workflow that has only been rehearsed has never run"
    assert site.run("get", "gates", "-o", "json").stdout.count('"Gate"') == 0
    refused = site.run("rerun", name, "--failed-only", "--wait")
    assert (refused.returncode, "was a dry run" in refused.stderr) == (1, True)
    assert site.run("rerun", name, "--dry-run", "--wait").stdout == done.stdout
    assert daemon.stop() == 0
    shutil.rmtree(site.state)
    site.up()
    assert site.run("logs", name).stdout == done.stdout, "a rebuilt store knows it"
    assert site.left("log") == []
