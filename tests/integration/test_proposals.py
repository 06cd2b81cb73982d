"""From what a scan saw to the forge: a branch with one commit, and the message by which a pull request is opened."""

import pygit2

from engine.discovery.seen import Answer, Scan, SeenHost, Service, to_json
from engine.identity import RunId
from journal import discoveries
from journal.fence import Fence
from tests.integration.test_commit_statuses import MAIN, Told, all_there, site

__all__ = ["site"]
BRANCH = "opsconductor/discovery"
LAN = """
apiVersion: opsconductor/v1
kind: Discovery
metadata: {name: lan}
spec: {networks: [10.1.0.0/24]}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINAKzgxQceimQMNXmbzKNLq0z00/5rIqAFi0NLe3CVVq"


def host(last: int) -> SeenHost:
    said = Answer("http", 80) if last != 5 else Answer("ssh", 22, keys=(KEY,))
    return SeenHost(f"10.1.0.{last}", services=(Service(said.port, product="`|<!-- @everyone"),), answers=(said,))


async def scanned(site: Told, run: str, *hosts: SeenHost) -> None:
    """A run ends that saw these hosts, and the engine makes of it what it does."""
    now = site.journal.clock.now()
    scan = to_json(Scan("lan", run, now, now, 254, hosts))
    await site.journal.write(lambda tx: discoveries.scanned(tx, Fence(RunId(run), 1), "lan", scan, now))
    await site.loop.proposals.work(now)


async def test_a_proposal_is_a_commit_and_a_pull_request_that_later_scans_write_anew(site: Told) -> None:
    site.start()
    head = site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    await site.until(all_there)
    (pull,) = site.forge.pulls
    assert (pull["head"], pull["base"], pull["title"]) == (BRANCH, "main", "Discovery lan: 1 new")
    assert "| `host-10-1-0-5` | `10.1.0.5` |" in pull["body"]
    assert "SHA256:" in pull["body"]
    repository = pygit2.Repository(str(site.source))
    first = repository.branches[BRANCH].target
    assert repository[first].parent_ids == [pygit2.Oid(hex=head)]

    await scanned(site, "discover-lan-2", host(5))
    assert repository.branches[BRANCH].target == first, "the network has not changed"
    assert [row.channel for row in await site.rows()].count("pullRequest") == 1

    await scanned(site, "discover-lan-3", host(5), host(6))
    await site.until(lambda rows: all_there(rows) and len(rows) == 3)
    (pull,) = site.forge.pulls
    assert pull["title"] == "Discovery lan: 2 new"
    assert "`http:80`<br>`80: '\\|<!-- @everyone`" in pull["body"]


async def test_who_wants_none_gets_the_branch_alone(site: Told) -> None:
    text = LAN.replace("}\n", ", propose: {pullRequest: false}}\n").replace(
        "lan, propose: {pullRequest: false}}", "lan}"
    )
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": text})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    assert [row.channel for row in await site.rows()] == ["commitStatus"]
    assert pygit2.Repository(str(site.source)).branches[BRANCH].target
