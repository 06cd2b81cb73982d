"""Probes tell the truth, and name what is not well."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from opsconductor.service import health
from opsconductor.service.health import Part, Pulse, Rank

NEVER = float("-inf")
WELL = Pulse(
    now=1000.0,
    started_at=datetime(2026, 11, 21, tzinfo=UTC),
    turned=999.8,
    tried=995.0,
    passed=995.0,
    seen=998.0,
    pace=timedelta(seconds=30),
    commit="1f0c" * 10,
    paused=False,
    claimed=True,
    stopping=False,
    working=None,
)


def troubles(parts: tuple[Part, ...]) -> dict[str, str]:
    return {part.name: part.trouble for part in parts if part.trouble is not None}


def test_all_is_well() -> None:
    assert troubles(health.alive(WELL)) == troubles(health.ready(WELL, None)) == {}


@pytest.mark.parametrize(
    ("changed", "alive", "ready"),
    [
        ({"turned": 970.0}, {"event loop"}, {"event loop"}),
        ({"tried": 600.0, "passed": 600.0}, {"reconciler"}, {"reconciler", "reconcile"}),
        ({"passed": 890.0}, set(), {"reconcile"}),
        ({"passed": 900.0}, set(), set()),
        ({"seen": 890.0}, set(), {"source"}),
        ({"commit": None, "tried": NEVER, "passed": NEVER}, set(), {"definitions", "reconcile"}),
        ({"claimed": False}, set(), {"status branch"}),
        ({"claimed": False, "paused": True}, set(), set()),
        ({"stopping": True}, set(), {"engine"}),
        ({"pace": timedelta(seconds=1), "seen": 981.0}, set(), {"source"}),
        ({"published": 879.0}, set(), {"status branch"}),
        ({"published": 881.0}, set(), set()),
        ({"published": 1.0, "paused": True}, set(), set()),
        ({"published": 1.0, "claimed": False, "rank": Rank("b", leads=False, leader="a")}, set(), set()),
    ],
)
def test_what_is_not_well_is_named(changed: dict[str, object], alive: set[str], ready: set[str]) -> None:
    """A restart is asked for where it can help alone: a source that is away is no reason for one."""
    pulse = replace(WELL, **changed)  # type: ignore[arg-type]
    assert troubles(health.alive(pulse)).keys() == alive
    assert troubles(health.ready(pulse, None)).keys() == ready


def test_a_journal_that_cannot_be_written_is_not_ready_and_no_path_is_told() -> None:
    found = health.ready(WELL, "/var/lib/secret: the disk is full")
    assert troubles(found) == {"journal": "it cannot be written; the engine's log says why"}
    assert health.text(found, whole=False) == "journal: it cannot be written; the engine's log says why\n"


def test_what_keeps_status_from_its_branch_is_not_told_to_who_has_no_token() -> None:
    found = health.ready(replace(WELL, published=0.0, unpublished="/srv/ops.git: protected"), None)
    said = "nothing could be published for 1000 s; jobs go on, and the engine's log says why"
    assert troubles(found) == {"status branch": said}
    assert health.in_short(found) == f"status branch: {said}" and health.in_short(health.ready(WELL, None)) is None


def test_what_is_well_says_so_in_a_word_or_part_by_part() -> None:
    found = health.ready(WELL, None)
    assert health.text(found, whole=False) == "ok\n"
    assert health.text(found, whole=True).splitlines()[:3] == ["ok", "event loop: ok", "reconciler: ok"]
