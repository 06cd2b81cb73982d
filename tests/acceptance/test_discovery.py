"""Discovery as people have it: a scan by nmap, a branch with what was found, merged; and the next scan.

The hosts are real: each a network namespace with real services. Nothing of the machine's own network is touched.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.site import Site
from tests.lab import Lab, lab

pytestmark = pytest.mark.slow
BRANCH = "opsconductor/discovery"
LAN = """
    apiVersion: opsconductor/v1
    kind: Discovery
    metadata: {name: lan}
    spec:
      networks: [10.77.0.0/27]
      exclude: [10.77.0.1]
      ports: [22, 80, 3389, 5985]
      profile: fast
      classify:
        - {if: "'ssh:22' in host.answers", labels: {role: server}, connections: {ssh: {user: ops}}}
      propose: {staleAfter: 1s}
"""
POOL = """
    apiVersion: opsconductor/v1
    kind: RunnerPool
    metadata: {name: default}
    spec: {networks: [10.77.0.0/24]}
"""
RULE = """
    apiVersion: opsconductor/v1
    kind: NotificationRule
    metadata: {name: news}
    spec: {events: [discovery.changed], channels: [nowhere]}
"""


@pytest.fixture
def net() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture
def office(bare: Site, net: Lab) -> Site:
    """A site whose engine sits in the lab."""
    bare.within = net.within
    bare.create({"lan.yaml": LAN, "pool.yaml": POOL})
    return bare


def scan(site: Site, name: str) -> Any:
    """Ask for a scan: the report that came of it."""
    done = site.run("discover", "lan", "--repo", str(site.pulled()), "--wait", timeout=120)
    assert done.returncode == 0, done.stderr + site.story()
    run = done.stdout.split()[0]

    def settled() -> Any:
        report = site.status("discoveries/lan.yaml")
        return report if report is not None and report["run"] == run else None

    return site.wait(settled, what=f"the report of {name}", timeout=90)


def proposed(site: Site) -> dict[str, str]:
    """What the branch changes: the files that differ from the definitions, as they would be."""
    if site.head(BRANCH) is None:
        return {}
    names = site.git("diff", "--name-only", "main", BRANCH).split()
    return {name.rpartition("/")[2].removesuffix(".yaml"): site.git("show", f"{BRANCH}:{name}") for name in names}


def merged(site: Site) -> None:
    site._git(site.source, "push", "--quiet", str(site.source), f"{BRANCH}:main")
    site.in_force()


def test_hosts_appear_move_and_vanish(office: Site, net: Lab, tmp_path: Path) -> None:
    """Merging is admission; a network that stays as it is changes nothing, and nothing is ever dropped."""
    web, desk = net.host("10.77.0.11"), net.host("10.77.0.12")
    key = web.ssh(tmp_path / "web")
    web.speaks("http", "nginx/1.2")
    desk.speaks("rdp")
    desk.speaks("winrm", str(tmp_path))
    office.up()

    report = scan(office, "first")
    assert report["counts"] == {"new": 2, "changed": 0, "same": 0, "gone": 0, "ignored": 0}, report
    found = {name: yaml.safe_load(text) for name, text in proposed(office).items()}
    assert sorted(found) == ["host-10-77-0-11", "host-10-77-0-12"]
    spec = found["host-10-77-0-11"]["spec"]
    assert (spec["host"], spec["os"]) == ("10.77.0.11", "linux")
    assert spec["connections"]["ssh"] == {"hostKeys": [key], "user": "ops"}
    assert spec["connections"]["http"] == {"baseUrl": "http://10.77.0.11/"}
    windows = found["host-10-77-0-12"]["spec"]
    assert (windows["os"], sorted(windows["connections"])) == ("windows", ["rdp", "winrm"])
    assert office.git("rev-list", "--count", f"main..{BRANCH}") == "1"
    first = office.head(BRANCH)

    scan(office, "second")
    assert office.head(BRANCH) == first, "an unchanged network gives no commit"
    merged(office)
    report = scan(office, "third")
    assert report["counts"]["same"] == 2
    assert proposed(office) == {}

    web.sits_at("10.77.0.13")
    net.vanishes(desk)
    report = scan(office, "fourth")
    assert {one["change"]: one["address"] for one in report["hosts"]} == {
        "changed": "10.77.0.13", "gone": "10.77.0.12",
    }  # fmt: skip
    lines = office.git("diff", "-U0", "main", BRANCH).splitlines()
    moved = [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert "-  host: 10.77.0.11" in moved
    assert "+  host: 10.77.0.13" in moved
    assert yaml.safe_load(proposed(office)["host-10-77-0-12"])["metadata"]["labels"]["stale"]

    site_event = office.status("sync.yaml")
    assert site_event["conditions"]


def test_the_engine_leaves_alone_what_people_put_on_its_branch(office: Site, net: Lab, tmp_path: Path) -> None:
    """And what a host says of itself names no file, closes no comment and ends no cell of a table."""
    host = net.host("10.77.0.11")
    host.speaks("http", "`|<script>$(id) --> ../../x")
    office.up()
    scan(office, "first")
    (name,) = proposed(office)
    assert name == "host-10-77-0-11"

    theirs = office.commit({"definitions/mine.txt": "mine\n"}, branch=BRANCH)
    host.ssh(tmp_path / "web")
    report = scan(office, "second")
    assert office.head(BRANCH) == theirs
    assert "not the engine's" in report["proposal"]["trouble"]

    merged(office)
    report = scan(office, "third")
    assert report["counts"]["changed"] == 1
    assert "ssh" in yaml.safe_load(proposed(office)[name])["spec"]["connections"]

    office.commit({"lan.yaml": LAN.replace("profile: fast", "profile: fast\n      ignore: [52-54-00-77-00-01]")})
    office.in_force()
    report = scan(office, "fourth")
    assert (report["counts"]["ignored"], proposed(office)) == (1, {})
