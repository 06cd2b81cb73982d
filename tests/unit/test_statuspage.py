"""The front page of the status branch says what matters, changes only with facts, and obeys nobody's markup."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engine.authority.permits import Want
from engine.identity import RunId
from engine.states import RunState, StepState
from engine.status.statuspage import page, text
from engine.status.views import (
    ChannelView,
    ConditionView,
    DeadLettersView,
    JobView,
    KeptBack,
    OverviewView,
    RunBrief,
    ScheduleView,
    SyncView,
    TargetStatusView,
)
from reconciler.acts.actgate import OpenAct
from reconciler.acts.changegate import OpenChange
from reconciler.acts.votes import Vote
from schemas.diagnostic import Diagnostic
from schemas.span import Span

PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
AT = datetime(2026, 11, 21, 0, 15, tzinfo=UTC)
BAD = RunBrief(
    RunId("rotate-20261121T001500Z-9f31c2a07b"), "rotate", RunState.FAILED, "schedule", "nightly", AT, AT, AT,
    AT + timedelta(seconds=65), None, 50, ("web-01", "web-02", "web-03", "web-04"), 44,
)  # fmt: skip
GOOD = replace(BAD, state=RunState.SUCCEEDED, failed=(), failures=0)
VIEW = OverviewView(
    sync=SyncView(observed="b" * 40, applied="b" * 40),
    jobs=(JobView("rotate", BAD, GOOD, 2), JobView("fine", GOOD, GOOD, 0)),
    open=(replace(BAD, state=RunState.RUNNING, finished_at=None),),
    recent=(BAD, GOOD),
    schedules=(
        ScheduleView("nightly", "rotate", "f", AT, None, AT + timedelta(days=1)),
        ScheduleView("held", "rotate", "f", AT, None, AT, "holidays"),
    ),
    targets=(TargetStatusView("web-09", StepState.UNREACHABLE, BAD.id, AT, AT), TargetStatusView("web-01")),
)


def test_the_page_shows_what_fails_waits_ran_and_comes() -> None:
    run = "[rotate 11-21 00:15](runs/2026/11/21/rotate-20261121T001500Z-9f31c2a07b.yaml)"
    assert page(VIEW) == (
        "# Status\n\n"
        "❌ **Look at this:** [1 job fails](#failing) · [1 target is unreachable](#unreachable)\n\n"
        "Commit `bbbbbbbbbb` is in force; more in [sync.yaml](sync.yaml).\n\n"
        "## Failing\n\n"
        "| Job | Last run | State | Why | Times in a row | Last success |\n|---|---|---|---|---|---|\n"
        f"| [rotate](jobs/rotate.yaml) | {run} | ❌ failed | web-01, web-02, web-03 and 41 more | 2 | {run} |\n\n"
        "## Unreachable\n\n"
        "| Target | Since |\n|---|---|\n| [web-09](targets/web-09.yaml) | 2026-11-21 00:15 UTC |\n\n"
        "## Waiting and running\n\n"
        f"| Run | State | Because of | Why |\n|---|---|---|---|\n| {run} | ▶️ running | schedule nightly |  |\n\n"
        "## What ran\n\n"
        "| Run | State | Because of | Ended | Took | Why |\n|---|---|---|---|---|---|\n"
        f"| {run} | ❌ failed | schedule nightly | 2026-11-21 00:16 UTC | 1m5s | web-01, web-02, web-03 and 41 more |\n"
        f"| {run} | ✅ succeeded | schedule nightly | 2026-11-21 00:16 UTC | 1m5s |  |\n\n"
        "## What is next\n\n"
        "| When | Schedule | Job | What happens |\n|---|---|---|---|\n"
        "| 2026-11-22 00:15 UTC | [nightly](schedules/nightly.yaml) | rotate | it starts |\n\n"
        "## Suspended\n\n"
        "| Schedule | Why |\n|---|---|\n| [held](schedules/held.yaml) | holidays |\n"
    )


def test_what_windows_and_calendars_keep_back_is_not_promised() -> None:
    """As `next` says it: nobody waits for a run that does not come."""
    due, later = AT + timedelta(days=1), AT + timedelta(days=2)
    held = ScheduleView("a", "rotate", "f", AT, None, due, kept_back=KeptBack(("Window/freeze",)))
    late = replace(held, name="b", kept_back=KeptBack(("Window/night", "Window/x"), later))
    shown = page(replace(VIEW, schedules=(held, late)))
    assert "(schedules/a.yaml) | rotate | skipped: Window/freeze |" in shown
    assert "(schedules/b.yaml) | rotate | put off to 2026-11-23 00:15 UTC: Window/night, Window/x |" in shown


def test_an_empty_installation_has_a_page_too() -> None:
    shown = page(OverviewView(SyncView()))
    for line in (
        "No commit is in force yet; more in [sync.yaml](sync.yaml).",
        "Nothing fails.",
        "Nothing waits.",
        "Nothing yet.",
        "Nothing is planned.",
    ):
        assert line in shown


def test_a_rejected_commit_is_named_with_its_findings() -> None:
    found = tuple(Diagnostic(Span("a.yaml", n, 3, n, 4), "OC203", "<script>") for n in range(1, 13))
    condition = ConditionView("Ready", "False", "Invalid", "12 findings", AT)
    shown = page(OverviewView(SyncView(None, "a" * 40, "b" * 40, "b" * 40, (condition,), found)))
    assert "⚠️ Commit `aaaaaaaaaa` is **not in force**: `bbbbbbbbbb` stays; more in" in shown
    assert "❌ **Look at this:** the newest commit is [not in force](sync.yaml)\n" in shown
    assert "- 12 findings\n" in shown
    assert "- `a.yaml:1:3`: OC203 `<script>`" in shown
    assert "- and 2 more" in shown


def test_one_line_says_whether_somebody_must_look() -> None:
    """And leads to where; what the first lines say is not said again."""
    well = OverviewView(SyncView(observed="b" * 40, applied="b" * 40), jobs=(JobView("fine", GOOD, GOOD, 0),))
    assert page(well).startswith("# Status\n\n✅ **All is well.**\n\nCommit `bbbbbbbbbb` is in force")
    letters = (DeadLettersView("chat", 2, AT, "status 404"),)
    away = (ChannelView("chat", 1, 2, AT, AT, "status 500"),)
    look = page(replace(well, jobs=VIEW.jobs * 2, targets=VIEW.targets, channels=away, dead_letters=letters))
    assert "[2 jobs fail](#failing) · [1 target is unreachable](#unreachable) · [1 channel fails]" in look
    assert "(#failing-channels) · [2 messages are undelivered]" in look
    for anchor in re.findall(r"\]\(#([\w-]+)\)", look):
        assert f"\n## {anchor.replace('-', ' ').capitalize()}\n" in look

    kept = ConditionView("Ready", "False", "LastGood", "commit bbbbbbbbbbbb stays in force", AT)
    stalled = ConditionView("Stalled", "True", "Invalid", "the head has errors; push a commit that mends them", AT)
    behind = page(OverviewView(SyncView(None, "a" * 40, "b" * 40, "b" * 40, (kept, stalled))))
    assert behind.count("stays") == 1
    assert "- the head has errors; push a commit that mends them\n" in behind
    away = ConditionView("Ready", "False", "SourceUnavailable", "no route", AT)
    lost = page(OverviewView(SyncView(None, "b" * 40, "b" * 40, "b" * 40, (away,))))
    assert "All is well" not in lost and "- no route\n" in lost


def test_a_change_that_waits_stands_among_what_waits_for_people_until_somebody_rejects_it() -> None:
    want = Want(("Job/a", "Job/b", "Job/<c>", "Job/d"), 2, ("ana",), ("cy",))
    change = OpenChange(f"sha256:{'0' * 64}", "a" * 40, "b" * 40, ("bo",), (want,), (Vote("ana", True, "yes"),))
    sync = SyncView(observed="b" * 40, applied="a" * 40, change=change.shown())
    shown = page(OverviewView(sync))
    assert "[1 gate waits for people](#waiting-for-people)" in shown
    assert "| [`commit bbbbbbbbbbbb`](sync.yaml) |" in shown or "| [commit bbbbbbbbbbbb](sync.yaml) |" in shown
    assert "`Job/<c>` and 1 more" in shown or "`Job/<c>`, 1 more | 1 of 2 |" in shown
    assert "`opsconductor approve 000000000000`" in shown
    until = datetime(2026, 11, 21, 2, tzinfo=UTC)
    wants = (Want(("Job/a",), 1, (), ("cy",)),)
    asked = OpenAct(f"sha256:{'1' * 64}", "go", "c" * 40, "run Job/a", ("bo",), wants, until=until)
    both = page(OverviewView(replace(sync, requests=(asked.shown(),))))
    assert "[2 gates wait for people](#waiting-for-people)" in both
    row = "| [request go](sync.yaml) | run Job/a | 0 of 1 | `2026-11-21T02:00:00Z` |"
    assert f"{row} `opsconductor approve 111111111111` |" in both
    rejected = replace(change, votes=(*change.votes, Vote("dee", False, "no"))).shown()
    assert "approve" not in page(OverviewView(replace(sync, change=rejected)))


def test_a_moment_is_no_zero() -> None:
    short = replace(GOOD, started_at=AT, finished_at=AT + timedelta(milliseconds=300))
    assert "| under 1s |" in page(replace(VIEW, recent=(short,)))


HOSTILE = [
    "a | b", "# head", "- item", "<img src=x onerror=alert(1)>", "[a](javascript:x)", "![a](http://x)", "`code`",
    "**b**", "__b__", "~~s~~", "http://evil.example", "www.evil.example", "a@evil.example", "@everyone", "#12", "&lt;",
    "\\", "$x$",
    "a\n\n# b", "a\r\n|---|", "\u202eevil", "a\x1b[31mb", ":smile:", "1. a", "<!--", "x\u2028# y", "a\\|b", "{{ x }}",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_foreign_text_is_never_markup(hostile: str) -> None:
    """It stays on its line and in its cell: one code span, or nothing but words, spaces and entities."""
    shown = text(hostile)
    if not re.fullmatch(r"`[^`|\n]+`", shown):
        assert re.fullmatch(r"(?:[^\W_]|[ ,;'/.-]|&#\d+;|…)*", shown), shown
        assert "www." not in shown and "://" not in shown and not shown.startswith(("- ", "1. "))
    assert "{{" not in shown, "an engine that fills pages in would read it before Markdown is read"
    row = [token for token in PARSER.parse(f"| a | [{shown}](x) |\n|---|---|\n| {shown} | b |\n") if token.children]
    assert len(row) == 4, "it ends no cell"
    found = [token for cell in row for token in cell.children or ()]
    assert {token.type for token in found} <= {"text", "text_special", "code_inline", "link_open", "link_close"}
    assert [token.attrs["href"] for token in found if token.type == "link_open"] == ["x"]
    told = "".join(token.content for token in row[2].children or ())
    assert all(word in hostile for word in re.findall(r"\w+", told)), "it is shown as it is"


def test_people_at_a_terminal_read_what_was_said() -> None:
    assert text("exit 1: 'df' (on /var) said 71%") == "`exit 1: 'df' (on /var) said 71%`"
    assert text("web-01.example.org") == "web-01.example.org"


@given(st.text())
def test_no_text_adds_a_line_or_a_cell(value: str) -> None:
    one = replace(VIEW, open=(replace(VIEW.open[0], reason=value),), jobs=(), recent=())
    shown = page(one)
    assert len(shown.splitlines()) == len(page(replace(one, open=VIEW.open)).splitlines())
    (row,) = [line for line in shown.splitlines() if "running |" in line]
    assert row.count("|") == 5


def test_the_page_is_bounded() -> None:
    many = OverviewView(
        VIEW.sync,
        jobs=tuple(replace(VIEW.jobs[0], name=f"job-{n}") for n in range(1000)),
        open=VIEW.open * 1000,
        recent=VIEW.recent * 1000,
        schedules=tuple(replace(VIEW.schedules[0], name=f"s-{n}") for n in range(1000)),
    )
    assert len(page(many)) < 40_000
    assert "And 950 more." in page(many)


def test_a_channel_that_fails_is_shown_while_its_messages_wait() -> None:
    """Whoever waits to be told hears nothing: it must not say here that all is well."""
    failing = (ChannelView("chat", 3, 0, AT, AT, "no | <b>connection"), ChannelView("mail", 1, 0, None, AT, "451"))
    shown = page(OverviewView(SyncView(observed="b" * 40, applied="b" * 40), channels=failing))
    assert "**Look at this:** [2 channels fail](#failing-channels)" in shown
    assert "| [chat](channels/chat.yaml) | 3 | 2026-11-21" in shown and "<b>" not in shown


def test_dead_letters_are_shown_by_channel_with_the_way_to_send_them() -> None:
    assert "Dead letters" not in page(OverviewView(SyncView()))
    letters = (DeadLettersView("chat", 2, AT, "status 404"), DeadLettersView("mail", 1, AT, "a | b <b>"))
    shown = page(OverviewView(SyncView(), dead_letters=letters))
    assert "3 notifications could not be delivered. `opsconductor notify replay` sends them again." in shown
    assert "| chat | 2 | 2026-11-21" in shown and "| status 404 |" in shown
    assert "<b>" not in shown
