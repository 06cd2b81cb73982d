"""What `approve` and `reject` are about: a gate, a commit, or a request, by what people are shown of it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.authority.permits import Want
from engine.status.readmodel import gate_file, sync_file, to_yaml
from engine.status.views import SyncView
from opsconductor.cli.approve import meant_change, meant_gate, shown_change
from opsconductor.exits import UsageError
from opsconductor.follow import _waits
from opsconductor.waiting import listed, row
from reconciler.acts.actgate import OpenAct
from reconciler.acts.changegate import OpenChange
from reconciler.acts.votes import Vote
from tests.unit.test_status import reader
from tests.unit.test_status_kinds import GATE

WANT = Want(("Job/work",), 2, ("ana",), ("cy", "dee"), True)
CHANGE = OpenChange(f"sha256:{'0' * 64}", "b" * 40, "c" * 40, ("bo",), (WANT,), (Vote("ana", True, "yes"),))
REQUEST = OpenAct(
    f"sha256:{'1' * 64}", "go", "d" * 40, "run Job/work", ("bo",), (WANT,), (Vote("ana", True, "yes"),),
    "requests/go.yaml", datetime(2026, 11, 21, 2, tzinfo=UTC),
)  # fmt: skip


def test_a_request_is_meant_by_its_name_or_its_digest_and_a_change_by_its_commit(tmp_path: Path) -> None:
    sync = SyncView(change=CHANGE.shown(), requests=(REQUEST.shown(),))
    status = reader(tmp_path, {"sync.yaml": to_yaml(sync_file(sync))})
    for wanted in ("go", "1" * 12, f"sha256:{'1' * 12}"):
        found = meant_change(status, wanted)
        assert found is not None
        assert found["gate"] == REQUEST.digest
    for wanted in ("c" * 12, "0" * 12):
        found = meant_change(status, wanted)
        assert found is not None
        assert found["gate"] == CHANGE.digest
    for wanted in ("g", "", "d" * 12, "2" * 12):
        assert meant_change(status, wanted) is None
    assert meant_change(None, "go") is None


def test_what_may_be_another_is_not_approved(tmp_path: Path) -> None:
    twin = replace(REQUEST, digest=f"sha256:{'1' * 20}{'2' * 44}", request="stop")
    sync = SyncView(change=CHANGE.shown(), requests=(REQUEST.shown(), twin.shown()))
    status = reader(tmp_path, {"sync.yaml": to_yaml(sync_file(sync))})
    with pytest.raises(UsageError, match="is the beginning of several"):
        meant_change(status, "1" * 12)
    for wanted, name in (("1" * 21, "go"), ("1" * 20 + "2", "stop"), ("stop", "stop")):
        found = meant_change(status, wanted)
        assert found is not None
        assert found["request"] == name


RUN = "deploy-20261121T001500Z-0123456789"
GATE_NODE = """
metadata: {{name: {run}}}
spec: {{workflow: deploy}}
status:
  state: running
  nodes:
    build: {{kind: job, state: succeeded}}
    ask:
      {{kind: gate, state: {state}, finishedAt: "2026-11-21T00:20:00Z", reason: {reason},
        gate: {{digest: "{digest}", votes: [{votes}]}}}}
"""
YES = '{by: ana, decision: approve, at: "2026-11-21T00:18:00Z", reason: tested, approval: a}'
NO = '{by: bob@example.org, decision: reject, at: "2026-11-21T00:19:00Z", approval: b}'


@pytest.mark.parametrize(
    ("state", "reason", "votes", "said"),
    [
        (
            "succeeded", "approved by ana", YES,
            "was approved at 2026-11-21T00:20:00Z: ana said approve at 2026-11-21T00:18:00Z (tested)",
        ),
        (
            "failed", "rejected by bob@example.org", f"{YES}, {NO}",
            "was rejected at 2026-11-21T00:20:00Z: ana said approve at 2026-11-21T00:18:00Z (tested), "
            "bob@example.org said reject at 2026-11-21T00:19:00Z",
        ),
        (
            "skipped", "nobody decided in time", "",
            "is skipped, nobody decided in time, at 2026-11-21T00:20:00Z: nobody had said anything",
        ),
        ("cancelled", "null", "", "is cancelled at 2026-11-21T00:20:00Z: nobody had said anything"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("others", [False, True])
def test_of_a_gate_that_was_decided_it_is_said_by_whom_when_and_how(
    tmp_path: Path, state: str, reason: str, votes: str, said: str, others: bool
) -> None:
    digest = f"sha256:{'3f1c9a0be77d'}{'0' * 52}"
    text = GATE_NODE.format(run=RUN, state=state, reason=reason, votes=votes, digest=digest)
    waits = {f"gates/{GATE.digest[7:]}.yaml": to_yaml(gate_file(GATE, advisory=False))} if others else {}
    status = reader(tmp_path, {f"runs/2026/11/21/{RUN}.yaml": text, **waits})
    for wanted in ("3f1c", "3F1C9A0BE77D", digest):
        with pytest.raises(UsageError) as told:
            meant_gate(status, wanted)
        assert str(told.value) == (
            f"gate 3f1c9a0be77d (ask of {RUN}) {said}; what came of it: opsconductor describe run {RUN}"
        )
    for wanted in ("3f1d", "3f1", ""):
        with pytest.raises(UsageError, match="there are: " if others else "no gate waits for anybody"):
            meant_gate(status, wanted)


def test_a_gate_whose_file_is_not_there_yet_has_not_been_decided(tmp_path: Path) -> None:
    """Others may write the branch, too: what has no shape of ours is passed over."""
    node = GATE_NODE.format(run=RUN, state="waiting", reason="null", votes="", digest=f"sha256:{'3' * 64}")
    odd = node.replace('finishedAt: "2026-11-21T00:20:00Z", ', "").replace(
        "build: {", "odd: [3]\n    build: {gate: 3, "
    )
    status = reader(tmp_path, {f"runs/2026/11/21/{RUN}.yaml": odd, "runs/2026/11/21/x.yaml": f"sha256:{'3' * 64}"})
    with pytest.raises(UsageError, match="no gate waits for anybody"):
        meant_gate(status, "3" * 12)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "{state: done, reason: null, run: work-20260921T231500Z-1}",
            "request go is done; what came of it: opsconductor describe run work-20260921T231500Z-1",
        ),
        (
            "{state: refused, reason: rejected, run: null, message: bo said no}",
            "request go is refused (rejected: bo said no)",
        ),
    ],
)
def test_of_a_request_that_was_answered_it_is_said_what_became_of_it(tmp_path: Path, answer: str, said: str) -> None:
    head = "apiVersion: opsconductor/v1\nkind: RequestStatus\nmetadata: {name: go}\n"
    status = reader(tmp_path, {"requests/go.yaml": f"{head}status: {answer}\n", "requests/odd.yaml": "[3]\n"})
    with pytest.raises(UsageError) as told:
        meant_gate(status, "go")
    assert str(told.value) == said
    for wanted in ("odd", "../requests/go", ""):
        with pytest.raises(UsageError, match="no gate waits for anybody"):
            meant_gate(status, wanted)


def test_of_the_commit_in_force_it_is_said_that_it_is(tmp_path: Path) -> None:
    status = reader(tmp_path, {"sync.yaml": to_yaml(sync_file(SyncView(applied="ab" * 20)))})
    with pytest.raises(UsageError) as told:
        meant_gate(status, "ABAB")
    assert str(told.value) == "commit abababababab is in force: it waits for nobody any more"
    with pytest.raises(UsageError, match="no gate waits for anybody"):
        meant_gate(status, "aba")


def test_all_that_waits_is_listed_with_its_digest_and_how_to_approve_it(tmp_path: Path) -> None:
    rejected = replace(REQUEST, digest=f"sha256:{'3' * 64}", request="no", votes=(Vote("cy", False, "no"),))
    sync = SyncView(change=CHANGE.shown(), requests=(REQUEST.shown(), rejected.shown()))
    gate = gate_file(GATE, advisory=False)
    files = {"sync.yaml": to_yaml(sync_file(sync)), f"gates/{GATE.digest[7:]}.yaml": to_yaml(gate)}
    status = reader(tmp_path, files)
    found = listed(status)
    assert [(one["kind"], one["metadata"]["name"], one["status"]["toApprove"]) for one in found] == [
        ("Gate", GATE.digest, f"opsconductor approve {GATE.digest[7:19]}"),
        ("WaitingChange", CHANGE.digest, "opsconductor approve 000000000000"),
        ("WaitingRequest", REQUEST.digest, "opsconductor approve 111111111111"),
    ]
    assert found[2]["spec"] == {key: one for key, one in REQUEST.shown().items() if key not in ("gate", "votes")}
    able, asked = "cy, dee", "bo"
    assert [row(one) for one in found[1:]] == [
        ("0" * 12, "commit cccccccccccc", "-", "1 of 2", "-", "in force: Job/work", asked, able),
        ("1" * 12, "request go", "-", "1 of 2", "2026-11-21T02:00:00Z", "run Job/work", asked, able),
    ]
    assert row(found[0])[:2] == (GATE.digest[7:19], GATE.shown["run"])
    assert listed(None) == []
    with pytest.raises(UsageError, match="request go"):
        meant_gate(status, "zz")


def test_who_asked_is_told_for_whom_it_waits(tmp_path: Path) -> None:
    status = reader(tmp_path, {"sync.yaml": to_yaml(sync_file(SyncView(requests=(REQUEST.shown(),))))})
    assert _waits(status, "go") == "it waits for approvals (so far: ana): 'opsconductor approve go', by cy, dee"
    assert _waits(status, "other") is None
    assert _waits(None, "go") is None


def test_what_is_approved_is_shown_first() -> None:
    assert list(shown_change(REQUEST.shown())) == [
        "request go to run Job/work, by bo",
        "  to see what it says: git show dddddddddddd",
        "  ana said approve: no reason given",
        "  Job/work: 1 of 2 approved; may approve: cy, dee",
    ]
    assert "  to see what it changes: opsconductor plan --base bbbbbbbbbbbb --head cccccccccccc" in list(
        shown_change(CHANGE.shown())
    )


def test_what_is_not_as_an_engine_writes_it_is_left_out(tmp_path: Path) -> None:
    """Whoever else may write the branch gets no crash report out of a command, and hides nothing that is well."""
    sync = sync_file(SyncView(change=CHANGE.shown(), requests=(REQUEST.shown(),)))
    gate = gate_file(GATE, advisory=False)
    later = {**REQUEST.shown(), "gate": f"sha256:{'4' * 64}", "request": "later", "added": 1}
    odd = [None, "x", 7, {"gate": 1}, {**REQUEST.shown(), "votes": [{"by": "x"}]}, {**REQUEST.shown(), "wants": [{}]}]
    for number, change in enumerate((None, 7, {"gate": "x"}, {**CHANGE.shown(), "requestedBy": 3})):
        status = {**sync["status"], "change": change, "requests": [*odd, REQUEST.shown(), later]}
        files = {"sync.yaml": to_yaml({**sync, "status": status}), "gates/odd.yaml": "kind: Gate\n"}
        read = reader(tmp_path / f"{number}", {**files, "gates/well.yaml": to_yaml(gate)})
        assert [row(one)[1] for one in listed(read)] == [str(gate["spec"]["run"]), "request go", "request later"]
        assert meant_change(read, "x") is None
        assert (meant_change(read, "go") or {})["gate"] == REQUEST.digest
    for number, said in enumerate((None, "x", [], {"requests": 7}), start=10):
        read = reader(tmp_path / f"{number}", {"sync.yaml": to_yaml({**sync, "status": said})})
        assert listed(read) == []
        assert meant_change(read, "go") is None
