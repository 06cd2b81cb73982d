"""What a plan says of two trees."""

import pytest

from engine.changes.plan import Plan
from engine.changes.plan_documents import Renamed
from engine.changes.plan_times import MOST_FIRES
from opsconductor.plans.planmarkdown import as_markdown
from opsconductor.plans.planreport import as_data, as_text
from schemas.quantities import format_instant
from tests.catalogs import PROJECT, local_target
from tests.planned import credential, job, planned, schedule, ssh_target, tree

HERE = local_target("here", "{role: web}")
WORK = job("work", "{names: [here]}")
BERLIN = "timeZone: Europe/Berlin"


def fires(plan: Plan, side: str = "after") -> list[tuple[str, str | None]]:
    (change,) = plan.schedules
    return [(one.fire.local.isoformat(), one.clock_change) for one in getattr(change, side).listed]


# --- documents ---


def test_writing_a_document_otherwise_changes_nothing() -> None:
    """Moved to another file, keys in another order, comments, other quotes, a default written out: the same content."""
    base = tree(HERE, WORK, schedule("s", "work", "every: 1h"))
    written = (
        "# why\nspec: {steps: [{run: \"true\"}], targets: {names: ['here']}, priority: 0}\n"
        "metadata: {name: work}\nkind: Job\n"
    )
    plan = planned(base, tree(schedule("s", "work", "every: 60m"), written, HERE))
    assert (plan.documents.added, plan.documents.changed, plan.documents.removed) == ((), (), ())
    assert (plan.schedules, plan.targets, plan.credentials, plan.accepted) == ((), (), (), True)


@pytest.mark.parametrize(("before", "after"), [("1", "true"), ("1", "1.0"), ("'1'", "1"), ("null", "''")])
def test_values_that_only_look_alike_are_a_change(before: str, after: str) -> None:
    def vars_of(value: str) -> str:
        return f"kind: Target\nmetadata: {{name: here}}\nspec: {{connections: {{local: {{}}}}, vars: {{x: {value}}}}}\n"

    plan = planned(tree(vars_of(before)), tree(vars_of(after)))
    assert plan.documents.fields == {"Target/here": ("spec.vars.x",)}


def test_documents_are_added_changed_removed_and_renamed() -> None:
    base = tree(HERE, WORK, job("old", "{names: [here]}"), job("gone", "{names: [here]}"))
    renamed = job("fresh", "{names: [here]}", ", previousNames: [old]")
    head = tree(HERE, WORK.replace("'true'", "'false'"), renamed, job("more", "{names: [here]}"))
    documents = planned(base, head).documents
    assert documents.added == ("Job/more",)
    assert documents.fields == {"Job/work": ("spec.steps[0].run",)}
    assert documents.removed == ("Job/gone",)
    assert documents.renamed == (Renamed("Job/old", "Job/fresh"),)


# --- times ---


def test_a_new_time_is_shown_in_the_schedules_zone_and_the_change_of_clocks_is_flagged() -> None:
    base = tree(HERE, WORK, schedule("s", "work", f'cron: "30 2 * * *", {BERLIN}'))
    head = tree(HERE, WORK, schedule("s", "work", f'cron: "30 3 * * *", {BERLIN}'))
    plan = planned(base, head, hours=72)
    assert fires(plan, "before") == [
        ("2026-03-28T02:30:00+01:00", None),
        ("2026-03-29T03:00:00+02:00", "gap"),
        ("2026-03-30T02:30:00+02:00", None),
    ]
    assert fires(plan) == [
        ("2026-03-28T03:30:00+01:00", None),
        ("2026-03-29T03:30:00+02:00", "offset"),
        ("2026-03-30T03:30:00+02:00", None),
    ]
    assert plan.schedules[0].clock == "restarts"


def test_both_passes_of_a_repeated_hour_are_flagged() -> None:
    when = f'cron: "30 2 * * *", {BERLIN}, dst: {{fold: both}}'
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, schedule("s", "work", when)), start="2026-10-24T22:00:00Z")
    assert fires(plan) == [("2026-10-25T02:30:00+02:00", "fold"), ("2026-10-25T02:30:00+01:00", "fold")]


def test_a_fire_at_the_very_end_of_a_gap_that_was_meant_there_is_no_moved_one() -> None:
    plan = planned(
        tree(HERE, WORK),
        tree(HERE, WORK, schedule("s", "work", f'cron: "0 3 * * *", {BERLIN}')),
        start="2026-03-28T12:00:00Z",
    )
    assert fires(plan) == [("2026-03-29T03:00:00+02:00", "offset")]


@pytest.mark.parametrize(
    ("before", "after", "clock"),
    [
        ("every: 1h", "every: 2h", "restarts"),
        ("every: 1h", "every: 1h, priority: 3", "kept"),
        ("every: 1h", "every: 1h, suspend: true", "kept"),
        ("every: 1h, suspend: true", "every: 1h", "restarts"),
    ],
)
def test_a_clock_restarts_by_the_engines_rule(before: str, after: str, clock: str) -> None:
    plan = planned(tree(HERE, WORK, schedule("s", "work", before)), tree(HERE, WORK, schedule("s", "work", after)))
    assert [change.clock for change in plan.schedules] == [clock]


def test_a_renamed_schedule_keeps_its_clock() -> None:
    after = schedule("new", "work", "every: 1h", ", previousNames: [old]")
    plan = planned(tree(HERE, WORK, schedule("old", "work", "every: 1h")), tree(HERE, WORK, after))
    assert [(one.name, one.former, one.clock, one.before == one.after) for one in plan.schedules] == [
        ("new", "old", "kept", False)  # jitter and run ids go by the name
    ]


def in_zone(name: str, rest: str = "") -> str:
    return PROJECT.replace("{}", f"{{defaults: {{timeZone: {name}}}{rest}}}")


@pytest.mark.parametrize(
    ("project", "local", "decision"),
    [
        (in_zone("Asia/Tokyo"), "2026-03-28T06:00:00+09:00", "run"),
        (in_zone("Europe/Berlin", ", suspend: true"), "2026-03-28T06:00:00+01:00", "skipped"),
    ],
)
def test_the_project_can_move_every_schedule(project: str, local: str, decision: str) -> None:
    """A schedule whose own document stays is listed where its fires change: zone and suspension may come from there."""
    documents = (HERE, WORK, schedule("s", "work", 'cron: "0 6 * * *"'))
    base = tree(*documents, project=in_zone("Europe/Berlin"))
    (change,) = planned(base, tree(*documents, project=project), start="2026-03-27T20:00:00Z").schedules
    assert [(one.fire.local.isoformat(), one.fire.decision) for one in change.after.listed] == [(local, decision)]


def test_an_instant_in_the_past_is_never_due_again() -> None:
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, schedule("s", "work", "at: 2026-01-01T00:00:00Z")))
    assert [(change.after.listed, change.next_due) for change in plan.schedules] == [((), None)]


def test_fires_are_bounded_and_the_rest_is_said() -> None:
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, schedule("s", "work", "every: 1s")), hours=24 * 366)
    assert (len(plan.schedules[0].after.listed), plan.schedules[0].after.more) == (MOST_FIRES, True)
    assert as_data(plan)["schedulesCut"] == [{"schedule": "s", "fires": 1440, "until": "2026-03-28T00:23:59Z"}]


def test_a_schedule_looked_at_in_part_is_named_also_where_nothing_was_seen_to_change() -> None:
    """Another project may move any fire: none of the compared ones is no proof for the others."""
    documents = (HERE, WORK, schedule("often", "work", "every: 1m"))
    before, after = tree(*documents), tree(*documents, project=PROJECT.replace("{}", "{defaults: {timeZone: UTC}}"))
    assert (planned(before, after).cut, planned(before, after, hours=48).schedules) == ((), ())

    plan = planned(before, after, hours=48)
    said = "often: its first 1,440 fires, until 2026-03-28T23:59:00Z; not compared after"
    assert f"  {said}" in as_text(plan).splitlines()
    assert said.replace("often", "`often`", 1) in as_markdown(plan)
    known = "1 schedule with more fires than are looked at: from 2026-03-28T23:59:00Z on not all is compared"
    assert known in as_text(plan) and known in as_markdown(plan)


# --- what starts at once ---


def request(name: str, spec: str) -> str:
    return f"kind: RunRequest\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_a_request_in_the_commit_starts_its_run_and_one_that_was_there_does_not() -> None:
    consumed = request("before", "{jobRef: work}")
    plan = planned(tree(HERE, WORK, consumed), tree(HERE, WORK, consumed, request("now", "{jobRef: work}")))
    assert [(one.cause, one.verdict, one.job, one.targets) for one in plan.starts_at_once] == [
        ("RunRequest/now", "starts", "work", ("here",))
    ]


@pytest.mark.parametrize(
    ("spec", "verdict", "reason"),
    [
        ("{jobRef: work, expiresAt: 2026-03-27T00:00:00Z}", "refused", "expired"),
        ("{jobRef: work, params: {x: 1}}", "refused", "badParams"),
        ("{jobRef: nowhere}", "refused", "unknownJob"),
        ("{action: cancel, run: work-1}", "acts", None),
    ],
)
def test_requests_are_judged_as_the_engine_does(spec: str, verdict: str, reason: str | None) -> None:
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, request("ask", spec)))
    assert [(one.verdict, one.reason) for one in plan.starts_at_once] == [(verdict, reason)]


def test_a_request_whose_time_lies_beyond_the_horizon_is_not_said_to_start_at_once() -> None:
    asked = [("before", "2026-03-28T23:59:59Z"), ("beyond", "2026-03-29T00:00:00Z")]
    acts = [request(name, f"{{jobRef: work, notBefore: {when}}}") for name, when in asked]
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, *acts))
    assert [one.cause for one in plan.starts_at_once] == ["RunRequest/before"]
    assert [one.cause for one in plan.starts_later] == ["RunRequest/beyond"]
    assert "runs that start at once: 1; runs that start later: 1" in as_text(plan)
    assert "Starts after the time looked at (1)" in as_markdown(plan)


# --- windows ---

NIGHTLY = schedule("s", "work", f'cron: "30 2 * * *", {BERLIN}')


def window(rest: str, name: str = "w") -> str:
    """A deny window from 02:00 to 04:00 in Berlin; it is March 28, and clocks change the night after."""
    return (
        f"kind: Window\nmetadata: {{name: {name}}}\n"
        f"spec: {{effect: deny, cron: '0 2 * * *', duration: 2h, {BERLIN}{rest}}}\n"
    )


def blocks(plan: Plan, side: str = "after") -> list[tuple[str, ...]]:
    (change,) = plan.schedules
    return [one.blocked.windows if one.blocked else () for one in getattr(change, side).listed]


def test_a_new_window_shows_what_it_would_hold_back() -> None:
    base = tree(HERE, WORK, NIGHTLY)
    plan = planned(base, tree(HERE, WORK, NIGHTLY, window(", blocked: defer")), hours=48)
    assert (blocks(plan, "before"), blocks(plan)) == ([(), ()], [("w",), ("w",)])
    data = as_data(plan)
    assert data["schedules"][0]["after"][0]["decision"] == "run"
    assert data["schedules"][0]["after"][0]["blocked"] == {
        "windows": ["w"], "action": "defer", "until": "2026-03-28T03:00:00Z",
    }  # fmt: skip
    first = "2026-03-28T01:30:00Z"
    assert data["blockedBy"] == [
        {"window": "w", "effect": "deny", "cause": "Schedule/s", "before": 0, "after": 2, "first": first}
    ]
    assert (data["notComputed"], data["notActedOn"]) == ([], [])
    for text in (as_text(plan), as_markdown(plan)):
        assert "blocked by w: deferred to 2026-03-28 04:00:00+01:00" in text
    assert "  Window/w (deny): Schedule/s in it: 2 of its runs, 0 before; first 2026-03-28T01:30:00Z" in as_text(plan)
    assert "`Window/w` (deny): `Schedule/s` in it: 2 of its runs, 0 before" in as_markdown(plan)


def test_a_window_that_goes_shows_what_it_held_back() -> None:
    plan = planned(tree(HERE, WORK, NIGHTLY, window("")), tree(HERE, WORK, NIGHTLY))
    assert (blocks(plan, "before"), blocks(plan)) == ([("w",)], [()])
    assert plan.blocked_by == ()
    assert "skipped: window (Window/w)" in as_text(plan)


def group(member: str) -> str:
    return f"kind: TargetGroup\nmetadata: {{name: g}}\nspec: {{names: [{member}]}}\n"


RISKY = job("work", "{names: [here]}", ", labels: {risk: high}")


@pytest.mark.parametrize(
    ("chosen", "before", "after"),
    [
        ("targets: {selector: {matchLabels: {role: web}}}", HERE, local_target("here", "{role: db}")),
        ("jobs: {selector: {matchLabels: {risk: high}}}", RISKY, WORK),
        ("targets: {groups: [g]}", group("here"), group("other")),
    ],
    ids=["target", "job", "group"],
)
def test_a_label_that_moves_a_schedule_out_of_a_window_is_shown(chosen: str, before: str, after: str) -> None:
    rest = [local_target("other", "{}"), NIGHTLY, window(f", {chosen}")]
    rest += [one for one in (HERE, WORK) if one.split("\n")[0] != before.split("\n", maxsplit=1)[0]]
    plan = planned(tree(*rest, before), tree(*rest, after))
    assert (blocks(plan, "before"), blocks(plan)) == ([("w",)], [()])


def test_without_windows_a_label_moves_no_fires() -> None:
    rest = [WORK, NIGHTLY]
    assert planned(tree(*rest, HERE), tree(*rest, local_target("here", "{role: db}"))).schedules == ()


def test_what_is_suspended_comes_to_no_window() -> None:
    suspended = schedule("s", "work", f'cron: "30 2 * * *", {BERLIN}, suspend: true')
    plan = planned(tree(HERE, WORK, NIGHTLY, window("")), tree(HERE, WORK, suspended, window("")))
    assert (blocks(plan, "before"), blocks(plan), plan.blocked_by) == ([("w",)], [()], ())


@pytest.mark.parametrize(("requests", "expected"), [("allow", ()), ("deny", ("w",))])
def test_a_request_starts_in_a_window_unless_that_denies_requests(requests: str, expected: tuple[str, ...]) -> None:
    asked = request("now", "{jobRef: work, notBefore: 2026-03-28T01:15:00Z}")
    windows = window(f", requests: {requests}")
    plan = planned(tree(HERE, WORK, windows), tree(HERE, WORK, windows, asked))
    (start,) = plan.starts_at_once
    assert (start.blocked.windows if start.blocked else ()) == expected
    assert [(one.window, one.cause) for one in plan.blocked_by] == [(name, "RunRequest/now") for name in expected]
    refused = "RunRequest/now is refused: Window/w: it may not start at 2026-03-28T01:15:00Z; from 2026-03-28T03:00:00Z"
    assert (refused in as_text(plan)) is bool(expected)
    assert start.verdict == ("refused" if expected else "starts")


def test_a_plan_that_the_prune_guard_refuses_still_says_what_its_windows_block() -> None:
    many = [job(f"job-{n}", "{names: [here]}") for n in range(20)]
    plan = planned(tree(HERE, WORK, NIGHTLY, *many), tree(HERE, WORK, NIGHTLY, window("")))
    assert not plan.accepted
    assert [one.window for one in plan.blocked_by] == ["w"]


def test_a_request_starts_also_where_its_commit_is_rejected() -> None:
    """Acts go by the definitions in force: a broken commit never blocks them."""
    head = tree(HERE, WORK, request("now", "{jobRef: work}"), schedule("s", "nowhere", "every: 1h"))
    plan = planned(tree(HERE, WORK), head)
    assert (plan.accepted, [one.verdict for one in plan.starts_at_once]) == (False, ["starts"])


def test_what_is_due_at_the_instant_of_the_merge_starts_at_once_and_what_was_due_before_does_not() -> None:
    on_time = schedule("on-time", "work", "at: 2026-03-28T00:00:00Z")
    late = schedule("late", "work", "at: 2026-03-27T23:59:59Z")
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, on_time, late))
    assert [(one.cause, one.job, one.targets) for one in plan.starts_at_once] == [
        ("Schedule/on-time", "work", ("here",))
    ]
    assert "Schedule/on-time starts work on 1 target at 2026-03-28T00:00:00Z" in as_text(plan)


def test_a_schedule_that_is_due_at_once_starts_on_the_targets_that_its_limit_leaves() -> None:
    documents = (local_target("a"), local_target("b"), job("all", "{names: [a, b]}"))
    head = tree(
        *documents,
        schedule("one", "all", "at: 2026-03-28T00:00:00Z, limit: {names: [b]}"),
        schedule("none", "all", "at: 2026-03-28T00:00:00Z, limit: {selector: {matchLabels: {no: such}}}"),
    )
    plan = planned(tree(*documents), head)
    assert [(one["cause"], one["verdict"], one["targets"]) for one in as_data(plan)["startsAtOnce"]] == [
        ("Schedule/none", "refused", []),
        ("Schedule/one", "starts", ["b"]),
    ]
    assert "Schedule/none is skipped: the limit leaves none of the 2 targets of 'all'" in as_text(plan)


# --- what is reached ---


def test_targets_gained_and_lost_by_selectors_groups_and_labels() -> None:
    web = job("web", "{selector: {matchLabels: {role: web}}}")
    base = tree(local_target("a", "{role: web}"), local_target("b", "{role: web}"), local_target("c"), web)
    head = tree(local_target("a", "{role: web}"), local_target("b"), local_target("c", "{role: web}"), web)
    assert [(one.job, one.gained, one.lost) for one in planned(base, head).targets] == [("web", ("c",), ("b",))]


def test_a_limit_that_is_lifted_gains_targets_though_the_job_stays() -> None:
    documents = (local_target("a"), local_target("b"), job("all", "{names: [a, b]}"))
    base = tree(*documents, schedule("s", "all", "every: 1h, limit: {names: [a]}"))
    plan = planned(base, tree(*documents, schedule("s", "all", "every: 1h")))
    assert [(one.job, one.schedule, one.gained) for one in plan.targets] == [("all", "s", ("b",))]


def flow(name: str, node: str) -> str:
    return f"kind: Workflow\nmetadata: {{name: {name}}}\nspec: {{jobs: {{one: {{{node}}}}}}}\n"


@pytest.mark.parametrize(
    ("before", "after", "starts", "gained", "lost"),
    [
        ("jobRef: all, limit: {names: [a]}", "jobRef: all, limit: {names: [b]}", ("Workflow/f (one)",), ("b",), ("a",)),
        ("jobRef: all, limit: {names: [a]}", "jobRef: all", ("Workflow/f (one)",), ("b",), ()),
        ("jobRef: all", "jobRef: only", ("Workflow/f (one)",), (), ("b",)),
        (
            "jobRef: all, limit: {names: [a]}",
            'jobRef: all, limit: {selector: {matchLabels: {x: "${{ params.x }}"}}}',
            ("Workflow/f (one)",),
            ("b",),
            (),
        ),
    ],
)
def test_the_limit_of_a_node_gains_and_loses_targets(
    before: str, after: str, starts: tuple[str, ...], gained: tuple[str, ...], lost: tuple[str, ...]
) -> None:
    documents = (local_target("a"), local_target("b"), job("all", "{names: [a, b]}"), job("only", "{names: [a]}"))

    def with_params(node: str) -> str:
        return flow("f", node).replace("spec: {", "spec: {params: {x: {type: string}}, ")

    plan = planned(tree(*documents, with_params(before)), tree(*documents, with_params(after)))
    assert [(one.starts, one.gained, one.lost) for one in plan.targets] == [(starts, gained, lost)]


def test_the_limit_of_a_schedule_that_starts_a_workflow_narrows_each_job_in_it() -> None:
    documents = (local_target("a"), local_target("b"), local_target("c"), job("all", "{names: [a, b, c]}"))
    graph = flow("f", "jobRef: all, limit: {names: [a, b]}")

    def starting(limit: str) -> str:
        return f"kind: Schedule\nmetadata: {{name: s}}\nspec: {{workflowRef: f, every: 1h{limit}}}\n"

    narrow = tree(*documents, graph, starting(", limit: {names: [b, c]}"))
    plan = planned(narrow, tree(*documents, graph, starting(", limit: {names: [a, c]}")))
    assert [one.to_json() for one in plan.targets] == [
        {"job": "all", "schedule": "s", "workflow": "f", "node": "one", "gained": ["a"], "lost": ["b"]}
    ]
    assert "all by Schedule/s -> Workflow/f (one): + a  - b" in as_text(plan)
    lifted = planned(narrow, tree(*documents, graph, starting("")))
    assert [(one.starts, one.gained) for one in lifted.targets] == [(("Schedule/s", "Workflow/f (one)"), ("a",))]


def test_a_credential_is_newly_reachable_through_a_label() -> None:
    def fleet(labels: str) -> tuple[str, ...]:
        return (
            credential("web-key"),
            credential("vault-key"),
            ssh_target("web", "web-key", "{role: web}"),
            ssh_target("vault", "vault-key", labels),
            job("web", "{selector: {matchLabels: {role: web}}}"),
        )

    gains = planned(tree(*fleet("{}")), tree(*fleet("{role: web}"))).credentials
    assert [(one.job, one.credential, [way.target for way in one.ways]) for one in gains] == [
        ("web", "vault-key", ["vault"])
    ]
    assert planned(tree(*fleet("{role: web}")), tree(*fleet("{role: web}"))).credentials == ()


def test_a_credential_is_newly_reachable_by_an_expression() -> None:
    token = "kind: Credential\nmetadata: {name: api}\nspec: {type: token, from: {file: api}}\n"
    step = "[{run: 'true', env: {TOKEN: '${{ secrets.api.token }}'}}]"
    base = tree(HERE, token, WORK)
    gains = planned(base, tree(HERE, token, job("work", "{names: [here]}", steps=step))).credentials
    assert [(one.credential, [way.path for way in one.ways]) for one in gains] == [
        ("api", ["step step_1: secrets.api.token"])
    ]


TOKEN = "kind: Credential\nmetadata: {name: api}\nspec: {type: token, from: {file: api}}\n"


def test_a_library_step_hides_no_credential_of_its_job() -> None:
    """Neither what other steps read, nor what its targets are logged in with."""
    reads = "{run: 'true', env: {TOKEN: '${{ secrets.api.token }}'}}"
    steps = f"[{reads}, {{uses: linux-core/logrotate@1, with: {{config: /x}}}}]"
    fleet = (HERE, TOKEN, credential("key"), ssh_target("web", "key"))
    gains = planned(tree(*fleet, WORK), tree(*fleet, job("work", "{names: [web]}", steps=steps))).credentials
    assert [one.credential for one in gains] == ["api", "key"]


def test_a_credential_is_newly_reachable_where_a_secret_param_hands_it_over() -> None:
    key = "{type: string, secret: true}"
    takes = f"kind: Job\nmetadata: {{name: takes}}\nspec: {{params: {{key: {key}}}, steps: [{{uses: dummy}}]}}\n"
    given = "{key: {credentialRef: api, field: token}}"
    nightly = f"kind: Schedule\nmetadata: {{name: nightly}}\nspec: {{jobRef: takes, every: 1h, params: {given}}}\n"
    flow = f"kind: Workflow\nmetadata: {{name: flow}}\nspec: {{jobs: {{a: {{jobRef: takes, params: {given}}}}}}}\n"
    gains = planned(tree(TOKEN, takes), tree(TOKEN, takes, nightly)).credentials
    assert [(one.job, one.credential, [way.path for way in one.ways]) for one in gains] == [
        ("takes", "api", ["Schedule/nightly: spec.params.key.credentialRef"])
    ]
    gains = planned(tree(TOKEN, takes), tree(TOKEN, takes, flow)).credentials
    assert [(one.job, one.credential) for one in gains] == [("takes", "api")]
    assert planned(tree(TOKEN, takes, nightly), tree(TOKEN, takes, nightly, flow)).credentials == ()


def pooled(pools: str, pool: str = "default") -> tuple[str, ...]:
    key = f"kind: Credential\nmetadata: {{name: web-key}}\nspec: {{type: ssh, {pools}from: {{file: web-key}}}}\n"
    pools_there = [f"kind: RunnerPool\nmetadata: {{name: {name}}}\nspec: {{}}\n" for name in ("default", "dmz")]
    moved = job("rotate", "{names: [web]}").replace("spec: {", f"spec: {{runsOn: {{pool: {pool}}}, ", 1)
    return (key, *pools_there, ssh_target("web", "web-key"), moved)


def test_a_credential_that_another_pool_may_open_is_newly_reachable() -> None:
    before, after = pooled("pools: [default], "), pooled("pools: [default, dmz], ")
    plan = planned(tree(*before), tree(*after))
    assert [(one.job, one.credential, one.pool) for one in plan.credentials] == [(None, "web-key", "dmz")]
    said = "Credential/web-key opened by runners of pool dmz too, by spec.pools"
    assert said in as_text(plan)
    assert "`Credential/web-key` opened by runners of pool `dmz` too, by `spec.pools`" in as_markdown(plan)
    assert as_data(plan)["credentials"] == [
        {"job": None, "credential": "web-key", "pool": "dmz", "ways": [{"target": None, "path": "spec.pools"}]}
    ]
    assert planned(tree(*after), tree(*before)).credentials == ()
    assert "opened by runners of every pool too" in as_text(planned(tree(*before), tree(*pooled(""))))


def test_a_job_that_opens_a_credential_in_another_pool_newly_reaches_it() -> None:
    plan = planned(tree(*pooled("")), tree(*pooled("", "dmz")))
    assert [(one.job, one.credential, one.pool) for one in plan.credentials] == [("rotate", "web-key", "dmz")]
    assert "Job/rotate -> Credential/web-key now in pool dmz, by Target/web " in as_text(plan)
    both = planned(tree(*pooled("pools: [default], ")), tree(*pooled("pools: [default, dmz], ", "dmz")))
    assert [(one.job, one.pool) for one in both.credentials] == [(None, "dmz"), ("rotate", "dmz")]


def test_a_secret_param_that_is_opened_in_another_pool_is_newly_reachable() -> None:
    def takes(pool: str) -> str:
        what = f"runsOn: {{pool: {pool}}}, params: {{key: {{type: string, secret: true}}}}, steps: [{{uses: dummy}}]"
        return f"kind: Job\nmetadata: {{name: takes}}\nspec: {{{what}}}\n"

    given = "{key: {credentialRef: api, field: token}}"
    nightly = f"kind: Schedule\nmetadata: {{name: nightly}}\nspec: {{jobRef: takes, every: 1h, params: {given}}}\n"
    dmz = "kind: RunnerPool\nmetadata: {name: dmz}\nspec: {}\n"
    plan = planned(tree(TOKEN, dmz, nightly, takes("default")), tree(TOKEN, dmz, nightly, takes("dmz")))
    assert [(one.job, one.credential, one.pool) for one in plan.credentials] == [("takes", "api", "dmz")]


# --- what is wrong ---


def test_a_head_with_errors_changes_nothing_and_says_why() -> None:
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, schedule("s", "nowhere", "every: 1h")))
    assert (plan.accepted, plan.schedules, plan.targets) == (False, (), ())
    assert [finding.code for finding in plan.findings] == ["OC305"]
    assert plan.documents.added == ("Schedule/s",)


def test_a_base_with_errors_is_said_and_compared_with_nothing() -> None:
    plan = planned(tree(WORK), tree(HERE, WORK))
    assert plan.base_findings and plan.accepted and not plan.findings
    assert [(one.job, one.gained) for one in plan.targets] == [("work", ("here",))]


def test_the_prune_guard_speaks_before_the_merge() -> None:
    base = tree(HERE, *(job(f"job-{n}", "{names: [here]}") for n in range(8)))
    plan = planned(base, tree(HERE, job("job-0", "{names: [here]}")))
    assert (plan.accepted, [finding.code for finding in plan.findings]) == (False, ["OC340"])
    assert len(plan.documents.removed) == 7
    assert format_instant(plan.end) == "2026-03-29T00:00:00Z"


def test_a_night_that_is_left_out_is_named() -> None:
    after = schedule("s", "work", f'cron: "30 2 * * *", {BERLIN}, dst: {{gap: skip}}')
    plan = planned(tree(HERE, WORK), tree(HERE, WORK, after), start="2026-03-28T22:00:00Z")
    assert fires(plan) == []
    assert [one.message for one in plan.schedules[0].dropped] == ["02:30 does not exist on 2026-03-29: skipped"]


def test_what_this_version_does_not_act_on_does_not_fire() -> None:
    """A schedule, or its job, with a field that only a later version knows: the engine gives it no clock."""
    jittered = schedule("s", "work", "every: 1h, jitter: 5m")
    retried = job("work", "{names: [here]}", steps="[{run: 'true', become: root}]")
    base = tree(HERE, WORK, schedule("s", "work", "every: 1h"))
    for head in (tree(HERE, WORK, jittered), tree(HERE, retried, schedule("s", "work", "every: 1h"))):
        assert head.catalog is not None
        if head.catalog.held:
            (change,) = planned(base, head).schedules
            assert (change.clock, change.after.listed, change.next_due) == ("held", (), None)
            assert "not supported yet" in (change.held or "")
            assert [one.clock for one in planned(head, base).schedules] == ["new"]
