"""Repeating a failed step by its author's consent: whether there is another attempt, and how long to wait for it."""

import hashlib
from datetime import timedelta
from typing import Any

from engine.expressions.expression import condition_text
from engine.runs.outcome import Failed, Outcome, TimedOut, Unreachable, output_of
from schemas.job import Retry
from schemas.quantities import format_duration

LONGEST = timedelta(hours=1)
"""Between two attempts, where the author names no `maxDelay`."""


def repeats(retry: Retry, outcome: Outcome, attempt: int) -> bool:
    """Whether `retry` consents to another attempt after this one; its `if` is asked apart.

    It does so after a failure, a proven timeout, and where nothing was sent; the last whatever `onExitCodes` says.
    """
    if attempt >= retry.max_attempts or not isinstance(outcome, Failed | TimedOut | Unreachable):
        return False
    if isinstance(outcome, Unreachable) or not retry.on_exit_codes:
        return True
    return output_of(outcome).exit_code in retry.on_exit_codes


def pause_before(retry: Retry, attempt: int, key: str) -> timedelta:
    """How long to wait between the end of `attempt`, which counts from 1, and the next one.

    Jitter shortens the pause by up to half. It follows from `key`, so that a runner that takes over waits as long.
    """
    longest = retry.max_delay or LONGEST
    doublings = min(attempt - 1, 40) if retry.backoff == "exponential" else 0
    pause = timedelta(seconds=min(retry.delay.total_seconds() * 2**doublings, longest.total_seconds()))
    if not retry.jitter:
        return pause
    digest = hashlib.sha256(f"{key}\0{attempt}".encode()).digest()
    return pause * (1 - int.from_bytes(digest[:8]) / 2**65)


def told(retry: Retry) -> dict[str, Any]:
    """What there is to say of another attempt, besides how many there may be: as `schemas.run.Repeats` has it."""
    longest = retry.max_delay or LONGEST
    first = min(retry.delay, longest)
    grows = retry.backoff == "exponential" and timedelta(0) < first < longest
    facts: dict[str, Any] = {
        "delay": format_duration(first) if first else None,
        "backoff": retry.backoff if grows else None,
        "maxDelay": format_duration(longest) if grows else None,
        "jitter": (retry.jitter and bool(first)) or None,
        "onExitCodes": list(retry.on_exit_codes) or None,
        "if": condition_text(retry.if_) if isinstance(retry.if_, str) else retry.if_,
    }
    return {key: value for key, value in facts.items() if value is not None}
