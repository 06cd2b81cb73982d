"""A secret encrypted in the repository: opened by the engine that has the key, for its step, and nowhere else."""

import pytest

from tests.acceptance.site import HERE, Site, job, steps_of
from tests.sops import Key, encrypted

CANARY = "Kanarie-in-het-depot-4711"
POOL = "apiVersion: opsconductor/v1\nkind: RunnerPool\nmetadata: {name: default}\nspec: {recipients: [KEY]}\n"
PLAIN = f"""\
apiVersion: opsconductor/v1
kind: Credential
metadata: {{name: db}}
spec: {{type: password, username: ann, pools: [default]}}
data: {{password: {CANARY}}}
"""
USES = """
- id: use
  env: {KEY: "${{ secrets.db.password }}"}
  run: echo "it is $KEY"; printf %s "$KEY" | wc -c
"""


@pytest.mark.slow
def test_the_engine_with_the_key_opens_it_and_writes_it_nowhere(bare: Site) -> None:
    key = Key.made(bare.root / "home")
    bare.create({
        "here.yaml": HERE,
        "pool.yaml": POOL.replace("KEY", key.recipient),
        "db.yaml": encrypted(PLAIN, key),
        "uses.yaml": job("uses", USES, "targets: {names: [here]}"),
    })  # fmt: skip
    assert CANARY not in bare.git("show", "main:definitions/db.yaml")
    refused = bare.run("up", str(bare.source), "--identity", str(bare.root / "none"))
    assert (refused.returncode, "--identity" in refused.stderr) == (2, True)
    bare.up("--identity", str(key.file))
    run = bare.asked("uses", "jobRef: uses")
    assert run["status"]["state"] == "succeeded", run
    log = bare.run("logs", run["metadata"]["name"])
    assert str(len(CANARY)) in log.stdout, steps_of(run)
    bare.pulled()
    shown = bare.run("describe", "credential", "db", "--state", str(bare.state)).stdout
    assert "uses:" in shown and "runner:" in shown
    (use,) = bare.json("describe", "credential", "db", "--state", str(bare.state), "-o", "json")["status"]["uses"]
    assert (use["run"], use["target"], bool(use["runner"])) == (run["metadata"]["name"], "here", True)
    assert bare.daemons[0].stop() == 0
    found = [path for path in bare.root.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert found == []
