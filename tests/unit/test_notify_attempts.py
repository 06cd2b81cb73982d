"""An attempt of `notify` after one that reached some of the recipients: what it says, and hands on."""

import pytest

from engine.runs.outcome import Failed, Outcome, Output, Succeeded, Unknown, Unreachable
from runners.connections import Stop, Why
from runners.steps.notify import kept

HAD = frozenset({"b@example.org", "a@example.org"})
BEFORE = "a@example.org, b@example.org had it before"
REACHED = {"reached": ["a@example.org", "b@example.org"]}
SAID = Output(values={"id": "1", "reached": ["a@example.org", "b@example.org", "c@example.org"]})


@pytest.mark.parametrize(
    ("outcome", "stopped", "found"),
    [
        (Succeeded(Output(values={"id": "1"})), None, Succeeded(Output(values={"id": "1"}))),
        (Unreachable("no route"), None, Failed(f"no route; {BEFORE}", Output(values=REACHED))),
        (Unreachable("no route"), "cancelled", Failed(f"no route; {BEFORE}", Output(values=REACHED))),
        (Unreachable("no route"), "drained", Unreachable("no route")),
        (Unreachable("no route"), "lost", Unreachable("no route")),
        (Failed("451"), None, Failed(f"451; {BEFORE}", Output(values=REACHED))),
        (
            Failed("451", Output(values={"id": "1"})),
            None,
            Failed(f"451; {BEFORE}", Output(values={"id": "1"} | REACHED)),
        ),
        (Failed("c is full", SAID), None, Failed("c is full", SAID)),
        (Unknown("broke"), None, Unknown(f"broke; {BEFORE}", Output(values=REACHED))),
    ],
)
def test_who_has_the_message_is_said_and_not_forgotten(outcome: Outcome, stopped: Why | None, found: Outcome) -> None:
    """An `unreachable` has no outputs: the attempt after it would send to all. Who drains takes its start back."""
    stop = Stop()
    if stopped is not None:
        stop.order(stopped, "it is ended")
    assert kept(outcome, HAD, stop) == found
    assert kept(outcome, frozenset(), stop) == outcome


def test_an_error_names_a_few_of_many() -> None:
    many = frozenset(f"{number:02}@example.org" for number in range(20))
    found = kept(Unreachable("no route"), many, Stop())
    assert isinstance(found, Failed) and found.error.endswith("04@example.org and 15 more had it before")
    assert found.output.values["reached"] == sorted(many)
