"""Consent to another attempt, and the pause before it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runs.outcome import Cancelled, Failed, Outcome, Output, Skipped, Succeeded, TimedOut, Unknown, Unreachable
from engine.runs.retrying import LONGEST, pause_before, repeats
from schemas.job import Retry


def retry(**written: Any) -> Retry:
    return Retry.model_validate({"maxAttempts": 5, **written})


@pytest.mark.parametrize(
    ("outcome", "codes", "again"),
    [
        (Failed("", Output(75)), [], True),
        (Failed("", Output(75)), [75, 76], True),
        (Failed("", Output(1)), [75], False),
        (Failed("an expression"), [75], False),
        (TimedOut("", Output(143)), [], True),
        (TimedOut(""), [75], False),
        (Unreachable(""), [75], True),
        (Unknown("", Output(75)), [], False),
        (Cancelled("", Output(75)), [], False),
        (Succeeded(Output(75)), [75], False),
        (Skipped(), [], False),
    ],
)
def test_what_is_repeated(outcome: Outcome, codes: list[int], again: bool) -> None:
    assert repeats(retry(onExitCodes=codes), outcome, 4) is again
    assert not repeats(retry(onExitCodes=codes), outcome, 5)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ({"delay": "20s"}, [20, 20, 20]),
        ({"delay": "20s", "backoff": "exponential"}, [20, 40, 80]),
        ({"delay": "20s", "backoff": "exponential", "maxDelay": "30s"}, [20, 30, 30]),
        ({}, [0, 0, 0]),
    ],
)
def test_the_pause_grows_as_written(written: dict[str, Any], seconds: list[float]) -> None:
    assert [pause_before(retry(**written), n, "k").total_seconds() for n in (1, 2, 3)] == seconds


@given(st.integers(1, 10**9), st.sampled_from(["0s", "1s", "90d"]), st.booleans(), st.text())
def test_no_pause_is_longer_than_allowed(attempt: int, delay: str, jitter: bool, key: str) -> None:
    written = {"delay": delay, "backoff": "exponential", "jitter": jitter}
    assert timedelta(0) <= pause_before(retry(**written), attempt, key) <= LONGEST
    assert pause_before(retry(**written, maxDelay="2s"), attempt, key) <= timedelta(seconds=2)


@given(st.integers(1, 100), st.text())
def test_jitter_takes_away_up_to_half_and_is_the_same_for_whoever_asks(attempt: int, key: str) -> None:
    pause = pause_before(retry(delay="10s", jitter=True), attempt, key)
    assert timedelta(seconds=5) <= pause <= timedelta(seconds=10)
    assert pause == pause_before(retry(delay="10s", jitter=True), attempt, key)


def test_jitter_spreads_targets() -> None:
    pauses = {pause_before(retry(delay="10s", jitter=True), 1, f"run\0web-{n}\0step") for n in range(50)}
    assert max(pauses) - min(pauses) > timedelta(seconds=3)
