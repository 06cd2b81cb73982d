"""A plug-in as its users meet it: the sample of the documentation, built, installed, locked, and run."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.site import Site, job, steps_of

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "docs" / "examples" / "opsconductor-sample"

pytestmark = pytest.mark.slow

TARGET = """
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: box}
    spec: {connections: {plugins: {sample.shell: {folder: "/"}}}}
"""
CREDENTIAL = """
    apiVersion: opsconductor/v1
    kind: Credential
    metadata: {name: db}
    spec: {type: password, from: {plugin: {name: sample.netrc, with: {machine: db-01}}}}
"""
JOB = job(
    "greets",
    """
    - {id: greet, uses: sample.greet, with: {name: "${{ target.name }}", times: 2}}
    - {id: load, uses: sample.load, outputs: {low: "${{ steps.greet.outputs.greeting == 'hello hello, box' }}"}}
    - {id: login, run: 'pwd; test "$P" = a-long-password && echo "as $U"',
       env: {U: "${{ secrets.db.username }}", P: "${{ secrets.db.password }}"}, outputs: {said: "${{ stdout }}"}}
    - {id: told, uses: notify, with: {channel: spool, subject: Greeted, text: "${{ steps.login.outputs.said }}"}}
    """,
    "targets: {names: [box]}",
)
SPOOL = """
    apiVersion: opsconductor/v1
    kind: NotificationChannel
    metadata: {name: spool}
    spec: {type: plugin, name: sample.spool, with: {folder: "%s"}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, built and installed into a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    copy = tmp_path_factory.mktemp("built") / "sample"
    shutil.copytree(SAMPLE, copy)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(folder), str(copy)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def with_sample(bare: Site, installed: Path) -> Iterator[Site]:
    """A site whose program has the sample beside it."""
    bare.environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{installed}"
    yield bare


def test_the_sample_passes_the_contract(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "tests", tmp_path / "tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_run_uses_every_part(with_sample: Site, tmp_path: Path) -> None:
    site = with_sample
    spool = tmp_path / "spool"
    spool.mkdir()
    site.create({"box.yaml": TARGET, "db.yaml": CREDENTIAL, "greets.yaml": JOB, "spool.yaml": SPOOL % spool})
    (site.secrets / "netrc").write_text("machine db-01 login ops password a-long-password\n")
    (site.secrets / "netrc").chmod(0o600)

    site.pulled()
    unknown = site.json("validate", "--format", "json", code=1)["findings"]
    assert {found["code"] for found in unknown} >= {"OC305", "OC325"}
    hints = {found["hint"] for found in unknown if found["code"] == "OC305"}
    assert "if a plug-in brings it, 'opsconductor plugin lock' writes it into opsconductor.lock" in hints

    locking = site.run("plugin", "lock", str(site.clone))
    assert (locking.returncode, locking.stderr.strip()) == (
        0,
        f"{site.clone}/opsconductor.lock knows sample.greet, sample.load, sample.shell, sample.netrc, sample.spool",
    )
    lock = (site.clone / "opsconductor.lock").read_text()
    site.commit({"opsconductor.lock": lock})
    site.pulled()
    assert site.json("validate", "--format", "json")["findings"] == []
    site.up()
    site.asked("now", "jobRef: greets")
    (run,) = site.ended("greets")

    steps = steps_of(run, "box")
    assert run["status"]["state"] == "succeeded", steps
    assert steps["greet"]["outputs"] == {"greeting": "hello hello, box"}
    assert steps["load"]["outputs"]["low"] is True
    assert steps["load"]["outputs"]["load"] >= 0
    assert steps["login"]["outputs"] == {"said": "/\nas ops"}
    (message,) = spool.glob("*.json")
    told = json.loads(message.read_text())
    assert told == {"id": steps["told"]["outputs"]["id"], "subject": "Greeted", "text": "/\nas ops"}


HOST = """
    apiVersion: opsconductor/v1
    kind: Target
    metadata: {name: %s}
    spec: {host: localhost, connections: {%s}, defaultConnection: %s}
"""
BECOMES = job("becomes", "- {id: load, uses: sample.load, become: nobody}", "targets: {names: [%s]}")


def test_its_steps_become_another_user_or_are_refused(with_sample: Site) -> None:
    site = with_sample
    site.create(
        {
            "here.yaml": HOST % ("here", "local: {}", "local"),
            "box.yaml": HOST % ("box", 'plugins: {sample.shell: {folder: "/"}}', "sample.shell"),
            "good.yaml": BECOMES % "here",
            "bad.yaml": (BECOMES % "box").replace("becomes", "stays"),
        }
    )
    site.pulled()
    assert site.run("plugin", "lock", str(site.clone)).returncode == 0
    site.commit({"opsconductor.lock": (site.clone / "opsconductor.lock").read_text()})
    site.pulled()
    (warned,) = site.json("validate", "--format", "json")["findings"]
    message = "'become' does not work over sample.shell, which target 'box' is reached by"
    assert (warned["code"], warned["severity"], warned["message"]) == ("OC406", "warning", message)
    site.up()
    site.asked("good", "jobRef: becomes")
    site.asked("bad", "jobRef: stays")
    (good,), (bad,) = site.ended("becomes"), site.ended("stays")
    assert steps_of(good, "here")["load"]["outputs"]["user"] == "nobody"
    refused = steps_of(bad, "box")["load"]
    assert (refused["state"], refused["error"]) == ("failed", "connection 'sample.shell' cannot become another user")


def test_a_plug_in_that_cannot_be_loaded_is_named_and_disturbs_nobody(with_sample: Site, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    info = broken / "broken_plugin-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[opsconductor.steps]\nbroken.step = broken_plugin:Step\n")
    (broken / "broken_plugin.py").write_text("import nowhere\n")
    site = with_sample
    site.environment["PYTHONPATH"] += f"{os.pathsep}{broken}"
    site.create({"here.yaml": TARGET})

    checks = site.json("doctor", str(site.source), "-o", "json", code=1)["checks"]

    bad = [check for check in checks if not check["good"]]
    assert [check["name"] for check in bad] == ["plug-in broken.step", "plug-in broken.step"]
    assert "step type 'broken.step' of broken-plugin 2.0 cannot be loaded: ModuleNotFoundError" in bad[0]["found"]
    listed = site.json("plugin", "list", "-o", "json", code=1)
    assert {part["name"] for part in listed["parts"]} > {"sample.greet", "sample.shell", "sample.netrc", "sample.spool"}
