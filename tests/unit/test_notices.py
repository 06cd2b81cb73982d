"""Rules of notifications: which events are told, whom, when, and what is told together."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog import Catalog
from engine.identity import Cause, RunId
from engine.notifications import noticecontext, notices
from engine.notifications.notices import OF_DEAD_WAIT, OF_TARGETS_WAIT, Event, Memory
from engine.notifications.noticewords import words
from engine.states import RunState
from engine.status.views import RunView
from runners.wording import event_of
from schemas.notification import EventName, NotificationRuleSpec, Quiet
from tests.catalogs import catalog as compiled

NOW = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)
NIGHT = {"cron": "0 22 * * *", "duration": "8h", "timeZone": "UTC"}
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {
        "kind": "Job",
        "metadata": {"name": "backup", "labels": {"team": "data"}},
        "spec": {"steps": [{"uses": "dummy"}]},
    },
    {"kind": "Job", "metadata": {"name": "deploy"}, "spec": {"steps": [{"uses": "dummy"}]}},
    {"kind": "Schedule", "metadata": {"name": "nightly"}, "spec": {"jobRef": "backup", "every": "1h"}},
    {
        "kind": "NotificationChannel",
        "metadata": {"name": "chat"},
        "spec": {"type": "slack", "url": "https://c.example/x"},
    },
    {
        "kind": "NotificationChannel",
        "metadata": {"name": "mail"},
        "spec": {"type": "slack", "url": "https://m.example/x"},
    },
    {"kind": "User", "metadata": {"name": "ana"}, "spec": {"notify": {"channels": ["mail"], "quiet": NIGHT}}},
    {"kind": "User", "metadata": {"name": "bob"}, "spec": {"notify": {"channels": ["chat"], "onSuccess": True}}},
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return compiled(*("\n".join(f"{key}: {json.dumps(value)}" for key, value in one.items()) for one in DOCUMENTS))


def rule(*events: str, **more: Any) -> NotificationRuleSpec:
    if "channels" not in more and "users" not in more:
        more["channels"] = ["chat"]
    return NotificationRuleSpec.model_validate({"events": list(events), **more})


def event(type: str, name: str = "backup", kind: str = "Job", number: int = 0, **data: Any) -> Event:  # noqa: A002
    return Event(f"{number:032x}", type, NOW, kind, name, f"{name}-{number}", data)  # type: ignore[arg-type]


def told(spec: NotificationRuleSpec, *types: str) -> list[int]:
    """Which of the events are told, by number; failures are counted as the journal does."""
    memory, found, failures = Memory(), [], 0
    for number, kind in enumerate(types):
        failures = failures + 1 if kind in notices.FAILURES else 0 if kind != "run.cancelled" else failures
        counted = {} if kind.startswith("sync.") else {"failures": failures}
        tells, memory = notices.told(spec, event(kind, number=number, **counted), memory)
        found += [number] * tells
    return found


BAD, GOOD, BACK, LATE = "run.failed", "run.succeeded", "run.recovered", "run.timedOut"
WHEN: tuple[tuple[str, NotificationRuleSpec, tuple[str, ...], list[int]], ...] = (
    ("every failure", rule(BAD), (BAD, GOOD, BAD, BAD), [0, 2, 3]),
    ("what the rule does not name", rule(BAD), (LATE, GOOD, "run.started"), []),
    ("a recovery is a success", rule(GOOD), (BAD, BACK, GOOD), [1, 2]),
    ("a recovery alone", rule(BACK), (BAD, BACK, GOOD), [1]),
    ("from the third on", rule(BAD, when={"consecutiveFailures": 3}), (BAD, BAD, BAD, BAD, BACK, BAD), [2, 3]),
    ("in a row whatever they are", rule(BAD, when={"consecutiveFailures": 3}), (BAD, LATE, BAD), [2]),
    ("a cancel is no success", rule(BAD, when={"consecutiveFailures": 2}), (BAD, "run.cancelled", BAD), [2]),
    ("and that it is over", rule(BAD, when={"recovered": True}), (BAD, BACK, GOOD), [0, 1]),
    ("not that is over what nobody heard of", rule(BAD, BACK, when={"consecutiveFailures": 2}), (BAD, BACK), []),
    ("nor by recovered", rule(BAD, when={"consecutiveFailures": 2, "recovered": True}), (BAD, BACK, GOOD), []),
    ("what nobody counts is told at once", rule("sync.failed", "sync.recovered", when={"consecutiveFailures": 3}),
     ("sync.failed", "sync.recovered"), [0, 1]),
    ("every third success", rule(GOOD, when={"everyNth": 3}), (GOOD, GOOD, BAD, BACK, GOOD, GOOD, GOOD), [3, 6]),
    ("every second that it names", rule(GOOD, BAD, when={"everyNth": 2}), (BAD, GOOD, GOOD, BAD), [1, 3]),
    ("a recovery however many successes", rule(GOOD, BACK, when={"everyNth": 9}), (GOOD, BAD, BACK), [2]),
    ("every second start, whatever came of it", rule("run.started", when={"everyNth": 2}),
     ("run.started", GOOD, "run.started", BAD, "run.started", BACK, "run.started"), [2, 6]),
    ("every second cancellation", rule("run.cancelled", when={"everyNth": 2}),
     ("run.cancelled", GOOD, GOOD, "run.cancelled"), [3]),
    ("every third", rule(BAD, when={"everyNth": 3}), (BAD,) * 7, [2, 5]),
    ("the second in a row, and every third then", rule(BAD, when={"consecutiveFailures": 2, "everyNth": 3}),
     (BAD,) * 8, [1, 4, 7]),
    ("a target that stays away once", rule("target.unreachable"), ("target.unreachable",) * 4, [0]),
    ("at the third run", rule("target.unreachable", when={"consecutiveFailures": 3}), ("target.unreachable",) * 4, [2]),
    ("as often as asked for", rule("target.unreachable", when={"everyNth": 2}), ("target.unreachable",) * 4, [1, 3]),
)  # fmt: skip


@pytest.mark.parametrize(("spec", "types", "numbers"), [pytest.param(*case[1:], id=case[0]) for case in WHEN])
def test_when_says_which_are_told(spec: NotificationRuleSpec, types: tuple[str, ...], numbers: list[int]) -> None:
    assert told(spec, *types) == numbers


def test_a_rule_that_is_new_tells_of_a_target_that_is_away_already() -> None:
    away = rule("target.unreachable", when={"consecutiveFailures": 2})
    tells, memory = notices.told(away, event("target.unreachable", kind="Target", failures=7), Memory())
    assert tells
    assert not notices.told(away, event("target.unreachable", kind="Target", failures=8), memory)[0]


def test_only_what_tells_every_nth_counts() -> None:
    """Of runs that only begin or end a rule has nothing to remember: there may be ever so many names."""
    for spec in (rule("run.started"), rule("run.cancelled"), rule(GOOD)):
        assert notices.told(spec, event(spec.events[0]), Memory()) == (True, Memory())


def test_only_runs_that_took_longer() -> None:
    slow = rule(GOOD, "sync.failed", when={"longerThan": "30m"})
    for seconds, tells in ((1800, False), (1801, True)):
        assert notices.told(slow, event(GOOD, seconds=seconds), Memory())[0] is tells
    assert notices.told(slow, event(GOOD), Memory())[0] is False
    assert notices.told(slow, event("sync.failed", kind="Project"), Memory())[0] is True


@pytest.mark.parametrize(
    ("select", "chosen"),
    [
        ({}, True),
        ({"names": ["backup"]}, True),
        ({"names": ["deploy"]}, False),
        ({"kinds": ["Workflow"]}, False),
        ({"selector": {"matchLabels": {"team": "data"}}}, True),
        ({"selector": {"matchLabels": {"team": "web"}}}, False),
        ({"kinds": ["Schedule"], "names": ["nightly"]}, True),
        ({"kinds": ["Job"], "names": ["nightly"]}, False),
    ],
)
def test_objects_are_selected_by_kind_label_and_name(select: dict[str, Any], chosen: bool, catalog: Catalog) -> None:
    """An event of a run is also one of the schedule that caused it; one of a schedule also one of its job."""
    spec = rule(BAD, "run.missed", select=select)
    of_run = event(BAD, cause={"kind": "schedule", "name": "nightly"})
    of_schedule = event("run.missed", "nightly", "Schedule")
    for happened in (of_run, of_schedule):
        assert notices.selects(spec.select, notices.subjects(happened, catalog)) is chosen


def drafts(spec: NotificationRuleSpec, happened: Event, catalog: Catalog, now: datetime = NOW) -> Any:
    return notices.drafts("r", spec, happened, notices.subjects(happened, catalog), catalog, now)


def test_one_message_a_channel_and_the_same_one_again(catalog: Catalog) -> None:
    spec = rule(BAD, channels=["chat", "mail"], users=["bob"])
    found = drafts(spec, event(BAD), catalog)
    assert [(one.channel, one.user, one.hold_until) for one in found] == [("chat", None, None), ("mail", None, None)]
    assert found == drafts(spec, event(BAD), catalog, NOW + timedelta(days=1))
    assert len({one.id for one in found} | {one.id for one in drafts(spec, event(BAD, number=1), catalog)}) == 4


def test_people_are_told_as_they_prefer(catalog: Catalog) -> None:
    """Ana hears nothing of success, and nothing at night; that is held until the morning."""
    spec = rule(BAD, GOOD, users=["ana", "bob"])
    assert [one.user for one in drafts(spec, event(GOOD), catalog)] == ["bob"]
    held, at_once = drafts(spec, event(BAD), catalog)
    assert (held.user, held.channel, held.hold_until) == ("ana", "mail", datetime(2026, 11, 22, 6, tzinfo=UTC))
    assert (at_once.user, at_once.hold_until) == ("bob", None)
    assert [one.user for one in drafts(rule(BAD, BACK, users=["ana"]), event(BACK), catalog)] == ["ana"]


def test_a_channel_that_people_share_tells_who_is_awake() -> None:
    """Ana is the first whom the rule names, and asleep: Zoe hears of it now."""
    zoe = {"kind": "User", "metadata": {"name": "zoe"}, "spec": {"notify": {"channels": ["mail"]}}}
    both = compiled(
        *("\n".join(f"{key}: {json.dumps(value)}" for key, value in one.items()) for one in (*DOCUMENTS, zoe))
    )
    (made,) = drafts(rule(BAD, users=["ana", "zoe"]), event(BAD), both)
    assert (made.channel, made.user, made.hold_until) == ("mail", "zoe", None)


def test_messages_of_a_job_have_one_line_by_a_channel_whichever_rules_tell_them(catalog: Catalog) -> None:
    """And that a target is back never leaves before that it is away: the last word would be wrong."""
    runs = event(BAD), event(BACK, number=1)
    about = notices.subjects(runs[0], catalog)
    by = [
        notices.drafts(name, rule(one.type), one, about, catalog, NOW)[0] for name, one in zip("ab", runs, strict=True)
    ]
    assert {made.order_key for made in by} == {"Job/backup"}
    assert by[0].id != by[1].id
    both = rule("target.unreachable", "target.recovered")
    away, back = (drafts(both, event(kind, "t", "Target"), catalog)[0] for kind in both.events)
    assert away.order_key == back.order_key
    assert away.group != back.group


def test_what_is_held_for_the_night_is_one_message(catalog: Catalog) -> None:
    spec = rule(BAD, quiet=NIGHT)
    one, other = (drafts(spec, event(BAD, number=number), catalog)[0] for number in (0, 1))
    assert one.group == other.group is not None
    day = drafts(spec, event(BAD), catalog, NOW + timedelta(hours=12))[0]
    assert (day.group, day.hold_until) == (None, None)


def test_five_hundred_targets_make_one_message(catalog: Catalog) -> None:
    for spec in (rule("target.unreachable"), rule("target.unreachable", group={"by": ["event"], "wait": "2m"})):
        found = {drafts(spec, event("target.unreachable", f"t{n}", "Target", n), catalog)[0].group for n in range(500)}
        assert len(found) == 1
    (one,) = drafts(rule("target.unreachable"), event("target.unreachable", "t1", "Target"), catalog)
    assert one.hold_until == NOW + OF_TARGETS_WAIT


@pytest.mark.parametrize(
    ("by", "together"), [(["job"], False), (["event"], True), ([], True), (["schedule"], True), (["target"], True)]
)
def test_groups_are_what_events_have_in_common(by: list[str], together: bool, catalog: Catalog) -> None:
    spec = rule(BAD, group={"by": by, "wait": "2m"})
    one, other = (drafts(spec, event(BAD, name), catalog)[0] for name in ("backup", "deploy"))
    assert (one.group == other.group) is together
    assert one.hold_until == NOW + timedelta(minutes=2)


def test_a_channel_is_not_told_by_itself_that_it_does_not_work(catalog: Catalog) -> None:
    spec = rule("notification.dead", channels=["chat", "mail"])
    found = drafts(spec, event("notification.dead", "chat", "NotificationChannel"), catalog)
    assert [one.channel for one in found] == ["mail"]


def test_quiet_hours_end_by_the_clock_on_the_wall() -> None:
    """The night when clocks go back is quiet for eight hours too, and no message is lost in the missing hour."""
    zone = ZoneInfo("Europe/Chisinau")
    night = Quiet.model_validate({**NIGHT, "timeZone": "Europe/Chisinau"})
    for day, hour in ((datetime(2026, 10, 24, 23, tzinfo=zone), 5), (datetime(2027, 3, 27, 23, tzinfo=zone), 7)):
        end = notices.after_quiet((night,), day.astimezone(UTC))
        assert end.astimezone(zone).hour == hour


def test_quiet_hours_without_an_end_keep_nobody_from_hearing() -> None:
    always = Quiet.model_validate({"cron": "* * * * *", "duration": "2d", "timeZone": "UTC"})
    assert notices.after_quiet((always,), NOW) == NOW
    day = Quiet.model_validate({"cron": "0 6 * * *", "duration": "16h", "timeZone": "UTC"})
    assert notices.after_quiet((Quiet.model_validate(NIGHT), day), NOW) == NOW, "a rule's and a person's together"


@given(st.integers(0, 60 * 24 * 730), st.integers(1, 20), st.integers(0, 23))
def test_nothing_is_sent_in_quiet_hours_and_nothing_is_lost(minutes: int, hours: int, begins: int) -> None:
    quiet = Quiet.model_validate({"cron": f"0 {begins} * * *", "duration": f"{hours}h", "timeZone": "Europe/Chisinau"})
    instant = NOW + timedelta(minutes=minutes)
    sent = notices.after_quiet((quiet,), instant)
    assert instant <= sent <= instant + timedelta(hours=hours + 1)
    assert notices.after_quiet((quiet,), sent) == sent


@given(st.lists(st.sampled_from([BAD, LATE, GOOD, BACK, "run.cancelled", "run.started"]), max_size=40))
def test_no_recovery_is_told_without_its_failure(types: list[str]) -> None:
    spec = rule(BAD, when={"consecutiveFailures": 2, "recovered": True})
    numbers = told(spec, *types)
    before: str | None = None
    for number in numbers:
        if types[number] in (GOOD, BACK):
            assert before == BAD
        before = types[number]


def test_a_message_of_many_events_names_fifty_and_counts_all(catalog: Catalog) -> None:
    contexts = [
        noticecontext.context_of(happened, notices.subjects(happened, catalog), None, catalog, None)
        for happened in (event("target.unreachable", f"t{n}", "Target", n) for n in range(60))
    ]
    whole = contexts[0]
    for number, more in enumerate(contexts[1:], 2):
        whole = noticecontext.added(whole, more, number)
    said = words(whole)
    assert said.subject == "60 × target.unreachable: t0, t1, t2 and 57 more"
    assert "… and 10 more that are not shown" in said.text
    assert len(said.text.splitlines()) == 52


def gathered(catalog: Catalog, *happened: Event, pages: str | None = None) -> Any:
    contexts = [noticecontext.context_of(one, notices.subjects(one, catalog), None, catalog, pages) for one in happened]
    whole: Any = contexts[0]
    for number, more in enumerate(contexts[1:], 2):
        whole = noticecontext.added(whole, more, number)
    return whole


def test_no_failure_hides_among_good_news(catalog: Catalog) -> None:
    """It is named though it came when fifty were named already, and the first line begins with it."""
    good = [event(GOOD, f"job-{number}", number=number) for number in range(60)]
    said = words(gathered(catalog, *good[:55], event(BAD, "payroll", number=99), *good[55:]))
    assert said.subject == "1 × run.failed, 60 × run.succeeded: payroll, job-0, job-1 and 58 more"
    assert "  payroll FAILED" in said.text
    assert said.text.splitlines()[-2] == "… and 11 more that are not shown"
    several = ("run.failed", "run.late", "run.started", "run.unknown", GOOD)
    said = words(gathered(catalog, *(event(kind, number=number) for number, kind in enumerate(several))))
    assert said.subject == "1 × run.failed, 1 × run.unknown, 1 × run.late, 2 others: backup"


def test_each_event_of_several_says_where_to_look(catalog: Catalog) -> None:
    """Once below those that lead to the same page; nothing where the engine has no address for others."""
    happened = [
        event(BAD),
        replace(event("target.unreachable", "web-01", "Target", 1), run="rotate-0"),
        replace(event("target.unreachable", "web-02", "Target", 2), run="rotate-0"),
        replace(event("run.missed", number=3), run=None),
    ]
    lines = words(gathered(catalog, *happened, pages="https://ops.example.org/")).text.splitlines()
    assert [line.strip() for line in lines if "https" in line] == [
        "https://ops.example.org/runs/backup-0",
        "https://ops.example.org/runs/rotate-0",
        "https://ops.example.org/jobs/backup",
        "Look: https://ops.example.org/",
    ]
    assert lines[1] == "  https://ops.example.org/runs/backup-0" and lines[4].endswith("/rotate-0")
    assert "http" not in words(gathered(catalog, *happened)).text


def test_what_a_channel_lost_is_one_message(catalog: Catalog) -> None:
    """A channel that refuses its messages refuses all of them: each would be told by a message of its own."""
    spec = rule("notification.dead", channels=["mail"])
    first, second = (
        event("notification.dead", "chat", "NotificationChannel", number, subject=f"job-{number} FAILED", error="404")
        for number in range(2)
    )
    (one,), (two,) = drafts(spec, first, catalog), drafts(spec, second, catalog)
    assert (one.group is not None, one.group == two.group, one.order_key) == (True, True, "NotificationChannel/chat")
    assert one.hold_until == NOW + OF_DEAD_WAIT
    (other,) = drafts(spec, event("notification.dead", "phone", "NotificationChannel"), catalog)
    assert other.group != one.group
    by_event = rule("notification.dead", channels=["mail"], group={"by": [], "wait": "0s"})
    assert drafts(by_event, first, catalog)[0].group != one.group, "who says how is heeded"

    said = words(gathered(catalog, first, second))
    assert said.subject == "2 × notification.dead: chat"
    assert "A message could not be delivered to chat: job-1 FAILED: 404" in said.text
    assert "They can be sent again: opsconductor notify replay --channel chat" in said.text.splitlines()
    mixed = words(gathered(catalog, first, event(BAD, number=3)))
    assert "replay --channel" not in mixed.text


def test_what_an_earlier_version_gathered_is_told_too(catalog: Catalog) -> None:
    whole = gathered(catalog, event(BAD), event(GOOD, number=1))
    del whole["types"]
    for one in whole["events"]:
        del one["says"], one["link"]
    assert words(whole).subject == "1 × run.failed, 1 × run.succeeded: backup"
    assert "backup FAILED" in words(whole).text


OF_SEVERAL = (
    ("run.waitingApproval", "Workflow", {"gate": f"sha256:{'ab' * 32}"}, "opsconductor approve abababababab"),
    ("notification.dead", "NotificationChannel", {"message": "3f9a", "error": "status 404"}, ": status 404"),
    ("credential.expiring", "Credential", {"days": 7, "at": "z"}, "Credential x expires in 7 days"),
)


@pytest.mark.parametrize(("kind_of_event", "kind", "data", "line"), OF_SEVERAL)
def test_among_others_an_event_says_what_is_to_be_done(
    kind_of_event: str, kind: str, data: dict[str, Any], line: str, catalog: Catalog
) -> None:
    said = words(gathered(catalog, *(event(kind_of_event, "x", kind, number, **data) for number in range(2))))
    assert said.text.count(line) == 2


def test_who_is_to_approve_reads_what_and_who_asked_for_it(catalog: Catalog) -> None:
    gate = {"gate": "ab", "node": "deploy", "until": "2026-11-22T08:00:00Z"}
    happened = event("run.waitingApproval", "release", "Workflow", **gate)
    cause = Cause("request", "release-4", NOW, requested_by="Eve\nOwner: nobody")
    run = RunView(RunId("release-1"), "release", "c" * 40, cause, RunState.RUNNING, NOW)
    said = words(noticecontext.context_of(happened, (), run, catalog, None)).text.splitlines()
    assert "Approve it with: opsconductor approve ab" in said
    assert "Gate: deploy, open until 2026-11-22T08:00:00Z" in said
    assert [line for line in said if "nobody" in line] == ["Asked for by: Eve Owner: nobody"]


def test_a_message_of_good_and_bad_news_is_one_of_the_bad(catalog: Catalog) -> None:
    """Who sorts messages by their type, as an exchange does by its routing key, must not take it for a good one."""
    happened = [
        event("run.started", "backup", "Job", 1),
        event("run.late", "backup", "Job", 2),
        event("run.failed", "backup", "Job", 3),
        event("run.unknown", "other", "Job", 4),
        event("run.succeeded", "backup", "Job", 5),
    ]
    contexts = [noticecontext.context_of(one, notices.subjects(one, catalog), None, catalog, None) for one in happened]
    whole = contexts[0]
    for number, more in enumerate(contexts[1:], 2):
        whole = noticecontext.added(whole, more, number)
    assert (whole["event"]["type"], whole["event"]["id"], whole["count"]) == ("run.failed", happened[2].id, 5)
    assert [one["type"] for one in whole["events"]] == [one.type for one in happened]
    assert event_of(whole, "rule")["type"] == "opsconductor.run.failed"


EVENTS = (
    ("credential.expiring", "Credential", {"days": 7, "at": "2026-12-01T00:00:00Z"}, "Credential x expires in 7 days"),
    ("credential.expiring", "Credential", {"days": 0, "at": "2026-11-01T00:00:00Z"}, "Credential x has EXPIRED"),
    ("run.missed", "Schedule", {"reason": "missed", "from": "a", "to": "b", "count": 2}, "x did not run"),
    ("sync.failed", "Project", {"message": "the head has errors"}, "x: new definitions are NOT in force"),
    ("runner.lost", "RunnerPool", {"runner": "x/1"}, "A runner of pool x was LOST"),
    ("notification.dead", "NotificationChannel", {"attempts": 9}, "A message could not be delivered to x"),
)


@pytest.mark.parametrize(("kind_of_event", "kind", "data", "subject"), EVENTS)
def test_the_first_line_says_it_all(
    kind_of_event: str, kind: str, data: dict[str, Any], subject: str, catalog: Catalog
) -> None:
    happened = event(kind_of_event, "x", kind, **data)
    said = words(noticecontext.context_of(happened, (), None, catalog, "https://ops.example.org/"))
    assert said.subject == subject
    assert said.text.endswith(("https://ops.example.org/", "https://ops.example.org/sync")) or "x-0" in said.text


def test_what_a_step_says_makes_no_line_of_ours(catalog: Catalog) -> None:
    """Nor is a start, told when the run has ended, said to have taken a time."""
    happened = event(BAD)
    run = {**noticecontext.SAMPLE["run"], "id": "backup-0", "why": "no\nLook: https://evil.example", "seconds": 3.0}
    for one in (happened, event("run.started")):
        context = noticecontext.context_of(one, (), None, catalog, None) | {"run": run}
        (last, *before) = reversed(words(context).text.splitlines())
        assert last == "Look: opsconductor logs backup-0"
        assert not any(line.startswith("Look:") for line in before)
        assert (before[0] == "Run: backup-0, took 3.0 s") is (one is happened)
    both = gathered(catalog, happened, event(BAD, number=1))
    both["events"][0]["why"] = run["why"]
    assert len(words(both).text.splitlines()) == 3


def test_a_scan_is_told_by_rules_about_its_discovery() -> None:
    found = {
        "kind": "Discovery",
        "metadata": {"name": "net", "labels": {"site": "eu"}},
        "spec": {"networks": ["10.0.0.0/24"]},
    }
    known = compiled("\n".join(f"{key}: {json.dumps(value)}" for key, value in found.items()))
    about = notices.subjects(event(BAD, "discover-net"), known)
    chosen = rule(BAD, select={"kinds": ["Discovery"], "selector": {"matchLabels": {"site": "eu"}}})
    assert notices.selects(chosen.select, about)
    assert not notices.selects(chosen.select, notices.subjects(event(BAD, "net"), known))
    found["metadata"] |= {"name": "office", "previousNames": ["net"]}  # a run keeps the name that it began with
    renamed = compiled("\n".join(f"{key}: {json.dumps(value)}" for key, value in found.items()))
    assert notices.selects(chosen.select, notices.subjects(event(BAD, "discover-net"), renamed))


def test_what_a_scan_found_is_told_in_numbers(catalog: Catalog) -> None:
    data = {"new": 3, "changed": 0, "gone": 1, "branch": "found/net", "commit": "ab" * 20}
    happened = event("discovery.changed", "net", "Discovery", **data)
    alone = noticecontext.context_of(happened, (), None, catalog, None)
    for context in (alone, alone | {"run": {**noticecontext.SAMPLE["run"], "id": "discover-net-1"}}):
        said = words(context)
        assert said.subject == "net found changes"
        assert "Hosts: 3 new, 0 changed, 1 gone\nProposed on branch found/net: merge what is right" in said.text


def test_of_every_event_it_is_known_what_it_is_about() -> None:
    """`validate` warns by this table of events that a rule never tells."""
    assert set(notices.ABOUT) == set(get_args(EventName))
    assert set(notices.ABOUT) >= notices.LASTING
