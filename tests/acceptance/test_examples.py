"""The installations that `init --example` writes, used as their pages say."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from opsconductor.sample import examples
from tests.acceptance.site import Site, instant
from tests.postgresql import Server

ROOT = Path(__file__).parents[2] / "definitions"
EXAMPLES = examples()
pytestmark = pytest.mark.slow


@pytest.fixture
def begin(bare: Site) -> Callable[[str], Site]:
    """A repository from an example."""

    def create(name: str) -> Site:
        bare.own_source = bare.root / name
        del bare.environment["OPSCONDUCTOR_SECRET_DIR"]  # `init` puts the key where the engine looks
        done = bare.run("init", str(bare.source), "--example", name, cwd=bare.root)
        assert done.returncode == 0, done.stderr
        return bare

    return create


def changed(site: Site, path: str, *edits: tuple[str, str]) -> None:
    """Edit a file of the repository, and commit it."""
    file = site.source / path
    text = file.read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)
    site.git("-C", str(site.source), "commit", "--quiet", "--all", "--message", "make it ours")


def asked(site: Site, job: str, *arguments: str, code: int = 0) -> Any:
    """A run of the job, once it has ended."""
    done = site.run("run", job, "--wait", *arguments, cwd=site.source, timeout=180)
    assert done.returncode == code, done.stdout + done.stderr + site.story()
    return site.runs(job)[-1]


def test_there_are_the_examples_that_are_promised() -> None:
    assert set(EXAMPLES) == {"hello", "fleet-maintenance", "database-backup", "windows-estate", "network-checks"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid_canonical_and_explained(begin: Callable[[str], Site], name: str) -> None:
    site = begin(name)
    judged = site.run("validate", cwd=site.source)
    assert judged.returncode == 0 and judged.stdout.endswith(" documents, no findings\n"), judged.stdout
    assert site.run("fmt", "--check", cwd=site.source).returncode == 0
    page = (site.source / "README.md").read_text()
    jobs = {one["metadata"]["name"] for one in documents(site.source) if one["kind"] in ("Job", "Workflow")}
    assert [job for job in jobs if f"`{job}`" not in page] == []
    assert site.run("next", "--within", "1000h", cwd=site.source).returncode == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_an_examples_page_adds_is_valid_in_it(begin: Callable[[str], Site], name: str) -> None:
    site = begin(name)
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (site.source / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks or name == "hello"
    (site.source / "definitions" / "more.yaml").write_text("---\n".join(blocks))
    judged = site.run("validate", cwd=site.source)
    assert judged.returncode == 0 and " no findings" in judged.stdout, judged.stdout


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted((folder / "definitions").rglob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


def test_a_fleet_is_looked_after_in_batches_and_after_a_persons_yes(begin: Callable[[str], Site]) -> None:
    site = begin("fleet-maintenance")
    site.up("--dashboard", "127.0.0.1:0")
    assert len(asked(site, "health")["status"]["outputs"]["load"]) == 5
    updated = asked(site, "install-updates")["status"]
    assert len(updated["targets"]) == 5
    assert (instant(updated["finishedAt"]) - instant(updated["startedAt"])).total_seconds() > 10, (
        "two pauses, three batches"
    )
    assert asked(site, "health", "-p", "minFreePercent=99", code=1)["status"]["state"] == "failed"
    old = site.root / "old"
    old.mkdir()
    for number in range(5):
        os.utime((old / str(number)).open("w").name, (number, number))
    asked(site, "tidy", "-p", f"folder={old}")
    assert sorted(one.name for one in old.iterdir()) == ["2", "3", "4"]
    assert site.run("run", "update-fleet", cwd=site.source).returncode == 0
    gates = site.wait(lambda: [at for at in site.tree() if at.startswith("gates/")], what="the gate", timeout=180)
    digest = gates[0].removeprefix("gates/").removesuffix(".yaml")
    said = site.run("approve", digest, "--reason", "quiet night", cwd=site.source)
    assert said.returncode == 0, said.stderr
    assert site.ended("update-fleet", timeout=120)[0]["status"]["state"] == "succeeded"


def test_a_database_is_dumped_pruned_and_restored(begin: Callable[[str], Site]) -> None:
    site = begin("database-backup")
    server = Server()
    server.start()
    try:
        with server.connect() as connection:
            connection.execute("CREATE TABLE shelf (book text)")
        backups = site.root / "backups"
        changed(
            site,
            "definitions/servers.yaml",
            ("/tmp/opsconductor-backups", str(backups)),
            ("/var/run/postgresql", str(server.folder)),
            ("user: postgres", "user: ops"),
        )
        site.up("--dashboard", "127.0.0.1:0")
        for _ in range(3):
            asked(site, "backup", "-p", "keepNewest=2", "-p", "keepDays=1")
        assert len(list(backups.glob("postgres-backup-*.dump"))) == 3, "none is a day old"
        restored = asked(site, "restore-test")
        logs = site.run("logs", restored["metadata"]["name"], cwd=site.source).stdout
        assert re.search(r"postgres-backup-.*\.dump: 1 tables", logs)
        for dump in backups.iterdir():
            dump.unlink()
        assert asked(site, "restore-test", code=1)["status"]["state"] == "failed"
    finally:
        server.remove()


def test_names_ports_pages_and_certificates_are_looked_at(begin: Callable[[str], Site]) -> None:
    site = begin("network-checks")
    engine = site.up("--dashboard", "127.0.0.1:0")
    found = site.wait(lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", engine.stderr), what="the dashboard")
    changed(site, "definitions/probes.yaml", ("8420", found[1]))
    for job in ("names", "ports", "pages", "certificates"):
        assert asked(site, job)["status"]["state"] == "succeeded"
    changed(site, "definitions/probes.yaml", (found[1], "1"))
    assert asked(site, "ports", code=1)["status"]["state"] == "failed"
    assert asked(site, "names")["status"]["state"] == "succeeded"


def test_an_estate_says_for_each_server_what_would_run(begin: Callable[[str], Site]) -> None:
    site = begin("windows-estate")
    (site.state / "secrets").mkdir(parents=True, mode=0o700)
    (site.state / "secrets" / "windows-admin").write_text("not a password")
    site.up("--dashboard", "127.0.0.1:0")
    for job, steps in (("inventory", ["look", "errors"]), ("install-updates", ["install", "restart"])):
        done = site.run("run", job, "--dry-run", "--wait", cwd=site.source, timeout=120)
        assert done.returncode == 0, done.stderr
        assert all(step in done.stdout for step in (*steps, "win-01", "win-02")), done.stdout
