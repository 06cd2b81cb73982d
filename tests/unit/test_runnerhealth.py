"""What a runner says of itself to a probe."""

import math
from dataclasses import replace

import pytest

from opsconductor.service import runnerhealth
from runners.pulse import Pulse

WELL = Pulse(now=1000.0, begun=True, tried=998.0, heard=998.0, unrenewed=2.0, draining=False)


def troubles(pulse: Pulse | None, since_turn: float = 0.1, unwritable: str | None = None) -> set[str]:
    parts = runnerhealth.ready(pulse, since_turn, unwritable)
    assert set(runnerhealth.alive(pulse, since_turn)) <= set(parts)
    return {f"{part.name}: {part.trouble}" for part in parts if part.trouble is not None}


def lives(pulse: Pulse | None, since_turn: float = 0.1) -> bool:
    return all(part.trouble is None for part in runnerhealth.alive(pulse, since_turn))


@pytest.mark.parametrize(
    ("pulse", "since_turn", "unwritable", "said"),
    [
        (WELL, 0.1, None, set()),
        (WELL, 16.0, None, {"event loop: it has not turned for 16 s"}),
        (WELL, 0.1, "secret path", {"journal: it cannot be written; the runner's log says why"}),
        (replace(WELL, draining=True), 0.1, None, {"runner: it is stopping"}),
        (replace(WELL, begun=False, tried=-math.inf, heard=-math.inf), 0.1, None,
         {"runner: it waits until nothing of an earlier one runs on this host"}),
        (None, 0.1, None, {"runner: it waits until nothing of an earlier one runs on this host"}),
        (replace(WELL, heard=-math.inf), 0.1, None, {"journal: it has not been asked for work yet"}),
        (replace(WELL, heard=970.0), 0.1, None, {"journal: it was asked for work 30 s ago last"}),
        (replace(WELL, unrenewed=13.0), 0.1, None,
         {"leases: they were not renewed for 13 s: others may have its runs"}),
        (replace(WELL, tried=600.0, heard=600.0), 0.1, None,
         {"work: no look for it has ended for 400 s", "journal: it was asked for work 400 s ago last"}),
    ],
)  # fmt: skip
def test_a_probe_names_what_is_not_well(
    pulse: Pulse | None, since_turn: float, unwritable: str | None, said: set[str]
) -> None:
    assert troubles(pulse, since_turn, unwritable) == said


def test_only_what_a_restart_could_mend_makes_it_look_dead() -> None:
    assert lives(None)
    assert lives(replace(WELL, begun=False, tried=-math.inf))
    assert lives(replace(WELL, heard=0.0, unrenewed=900.0)), "a database that is away is no reason"
    assert not lives(replace(WELL, tried=600.0))
    assert not lives(WELL, since_turn=16.0)
