"""Which commits may come into force."""

from reconciler.trust import Frozen, Trusted, judge

A, B = "a" * 40, "b" * 40


def test_the_first_commit_and_its_descendants_are_taken() -> None:
    assert judge(A, None, descends=True, accepted_by_name=None) == Trusted(A)
    assert judge(B, A, descends=True, accepted_by_name=None) == Trusted(B)


def test_rewritten_history_freezes_and_says_both_ways_on() -> None:
    found = judge(B, A, descends=False, accepted_by_name=None)
    assert isinstance(found, Frozen)
    assert f"opsconductor accept {B}" in found.message
    assert A[:12] in found.message


def test_a_person_on_the_server_may_name_the_commit() -> None:
    assert judge(B, A, descends=False, accepted_by_name=B) == Trusted(B, by_name=True)
    assert isinstance(judge(B, A, descends=False, accepted_by_name=A), Frozen)
