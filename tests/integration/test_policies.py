"""Attempts to get round Policies, by real commits with real signatures: what the chain of commits lets through."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest

from engine.authority.permits import digest_of
from reconciler.acts.changegate import OpenChange
from reconciler.acts.votes import Vote
from reconciler.authority.authorities import Authorities
from reconciler.authority.chain import Chain, Followed, Trusted
from reconciler.authority.keyfiles import KeyFiles
from reconciler.authority.permits import WAITS, Permits
from reconciler.authority.signatures import Signatures
from reconciler.definitions import Definitions
from reconciler.repository.history import History
from reconciler.repository.objects import Objects
from tests.permits import ADMINS, FILES, WEB, job, policy
from tests.signing import Keys, Repository, SshKey, ran
from tests.trees import without_end

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TEAMS = {"ana": "admins", "bo": "web", "cy": "", "dee": "web"}
BROKEN = "kind: Job\n\tmetadata: {}\n"
WORK, DUMP, RULES = "definitions/web/work.yaml", "definitions/db/dump.yaml", "definitions/policy.yaml"
LAB = "definitions/lab.yaml"


@dataclass
class Site:
    """A repository of four people, each with a key, and the chain that judges it in mode `range`."""

    repository: Repository
    keys: Keys
    lines: list[str] = field(default_factory=list)
    waiting: OpenChange | None = None

    def by(self, name: str) -> SshKey:
        return self.keys.ssh(name)

    def user(self, name: str, teams: str, key: str | None = None) -> str:
        public = self.by(key or name).public
        head = f"apiVersion: opsconductor/v1\nkind: User\nmetadata: {{name: {name}}}\n"
        return f'{head}spec: {{email: {name}@example.org, teams: [{teams}], signingKeys: ["{public}"]}}\n'

    def root(self, more: Mapping[str, str] = {}) -> str:
        people = {f"definitions/people/{name}.yaml": self.user(name, teams) for name, teams in TEAMS.items()}
        verify = FILES["opsconductor.yaml"].replace("spec: {}", "spec: {verify: {mode: range}}")
        return self.repository.commit({**FILES, "opsconductor.yaml": verify, **people, **more})

    def commit(self, files: Mapping[str, str], *parents: str, by: str, tree: str | None = None) -> str:
        return self.repository.commit(files, *parents, by=self.by(by), tree=tree)

    def follow(self, head: str, trusted: str, good: str | None = None) -> Followed:
        """What comes of the branch; `good` is the commit in force, by default the one that is trusted."""
        folder = self.keys.folder.parent
        (folder / "trust").write_text("".join(f"{line}\n" for line in self.lines))
        path = self.repository.path
        history, definitions = History(path), Definitions(Objects(path))
        permits = Permits(definitions)
        in_force = asyncio.run(Definitions(Objects(path)).load(good or trusted)).catalog
        permits.begin(in_force, self.waiting)
        signatures = Signatures(KeyFiles(folder / "trust", folder / "private"))
        chain = Chain(Authorities(definitions, history), history, signatures, permits=permits)
        followed = chain.follow(head, Trusted(trusted, "range"), by_name=None, now=NOW, good=in_force)
        self.waiting = permits.waiting
        return followed

    def says(self, who: str, *, approves: bool = True) -> None:
        """Somebody answers the change that waits."""
        assert self.waiting is not None
        vote = Vote(who, approves, f"{who}-says")
        self.waiting = replace(self.waiting, votes=(*self.waiting.votes, vote))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "keys").mkdir()
    return Site(Repository.made(tmp_path / "ops.git"), Keys(tmp_path / "keys"))


def passed(followed: Followed, head: str) -> bool:
    return followed.stopped is None and followed.trusted is not None and followed.trusted.commit == head


def refused(followed: Followed) -> str:
    assert followed.stopped is not None, followed
    assert followed.stopped.reason == "NotPermitted", followed
    return followed.stopped.message


def test_who_may_does_and_who_may_not_hears_who_could(site: Site) -> None:
    root = site.root()
    mine = site.commit({WORK: job("work", "[{run: uptime}]")}, root, by="bo")
    assert passed(site.follow(mine, root), mine)
    theirs = site.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, root, by="bo")
    followed = site.follow(theirs, root)
    assert refused(followed) == f"commit {theirs[:12]}: bo may not: change Job/dump: ana"
    assert followed.trusted is not None
    assert followed.trusted.commit == root


def test_a_right_counts_after_the_commit_that_gives_it(site: Site) -> None:
    root = site.root()
    more = policy(WEB, ADMINS, "{subjects: [cy], verbs: [change], objects: {kinds: [Job]}}")
    evil = {DUMP: job("dump", "[{run: evil}]", "team: db")}
    assert "cy may not" in refused(site.follow(site.commit({RULES: more, **evil}, root, by="cy"), root))
    given = site.commit({RULES: more}, root, by="ana")
    used = site.commit(evil, given, by="cy")
    assert passed(site.follow(used, root), used), "given and used, fetched together"
    taken = site.commit({RULES: FILES[RULES]}, used, by="ana")
    again = site.commit({DUMP: job("dump", "[{run: worse}]", "team: db")}, taken, by="cy")
    followed = site.follow(again, used)
    assert "cy may not" in refused(followed)
    assert followed.trusted is not None
    assert followed.trusted.commit == taken


def test_an_evil_merge_is_judged_by_all_that_it_brings(site: Site) -> None:
    root = site.root()
    honest = site.commit({WORK: job("work", "[{run: uptime}]")}, root, by="bo")
    other = site.commit({"readme.md": "x"}, root, by="ana")
    evil = site.repository.tree({WORK: job("work", "[{run: uptime}]"), DUMP: job("dump", "[{run: evil}]")}, other)
    merge = site.commit({}, other, honest, by="bo", tree=evil)
    assert "bo may not: change Job/dump" in refused(site.follow(merge, root))
    plain = site.repository.tree({WORK: job("work", "[{run: uptime}]")}, other)
    whole = site.commit({}, other, honest, by="bo", tree=plain)
    assert passed(site.follow(whole, root), whole)
    bad = site.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, root, by="bo")
    vouched = site.commit({}, root, bad, by="ana", tree=site.repository.git("rev-parse", f"{bad}^{{tree}}"))
    assert passed(site.follow(vouched, root), vouched), "who merges answers for it"


def test_a_forges_merge_needs_leave_of_each_who_signed_what_it_merges(site: Site) -> None:
    site.lines = [f"@forge example {site.by('forge').public}"]
    root = site.root()
    bo = site.commit({WORK: job("work", "[{run: uptime}]")}, root, by="bo")
    cy = site.commit({"readme.md": "x"}, bo, by="cy")
    both = site.commit({}, root, cy, by="forge", tree=site.repository.git("rev-parse", f"{cy}^{{tree}}"))
    alone = site.commit({}, root, bo, by="forge", tree=site.repository.git("rev-parse", f"{bo}^{{tree}}"))
    message = refused(site.follow(both, root))
    assert "bo, cy may not: change Job/work: ana, bo, dee" in message
    assert passed(site.follow(alone, root), alone)


def test_a_link_in_the_place_of_a_policy_removes_it(site: Site) -> None:
    root = site.root()
    blob = site.repository.git("hash-object", "-w", "--stdin", data=b"here.yaml")
    env = {"GIT_INDEX_FILE": str(site.repository.path / "index-of-test")}
    site.repository.git("read-tree", root, **env)
    site.repository.git("update-index", "--add", "--cacheinfo", f"120000,{blob},{RULES}", **env)
    linked = site.commit({}, root, by="bo", tree=site.repository.git("write-tree", **env))
    assert "change Policy/p: ana" in refused(site.follow(linked, root))


def test_a_file_that_a_job_uses_is_the_job(site: Site) -> None:
    uses = job("dump", "[{uses: script, with: {file: scripts/dump.sh}}]", "team: db")
    root = site.root({DUMP: uses, "scripts/dump.sh": "pg_dump\n", "scripts/other.sh": "true\n"})
    evil = site.commit({"scripts/dump.sh": "evil\n"}, root, by="bo")
    assert "change Job/dump (which uses scripts/dump.sh): ana" in refused(site.follow(evil, root))
    free = site.commit({"scripts/other.sh": "false\n"}, root, by="cy")
    assert passed(site.follow(free, root), free)
    blob = site.repository.git("hash-object", "-w", "--stdin", data=b"other.sh")
    env = {"GIT_INDEX_FILE": str(site.repository.path / "index-of-test")}
    site.repository.git("read-tree", root, **env)
    site.repository.git("update-index", "--add", "--cacheinfo", f"120000,{blob},scripts/dump.sh", **env)
    linked = site.commit({}, root, by="bo", tree=site.repository.git("write-tree", **env))
    assert "which uses scripts/dump.sh" in refused(site.follow(linked, root))


def test_nobody_runs_by_a_schedule_what_they_may_not_run(site: Site) -> None:
    """By the example of the how-to: who may change jobs and schedules of a team, and run the jobs of that team."""
    webs = "objects: {kinds: [Job, Schedule], selector: {matchLabels: {team: web}}}"
    rules = policy(
        ADMINS,
        f"{{subjects: [web], verbs: [change], {webs}, conditions: {{approvals: 1, notRequester: true}}}}",
        "{subjects: [web], verbs: [run, cancel, approve], objects: {selector: {matchLabels: {team: web}}}}",
    )
    root = site.root({RULES: rules})
    plan = "apiVersion: opsconductor/v1\nkind: Schedule\nmetadata: {name: s, labels: {team: web}}\nspec: {"
    theirs = site.commit({LAB: f"{plan}jobRef: dump, every: 5s}}\n"}, root, by="bo")
    assert refused(site.follow(theirs, root)) == (
        f"commit {theirs[:12]}: bo may not: run Job/dump (which Schedule/s starts): ana"
    )
    by_admin = site.commit({LAB: f"{plan}jobRef: dump, every: 5s}}\n"}, root, by="ana")
    assert passed(site.follow(by_admin, root), by_admin)
    own = site.commit({LAB: f"{plan}jobRef: work, every: 5s}}\n"}, root, by="bo")
    assert not passed(site.follow(own, root), own)
    site.says("dee")
    assert passed(site.follow(own, root), own)


def test_a_slip_of_an_admin_lifts_no_rule(site: Site) -> None:
    root = site.root()
    slip = site.commit({RULES: BROKEN}, root, by="ana")
    evil = site.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, slip, by="cy")
    assert "cy may not" in refused(site.follow(evil, root))
    assert passed(site.follow(slip, root), slip), "an admin may; it is rejected as invalid later"
    assert "cy may not" in refused(site.follow(evil, slip, good=root))
    mine = site.commit({WORK: job("work", "[{run: uptime}]")}, slip, by="bo")
    assert passed(site.follow(mine, slip, good=root), mine)


def test_a_right_that_was_taken_away_is_not_kept_by_a_broken_file(site: Site) -> None:
    root = site.root()
    broken = site.commit({LAB: "kind: Job\n\tx\n"}, root, by="bo")
    out = site.commit({"definitions/people/bo.yaml": site.user("bo", "")}, broken, by="ana")
    evil = site.commit({LAB: "", WORK: job("work", "[{run: evil}]")}, out, by="bo")
    assert "bo may not" in refused(site.follow(evil, root))
    other = {RULES: policy(ADMINS)}
    gone = site.commit({LAB: "", WORK: job("work", "[{run: evil}]")}, site.commit(other, broken, by="ana"), by="bo")
    assert "bo may not" in refused(site.follow(gone, root))


def test_who_mends_a_file_needs_leave_for_what_was_in_it(site: Site) -> None:
    root = site.root()
    slip = site.commit({DUMP: BROKEN}, root, by="ana")
    mine = site.commit({DUMP: job("dump")}, slip, by="bo")
    assert "bo may not: change Job/dump: ana" in refused(site.follow(mine, slip, good=root))


def test_names_that_are_no_text_hide_nothing(site: Site) -> None:
    root = site.root()
    blob = site.repository.git("hash-object", "-w", "--stdin", data=job("evil", labels="team: db").encode())
    env = {**site.repository.env, "GIT_INDEX_FILE": str(site.repository.path / "index-of-test")}
    ran("git", "-C", site.repository.path, "read-tree", root, env=env)
    entry = f"100644 {blob}\t".encode() + b"definitions/\xff\xfe.yaml\0"
    ran("git", "-C", site.repository.path, "update-index", "-z", "--index-info", env=env, data=entry)
    tree = ran("git", "-C", site.repository.path, "write-tree", env=env).decode().strip()
    odd = site.commit({}, root, by="cy", tree=tree)
    assert passed(site.follow(odd, root), odd), "it is not read at all"
    both = site.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, odd, by="cy")
    assert "cy may not" in refused(site.follow(both, odd))


# --- approvals ---

ASKS = policy(
    ADMINS,
    "{subjects: [web], verbs: [change], objects: {kinds: [Job]}, conditions: {approvals: 1, notRequester: true}}",
    "{subjects: [web], verbs: [approve]}",
)


def test_a_change_waits_for_others_and_then_goes_on(site: Site) -> None:
    root = site.root({RULES: ASKS})
    head = site.commit({WORK: job("work", "[{run: uptime}]")}, root, by="bo")
    waits = site.follow(head, root)
    assert waits.stopped is not None
    wanted = "Job/work wants 1 approval of others than the requester: ana, dee may"
    assert (waits.stopped.reason, wanted in waits.stopped.message) == (WAITS, True)
    assert site.waiting is not None
    assert site.waiting.digest == digest_of(root, head)
    for nobody in ("bo", "cy", "eve"):
        site.says(nobody)
        assert not passed(site.follow(head, root), head)
    site.says("dee")
    assert passed(site.follow(head, root), head)
    assert site.waiting is None


def test_an_approval_is_of_no_other_change_and_of_no_later_one(site: Site) -> None:
    root = site.root({RULES: ASKS})
    change = {WORK: job("work", "[{run: uptime}]")}
    first = site.commit(change, root, by="bo")
    site.follow(first, root)
    site.says("dee")
    before = site.waiting
    other = site.commit({WORK: job("work", "[{run: evil}]")}, root, by="bo")
    assert not passed(site.follow(other, root), other), "another change of the same documents"
    site.waiting = before
    assert passed(site.follow(first, root), first)
    back = site.commit({WORK: FILES[WORK]}, first, by="ana")
    again = site.commit(change, back, by="bo")
    site.waiting = before
    assert not passed(site.follow(again, first), again), "the same change, next week"


def test_one_no_is_enough(site: Site) -> None:
    root = site.root({RULES: ASKS})
    head = site.commit({WORK: job("work", "[{run: uptime}]")}, root, by="bo")
    site.follow(head, root)
    site.says("dee", approves=False)
    site.says("ana")
    followed = site.follow(head, root)
    assert followed.stopped is not None
    assert (followed.stopped.reason, site.waiting is not None) == ("Rejected", True)


def test_without_signatures_nothing_is_enforced(site: Site) -> None:
    root = site.root()
    evil = site.repository.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, root)
    path = site.repository.path
    history, definitions = History(path), Definitions(Objects(path))
    files = KeyFiles(None, site.keys.folder / "private")
    chain = Chain(Authorities(definitions, history), history, Signatures(files), permits=Permits(definitions))
    verdict = chain.follow(evil, Trusted(root, "none"), by_name=None, now=NOW)
    assert verdict.stopped is not None, "the Project asks for signatures"
    none = site.root({"opsconductor.yaml": FILES["opsconductor.yaml"]})
    evil = site.repository.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, none)
    assert passed(chain.follow(evil, Trusted(none, "none"), by_name=None, now=NOW), evil)


def test_a_slip_right_after_a_new_policy_does_not_lift_it_fetched_together_or_apart(site: Site) -> None:
    """The Policy never was in force as a whole: it stands in the commit before the one that cannot be read."""
    root = site.root({RULES: ""})
    new = site.commit({RULES: FILES[RULES]}, root, by="ana")
    slip = site.commit({RULES: FILES[RULES] + "nonsense: 1\n"}, new, by="ana")
    evil = site.commit({DUMP: job("dump", "[{run: evil}]", "team: db")}, slip, by="bo")
    assert "bo may not" in refused(site.follow(evil, root))
    assert "bo may not" in refused(site.follow(evil, slip, good=root))


def test_a_change_that_is_too_large_to_be_judged_is_not_made(site: Site) -> None:
    root = site.root()
    repository = pygit2.Repository(str(site.repository.path))
    listing = f"{site.repository.git('ls-tree', root)}\n040000 tree {without_end(repository)}\tx\n"
    bomb = site.commit({}, root, by="bo", tree=site.repository.git("mktree", data=listing.encode()))
    followed = site.follow(bomb, root)
    assert followed.stopped is not None
    assert (followed.stopped.reason, followed.trusted.commit if followed.trusted else None) == ("TooMany", root)
