"""What a plan says of who is told."""

from engine.changes.plan import Plan
from engine.changes.plan_told import Told, ToldChange
from opsconductor.plans.planmarkdown import as_markdown
from opsconductor.plans.planreport import as_data, as_text
from tests.catalogs import local_target
from tests.planned import job, planned, tree

HERE = local_target("here")
WORK = job("work", "{names: [here]}")
SINKS = tuple(
    f"kind: NotificationChannel\nmetadata: {{name: {name}}}\nspec: {{type: slack, url: 'https://c.example.org/{name}'}}\n"
    for name in ("chat", "mail")
)
ANA = "kind: User\nmetadata: {name: ana}\nspec: {email: ana@example.org, notify: {channels: [mail]}}\n"


def rule(spec: str, name: str = "failures") -> str:
    return f"kind: NotificationRule\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def told(base: tuple[str, ...], head: tuple[str, ...]) -> Plan:
    return planned(tree(HERE, WORK, *SINKS, ANA, *base), tree(HERE, WORK, *SINKS, ANA, *head))


FAILED = rule("events: [run.failed], select: {kinds: [Job]}, channels: [chat]")


def test_a_rule_that_names_another_channel_is_said_of_what_it_is_about() -> None:
    plan = told((FAILED,), (rule("events: [run.failed], select: {kinds: [Job]}, channels: [mail]"),))
    change = ToldChange(("Job/work",), (Told("run.failed", "mail"),), (Told("run.failed", "chat"),))
    assert plan.told == (change,)
    text = "Job/work: run.failed told by mail; run.failed no longer told by chat"
    assert f"  {text}" in as_text(plan).splitlines()
    assert "- `Job/work`: run.failed told by `mail`; run.failed no longer told by `chat`" in as_markdown(plan)
    assert as_data(plan)["told"] == [
        {
            "objects": ["Job/work"],
            "gained": [{"event": "run.failed", "channel": "mail", "user": None}],
            "lost": [{"event": "run.failed", "channel": "chat", "user": None}],
        }
    ]


def test_a_user_is_told_by_the_channels_of_their_own() -> None:
    plan = told((FAILED,), (FAILED, rule("events: [run.failed, run.succeeded], users: [ana]", "people")))
    (change,) = (one for one in plan.told if "Job/work" in one.objects)
    assert (change.gained, change.lost) == ((Told("run.failed", "mail", "ana"),), ()), "she hears of no successes"
    assert "Job/work: run.failed told by mail (ana)" in as_text(plan)


def test_a_label_may_bring_an_object_before_a_rule() -> None:
    of_web = rule("events: [run.failed], select: {selector: {matchLabels: {team: web}}}, channels: [chat]")
    labelled = WORK.replace("name: work", "name: work, labels: {team: web}")
    plan = planned(tree(HERE, WORK, *SINKS, of_web), tree(HERE, labelled, *SINKS, of_web))
    assert plan.told == (ToldChange(("Job/work",), (Told("run.failed", "chat"),), ()),)


def test_new_objects_with_the_same_change_are_one() -> None:
    more = tuple(job(f"more-{number}", "{names: [here]}") for number in range(7))
    plan = told((FAILED,), (FAILED, *more))
    (change,) = plan.told
    assert change.gained == (Told("run.failed", "chat"),) and len(change.objects) == 7
    assert "Job/more-4 and 2 more: run.failed told by chat" in as_text(plan)


def test_how_and_when_is_not_who() -> None:
    quiet = "quiet: {cron: '0 22 * * *', duration: 8h, timeZone: UTC}"
    changed = rule(f"events: [run.failed], select: {{kinds: [Job]}}, channels: [chat], {quiet}", "another-name")
    assert told((FAILED,), (changed,)).told == ()
    renamed = WORK.replace("name: work", "name: fresh, previousNames: [work]")
    assert planned(tree(HERE, WORK, *SINKS, FAILED), tree(HERE, renamed, *SINKS, FAILED)).told == ()


def test_what_is_of_the_engine_itself_is_said_too() -> None:
    plan = told((), (rule("events: [sync.failed, notification.dead], channels: [chat]"),))
    assert [(one.objects, [each.event for each in one.gained]) for one in plan.told] == [
        (("NotificationChannel/mail",), ["notification.dead"]),
        (("Project/test",), ["sync.failed"]),
    ], "a channel is not told of itself"
