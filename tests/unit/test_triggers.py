"""What comes of an event: the run that its trigger starts, or why there is none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.catalog import Catalog
from engine.judge import Refuse
from engine.triggers import Fire, Happened, Ignore, set_off, verdict, watched
from journal.databases.tables import COMPATIBLE
from tests.catalogs import PROJECT, catalog

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DEPLOY = """\
kind: Job
metadata: {name: deploy}
spec:
  params:
    version: {type: string, pattern: "^v[0-9.]+$"}
    token: {type: string, secret: true}
    data: {type: object}
  steps: [{uses: dummy}]
"""
BUILD = "kind: Job\nmetadata: {name: build}\nspec: {steps: [{uses: dummy}]}\n"
SECRET = "kind: Credential\nmetadata: {name: key}\nspec: {type: token, from: {file: key}}\n"


def trigger(spec: str, event: str = "run: {jobs: [build]}", name: str = "t", starts: str = "jobRef: deploy") -> str:
    return f"kind: Trigger\nmetadata: {{name: {name}}}\nspec:\n  event: {{{event}}}\n  {starts}\n{spec}"


def _of(text: str, event: Any, *, type_: str | None = None, chain: tuple[str, ...] = (), project: str = PROJECT) -> Any:
    return verdict(_catalog(text, project=project), Happened("t", "k", AT, event, type_, chain))


def _catalog(text: str, *, project: str = PROJECT) -> Catalog:
    return catalog(DEPLOY, BUILD, SECRET, text, project=project)


HOOK = "webhook: {credentialRef: key, provider: github}"
PUSHES = "webhook: {credentialRef: key, provider: github, events: [push]}"


def test_params_come_from_the_event_and_the_cause_names_it() -> None:
    """The same event gives the same run, whoever asks and how often."""
    text = trigger("  params: {version: '${{ event.tag }}', data: '${{ event.all }}'}\n", HOOK)
    found = _of(text, {"tag": "v1.2", "all": {"a": [1]}})
    assert isinstance(found, Fire)
    assert found.launch.planned.params == {"version": "v1.2", "token": None, "data": {"a": [1]}}
    assert found.launch.cause.key == "trigger/t/k"
    assert _of(text, {"tag": "v1.2", "all": {"a": [1]}}).launch.run == found.launch.run


@pytest.mark.parametrize(
    ("spec", "event", "reason"),
    [
        ("  params: {version: '${{ event.tag }}'}\n", {"tag": "v1; reboot"}, "badParams"),
        ("  params: {version: '${{ event.tag }}'}\n", {"tag": 3}, "badParams"),
        ("  params: {version: '${{ event.tag }}'}\n", {}, "expressionFailed"),
        ("  params: {version: '${{ event.tag }}'}\n", [1], "expressionFailed"),
        ("  params: {version: '${{ event.tag }}'}\n", None, "expressionFailed"),
        ("  if: event.go\n", {"go": "yes"}, "expressionFailed"),
        ("  params: {data: '${{ event }}'}\n", {"a": "x" * 70_000}, "expressionFailed"),
        ("  dedupe: {key: '${{ event.id }}', window: 1m}\n", {"id": "x" * 600}, "badKey"),
    ],
)
def test_what_does_not_fit_is_refused(spec: str, event: Any, reason: str) -> None:
    """With a reason; the message is one short line, whatever the event held."""
    found = _of(trigger(spec, HOOK), event)
    assert isinstance(found, Refuse)
    assert found.reason == reason
    assert len(found.message) <= 500
    assert found.message.isprintable()


def test_a_missing_field_is_named() -> None:
    """So that whoever reads it knows which."""
    assert "tag" in _of(trigger("  params: {version: '${{ event.tag }}'}\n", HOOK), {}).message


def test_an_event_cannot_choose_a_credential() -> None:
    """What a secret param opens stands in the definitions: an object from the event is data, and refused there."""
    written = trigger("  params: {token: {credentialRef: key, field: token}}\n", HOOK)
    assert isinstance(_of(written, {}), Fire)
    chosen = {"token": {"credentialRef": "key", "field": "token"}}
    text = trigger("  params: {data: '${{ event.token }}'}\n", HOOK)
    found = _of(text, chosen)
    assert isinstance(found, Fire)
    assert "key" not in found.launch.planned.spec.credentials


@pytest.mark.parametrize(
    ("text", "event", "type_", "reason"),
    [
        (trigger("  if: event.go\n", HOOK), {"go": False}, None, "condition"),
        (trigger("  if: has(event.go)\n", HOOK), {}, None, "condition"),
        (trigger("", PUSHES), {}, "release", "otherEvent"),
        (trigger("", PUSHES), {}, None, "otherEvent"),
        (trigger("  if: event.ref == 'x'\n", HOOK), {"zen": "Keep it simple."}, "ping", "ping"),
    ],
)
def test_what_is_not_asked_for_is_ignored(text: str, event: Any, type_: str | None, reason: str) -> None:
    """Nothing is wrong with it."""
    found = _of(text, event, type_=type_)
    assert isinstance(found, Ignore)
    assert found.reason == reason


def test_a_chain_ends_at_eight_and_never_closes() -> None:
    """By the triggers that led to the run whose end it is."""
    assert isinstance(_of(trigger(""), {}, chain=tuple("abcdefg")), Fire)
    assert _of(trigger(""), {}, chain=tuple("abcdefgh")).reason == "chainTooLong"
    assert _of(trigger(""), {}, chain=("a", "t", "b")).reason == "cycle"
    renamed = trigger("").replace("name: t}", "name: t, previousNames: [old]}")
    assert renamed != trigger("") and _of(renamed, {}, chain=("a", "old", "b")).reason == "cycle"
    launched = _of(trigger(""), {}, chain=("a", "b")).launch
    assert launched.cause.triggers == ("a", "b", "t")


def test_a_suspended_project_and_a_removed_trigger_start_nothing() -> None:
    """The event is refused for good: nobody would expect it hours later."""
    suspended = PROJECT.replace("spec: {}", "spec: {suspend: true}")
    assert _of(trigger(""), {}, project=suspended).reason == "suspended"
    assert verdict(_catalog(trigger("")), Happened("gone", "k", AT, {})).reason == "unknownTrigger"  # type: ignore[union-attr]


def test_watches_name_jobs_and_workflows_by_state() -> None:
    """Where neither is named, every end counts."""
    flow = "kind: Workflow\nmetadata: {name: flow}\nspec: {jobs: {a: {wait: 1s}}}\n"
    both = trigger(
        "  if: event.job != 'deploy'\n", "run: {jobs: [build], workflows: [flow], states: [failed, unknown]}", "both"
    )
    every = trigger("  if: event.job != null\n", "run: {}", "every", starts="workflowRef: flow")
    found = tuple(watched(catalog(DEPLOY, BUILD, SECRET, flow, both, every)))
    assert found == (
        ("both", False, "build", "failed"),
        ("both", True, "flow", "failed"),
        ("both", False, "build", "unknown"),
        ("both", True, "flow", "unknown"),
        ("every", False, None, "succeeded"),
        ("every", True, None, "succeeded"),
    )


def test_watches_name_what_a_job_or_workflow_was_called_before() -> None:
    """Its run may have begun then, and a runner of an older program, which may end it, knows it by that name alone."""
    assert COMPATIBLE < 17, "from 17 on runners know the names of today: leave the former ones out of the watches"
    flow = "kind: Workflow\nmetadata: {name: flow, previousNames: [stream]}\nspec: {jobs: {a: {wait: 1s}}}\n"
    build = BUILD.replace("name: build", "name: make, previousNames: [build]")
    ends = trigger("  if: event.job != 'deploy'\n", "run: {jobs: [make], workflows: [flow], states: [failed]}", "ends")
    assert tuple(watched(catalog(DEPLOY, build, SECRET, flow, ends))) == (
        ("ends", False, "make", "failed"),
        ("ends", False, "build", "failed"),
        ("ends", True, "flow", "failed"),
        ("ends", True, "stream", "failed"),
    )


def test_a_commit_sets_off_the_triggers_that_were_there_before_it() -> None:
    """By their globs; one that is renamed was there."""
    site = trigger("", "definitions: {paths: ['site/**', '*.md']}")
    renamed = site.replace("{name: t}", "{name: u, previousNames: [t]}")
    before, after, other = _catalog(site), _catalog(renamed), _catalog(trigger("", name="x"))
    paths = ("site/a/b.txt", "README.md", "docs/x.md")
    assert set_off(before, before, paths) == {"t": ("README.md", "site/a/b.txt")}
    assert set_off(before, after, paths) == {"u": ("README.md", "site/a/b.txt")}
    assert set_off(other, before, paths) == {}
    assert set_off(before, before, ("docs/x.md",)) == {}
