"""`target test` as its user calls it: on the machine of the engine, with that machine's secrets; and `target facts`."""

import os
from typing import Any

import pytest
import yaml

from tests.acceptance.site import HERE, Site, credential, ssh_target
from tests.openssh import OpenSsh


def test_targets_are_tried_with_the_secrets_of_this_machine(bare: Site, openssh: OpenSsh) -> None:
    secret = bare.secrets / "id_ed25519"
    secret.touch(mode=0o600)
    secret.write_text(openssh.private_key)
    bare.create({
        "here.yaml": HERE,
        "key.yaml": credential("key", "type: ssh, from: {file: id_ed25519}"),
        "web.yaml": ssh_target("web", openssh, labels="role: web"),
        "lost.yaml": ssh_target("lost", openssh, credential="gone"),
        "gone.yaml": credential("gone", "type: ssh, from: {file: gone}"),
    })  # fmt: skip
    bare.pulled()
    folder = ("--secret-dir", str(bare.secrets))
    good = bare.run("target", "test", "role=web", *folder)
    assert (good.returncode, good.stderr) == (0, "1 of 1 connections answered\n")
    assert "web     ssh         ok" in good.stdout
    bad = bare.json("target", "test", "-o", "json", *folder, code=1)
    assert [(one["target"], one["connection"], one["ok"]) for one in bad["tests"]] == [
        ("here", "local", True), ("lost", "ssh", False), ("web", "ssh", True),
    ]  # fmt: skip
    assert "no file 'gone'" in bad["tests"][1]["message"]
    assert bare.run("target", "test", "nobody", *folder).returncode == 1


@pytest.mark.slow
def test_what_was_tested_beside_an_engine_is_on_the_status_branch(bare: Site) -> None:
    """Whoever has the repository alone sees it too; what a place answered stays on the machine."""
    bare.create({"here.yaml": HERE})
    bare.up()
    bare.pulled()
    (tried,) = bare.json("target", "test", "here", "-o", "json")["tests"]

    def told() -> Any:
        text = bare.tree().get("targets/here.yaml")
        return text and yaml.safe_load(text)["status"].get("lastTest")

    found = bare.wait(told, what="the test on the status branch", timeout=90)
    assert found["connections"] == [{"connection": "local", "ok": True}]
    assert tried["message"] not in "".join(bare.tree().values())


FACTS = """
    apiVersion: opsconductor/v1
    kind: Job
    metadata: {name: know-the-fleet}
    spec:
      targets: {names: [here]}
      steps: [{id: facts, uses: linux-core/facts@1}]
      outputs: {kernel: "${{ steps.facts.outputs.kernel }}", cpus: "${{ steps.facts.outputs.cpus }}"}
"""


def test_what_a_run_found_out_is_written_into_facts_for_review(bare: Site) -> None:
    """The newest run of the job is meant by its name; what is written is the canonical form, and valid."""
    bare.create({"here.yaml": HERE, "facts.yaml": FACTS})
    bare.up()
    clone = bare.pulled()
    assert bare.run("run", "know-the-fleet", "--wait").returncode == 0
    looked = bare.run("target", "facts", "know-the-fleet", "--dry-run")
    assert (looked.returncode, looked.stderr) == (0, "here: cpus, kernel\n1 targets would have other facts\n")
    assert bare.run("target", "facts", "know-the-fleet", "--only", "kernel").returncode == 0
    assert yaml.safe_load((clone / "definitions" / "here.yaml").read_text())["spec"]["facts"] == {
        "kernel": os.uname().release
    }
    assert bare.run("target", "facts", "know-the-fleet").stderr == "here: cpus\n1 targets have other facts\n"
    assert bare.run("target", "facts", "know-the-fleet").stderr == "0 targets have other facts\n"
    assert bare.run("validate").returncode == 0
    assert bare.run("fmt", "--check", str(clone / "definitions" / "here.yaml")).returncode == 0
    assert bare.run("target", "facts", "nobody").returncode == 1


PROPOSED = """
    apiVersion: opsconductor/v1
    kind: Discovery
    metadata: {name: facts}
    spec: {from: {jobRef: know-the-fleet}, propose: {branch: opsconductor/facts}}
"""
BRANCH = "opsconductor/facts"


def test_what_runs_of_a_job_find_out_is_proposed_as_facts(bare: Site) -> None:
    """A branch with one commit, as after a scan; once it is merged, and nothing is different, there is none."""
    bare.create({"here.yaml": HERE, "facts.yaml": FACTS, "proposed.yaml": PROPOSED})
    bare.up()
    bare.pulled()

    def report_of_a_run() -> Any:
        done = bare.run("run", "know-the-fleet", "--wait")
        assert done.returncode == 0, done.stderr
        run = done.stdout.split()[0]

        def settled() -> Any:
            report = bare.status("discoveries/facts.yaml")
            return report if report is not None and report["run"] == run else None

        return bare.wait(settled, what="the report of the facts")

    report = report_of_a_run()
    assert report["counts"] == {"new": 0, "changed": 1, "same": 0, "gone": 0, "ignored": 0}
    assert (report["hosts"][0]["target"], report["hosts"][0]["notes"]) == ("here", ["facts: cpus, kernel"])
    assert bare.git("rev-list", "--count", f"main..{BRANCH}") == "1"
    assert bare.git("diff", "--name-only", "main", BRANCH) == "definitions/here.yaml"
    said = yaml.safe_load(bare.git("show", f"{BRANCH}:definitions/here.yaml"))
    assert said["spec"]["facts"]["kernel"] == os.uname().release

    first = bare.head(BRANCH)
    report_of_a_run()
    assert bare.head(BRANCH) == first, "nothing is different, so what is proposed stays as it is"
    bare._git(bare.source, "push", "--quiet", str(bare.source), f"{BRANCH}:main")
    bare.in_force()
    assert report_of_a_run()["counts"]["same"] == 1
    assert bare.head(BRANCH) is None
    asked = bare.run("discover", "facts", "--dry-run", "--repo", str(bare.pulled()))
    assert asked.returncode == 2
    assert "it has no runs of its own" in asked.stderr
