"""`target test` as its user calls it: on the machine of the engine, with that machine's secrets."""

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
