"""What is told of one target of a run: the cause that it has, and not that of another target of the same run."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.catalog import Catalog
from engine.identity import Cause, RunId
from engine.notifications import noticecontext
from engine.notifications.notices import Event
from engine.notifications.noticewords import words
from engine.states import RunState, StepState
from engine.status.views import RunView, StepView, TargetView
from tests.catalogs import catalog as compiled

AT = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
ERRORS = {
    "alpha": "127.0.0.1:1: connection refused",
    "beta": "no-such-host.invalid cannot be resolved",
    "gamma": "the host key is another",
}


def away(name: str, error: str) -> TargetView:
    step = StepView("x", StepState.UNREACHABLE, error=error, stderr_tail=f"tail of {name}")
    return TargetView(name, StepState.UNREACHABLE, steps=(step,))


def ended(*places: TargetView) -> RunView:
    cause = Cause("request", "r", AT)
    targets = tuple(place.name for place in places)
    return RunView(
        RunId("sweep-1"), "sweep", "c" * 40, cause, RunState.FAILED, AT, targets=targets, results=places,
        message="stopped after too many failures",
    )  # fmt: skip


@pytest.fixture(scope="module")
def definitions() -> Catalog:
    return compiled()


def told(name: str, run: RunView, catalog: Catalog) -> Any:
    event = Event(name, "target.unreachable", AT, "Target", name, str(run.id), {"failures": 1})
    return noticecontext.context_of(event, (), run, catalog, None)


@pytest.mark.parametrize("name", ERRORS)
def test_a_message_about_a_target_tells_its_own_cause(name: str, definitions: Catalog) -> None:
    run = ended(*(away(each, error) for each, error in ERRORS.items()))
    said = words(told(name, run, definitions))
    assert said.subject == f"{name} is UNREACHABLE"
    assert f"Why: step x on {name}: {ERRORS[name]}" in said.text.splitlines()
    assert f"  tail of {name}" in said.text.splitlines()
    assert not any(error in said.text for each, error in ERRORS.items() if each != name)


def test_each_line_of_a_message_about_several_tells_its_own_cause(definitions: Catalog) -> None:
    run = ended(*(away(each, error) for each, error in ERRORS.items()))
    first, *rest = (told(name, run, definitions) for name in ERRORS)
    for count, more in enumerate(rest, 2):
        first = noticecontext.added(first, more, count)
    for line, (name, error) in zip(words(first).text.splitlines(), ERRORS.items(), strict=False):
        assert line.endswith(f"{name} is UNREACHABLE: step x on {name}: {error}")


def test_the_target_that_is_told_of_is_the_first_of_the_list(definitions: Catalog) -> None:
    """However many others there are: a template that says `targets[0]` says what it means."""
    many = [away(f"t{number:03}", "refused") for number in range(500)]
    context = told("t499", ended(*many), definitions)
    assert [one["name"] for one in context["targets"][:2]] == ["t499", "t000"]
    assert len(context["targets"]) == noticecontext.MOST_TARGETS


def test_where_the_target_has_no_cause_none_is_invented(definitions: Catalog) -> None:
    bare = TargetView("beta", StepState.UNREACHABLE, reason="not begun")
    run = ended(away("alpha", ERRORS["alpha"]), bare)
    assert told("beta", run, definitions)["run"]["why"] == "not begun"
    assert told("delta", run, definitions)["run"]["why"] is None
