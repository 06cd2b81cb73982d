"""Doing runs again, by the command line and by requests: what the targets saw says how often."""

from collections.abc import Callable

import pytest

from tests.acceptance.site import HERE, Site, job, steps_of

Make = Callable[..., Site]

TWO = """
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: there}
    spec: {host: localhost, connections: {local: {}}}
"""
STEPS = """\
- id: first
  run: echo "first ${{ target.name }}" >> EFFECTS/log; echo 71
  outputs: {n: "${{ int(stdout) }}"}
- id: second
  run: |
    echo "second ${{ target.name }} ${{ steps.first.outputs.n }}" >> EFFECTS/log
    test -e EFFECTS/mended || test "${{ target.name }}" = there
- id: third
  run: echo "third ${{ target.name }}" >> EFFECTS/log
"""


@pytest.fixture
def broken(bare: Site) -> Site:
    """A run has failed on one of its two targets at its second step."""
    text = job("work", STEPS.replace("EFFECTS", str(bare.effects)), "targets: {names: [here, there]}")
    bare.create({"here.yaml": HERE, "there.yaml": TWO, "work.yaml": text})
    bare.pulled()
    bare.up()
    assert bare.run("run", "work", "--wait").returncode == 1
    return bare


def name_of(site: Site) -> str:
    return str(site.runs("work")[0]["metadata"]["name"])


def test_what_failed_is_done_again_from_its_step(broken: Site) -> None:
    first = name_of(broken)
    (broken.effects / "mended").touch()
    done = broken.run("rerun", first, "--failed-only", "--from-step", "second", "--wait")
    assert done.returncode == 0, done.stderr
    assert broken.left("log")[5:] == ["second here 71", "third here"]
    (again,) = [run for run in broken.runs("work") if run["metadata"]["name"] != first]
    assert again["spec"]["cause"]["rerunOf"] == first
    assert again["spec"]["targets"] == ["here"]
    assert steps_of(again)["first"]["inherited"] is True
    assert steps_of(again)["first"]["outputs"] == {"n": 71}
    assert broken.run_file(first)["status"]["state"] == "failed", "what has happened stays"


def test_resume_goes_on_where_it_stopped(broken: Site) -> None:
    name, before = name_of(broken), broken.left("log")
    shown = broken.run("resume", name, "--dry-run", "--wait")
    assert shown.returncode == 0, shown.stderr
    assert "\nthere\n" not in shown.stdout, "all is done there"
    assert "first would be skipped: its result is taken over" in shown.stdout
    assert "second would run" in shown.stdout and "OC2 = 71" in shown.stdout, "what it takes over is known"
    assert broken.left("log") == before
    (broken.effects / "mended").touch()
    done = broken.run("resume", "work", "--wait")
    assert f"the newest run of work: {name}" in done.stderr, "by its name it is not the dry run that is gone on from"
    assert done.returncode == 0, done.stderr
    assert broken.left("log")[5:] == ["second here 71", "third here"]


def test_a_replay_keeps_its_commit_and_a_rerun_at_current_does_not(broken: Site) -> None:
    """Whatever is merged meanwhile: the run that is replayed says what it did then."""
    first = name_of(broken)
    commit = broken.run_file(first)["spec"]["commit"]
    (broken.effects / "mended").touch()
    text = job("work", f"- {{id: new, run: 'echo new >> {broken.effects}/log'}}", "targets: {names: [here, there]}")
    merged = broken.commit({"definitions/work.yaml": text})
    broken.in_force(merged)
    before = len(broken.left("log"))
    assert broken.run("replay", first, "--wait").returncode == 0
    assert len(broken.left("log")) == before + 6
    second = next(run["metadata"]["name"] for run in broken.runs("work") if run["metadata"]["name"] != first)
    newest = broken.run("rerun", "work", "--dry-run", "--wait")
    assert f"the newest run of work: {second}" in newest.stderr
    assert broken.run("rerun", first, "--at", "current", "--limit", "here", "--wait").returncode == 0
    assert broken.left("log")[before + 6 :] == ["new"]
    done = [run for run in broken.runs("work") if not run["spec"].get("dryRun")]
    commits = {run["metadata"]["name"]: run["spec"]["commit"] for run in done}
    assert sorted(commits.values()) == sorted([commit, commit, merged])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("action: rerun, run: work-20261121T001500Z-0123456789", "unknownRun"),
        ("action: rerun, run: RUN, fromStep: sekond", "unknownStep"),
        ("action: resume, run: RUN, limit: {names: [nowhere]}", "unknownTarget"),
        ("action: rerun, run: RUN, params: {x: 1}, at: current", "badParams"),
    ],
)
def test_what_cannot_be_repeated_is_said(broken: Site, spec: str, reason: str) -> None:
    broken.request("again", spec.replace("RUN", name_of(broken)))
    answer = broken.answered("again")
    assert (answer["state"], answer["reason"]) == ("refused", reason), answer
