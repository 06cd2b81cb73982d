"""Whose the branch is."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.status.readmodel import sync_file, to_yaml
from engine.status.views import EngineView, SyncView
from reconciler.publication.claim import Proceed, Refuse, Wait, claim_in, engine_id, judge, supplants, with_claim
from reconciler.publication.publish import marked

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OPEN = EngineView("aaaaaaaaaaaa", "web-1", NOON, None)
CLOSED = EngineView("aaaaaaaaaaaa", "web-1", NOON, NOON)


@pytest.mark.parametrize(
    ("claim", "own", "take_over", "verdict"),
    [
        (None, "b", False, Proceed()),
        (None, "b", True, Proceed()),
        (CLOSED, "b", False, Proceed()),
        (CLOSED, "b", True, Proceed()),
        (OPEN, OPEN.id, False, Proceed()),
        (OPEN, "b", False, Refuse(OPEN)),
        (OPEN, "b", True, Wait(OPEN)),
    ],
)
def test_what_an_engine_may_do(claim: EngineView | None, own: str, take_over: bool, verdict: object) -> None:
    assert judge(claim, own, take_over) == verdict


def test_a_refusal_names_the_other_and_both_ways_on() -> None:
    message = Refuse(OPEN).message
    assert "aaaaaaaaaaaa on web-1 (since 2026-11-21T12:00:00Z)" in message
    assert "SIGTERM" in message
    assert "--take-over" in message


def test_when_we_no_longer_own_it() -> None:
    later = EngineView(OPEN.id, "web-1", NOON + timedelta(seconds=1), None)
    assert not supplants(None, OPEN.id, OPEN)
    assert not supplants(OPEN, OPEN.id, OPEN)
    assert not supplants(OPEN, OPEN.id, later)
    assert supplants(OPEN, "b", None)
    assert supplants(CLOSED, "b", None)
    assert supplants(later, OPEN.id, OPEN)


def test_a_claim_is_read_as_it_was_written() -> None:
    """Whatever else an engine wrote stays, in the one style of all status files."""
    other = EngineView("old", "web-9", NOON)
    written = to_yaml(sync_file(SyncView(engine=other, observed="a" * 40, last_good="b" * 40))).encode()
    for claim in (OPEN, CLOSED):
        text = with_claim(written, claim)
        assert claim_in(text) == claim
        assert text == to_yaml(sync_file(SyncView(engine=claim, observed="a" * 40, last_good="b" * 40))).encode()
    assert claim_in(with_claim(None, OPEN)) == OPEN
    assert claim_in(with_claim(b"what a stranger wrote", OPEN)) == OPEN


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"[]",
        b"status: 3",
        b"status: {engine: {id: x}}",
        b"status: {engine: {id: x, since: soon}}",
        b"status: {engine: {id: x, since: 2026-11-21T12:00:00}}",
        b"status: {engine: {id: '', since: '2026-11-21T12:00:00Z'}}",
        b"status: {engine: {id: 7, since: '2026-11-21T12:00:00Z'}}",
        b"a: &a [*a]",
        b"[" * 30000,
        b"\xff\xfe\x00",
        b"status: {engine: {id: x, since: '2026-11-21T12:00:00Z'}, engine: {}}",
    ],
)
def test_what_is_no_claim(data: bytes | None) -> None:
    """The branch is foreign ground: hostile bytes are nothing, and writing over them works."""
    assert claim_in(data) is None
    assert claim_in(with_claim(data, OPEN)) == OPEN


def test_the_id_is_that_of_machine_and_state() -> None:
    assert engine_id("m", "/s") == engine_id("m", "/s")
    assert len({engine_id("m", "/s"), engine_id("m", "/t"), engine_id("n", "/s")}) == 3
    assert len(engine_id("m", "/s")) == 12


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("status: 3 runs", "status: 3 runs [skip ci]"),
        ("status\n\nbody\n", "status\n\nbody\n\n[skip ci]"),
        ("done [skip ci]", "done [skip ci]"),
        ("", "status [skip ci]"),
    ],
)
def test_messages_end_in_the_mark(message: str, written: str) -> None:
    assert marked(message) == written
