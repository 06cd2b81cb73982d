"""What is recorded of an attempt, however much its target says."""

from typing import Any

import pytest

from engine.runs.outcome import Failed, Outcome, Unknown
from runners.judging import MOST_SAID, Facts, Judge
from runners.masking import Masker
from tests.running import script


@pytest.mark.parametrize("kind", [Failed, Unknown])
def test_an_error_is_recorded_as_far_as_people_read(kind: type[Failed | Unknown]) -> None:
    place: Any = None  # no expression is evaluated
    judge = Judge(script("true"), place, Masker(), {})

    def recorded(outcome: Outcome) -> str | None:
        return judge.judged(outcome, Facts(1, 0.0)).error

    assert recorded(kind("e" * MOST_SAID)) == "e" * MOST_SAID
    assert recorded(kind("e" * MOST_SAID + "more")) == f"{'e' * MOST_SAID} ... (4 characters more)"
