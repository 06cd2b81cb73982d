"""What people read of trust."""

import pytest

from engine.authority.trust import MergedBy, Signature, SignedBy, Stopped, Unsigned, Untrusted
from reconciler.authority.trust import frozen, proof

A = "a" * 40
BOB = SignedBy("bob", "bob", "SHA256:b")
ANA = SignedBy("ana@example.org", "ana", "SHA256:abc")


@pytest.mark.parametrize("reason", ["HistoryRewritten", "Unsigned", "Untrusted", "Forbidden", "TooMany"])
def test_whatever_stops_a_commit_says_both_ways_on(reason: str) -> None:
    said = frozen(Stopped(A, reason, "it is so"))
    assert said[0] == reason
    assert said[1].startswith("it is so; ")
    assert f"opsconductor accept {A}" in said[1]


def test_where_nothing_can_be_judged_no_commit_is_to_be_accepted_for_it() -> None:
    assert frozen(Stopped(A, "TrustUnavailable", "mend it")) == ("TrustUnavailable", "mend it")


@pytest.mark.parametrize(
    ("signature", "named", "words"),
    [
        (ANA, False, "signed by ana@example.org (User ana) with SHA256:abc"),
        (BOB, False, "signed by bob with SHA256:b"),
        (MergedBy("f", "k", (BOB,)), False, "merged by the forge 'f' and signed by bob with SHA256:b"),
        (Unsigned(), False, "not signed"),
        (Untrusted("revoked", "it is revoked"), False, "signed, and not by anybody who is trusted: it is revoked"),
        (None, True, "accepted by name on the server"),
        (None, False, "taken as the first one, with nobody to speak for it"),
    ],
)  # fmt: skip
def test_why_a_commit_is_trusted_is_said_in_words(signature: Signature | None, named: bool, words: str) -> None:
    assert proof(signature, named=named) == words
