"""Files of the repository onto a target, and back, through the whole engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh as servers
from tests.acceptance.site import Site, credential, job, ssh_target, steps_of
from tests.openssh import OpenSsh


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSsh]:
    made = servers.start(tmp_path_factory.mktemp("sftp"), options="Subsystem sftp internal-sftp")
    yield made
    made.stop()


@pytest.mark.slow
def test_files_come_from_the_commit_of_the_run(bare: Site, host: OpenSsh, tmp_path: Path) -> None:
    secret = bare.secrets / "key"
    secret.touch(mode=0o600)
    secret.write_text(host.private_key)
    there = tmp_path / "srv"
    steps = f"""
        - id: put
          uses: sftp.upload
          with: {{source: files/app.conf, destination: {there}/app.conf, createFolders: true, mode: "0600"}}
        - id: like
          uses: sftp.sync
          with: {{source: files/site, destination: {there}/site, delete: true}}
        - id: render
          uses: template
          with: {{source: files/motd.j2, destination: {there}/motd, vars: {{who: ops}}}}
        - id: back
          uses: sftp.download
          with: {{source: {there}/motd, destination: motd}}
    """
    bare.create({
        "key.yaml": credential("key", "type: ssh, from: {file: key}"),
        "web.yaml": ssh_target("web", host),
        "put.yaml": job("put", steps, "targets: {names: [web]}"),
        "files/app.conf": "port: 1\n",
        "files/site/index.html": "hello\n",
        "files/site/css/a.css": "a {}\n",
        "files/motd.j2": "{{ who }} on {{ target.name }}\n",
    })  # fmt: skip
    bare.up()
    run = bare.asked("put", "jobRef: put")
    assert run["status"]["state"] == "succeeded", run
    found = steps_of(run, "web")
    assert found["put"]["outputs"]["changed"] is True
    assert found["like"]["outputs"] == {"changed": True, "uploaded": 2, "deleted": 0}
    assert (there / "app.conf").read_text() == "port: 1\n"
    assert (there / "motd").read_text() == "ops on web\n"
    (kept,) = bare.root.rglob(f"logs/*/*/*/{run['metadata']['name']}/web/files/motd")
    assert kept.read_text() == "ops on web\n"
    bare.commit({"files/app.conf": "port: 2\n"})
    bare.in_force()
    again = bare.asked("put-again", f"action: rerun, run: {run['metadata']['name']}")
    assert steps_of(again, "web")["put"]["outputs"]["changed"] is False, "a repetition has the files of its commit"
    bare.asked("put-new", "jobRef: put")
    assert (there / "app.conf").read_text() == "port: 2\n"
