"""What `approve` and `reject` are about: a gate, a commit, or a request, by what people are shown of it."""

from pathlib import Path

from engine.permits import Want
from engine.readmodel import sync_file, to_yaml
from engine.views import SyncView
from opsconductor.cli.approve import meant_change, shown_change
from opsconductor.follow import _waits
from reconciler.actgate import OpenAct
from reconciler.changegate import OpenChange
from reconciler.votes import Vote
from tests.unit.test_status import reader

WANT = Want(("Job/work",), 2, ("ana",), ("cy", "dee"), True)
CHANGE = OpenChange(f"sha256:{'0' * 64}", "b" * 40, "c" * 40, ("bo",), (WANT,), (Vote("ana", True, "yes"),))
REQUEST = OpenAct(f"sha256:{'1' * 64}", "go", "d" * 40, "run Job/work", ("bo",), (WANT,), (Vote("ana", True, "yes"),))


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
