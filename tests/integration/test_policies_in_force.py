"""Policies where the engine decides: changes that wait, acts by who signed them, and no pretence without signatures."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from engine.status import readmodel
from engine.status.views import SyncView
from journal import acts, graphs, runs
from journal.clock import SystemClock
from journal.store import Journal
from reconciler import sync
from reconciler.acts import actgate, brought, door
from reconciler.authority.trust import TrustSettings
from reconciler.loop import Loop
from reconciler.repository import objects
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import Objects
from reconciler.wake import Wake
from schemas import reader
from tests.permits import ADMINS, FILES, doc, job, policy
from tests.signing import Keys, Repository

MAIN, REQUESTS = "refs/heads/main", "refs/heads/opsconductor/requests"
ENGINE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
BEGINS = f"change\n\nOpsConductor-Engine: {ENGINE}"
"""The message of a commit with which the command line begins the branch of requests."""
TEAMS = {"ana": "admins", "bo": "web", "cy": "", "dee": "web"}
SIGNED = FILES["opsconductor.yaml"].replace("spec: {}", "spec: {verify: {mode: range}}")
WORK, DUMP, RULES = "definitions/web/work.yaml", "definitions/db/dump.yaml", "definitions/policy.yaml"
ASKS = policy(
    ADMINS,
    "{subjects: [web], verbs: [change], objects: {kinds: [Job]}, conditions: {approvals: 1, notRequester: true}}",
    "{subjects: [web], verbs: [run, approve]}",
)


class Site:
    """A repository whose people sign, and the loop on it that has a journal but no runner."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository.made(folder / "ops.git")
        (folder / "keys").mkdir()
        self.keys = Keys(folder / "keys")
        self.trust: Path | None = None
        """The trust file of the next loop."""
        self.journal = Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=SystemClock())
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        mirror = Mirror(self.folder / "mirror.git", str(self.repository.path), environment=self.repository.env)
        return Loop(
            journal=self.journal, mirror=mirror, objects=Objects(mirror.path), wake=Wake(None), clock=SystemClock(),
            branch="main", trust=TrustSettings(file=self.trust), engine=ENGINE,
        )  # fmt: skip

    def user(self, name: str, teams: str) -> str:
        public = self.keys.ssh(name).public
        spec = f'{{email: {name}@example.org, teams: [{teams}], signingKeys: ["{public}"]}}'
        return doc(f"kind: User\nmetadata: {{name: {name}}}\nspec: {spec}\n")

    async def begin(self, more: Mapping[str, str] = {}) -> str:
        people = {f"definitions/people/{name}.yaml": self.user(name, teams) for name, teams in TEAMS.items()}
        head = self.push({**FILES, "opsconductor.yaml": SIGNED, **people, **more})
        await self.look()
        assert self.loop.sync.applied == head, self.loop.sync
        return head

    def push(self, files: Mapping[str, str], *, by: str | None = None, ref: str = MAIN, on: str | None = None) -> str:
        tip = on or self.repository.git("for-each-ref", "--format=%(objectname)", ref)
        key = self.keys.ssh(by) if by is not None else None
        message = BEGINS if ref == REQUESTS and not tip else "change"
        on_top = [tip] if tip else []
        made = self.repository.commit(files, *on_top, by=key, who=f"{by or 'ana'}@example.org", message=message)
        self.repository.git("update-ref", ref, made)
        return made

    async def look(self) -> None:
        await self.loop.look()
        await self.loop.once()

    async def asks(self, name: str, spec: str, *, by: str | None, kind: str = "RunRequest") -> acts.ActRow:
        """The answer to an act that somebody brings."""
        found = await self.brings(name, spec, by=by, kind=kind)
        assert found is not None
        return found

    async def brings(self, name: str, spec: str, *, by: str | None, kind: str = "RunRequest") -> acts.ActRow | None:
        """As `asks`; None where it waits."""
        text = doc(f"kind: {kind}\nmetadata: {{name: {name}, labels: {{team: web}}}}\nspec: {spec}\n")
        self.push({f"requests/{name}.yaml": text}, by=by, ref=REQUESTS)
        await self.look()
        return await self.answer(name)

    async def answer(self, name: str) -> acts.ActRow | None:
        return (await self.journal.read(lambda conn: acts.seen(conn, (name,)))).get(name)

    def conditions(self) -> dict[str, tuple[str, str, str]]:
        seen = sync.view(self.loop.sync, SyncView(), SystemClock().now()).conditions
        return {one.type: (one.status, one.reason, one.message) for one in seen}


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    await made.journal.close()


def said(act: acts.ActRow | None) -> tuple[str, str | None] | None:
    return None if act is None else (act.state, act.reason)


async def test_what_nobody_permits_changes_nothing_and_says_who_could(site: Site) -> None:
    root = await site.begin()
    evil = site.push({DUMP: job("dump", "[{run: evil}]", "team: db")}, by="bo")
    await site.look()
    assert site.loop.sync.applied == root
    assert site.loop.sync.frozen is not None
    reason, message = site.loop.sync.frozen
    assert reason == "NotPermitted"
    assert message == (
        f"commit {evil[:12]}: bo may not: change Job/dump: ana; have it signed by somebody who may and push that in "
        f"its place, or run 'opsconductor accept {evil}' on the server"
    )
    better = site.push({DUMP: job("dump", "[{run: good}]", "team: db")}, by="ana", on=root)
    await site.look()
    assert site.loop.sync.applied == better


async def test_a_change_waits_for_an_approval_that_somebody_else_signs(site: Site) -> None:
    root = await site.begin({RULES: ASKS})
    head = site.push({WORK: job("work", "[{run: uptime}]")}, by="bo")
    await site.look()
    assert (site.loop.sync.applied, site.loop.sync.observed) == (root, head)
    waiting = site.loop.sync.change
    assert waiting is not None
    assert site.conditions()["Stalled"][1] == "WaitsForApproval"
    spec = f"{{gate: '{waiting.digest}', decision: approve}}"
    assert said(await site.asks("own", spec, by="bo", kind="Approval")) == ("refused", "requester")
    assert said(await site.asks("stranger", spec, by="cy", kind="Approval")) == ("refused", "notAllowed")
    assert said(await site.asks("unsigned", spec, by=None, kind="Approval")) == ("refused", "unsigned")
    other = spec.replace(waiting.digest[-4:], "beef")
    assert said(await site.asks("other", other, by="dee", kind="Approval")) == ("refused", "unknownGate")
    assert site.loop.sync.applied == root
    answer = await site.asks("yes", spec, by="dee", kind="Approval")
    assert (said(answer), answer.message) == (("done", None), f"dee approved commit {head[:12]}")
    site.loop = site.new_loop()
    await site.loop.start()  # what people said outlives the process
    await site.look()
    assert (site.loop.sync.applied, site.loop.sync.change) == (head, None)
    back = site.push({WORK: FILES[WORK]}, by="ana")
    again = site.push({WORK: job("work", "[{run: uptime}]")}, by="bo")
    await site.look()
    assert (site.loop.sync.applied, site.loop.sync.observed) == (back, again)
    assert said(await site.asks("next-week", spec, by="dee", kind="Approval")) == ("refused", "gateClosed")
    assert site.loop.sync.applied == back


async def test_a_no_stops_a_change_until_another_takes_its_place(site: Site) -> None:
    root = await site.begin({RULES: ASKS})
    site.push({WORK: job("work", "[{run: evil}]")}, by="bo")
    await site.look()
    assert site.loop.sync.change is not None
    spec = f"{{gate: '{site.loop.sync.change.digest}', decision: reject, reason: no}}"
    assert said(await site.asks("no", spec, by="dee", kind="Approval")) == ("done", None)
    await site.look()
    assert site.loop.sync.frozen is not None
    assert site.loop.sync.frozen[0] == "Rejected"
    yes = spec.replace("reject", "approve")
    assert said(await site.asks("yes", yes, by="ana", kind="Approval")) == ("done", None)
    await site.look()
    assert site.loop.sync.applied == root
    better = site.push({"readme.md": "x"}, by="bo", on=root)
    await site.look()
    assert (site.loop.sync.applied, site.loop.sync.change) == (better, None)


async def test_who_signed_an_act_is_who_asks(site: Site) -> None:
    await site.begin()
    mine = await site.asks("mine", "{jobRef: work}", by="bo")
    assert said(mine) == ("accepted", None)
    theirs = await site.asks("theirs", "{jobRef: dump}", by="bo")
    assert (said(theirs), theirs.message) == (("refused", "forbidden"), "bo may not: run Job/dump: ana")
    assert said(await site.asks("nothing", "{jobRef: work}", by="cy")) == ("refused", "forbidden")
    own = "{job: {steps: [{run: 'true'}], targets: {names: [here]}}}"
    assert said(await site.asks("own", own, by="bo")) == ("refused", "forbidden")
    assert said(await site.asks("any", own, by="ana")) == ("accepted", None)
    stop = f"{{action: cancel, run: {mine.run}}}"
    assert said(await site.asks("stop-cy", stop, by="cy")) == ("refused", "forbidden")
    assert said(await site.asks("stop-bo", stop, by="bo")) == ("done", None)
    again = f"{{action: rerun, run: {mine.run}}}"
    assert said(await site.asks("again-cy", again, by="cy")) == ("refused", "forbidden")
    assert said(await site.asks("again-bo", again, by="bo")) == ("accepted", None)


ASKS_TO_RUN = policy(
    ADMINS,
    "{subjects: [web], verbs: [run], conditions: {approvals: 1, notRequester: true}}",
    "{subjects: [web, cy], verbs: [approve], objects: {kinds: [Job]}}",
)


async def test_a_request_waits_for_an_approval_that_somebody_else_signs(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    assert await site.brings("go", "{jobRef: work}", by="bo") is None
    (waiting,) = site.loop.sync.asks
    assert (waiting.request, waiting.asks, waiting.requesters) == ("go", "run Job/work", ("bo",))
    assert waiting.wants[0].by == ("ana", "cy", "dee")
    assert said(await site.asks("free", "{jobRef: work}", by="ana")) == ("accepted", None), "others do not wait for it"
    spec = f"{{gate: '{waiting.digest}', decision: approve}}"
    assert said(await site.asks("own", spec, by="bo", kind="Approval")) == ("refused", "requester")
    assert said(await site.asks("unsigned", spec, by=None, kind="Approval")) == ("refused", "unsigned")
    other = spec.replace(waiting.digest[-4:], "beef")
    assert said(await site.asks("other", other, by="dee", kind="Approval")) == ("refused", "unknownGate")
    assert await site.answer("go") is None
    site.loop = site.new_loop()
    await site.loop.start()  # it outlives the process, as what people said does
    answer = await site.asks("yes", spec, by="dee", kind="Approval")
    assert (said(answer), answer.message) == (("done", None), "dee approved request go")
    await site.look()
    assert said(await site.answer("go")) == ("accepted", None)
    assert site.loop.sync.asks == ()
    assert said(await site.asks("late", spec, by="cy", kind="Approval")) == ("refused", "gateClosed")


async def test_an_approval_is_of_no_later_request_and_a_no_refuses_it(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    assert await site.brings("one", "{jobRef: work}", by="bo") is None
    (first,) = site.loop.sync.asks
    site.push({"requests/one.yaml": ""}, by="bo", ref=REQUESTS)
    assert await site.brings("one", "{jobRef: work, priority: 5}", by="bo") is None
    (second,) = site.loop.sync.asks
    assert second.digest != first.digest, "the same name in another commit is another thing to approve"
    before = f"{{gate: '{first.digest}', decision: approve}}"
    assert said(await site.asks("before", before, by="dee", kind="Approval")) == ("refused", "gateClosed")
    spec = f"{{gate: '{second.digest}', decision: reject, reason: not now}}"
    assert said(await site.asks("no", spec, by="dee", kind="Approval")) == ("done", None)
    await site.look()
    answer = await site.answer("one")
    assert answer is not None
    assert (said(answer), answer.message) == (("refused", "rejected"), "dee rejected it")
    assert site.loop.sync.asks == ()


async def test_a_request_that_nobody_approves_expires(site: Site) -> None:
    await site.begin({RULES: ASKS_TO_RUN})
    ends = datetime.now(UTC) + timedelta(seconds=3)
    await site.brings("short", f"{{jobRef: work, expiresAt: {ends:%Y-%m-%dT%H:%M:%SZ}}}", by="bo")
    async with asyncio.timeout(30):
        while (answer := await site.answer("short")) is None:
            await site.look()
    assert said(answer) == ("refused", "expired")
    await site.look()
    assert site.loop.sync.asks == ()
    assert await site.journal.read(actgate.kept) == {}


async def test_a_gate_wants_the_verb_too(site: Site) -> None:
    flow = "kind: Workflow\nmetadata: {name: flow}\nspec: {jobs: {ask: {approval: {count: 1}}, do: "
    rules = policy(ADMINS, "{subjects: [bo], verbs: [run]}", "{subjects: [dee], verbs: [approve]}")
    await site.begin({"definitions/flow.yaml": doc(f"{flow}{{jobRef: work, needs: [ask]}}}}}}\n"), RULES: rules})
    assert said(await site.asks("go", "{workflowRef: flow}", by="bo")) == ("accepted", None)
    await site.look()
    (gate,) = await site.journal.read(graphs.open_gates)
    spec = f"{{gate: '{gate.digest}', decision: approve}}"
    refused = await site.asks("bo-says", spec, by="bo", kind="Approval")
    assert (said(refused), refused.message) == (("refused", "forbidden"), "bo may not: approve Workflow/flow: ana, dee")
    shown = await site.journal.read(partial(graphs.open_gate, digest=gate.digest))
    assert shown is not None
    assert not readmodel.gate_file(shown, advisory=False)["status"]["advisory"]
    assert said(await site.asks("dee-says", spec, by="dee", kind="Approval")) == ("done", None)
    run = await site.journal.read(lambda conn: runs.get(conn, shown.shown["run"]))
    assert run is not None
    asked = readmodel.run_file(run)["status"]["nodes"]["ask"]["gate"]
    assert "advisory" not in asked
    assert [(vote["by"], vote["signed"]) for vote in asked["votes"]] == [("dee", True)]


async def test_a_gate_of_a_renamed_workflow_is_answered_by_who_may_approve_it_now(site: Site) -> None:
    """A rule goes by the labels and the name that the workflow has: its plan knows but the name of then."""
    path, parts = "definitions/flow.yaml", "{ask: {approval: {count: 1}}, do: {jobRef: work, needs: [ask]}}"
    flow = f"kind: Workflow\nmetadata: {{name: flow, labels: {{tier: web}}}}\nspec: {{jobs: {parts}}}\n"
    labelled = "{subjects: [dee], verbs: [approve], objects: {selector: {matchLabels: {tier: web}}}}"
    rules = policy(ADMINS, "{subjects: [bo], verbs: [run]}", labelled)
    await site.begin({path: doc(flow), RULES: rules})
    assert said(await site.asks("go", "{workflowRef: flow}", by="bo")) == ("accepted", None)
    await site.look()
    (gate,) = await site.journal.read(graphs.open_gates)
    renamed = site.push({path: doc(flow.replace("name: flow", "name: stream, previousNames: [flow]"))}, by="ana")
    await site.look()
    assert site.loop.sync.applied == renamed
    later = site.push({path: doc(flow.replace("name: flow", "name: river, previousNames: [stream]"))}, by="ana")
    await site.look()
    assert site.loop.sync.applied == later
    spec = f"{{gate: '{gate.digest}', decision: approve}}"
    refused = await site.asks("bo-says", spec, by="bo", kind="Approval")
    assert (said(refused), refused.message) == (
        ("refused", "forbidden"),
        "bo may not: approve Workflow/river: ana, dee",
    )
    assert said(await site.asks("dee-says", spec, by="dee", kind="Approval")) == ("done", None)


async def test_without_signatures_nobody_is_held_and_sync_says_so(site: Site) -> None:
    await site.begin({"opsconductor.yaml": FILES["opsconductor.yaml"]})
    status, reason, message = site.conditions()["Verified"]
    assert (status, reason) == ("False", "PoliciesNotEnforced")
    assert message == "policies (1) hold nobody: verify is none, so that anybody can be who they say"
    head = site.push({DUMP: job("dump", "[{run: evil}]", "team: db")})
    await site.look()
    assert site.loop.sync.applied == head
    assert said(await site.asks("any", "{jobRef: dump}", by=None)) == ("accepted", None)


async def test_what_stops_the_branch_does_not_say_that_nobody_is_held(site: Site) -> None:
    """The Project alone asks for signatures, and goes on asking whatever becomes of the branch."""
    root = await site.begin()
    taken = "the commit was taken as the first one, with nobody to speak for it; the next: verify: range"
    assert site.conditions()["Verified"] == ("Unknown", "TakenBefore", taken)
    trusted = site.push({WORK: job("work", "[{run: other}]", "team: web")}, by="ana")
    await site.look()
    assert site.loop.sync.applied == trusted
    aside = site.push({}, by="ana", on=root)
    await site.look()
    status, reason, message = site.conditions()["Verified"]
    assert (status, reason, message[-15:]) == ("False", "HistoryRewritten", "; verify: range")
    assert site.conditions()["Stalled"][2] == (
        f"the branch was rewritten: {aside[:12]} does not descend from {trusted[:12]}, which was trusted last; "
        f"push a commit on top of that one, or run 'opsconductor accept {aside}' on the server"
    )
    assert sync.view(site.loop.sync, SyncView(), SystemClock().now()).signed, "else gates say that they are advisory"


async def test_a_trust_file_that_is_gone_does_not_say_that_nobody_is_held(site: Site) -> None:
    await site.begin()
    site.trust = site.folder / "trust"
    site.loop = site.new_loop()
    await site.loop.start()
    site.push({WORK: job("work", "[{run: other}]", "team: web")}, by="ana")
    await site.look()
    status, reason, message = site.conditions()["Verified"]
    assert (status, reason, message[-15:]) == ("False", "TrustUnavailable", "; verify: range")


async def test_of_two_files_alike_the_one_that_somebody_signed_is_judged(site: Site) -> None:
    """They are read once, and each has its own commit."""
    await site.begin()
    ask = doc("kind: RunRequest\nmetadata: {name: go}\nspec: {jobRef: work}\n")
    site.push({"aaa.yaml": ask}, ref=REQUESTS)
    site.push({"requests/go.yaml": ask}, by="ana", ref=REQUESTS)
    site.push({"zzz.yaml": ask}, ref=REQUESTS)
    await site.look()
    found = await site.answer("go")
    assert found is not None
    assert (*said(found), found.requested_by) == ("accepted", None, "ana@example.org")


async def test_what_waits_for_approvals_goes_on_while_the_branch_is_not_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may push there can stop what comes from being read until it is mended, and takes nothing away by it."""
    await site.begin({RULES: ASKS_TO_RUN})
    assert await site.brings("go", "{jobRef: work}", by="bo") is None
    before = site.repository.git("rev-parse", REQUESTS)
    waits = site.loop.sync.asks
    monkeypatch.setattr(door, "_SINCE_ANSWERED", replace(door._SINCE_ANSWERED, files=3))
    site.push({f"requests/many-{number}.yaml": "x" for number in range(4)}, ref=REQUESTS)
    await site.look()
    assert site.conditions()["Stalled"][1] == "RequestsUnreadable"
    assert site.loop.sync.asks == waits
    yes = {
        "requests/yes.yaml": doc(
            f"kind: Approval\nmetadata: {{name: yes}}\nspec: {{gate: '{waits[0].digest}', decision: approve}}\n"
        )
    }
    bulk = site.push(yes, by="dee", ref=REQUESTS)
    site.push({"readme.md": ""}, ref=REQUESTS)
    await site.look()
    assert await site.answer("yes") is None
    tree = site.repository.tree(yes, before)
    mended = site.repository.commit({}, bulk, tree=tree)
    site.repository.git("update-ref", REQUESTS, mended)
    await site.look()
    await site.look()
    assert site.conditions()["Stalled"][0] == "False"
    answers = [await site.answer(name) for name in ("yes", "go")]
    assert [one and said(one) for one in answers] == [("done", None), ("accepted", None)]


@pytest.mark.parametrize(("limit", "most"), [("_MOST_BYTES", 1000), ("_MOST_VERSIONS", 4)])
async def test_what_a_commit_brought_and_the_next_took_away_is_read_no_further_than_that(
    site: Site, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """The head shows nothing of it, and one commit may name one content at any number of paths."""
    await site.begin()
    await site.brings("one", "{jobRef: work}", by="bo")
    before = site.repository.git("rev-parse", REQUESTS)
    ask = doc("kind: RunRequest\nmetadata: {name: many}\nspec: {jobRef: work}\n")
    many = {f"requests/many-{number:02}.yaml": ask for number in range(50)}
    site.push(many, by="cy", ref=REQUESTS)
    site.push(dict.fromkeys(many, ""), by="cy", ref=REQUESTS)
    read: list[str] = []
    monkeypatch.setattr(brought, "read", lambda data, path: read.append(path) or reader.read(data, path))
    monkeypatch.setattr(brought, limit, most)
    await site.look()
    assert len(read) < 20
    message = site.conditions()["Stalled"][2]
    assert message.startswith("no act on it is read: its new commits change more than is looked at at once")
    assert before in message, "it says where to take the branch back to"
    site.repository.git("update-ref", REQUESTS, before)
    assert said(await site.asks("two", "{jobRef: work}", by="bo")) == ("accepted", None)
    assert site.conditions()["Stalled"][0] == "False"


async def test_an_act_is_never_in_the_name_of_whoever_signed_where_the_search_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may push the requests branch decides how many commits lie between, and needs no key for it."""
    monkeypatch.setattr(objects, "_MAX_WALK", 4)
    await site.begin()
    evil = {"requests/evil.yaml": doc("kind: RunRequest\nmetadata: {name: evil}\nspec: {jobRef: dump}\n")}
    site.push(evil, ref=REQUESTS)
    site.push({"requests/good.yaml": doc("kind: RunRequest\nmetadata: {name: good}\nspec: {jobRef: work}\n")},
              by="ana", ref=REQUESTS)  # fmt: skip
    for number in range(4):
        site.push({f"other-{number}": ""}, ref=REQUESTS)
    await site.look()
    found = {name: await site.answer(name) for name in ("evil", "good")}
    assert {name: one and (said(one), one.requested_by) for name, one in found.items()} == {
        "evil": (("refused", "unproven"), None),
        "good": (("accepted", None), "ana@example.org"),  # by its own commit, which is among those that came
    }
    assert said(await site.asks("again", "{jobRef: dump}", by="ana")) == ("accepted", None)


async def test_without_signatures_an_act_older_than_the_search_is_done_and_is_nobodys(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a commit claims is no proof, but the wrong commit does not even claim it."""
    monkeypatch.setattr(objects, "_MAX_WALK", 2)
    await site.begin({"opsconductor.yaml": FILES["opsconductor.yaml"]})
    await site.brings("seen", "{jobRef: work}", by=None)
    site.push(
        {"requests/old.yaml": doc("kind: RunRequest\nmetadata: {name: old}\nspec: {jobRef: work}\n")}, ref=REQUESTS
    )
    for number in range(3):
        site.push({f"other-{number}": ""}, by="ana", ref=REQUESTS)
    await site.look()
    found = await site.answer("old")
    assert found is not None
    assert (*said(found), found.requested_by) == ("accepted", None, "unknown")
