"""From what a scan saw to the forge: a branch with one commit, and the message by which a pull request is opened."""

import shutil
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pygit2
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from engine.discovery.proposal import Base, Proposal, Scanned, proposed
from engine.discovery.seen import Answer, Scan, SeenHost, Service, to_json
from engine.identity import RunId
from engine.runs.pinned import PinnedTarget, PlannedStep, Use
from engine.states import RunState
from journal import discoveries, facts
from journal.clock import SystemClock
from journal.errors import Unavailable
from journal.fence import Fence
from journal.store import Journal
from reconciler.discovery.branches import ProposalBranches
from reconciler.discovery.gathering import gathered
from reconciler.publication.publish import COMMITTER
from reconciler.repository.mirror import Mirror
from tests.integration.test_commit_statuses import MAIN, Told, all_there, site
from tests.running import Bench, bench

__all__ = ["bench", "site"]
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


async def ended(site: Told, run: str, *hosts: SeenHost, of: str = "lan") -> None:
    """A run ends that saw these hosts."""
    now = site.journal.clock.now()
    scan = to_json(Scan(of, run, now, now, 254, hosts))
    await site.journal.write(lambda tx: discoveries.scanned(tx, Fence(RunId(run), 1), of, scan, now))


async def scanned(site: Told, run: str, *hosts: SeenHost, of: str = "lan") -> None:
    """The same, and the engine makes of it what it does."""
    await ended(site, run, *hosts, of=of)
    await site.loop.proposals.work(site.journal.clock.now())


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


async def test_a_renamed_discovery_goes_on_with_what_it_saw(site: Told) -> None:
    """Its report, and when its Targets were seen: also by a run that began under the former name."""
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    repository = pygit2.Repository(str(site.source))
    found = repository[repository.branches[BRANCH].target].peel(pygit2.Tree)["definitions/targets/host-10-1-0-5.yaml"]
    assert isinstance(found, pygit2.Blob)
    merged = {"definitions/targets/host-10-1-0-5.yaml": found.data.decode()}
    office = LAN.replace("name: lan", "name: office, previousNames: [lan]").replace(
        "spec: {", "spec: {propose: {staleAfter: 1s}, "
    )
    site.commit(MAIN, site.files() | merged | {"definitions/lan.yaml": office})
    await site.look()
    (before,) = await site.journal.read(discoveries.every)
    assert (before.name, set(before.last_seen)) == ("office", {"host-10-1-0-5"})
    assert before.report is not None

    now = site.journal.clock.now() + timedelta(minutes=1)
    scan = to_json(Scan("lan", "discover-lan-2", now, now, 254, ()))
    fence = Fence(RunId("discover-lan-2"), 1)
    await site.journal.write(lambda tx: discoveries.scanned(tx, fence, "lan", scan, now))
    await site.loop.proposals.work(now)
    (row,) = await site.journal.read(discoveries.every)
    assert (row.name, row.run, row.settled, row.last_seen) == ("office", fence.run, True, before.last_seen)
    assert row.report is not None
    (gone,) = row.report["hosts"]
    assert (gone["change"], gone["lastSeen"]) == ("gone", before.last_seen["host-10-1-0-5"])
    tip = repository[repository.branches[BRANCH].target].peel(pygit2.Tree)
    proposed = tip["definitions/targets/host-10-1-0-5.yaml"]
    assert isinstance(proposed, pygit2.Blob)
    assert b"stale: " in proposed.data


async def test_who_wants_none_gets_the_branch_alone(site: Told) -> None:
    text = LAN.replace("}\n", ", propose: {pullRequest: false}}\n").replace(
        "lan, propose: {pullRequest: false}}", "lan}"
    )
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": text})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    assert [row.channel for row in await site.rows()] == ["commitStatus"]
    assert pygit2.Repository(str(site.source)).branches[BRANCH].target


async def test_a_branch_that_is_not_the_engines_is_never_written(site: Told) -> None:
    """Not that of the definitions, where nobody would be asked, and no other that somebody made before."""
    # the engine's --branch decides, and `validate` goes by what the Project says
    project = site.files()["opsconductor.yaml"].replace("spec: {", "spec: {branch: live, ", 1)
    assert "branch: live" in project
    for branch in ("main", "release"):
        text = LAN.replace("10.1.0.0/24]", f"10.1.0.0/24], propose: {{branch: {branch}}}")
        head = site.commit(MAIN, site.files() | {"definitions/lan.yaml": text, "opsconductor.yaml": project})
        repository = pygit2.Repository(str(site.source))
        if branch == "release":  # at a commit that is merged
            repository.branches.create(branch, repository[head])
        before = {name: repository.branches[name].target for name in repository.branches}
        await site.look()
        await scanned(site, f"discover-{branch}", host(5))
        assert {name: repository.branches[name].target for name in repository.branches} == before
        row = await site.journal.read(lambda conn: discoveries.get(conn, "lan"))
        assert row is not None
        assert row.report is not None
        assert "branch" in row.report["proposal"]["trouble"]


async def test_a_commit_that_proposes_on_a_branch_of_the_engine_is_never_in_force(site: Told) -> None:
    for branch in ("main", "opsconductor/status", "opsconductor/requests"):
        text = LAN.replace("10.1.0.0/24]", f"10.1.0.0/24], propose: {{branch: {branch}}}")
        head = site.commit(MAIN, site.files() | {"definitions/lan.yaml": text})
        await site.look()
        active = site.loop.proposals.active
        assert active is None or active.commit != head


async def test_a_lost_store_forgets_no_branch_of_the_engines(site: Told) -> None:
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    repository = pygit2.Repository(str(site.source))
    first = repository.branches[BRANCH].target
    await site.journal.write(lambda tx: facts.put(tx, f"proposal/{BRANCH}", None))
    await scanned(site, "discover-lan-2", host(5), host(6))
    assert repository.branches[BRANCH].target != first
    row = await site.journal.read(lambda conn: discoveries.get(conn, "lan"))
    assert row is not None
    assert row.report is not None
    assert "trouble" not in row.report["proposal"]


async def report(site: Told, name: str = "lan") -> Mapping[str, Any]:
    """What is told of the last scan."""
    row = await site.journal.read(lambda conn: discoveries.get(conn, name))
    assert row is not None
    assert row.report is not None
    return row.report


ONE_FORGE = pytest.mark.parametrize("site", ["github"], indirect=True)
"""For what is of git alone."""


@ONE_FORGE
async def test_a_lost_state_folder_forgets_no_branch_of_the_engines(site: Told) -> None:
    """The store, and the mirror with all that was ever fetched: the proposal that is open is written anew."""
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    repository = pygit2.Repository(str(site.source))
    first = repository.branches[BRANCH].target
    await site.journal.close()
    for one in site.folder.iterdir():
        if one.name.startswith("mirror.git") and one.is_dir():
            shutil.rmtree(one)
        elif one.name.startswith(("mirror.git", "journal.sqlite3")):
            one.unlink()
    site.journal = Journal.open(f"sqlite:///{site.folder / 'journal.sqlite3'}", clock=SystemClock())
    site.loop = site.new_loop()
    await site.look()
    await scanned(site, "discover-lan-2", host(5), host(6))
    assert repository.branches[BRANCH].target != first
    assert "trouble" not in (await report(site))["proposal"]


THEIRS = {
    "a person's": ("Ann <ann@example.org>", b"", b"mine\n"),
    "a person's, in the engine's words": ("Ann <ann@example.org>", b"", b"Discovery lan: 1 new\n"),
    "words that are no UTF-8": (COMMITTER, b"", b"Mine \xff\xfe\n"),
    "an encoding that nobody knows": (COMMITTER, b"encoding nonsense\n", b"Mine \xc3\x28\n"),
    "what git's checks refuse": ("Ann ann@example.org>", b"", b"mine\n"),
}


@ONE_FORGE
@pytest.mark.parametrize(("who", "encoding", "words"), THEIRS.values(), ids=THEIRS)
async def test_a_branch_that_was_there_before_the_engine_is_left_alone(
    site: Told, who: str, encoding: bytes, words: bytes
) -> None:
    """Whoever may push may push that name first, and any commit."""
    head = site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()
    repository = pygit2.Repository(str(site.source))
    lines = [f"tree {repository[head].peel(pygit2.Tree).id}", f"parent {head}", f"author {who} 1 +0000"]
    data = "\n".join([*lines, f"committer {who} 1 +0000\n"]).encode() + encoding + b"\n" + words
    tip = str(repository.odb.write(pygit2.enums.ObjectType.COMMIT, data))
    (site.source / "refs/heads/opsconductor").mkdir(exist_ok=True)
    (site.source / f"refs/heads/{BRANCH}").write_text(f"{tip}\n")
    await scanned(site, "discover-lan-1", host(5))
    assert (site.source / f"refs/heads/{BRANCH}").read_text() == f"{tip}\n"
    assert "are not the engine's" in (await report(site))["proposal"]["trouble"]


async def test_a_discovery_that_is_removed_or_moved_leaves_no_branch_behind(site: Told) -> None:
    """What another one proposes on the same branch stays proposed."""
    other = LAN.replace("name: lan", "name: other").replace("10.1.0.0/24", "10.2.0.0/24")
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN, "definitions/other.yaml": other})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    now = site.journal.clock.now()
    seen = SeenHost("10.2.0.9", services=(Service(80),), answers=(Answer("http", 80),))
    scan = to_json(Scan("other", "discover-other-1", now, now, 254, (seen,)))
    fence = Fence(RunId("discover-other-1"), 1)
    await site.journal.write(lambda tx: discoveries.scanned(tx, fence, "other", scan, now))
    await site.loop.proposals.work(now)
    repository = pygit2.Repository(str(site.source))

    def proposed() -> set[str]:
        if BRANCH not in repository.branches:
            return set()
        tree = repository[repository.branches[BRANCH].target].peel(pygit2.Tree)
        folder = tree["definitions/targets"]
        assert isinstance(folder, pygit2.Tree)
        return {str(one.name) for one in folder}

    assert proposed() == {"host-10-1-0-5.yaml", "host-10-2-0-9.yaml"}
    moved = other.replace("10.2.0.0/24]", "10.2.0.0/24], propose: {branch: opsconductor/elsewhere}")
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN, "definitions/other.yaml": moved})
    await site.look()
    await site.loop.proposals.work(now)
    assert proposed() == {"host-10-1-0-5.yaml"}
    site.commit(MAIN, {name: text for name, text in site.files().items() if "lan" not in name and "other" not in name})
    await site.look()
    await site.loop.proposals.work(now)
    assert BRANCH not in repository.branches
    assert await site.journal.read(discoveries.every) == ()


OTHER = LAN.replace("name: lan", "name: other").replace("10.1.0.0/24", "10.2.0.0/24")
ELSEWHERE = SeenHost("10.2.0.9", services=(Service(80),), answers=(Answer("http", 80),))


@ONE_FORGE
async def test_a_pull_request_is_opened_also_after_a_cut_between_push_and_record(
    site: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()

    def cut(*_: object) -> None:
        raise Unavailable("the store is away")

    with monkeypatch.context() as during:
        during.setattr(site.loop.proposals, "_settle", cut)
        with pytest.raises(Unavailable):
            await scanned(site, "discover-lan-1", host(5))
    assert BRANCH in pygit2.Repository(str(site.source)).branches
    await site.loop.proposals.work(site.journal.clock.now())
    assert [row.channel for row in await site.rows()].count("pullRequest") == 1
    assert "trouble" not in (await report(site))["proposal"]
    await scanned(site, "discover-lan-2", host(5))
    assert [row.channel for row in await site.rows()].count("pullRequest") == 1


@ONE_FORGE
async def test_the_branch_of_a_removed_discovery_goes_before_it_is_forgotten(
    site: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a scan of it ended last, and where git is away when it is removed."""
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    without = {name: text for name, text in site.files().items() if "lan" not in name}
    site.commit(MAIN, without)
    await site.look()
    await ended(site, "discover-lan-2", host(5))

    async def away(*_: object) -> None:
        raise Unavailable("git is away")

    now, proposals = site.journal.clock.now(), site.loop.proposals
    with monkeypatch.context() as during:
        during.setattr(Mirror, "poll", away)
        with pytest.raises(Unavailable):
            await proposals.work(now)
    await proposals.work(now)
    assert BRANCH not in pygit2.Repository(str(site.source)).branches
    assert await site.journal.read(discoveries.every) == ()
    await ended(site, "discover-lan-3", host(5))
    await proposals.work(now)
    assert await site.journal.read(discoveries.every) == ()


@ONE_FORGE
async def test_a_scan_that_trips_over_a_bug_of_ours_costs_its_discovery_alone(
    site: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a word in its report; the engine goes on, and so does the next scan."""

    def tripping(base: Base, scans: Iterable[Scanned]) -> Proposal:
        scans = list(scans)
        if any(one.discovery.name == "other" for one in scans):
            raise LookupError
        return proposed(base, scans)

    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN, "definitions/other.yaml": OTHER})
    await site.look()
    await ended(site, "discover-other-1", ELSEWHERE, of="other")
    with monkeypatch.context() as during:
        during.setattr("reconciler.discovery.proposals.proposed", tripping)
        await scanned(site, "discover-lan-1", host(5))
    assert (await report(site))["counts"]["new"] == 1
    assert "an error of ours: LookupError" in (await report(site, "other"))["proposal"]["trouble"]
    await scanned(site, "discover-other-2", ELSEWHERE, of="other")
    assert (await report(site, "other"))["counts"]["new"] == 1


@ONE_FORGE
async def test_a_branch_that_cannot_be_written_ends_no_engine_and_keeps_no_other_from_being_written(
    site: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = OTHER.replace("10.2.0.0/24]", "10.2.0.0/24], propose: {branch: opsconductor/elsewhere}")
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": LAN, "definitions/other.yaml": elsewhere})
    await site.look()
    written = ProposalBranches._written

    def failing(branches: ProposalBranches, base: str, proposal: Proposal) -> str:
        if "lan" in proposal.outcomes:
            raise ValueError("no such path")
        return written(branches, base, proposal)

    monkeypatch.setattr(ProposalBranches, "_written", failing)
    await ended(site, "discover-lan-1", host(5))
    await scanned(site, "discover-other-1", ELSEWHERE, of="other")
    assert "an error of ours: ValueError" in (await report(site))["proposal"]["trouble"]
    assert "opsconductor/elsewhere" in pygit2.Repository(str(site.source)).branches


@ONE_FORGE
async def test_no_file_is_removed_to_make_room_for_a_folder(site: Told) -> None:
    """`propose.path` names a folder; what is there by that name, and is none, stays, and that is told."""
    text = LAN.replace("10.1.0.0/24]", "10.1.0.0/24], propose: {path: definitions/place}")
    site.commit(MAIN, site.files() | {"definitions/lan.yaml": text, "definitions/place": "what people wrote"})
    await site.look()
    await scanned(site, "discover-lan-1", host(5))
    assert BRANCH not in pygit2.Repository(str(site.source)).branches
    (row,) = (await report(site))["hosts"]
    assert row["notes"][0].startswith("not proposed: 'definitions/place' is no folder")


@ONE_FORGE
async def test_runs_that_cannot_be_read_cost_the_discovery_that_takes_facts_from_them_alone(
    site: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others scanned is proposed all the same, and it is told once, not at each look."""
    gathers = "\nkind: Discovery\napiVersion: opsconductor/v1\nmetadata: {name: %s}\nspec: {from: {jobRef: greet}}\n"
    here = {f"definitions/{name}.yaml": gathers % name for name in ("facts", "more-facts")}
    site.commit(MAIN, site.files() | here | {"definitions/lan.yaml": LAN})
    await site.look()
    asked = []

    def failing(conn: Connection, name: str, job: str) -> Scan | None:
        asked.append(name)
        if name == "facts":
            raise LookupError("a run that nobody can read")
        return gathered(conn, name, job)

    monkeypatch.setattr("reconciler.discovery.gathering.gathered", failing)
    with capture_logs() as said:
        await scanned(site, "discover-lan-1", host(5))
        await site.loop.proposals.work(site.journal.clock.now())
    assert (await report(site))["counts"]["new"] == 1
    assert asked == ["facts", "more-facts"] * 2
    assert [one["discovery"] for one in said if "what a run gathered" in one["event"]] == ["facts"]


async def test_a_run_that_gathered_nothing_takes_back_nothing(bench: Bench) -> None:
    """One that failed before it knew anything must not withdraw the facts that are proposed already."""
    step = PlannedStep("check", "steps", Use("assert", {"that": False}))
    ran = await bench.execute(step, targets=(PinnedTarget("here"),))
    assert ran.state is RunState.FAILED
    assert await bench.journal.read(lambda conn: gathered(conn, "know-the-fleet", "rotate")) is None
