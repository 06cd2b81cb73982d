"""The comment that a plan makes: the same bytes for the same trees, within its limit, harmless whatever is named."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.changes.plan import Plan
from engine.compile import Compiled
from engine.times.zones import Source
from opsconductor.plans.planmarkdown import MOST_BYTES, as_markdown, code
from opsconductor.plans.planreport import as_json, as_text
from tests.catalogs import PROJECT, local_target
from tests.planned import credential, job, planned, schedule, ssh_target, tree

SNAPSHOTS = Path(__file__).parents[1] / "cases" / "plans"
WEB = "{selector: {matchLabels: {role: web}}}"


def sample() -> tuple[Compiled, Compiled]:
    """A little of everything."""
    fleet = (credential("web-key"), credential("db-key"), ssh_target("web-01", "web-key", "{role: web}"))
    base = tree(
        *fleet,
        ssh_target("db-01", "db-key", "{role: db}"),
        job("rotate", WEB),
        job("old-name", WEB),
        schedule("nightly", "rotate", 'cron: "30 2 * * *", timeZone: Europe/Berlin'),
        schedule("hourly", "rotate", "every: 1h"),
    )
    head = tree(
        *fleet,
        ssh_target("db-01", "db-key", "{role: web}"),
        job("rotate", WEB),
        job("new-name", WEB, ", previousNames: [old-name]"),
        schedule("nightly", "rotate", 'cron: "30 3 * * *", timeZone: Europe/Berlin'),
        schedule("once", "rotate", "at: 2026-01-01T00:00:00Z"),
        "kind: Window\nmetadata: {name: night}\n"
        "spec: {effect: deny, cron: '0 3 * * *', duration: 90m, timeZone: Europe/Berlin, blocked: defer}\n",
        "kind: RunRequest\nmetadata: {name: now}\nspec: {jobRef: rotate}\n",
        "kind: RunRequest\nmetadata: {name: bad}\nspec: {jobRef: rotate, params: {x: 1}}\n",
    )
    return base, head


@pytest.mark.parametrize(
    ("name", "display"), [("sample.md", as_markdown), ("sample.txt", as_text), ("sample.json", as_json)]
)
def test_the_sample_is_displayed_as_it_was(name: str, display: Callable[[Plan], str]) -> None:
    """On purpose another display? Delete the file, run twice, and read the difference."""
    plan = replace(planned(*sample(), hours=48), zones=Source("package", "2026f"))
    text = display(plan).rstrip("\n") + "\n"
    file = SNAPSHOTS / name
    if not file.exists():
        file.write_text(text)
        pytest.fail(f"{name} was missing; it is written now")
    assert text == file.read_text()


def test_the_same_trees_give_the_same_bytes() -> None:
    first, second = (as_markdown(planned(*sample())) for _ in range(2))
    assert first == second


def test_a_huge_change_still_fits_one_comment_and_says_what_it_left_out() -> None:
    targets = [local_target(f"target-{n:04}-{'x' * 40}", "{role: web}") for n in range(600)]
    jobs = [job(f"job-{n:04}-{'x' * 40}", WEB) for n in range(300)]
    schedules = [schedule(f"schedule-{n:04}-{'x' * 40}", f"job-{n:04}-{'x' * 40}", "every: 1m") for n in range(300)]
    text = as_markdown(planned(tree(), tree(*targets, *jobs, *schedules)))
    assert len(text.encode()) <= MOST_BYTES
    assert re.search(r"^- and \d+ more$", text, re.MULTILINE)
    assert "documents: 1200 added" in text


NASTY = "`a` ``b`` @everyone <img src=x onerror=alert(1)> [click](https://example.com) | **x** ![p](//x) </details> #1"


def test_a_hostile_text_stands_in_one_code_span() -> None:
    """CommonMark: a span ends at a run of backquotes as long as the one that began it; nothing inside has meaning."""
    span = code(NASTY + "\n\n# heading\u202e\x1b[2J")
    (fence,) = re.findall(r"^`+", span)
    inside = span[len(fence) : -len(fence)]
    assert fence not in re.findall("`+", inside)
    assert "\n" not in span and "\u202e" not in span and "\x1b" not in span
    assert len(code("y" * 10_000)) < 300


@pytest.mark.parametrize("text", ["", "`", "``", " ` ", "a`", "`a", "\t\n"])
def test_every_text_makes_a_span(text: str) -> None:
    span = code(text)
    fence = re.findall(r"^`+", span)[0]
    assert span.endswith(fence) and len(span) > 2 * len(fence)


def test_nothing_that_documents_say_stands_outside_code_spans() -> None:
    reason = NASTY.replace('"', "'")
    head = tree(
        local_target("here", f'{{"{reason}": "x"}}'),
        f'kind: RunRequest\nmetadata: {{name: ask}}\nspec: {{jobRef: nowhere, reason: "{reason}"}}\n',
        f'kind: Job\nmetadata: {{name: j}}\nspec: {{targets: {{names: [here]}}, steps: [{{uses: "{reason}"}}]}}\n',
    )
    for base in (tree(), tree(local_target("here"))):
        text = as_markdown(planned(base, head))
        outside = re.sub(
            r"(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"^  ```diff$.*?^  ```$", "", text, flags=re.M | re.S)
        )
        for mark in ("@", "<img", "](", "onerror", "#1", "**x**"):
            assert mark not in outside, (mark, outside)
        assert outside.count("</details>") == outside.count("<details")


def test_a_plan_that_changes_nothing_says_so() -> None:
    plan = planned(tree(), tree())
    assert "no document changes" in as_markdown(plan)
    assert "no document changes" in as_text(plan)


def test_another_warning_of_the_same_words_is_not_one_that_base_has() -> None:
    """Two jobs of one file that pick nobody in the same words: one is old, one is new."""
    empty = "{selector: {matchLabels: {role: nobody}}}"
    plan = planned(tree(job("idle", empty)), tree(job("idle", empty), job("idler", empty)))
    assert [one.code for one in plan.findings] == ["OC307", "OC307"]
    assert len(plan.inherited) == 1


def test_a_rejected_commit_is_said_first() -> None:
    text = as_markdown(planned(tree(), tree(schedule("s", "nowhere", "every: 1h"))))
    assert "**Rejected: 1 error in head; nothing changes and the last good commit stays in force.**" in text


def test_terminal_and_comment_say_the_same_number_of_documents() -> None:
    plan = planned(tree(project=PROJECT), sample()[1])
    assert as_text(plan).splitlines()[1] in as_markdown(plan)


def test_errors_come_first_and_warnings_that_base_has_too_are_only_counted() -> None:
    empty = "{selector: {matchLabels: {role: nobody}}}"
    old = job("idle", empty)
    head = tree(old, *(job(f"idle-{n}", empty) for n in range(120)), schedule("s", "nowhere", "every: 1h"))
    plan = planned(tree(old), head)
    assert len(plan.findings) == len(plan.inherited) + 121
    for text in (as_markdown(plan), as_text(plan)):
        lines = [line for line in text.splitlines() if "OC305" in line or ("idle" in line and "OC" in line)]
        assert "OC305" in lines[0]
        assert "And 1 warning that base has as well" in text
