"""Templates of messages are compared with what events give, before the commit that brings them is in force."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from engine.catalog import Catalog
from engine.identity import Cause, RunId
from engine.notifications import messageshape, noticecontext
from engine.notifications.messageshape import DATA, WITHOUT_JOB, WITHOUT_RUN, lacks_of
from engine.notifications.notices import Event, Subject
from engine.states import RunState, StepState
from engine.status.views import RunView, StepView, TargetView
from schemas.notification import EventName
from tests.catalogs import catalog

AT = datetime(2026, 11, 21, tzinfo=UTC)
RUN = RunView(
    RunId("backup-1"), "backup", "c" * 40, Cause("request", "x", AT), RunState.FAILED, AT, targets=("a",),
    results=(TargetView("a", StepState.FAILED, steps=(StepView("dump", StepState.FAILED, exit_code=2),)),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("{{ run.id }} {{ job.labels.team }} {{ event.data.failures }} {{ links.run }} {{ run.cause.name }}", []),
        ("{{ run.foo }}", ["run.foo"]),
        ("{{ run['foo'] }}", ["run.foo"]),
        ("{{ run.cause.who }}", ["run.cause.who"]),
        ("{{ event.data.days }}", ["event.data.days"]),
        ("{% for t in targets %}{{ t.name }}{% endfor %}{{ targets[0].name }}", []),
        ("{% set run = {'foo': 1} %}{{ run.foo }}", []),
        ("{{ run.id.upper() }}", []),
        (
            "{{ run.id.foo }} {{ run.why.foo.bar }} {{ run.seconds.x }}",
            ["run.id.foo", "run.why.foo.bar", "run.seconds.x"],
        ),
        ("{{ targets[0].nme }} {{ events[1].zzz.y }}", ["targets.[].nme", "events.[].zzz.y"]),
        ("{% for t in targets %}{{ t.nme }}{{ t.error.upper() }}{% endfor %}", ["targets.[].nme"]),
        ("{% for t in targets %}{% set t = {} %}{{ t.nme }}{% endfor %}", []),
        ("{% for key in job.labels %}{{ key.foo }}{% endfor %}{{ job.labels.team }}", []),
        ("{{ broken", []),
    ],
)
def test_a_name_that_no_event_gives_is_found(text: str, lacking: list[str]) -> None:
    assert [".".join(lack.read.path) for lack in lacks_of(text, ("run.failed",))] == lacking


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("{{ run.id }}", ("sync.failed",)),
        ("{{ job.name }}", ("sync.failed", "target.unreachable")),
        ("{% if run %}{{ run.id }}{% endif %}", ()),
        ("{{ run.id if run else event.name }}", ()),
        ("{{ run.id | default('-') }}", ()),
        ("{{ event.name }}", ()),
    ],
)
def test_what_only_some_events_have_is_found(text: str, events: tuple[str, ...]) -> None:
    found = lacks_of(text, ("run.failed", "sync.failed", "target.unreachable"))
    assert tuple(event for lack in found for event in lack.events) == events


def test_every_event_has_a_shape() -> None:
    assert set(DATA) == set(get_args(EventName))
    assert set(DATA) >= WITHOUT_RUN | WITHOUT_JOB


def test_a_context_has_the_shape_that_templates_are_compared_with() -> None:
    """So that what validation lets pass can be rendered: every key of the sample is there, and no other."""
    definitions: Catalog = catalog()
    event = Event("0", "run.failed", AT, "Job", "backup", "backup-1", {})
    for pages in (None, "https://ops.example.org"):
        made = noticecontext.context_of(event, (Subject("Job", "backup"),), RUN, definitions, pages)
        for root, sample in messageshape.SAMPLE.items():
            assert _keys(made[root]) == _keys(sample), root
    assert made["run"]["why"] == "step dump on a: exit code 2"


def _keys(value: Any) -> Any:
    return {key: _keys(under) for key, under in value.items()} if isinstance(value, dict) else None
