"""Discovery as people have it: a scan by nmap, a branch with what was found, merged; and the next scan.

The hosts are real: each a network namespace with real services. Nothing of the machine's own network is touched.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.site import Site
from tests.lab import Lab, lab
from tests.openssh import OpenSsh, openssh

__all__ = ["openssh"]
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
LISTED = """apiVersion: opsconductor/v1
kind: Discovery
metadata: {name: lan}
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


def test_what_an_inventory_lists_becomes_targets_by_a_merge(bare: Site, openssh: OpenSsh, tmp_path: Path) -> None:
    """As a scan does: a commit on a branch, none where nothing changed, and one line where something did."""
    inventory = tmp_path / "inventory.json"

    def lists(**hosts: dict[str, Any]) -> None:
        said = {"_meta": {"hostvars": hosts}, "web": {"hosts": list(hosts)}}
        inventory.write_text(json.dumps(said))

    here = {"ansible_host": "127.0.0.1", "ansible_port": openssh.port, "ansible_user": "ops"}
    lists(Web_01={**here, "tier": "gold", "token": "hunter2-hunter2"}, away={"ansible_host": "192.0.2.9"})
    spec = {"from": {"command": ["cat", str(inventory)], "vars": ["tier"]}}
    bare.create(
        {"lan.yaml": f"{LISTED}spec: {json.dumps(spec)}\n", "pool.yaml": POOL.replace("10.77.0.0/24", "127.0.0.0/8")}
    )
    bare.up()

    report = scan(bare, "first")
    assert report["counts"] == {"new": 2, "changed": 0, "same": 0, "gone": 0, "ignored": 0}, report
    found = {name: yaml.safe_load(text) for name, text in proposed(bare).items()}
    assert sorted(found) == ["away", "web-01"]
    assert found["web-01"]["metadata"]["labels"] == {"group.web": "member"}
    assert found["web-01"]["spec"]["vars"] == {"tier": "gold"}
    ssh = found["web-01"]["spec"]["connections"]["ssh"]
    assert (ssh["port"], ssh["user"]) == (openssh.port, "ops")
    assert " ".join(openssh.host_key.split()[:2]) in ssh["hostKeys"]
    assert "hunter2" not in str(proposed(bare))
    merged(bare)
    assert scan(bare, "second")["counts"]["same"] == 2
    assert proposed(bare) == {}

    lists(Web_01={**here, "tier": "iron"})
    report = scan(bare, "third")
    assert {one["target"]: one["change"] for one in report["hosts"]} == {"web-01": "changed", "away": "gone"}
    lines = bare.git("diff", "-U0", "main", BRANCH, "--", "definitions/targets/web-01.yaml").splitlines()
    assert [one for one in lines if one[0] in "+-" and one[:3] not in ("+++", "---")] == [
        "-  vars: {tier: gold}", "+  vars: {tier: iron}",
    ]  # fmt: skip
