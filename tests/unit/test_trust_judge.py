"""What the judging of a signed step promises."""

from datetime import UTC, datetime
from itertools import product

import pytest

from engine.authority.trust import (
    Authority,
    Change,
    MergedBy,
    Mode,
    Signature,
    SignedBy,
    Stopped,
    Unsigned,
    Untrusted,
    judge,
    signers,
    stricter,
)

_ANA = SignedBy("ana@example.org", "ana", "SHA256:a")
_BOB = SignedBy("bob", "bob", "SHA256:b")
_COMMIT = "c" * 40


def _change(mode: Mode, signature: Signature) -> Change:
    return Change("b" * 40, _COMMIT, Authority(), mode, signature, datetime(2026, 11, 22, tzinfo=UTC))


def test_the_stricter_of_two_modes_is_in_force() -> None:
    order: tuple[Mode, ...] = ("none", "head", "range")
    for one, other in product(order, order):
        assert stricter(one, other) == order[max(order.index(one), order.index(other))]


@pytest.mark.parametrize("mode", ["head", "range"])
@pytest.mark.parametrize("signature", [Unsigned(), Untrusted("unknownKey", "nobody's key")])
def test_what_proves_nothing_stops_the_chain(mode: Mode, signature: Signature) -> None:
    stopped = judge(_change(mode, signature))
    assert stopped is not None
    assert stopped.commit == _COMMIT


@pytest.mark.parametrize("signature", [_ANA, MergedBy("forge", "SHA256:f", (_ANA,))])
def test_what_somebody_answers_for_passes(signature: Signature) -> None:
    assert judge(_change("range", signature)) is None


def test_with_mode_none_a_signature_is_not_asked_for() -> None:
    assert judge(_change("none", Unsigned())) is None


def test_permission_is_asked_for_in_every_mode_and_only_of_what_passed() -> None:
    refusal = Stopped(_COMMIT, "Forbidden", "ana may not")
    modes: tuple[Mode, ...] = ("none", "head", "range")
    for mode in modes:
        assert judge(_change(mode, _ANA), lambda _: refusal) == refusal
    stopped = judge(_change("range", Unsigned()), lambda _: refusal)
    assert stopped is not None
    assert stopped.reason == "Unsigned"


def test_all_whose_work_a_forge_merged_answer_for_it() -> None:
    assert signers(MergedBy("forge", "SHA256:f", (_ANA, _BOB))) == (_ANA, _BOB)
    assert signers(_ANA) == (_ANA,)
    assert signers(Unsigned()) == signers(Untrusted("revoked", "")) == ()
