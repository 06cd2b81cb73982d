"""What `target test` found last is kept for the pages: whole, or as if it had not been."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.status.readmodel import target_status, to_yaml
from engine.status.views import TargetStatusView, TestedView
from journal import census, facts, history, outbox
from journal.clock import SystemClock
from journal.store import Journal
from opsconductor.lasttests import LastTest, Trial, keep, last, note, noted, share
from opsconductor.service.testresults import TestResults
from runners.trying import Tried

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)


def test_the_last_test_of_each_target_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    keep(folder, [Tried("web-01", "ssh", True, "Linux", 0.3), Tried("web-01", "http", False, "x" * 9000, 1.5)], AT)
    keep(folder, [Tried("web-02", "ssh", True, "Linux", 0.3)], AT)
    assert last(folder, "web-01") == LastTest(
        AT, (Trial("ssh", True, "Linux", 0.3), Trial("http", False, "x" * 500, 1.5))
    )
    keep(folder, [Tried("web-01", "ssh", False, "away", 9.0)], AT + timedelta(hours=1))
    assert last(folder, "web-01") == LastTest(AT + timedelta(hours=1), (Trial("ssh", False, "away", 9.0),))
    assert last(folder, "web-02") is not None
    assert {file.name for file in folder.iterdir()} == {"web-01.json", "web-02.json"}


@pytest.mark.parametrize(
    "text", ["", "\0\0\0", "[]", '{"at": 1, "trials": []}', '{"at": "2026-11-22T08:00:00Z", "trials": [{}]}']
)
def test_what_a_power_cut_left_is_no_test(tmp_path: Path, text: str) -> None:
    (tmp_path / "web-01.json").write_text(text)
    assert last(tmp_path, "web-01") is None


async def test_what_is_found_beside_several_machines_is_kept_where_all_of_them_look(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'journal'}"
    await asyncio.to_thread(share, store, [Tried("web-01", "ssh", True, "Linux", 0.3)], AT)
    again = [Tried("web-01", "ssh", False, "x" * 9000, 1.5), Tried("web-02", "ssh", True, "Linux", 0.3)]
    await asyncio.to_thread(share, store, again, AT + timedelta(hours=1))
    journal = Journal.open(store, clock=SystemClock())
    try:
        await journal.write(lambda tx: facts.put(tx, "tested/web-03", {"at": 1}))
        found = [await journal.read(lambda conn, n=number: noted(conn, f"web-0{n}")) for number in range(5)]
    finally:
        await journal.close()
    later = AT + timedelta(hours=1)
    assert found[1:3] == [
        LastTest(later, (Trial("ssh", False, "x" * 500, 1.5),)),
        LastTest(later, (Trial("ssh", True, "Linux", 0.3),)),
    ]
    assert [found[0], *found[3:]] == [None, None, None]


async def test_what_is_found_is_for_the_status_branch_too(tmp_path: Path) -> None:
    """By its connections alone: what a place answered is for the pages. A branch that is drawn anew has it again."""
    store = f"sqlite:///{tmp_path / 'journal'}"
    tried = [Tried("web-01", "ssh", True, "Linux", 0.3), Tried("web-01", "http", False, "hunter2", 1.5)]
    await asyncio.to_thread(share, store, tried, AT)
    journal = Journal.open(store, clock=SystemClock())
    try:
        view = await journal.read(lambda conn: history.target(conn, "web-01"))
        assert view == TargetStatusView("web-01", tested=TestedView(AT, (("ssh", True), ("http", False))))
        assert b"hunter2" not in target_status_text(view)
        assert (await journal.read(lambda conn: outbox.pending(conn, "x", 100))).objects == (("target", "web-01"),)
        await journal.write(census.announce)
        news = await journal.read(lambda conn: outbox.pending(conn, "x", 100))
        assert ("target", "web-01") in news.objects
        await journal.write(lambda tx: facts.put(tx, "tested/web-03", {"at": 1}))
        assert (await journal.read(lambda conn: history.target(conn, "web-03"))).tested is None
    finally:
        await journal.close()


async def test_what_lies_in_the_state_folder_is_taken_into_the_journal_once(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal'}", clock=SystemClock())
    results = TestResults(journal, folder)

    async def taken(*targets: str) -> set[str]:
        """Whose files on the status branch are to be written anew after another look."""
        await journal.write(lambda tx: outbox.advance(tx, "x", outbox.last(tx)))
        await results.take(targets)
        news = await journal.read(lambda conn: outbox.pending(conn, "x", 100))
        return {name for _, name in news.objects}

    try:
        assert await taken("web-01") == set(), "nobody has tested anything"
        keep(folder, [Tried("web-01", "ssh", True, "Linux", 0.3), Tried("web-02", "ssh", True, "Linux", 0.3)], AT)
        (folder / "web-03.json").write_text("")  # the power went
        assert await taken("web-01", "web-03") == {"web-01"}, "web-02 is not in force"
        assert await taken("web-01", "web-03") == set()
        assert await taken("web-01", "web-02") == {"web-02"}
        keep(folder, [Tried("web-01", "ssh", False, "away", 9.0)], AT + timedelta(hours=1))
        assert await taken("web-01", "web-02") == {"web-01"}
        found = await journal.read(lambda conn: noted(conn, "web-01"))
        assert found == LastTest(AT + timedelta(hours=1), (Trial("ssh", False, "away", 9.0),)) == last(folder, "web-01")
        results = TestResults(journal, folder)
        assert await taken("web-01", "web-02") == set(), "another process finds what it knows"
        await journal.write(lambda tx: note(tx, [Tried("web-01", "ssh", True, "", 0.3)], AT + timedelta(hours=2)))
        await TestResults(journal, folder).take({"web-01"})
        newest = await journal.read(lambda conn: noted(conn, "web-01"))
        assert newest is not None and newest.at == AT + timedelta(hours=2), "what the journal has is newer"
    finally:
        await journal.close()


def target_status_text(view: TargetStatusView) -> bytes:
    return to_yaml(target_status(view)).encode()
