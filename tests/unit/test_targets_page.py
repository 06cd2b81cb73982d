"""What the list of targets says of itself in one sentence."""

import pytest

from opsconductor.dashboard.pages.targets import sentence


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], "There is no target here."),
        ([None], "No target here was used yet."),
        (["succeeded"], "The one target here that was used ended well last time."),
        (["succeeded", None], "The one target here that was used ended well last time; 1 was never used."),
        (["skipped"] * 2 + [None] * 2, "All 2 targets here that were used ended well last time; 2 were never used."),
        (["failed", "succeeded", None], "1 of 2 targets here did not end well last time: t0; 1 was never used."),
    ],
)  # fmt: skip
def test_it_reads_as_somebody_would_say_it(states: list[str | None], said: str) -> None:
    assert sentence([{"name": f"t{number}", "state": state} for number, state in enumerate(states)]) == said
