"""`target test` as its user calls it: on the machine of the engine, with that machine's secrets; and `target facts`."""

import os

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
