"""SyncStatus says which commit is in force and what is wrong, and changes only when that does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.sync import Sync, view

NOW = datetime(2026, 11, 21, tzinfo=UTC)
GOOD = Sync(observed="a" * 40, applied="a" * 40)


def conditions(sync: Sync) -> dict[str, tuple[str, str]]:
    return {found.type: (found.status, found.reason) for found in view(sync, None, NOW).conditions}


def test_a_commit_in_force_is_ready() -> None:
    assert conditions(GOOD) == {"Ready": ("True", "InForce"), "Stalled": ("False", "Moving")}


def test_a_rejected_head_leaves_the_last_good_one_in_force() -> None:
    rejected = replace(GOOD, observed="b" * 40, rejected=True)
    assert conditions(rejected) == {"Ready": ("False", "LastGood"), "Stalled": ("True", "Invalid")}
    assert (view(rejected, None, NOW).observed, view(rejected, None, NOW).applied) == ("b" * 40, "a" * 40)
    assert not rejected.clean


def test_rewritten_history_waits_for_a_person() -> None:
    frozen = replace(GOOD, frozen=("HistoryRewritten", "run opsconductor accept"))
    assert conditions(frozen)["Stalled"] == ("True", "HistoryRewritten")


def test_a_source_that_is_away_is_not_ready_but_not_stalled() -> None:
    away = replace(GOOD, trouble=("SourceUnavailable", "no route"))
    assert conditions(away) == {"Ready": ("False", "SourceUnavailable"), "Stalled": ("False", "Moving")}


def test_a_condition_keeps_the_time_of_its_last_transition() -> None:
    first = view(GOOD, None, NOW)
    later = view(replace(GOOD, applied="b" * 40), first, NOW + timedelta(hours=1))
    assert [found.last_transition for found in later.conditions] == [NOW, NOW]
    broken = view(replace(GOOD, rejected=True), later, NOW + timedelta(hours=2))
    assert [found.last_transition for found in broken.conditions] == [NOW + timedelta(hours=2)] * 2


def test_nothing_changes_while_nothing_changes() -> None:
    assert view(GOOD, view(GOOD, None, NOW), NOW + timedelta(days=1)) == view(GOOD, None, NOW)


def test_where_signatures_are_asked_for_it_is_said_whether_the_head_is_trusted() -> None:
    """Where nobody asks for them, nothing is said: a gate tells by this whether its votes are proven."""
    asked = replace(GOOD, verify="range", proof="signed by ana with SHA256:a", verified=True)
    assert conditions(asked)["Verified"] == ("True", "Trusted")
    assert conditions(replace(asked, frozen=("Unsigned", "sign it")))["Verified"] == ("False", "Unsigned")
    stopped = view(
        replace(asked, frozen=("Unsigned", "x is not signed; sign it"), unproven="x is not signed"), None, NOW
    )
    assert stopped.conditions[2].message == "x is not signed; verify: range"
    assert conditions(replace(asked, verified=False))["Verified"] == ("Unknown", "TakenBefore")
    assert conditions(replace(asked, proof=None))["Verified"] == ("Unknown", "NothingTrusted")
    assert view(asked, None, NOW).signed
    assert not view(GOOD, None, NOW).signed
    assert not view(replace(GOOD, policies=1), None, NOW).signed, "a Policy that holds nobody proves nothing"
