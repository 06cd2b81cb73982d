"""Who leans on a document, and by which way."""

import pytest
from hypothesis import given, settings

from engine.catalog import Catalog
from engine.changes.impact import Impact, impact
from engine.checks.references import references_of
from engine.compile import Compiled
from engine.runs.planning import Planned, plan_run
from schemas.kinds import MODELS
from tests.catalogs import PROJECT
from tests.planned import JOBS, credential, job, schedule, ssh_target, tree, trees


def leaning(compiled: Compiled, kind: str, name: str) -> dict[str, str]:
    """How each document leans on it, in one text."""
    assert compiled.catalog is not None, compiled.findings
    found = impact(compiled.catalog, kind, name, compiled.acts)
    assert found is not None
    return {one.identity: said(one) for one in found}


def said(one: Impact) -> str:
    return f"{one.relation}: " + " -> ".join(f"{link.field} -> {link.held}" for link in one.way)


FLEET = tree(
    credential("key"),
    credential("db-key"),
    ssh_target("web", "key", "{role: web}"),
    ssh_target("db", "db-key", "{role: db}"),
    "kind: TargetGroup\nmetadata: {name: webs}\nspec: {selector: {matchLabels: {role: web}}}\n",
    "kind: TargetGroup\nmetadata: {name: all}\nspec: {groups: [webs], names: [db]}\n",
    job("by-name", "{names: [web]}"),
    job("by-group", "{groups: [all], exclude: {names: [web]}}"),
    schedule("nightly", "by-name", "every: 24h"),
    schedule("limited", "by-group", "every: 24h, limit: {names: [db]}"),
    "kind: RunRequest\nmetadata: {name: ask}\nspec: {jobRef: by-name}\n",
)


def test_a_target_is_reached_by_selection_not_by_mention() -> None:
    """`exclude` takes the target out of the group's job: it names it and does not reach it; nor do its schedules."""
    assert leaning(FLEET, "Target", "web") == {
        "Job/by-name": "uses: spec.targets.names[0] -> Target/web",
        "Job/by-group": "names: spec.targets.exclude.names[0] -> Target/web",
        "RunRequest/ask": "uses: spec.jobRef -> Job/by-name -> spec.targets.names[0] -> Target/web",
        "Schedule/nightly": "uses: spec.jobRef -> Job/by-name -> spec.targets.names[0] -> Target/web",
        "TargetGroup/all": "uses: spec.groups[0] -> TargetGroup/webs -> spec.selector -> Target/web",
        "TargetGroup/webs": "uses: spec.selector -> Target/web",
    }


def test_a_credential_is_used_where_runs_would_be_given_it() -> None:
    found = leaning(FLEET, "Credential", "db-key")
    assert found["Job/by-group"] == (
        "uses: spec.targets.groups[0] (all) -> Target/db -> spec.connections.ssh.credentialRef -> Credential/db-key"
    )
    assert "Job/by-name" not in found
    assert found["Schedule/limited"].startswith("uses: spec.jobRef -> Job/by-group -> ")


def test_a_group_is_used_by_the_jobs_that_choose_it_or_a_group_around_it() -> None:
    found = leaning(FLEET, "TargetGroup", "webs")
    assert (
        found["Job/by-group"] == "uses: spec.targets.groups[0] -> TargetGroup/all -> spec.groups[0] -> TargetGroup/webs"
    )
    assert "Job/by-name" not in found


def test_a_job_is_used_by_its_schedules_and_requests() -> None:
    assert sorted(leaning(FLEET, "Job", "by-name")) == ["RunRequest/ask", "Schedule/nightly"]


def test_a_limit_that_leaves_the_target_out_is_not_its_users() -> None:
    documents = [ssh_target("a", "key"), ssh_target("b", "key"), credential("key"), job("both", "{names: [a, b]}")]
    compiled = tree(*documents, schedule("s", "both", "every: 1h, limit: {names: [b]}"))
    assert "Schedule/s" not in leaning(compiled, "Target", "a")
    assert leaning(compiled, "Target", "b")["Schedule/s"].startswith("uses: spec.jobRef -> Job/both")


def test_a_pool_is_used_by_the_jobs_that_run_in_it_also_by_default() -> None:
    pool = "kind: RunnerPool\nmetadata: {name: edge}\nspec: {}\n"
    project = PROJECT.replace("{}", "{defaults: {pool: edge}}")
    by_default = tree(credential("key"), ssh_target("a", "key"), job("work", "{names: [a]}"), pool, project=project)
    assert leaning(by_default, "RunnerPool", "edge") == {
        "Job/work": "uses: spec.runsOn.pool by default -> RunnerPool/edge",
        "Project/test": "names: spec.defaults.pool -> RunnerPool/edge",
    }
    assert leaning(by_default, "Project", "test") == {"Job/work": "uses: left to spec.defaults.pool -> Project/test"}


def test_nothing_and_nobody() -> None:
    assert FLEET.catalog is not None
    assert impact(FLEET.catalog, "Target", "wbe") is None
    assert leaning(FLEET, "RunRequest", "ask") == {}


EVERYTHING = tree(
    credential("key"),
    ssh_target("web", "key"),
    "kind: TargetGroup\nmetadata: {name: webs}\nspec: {names: [web]}\n",
    "kind: RunnerPool\nmetadata: {name: edge}\nspec: {}\n",
    "kind: Calendar\nmetadata: {name: holidays}\nspec: {dates: ['2026-12-24']}\n",
    "kind: NotificationChannel\nmetadata: {name: mail}\nspec:\n"
    "  {type: email, pool: edge, credentialRef: smtp, from: a@example.org, to: [b@example.org], server: mx.example}\n",
    "kind: Credential\nmetadata: {name: smtp}\nspec: {type: password, pools: [edge], from: {file: smtp}}\n",
    "kind: Credential\nmetadata: {name: hook}\nspec: {type: token, from: {file: hook}}\n",
    "kind: User\nmetadata: {name: ann}\nspec: {notify: {channels: [mail]}}\n",
    "kind: NotificationRule\nmetadata: {name: tell}\nspec: {events: [run.failed], channels: [mail], users: [ann]}\n",
    "kind: Job\nmetadata: {name: work}\nspec:\n"
    "  {targets: {groups: [webs]}, runsOn: {pool: edge}, steps: [{run: 'true'}]}\n",
    "kind: Workflow\nmetadata: {name: flow}\nspec:\n"
    "  jobs:\n    first: {jobRef: work, limit: {names: [web]}}\n    ask: {approval: {users: [ann]}, needs: [first]}\n",
    "kind: Schedule\nmetadata: {name: s}\nspec:\n"
    "  {workflowRef: flow, every: 1h, calendars: {except: [holidays]}, limit: {names: [web]}}\n",
    "kind: Trigger\nmetadata: {name: pushed}\nspec:\n"
    "  {event: {webhook: {credentialRef: hook, provider: generic}}, jobRef: work}\n",
    "kind: Window\nmetadata: {name: freeze}\nspec:\n"
    "  {effect: deny, from: 2026-12-24T00:00:00Z, until: 2026-12-26T00:00:00Z, jobs: {names: [work]},\n"
    "   targets: {names: [web]}}\n",
    "kind: Discovery\nmetadata: {name: scan}\nspec:\n"
    "  {networks: [10.0.0.0/24], runsOn: {pool: edge}, classify: [{credentialRef: key}]}\n",
    "kind: RunRequest\nmetadata: {name: ask}\nspec: {jobRef: work, limit: {names: [web]}}\n",
)


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_reference_of_every_kind_is_found_from_its_other_end(kind: str) -> None:
    """Built on `references_of`: whoever teaches it a new kind has taught `impact` as well."""
    assert EVERYTHING.catalog is not None, EVERYTHING.findings
    everybody = [*EVERYTHING.definitions, *EVERYTHING.acts]
    for authored in everybody:
        for reference in references_of(authored):
            if reference.kind == kind:
                found = impact(EVERYTHING.catalog, kind, reference.name, EVERYTHING.acts)
                assert authored.identity in {one.identity for one in found or ()}, reference


def test_what_hangs_on_a_chain_of_kinds_is_found() -> None:
    of_target = "TargetGroup/webs Job/work Workflow/flow Schedule/s Trigger/pushed Window/freeze RunRequest/ask"
    assert set(leaning(EVERYTHING, "Target", "web")) == set(of_target.split())
    # The workflow asks a person who hears of it by mail: without the credential that does not arrive.
    of_mail = "NotificationChannel/mail NotificationRule/tell User/ann Workflow/flow Schedule/s"
    assert set(leaning(EVERYTHING, "Credential", "smtp")) == set(of_mail.split())
    assert leaning(EVERYTHING, "Calendar", "holidays") == {
        "Schedule/s": "uses: spec.calendars.except[0] -> Calendar/holidays"
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(trees())
def test_who_uses_a_target_or_credential_is_who_is_given_it(compiled: Compiled) -> None:
    catalog = compiled.catalog
    assert catalog is not None
    for name in catalog.targets:
        assert _users(catalog, "Target", name) == {f"Job/{one}" for one in JOBS if name in _given(catalog, one)[0]}
    for name in catalog.credentials:
        assert _users(catalog, "Credential", name) == {f"Job/{one}" for one in JOBS if name in _given(catalog, one)[1]}


def _users(catalog: Catalog, kind: str, name: str) -> set[str]:
    found = impact(catalog, kind, name) or ()
    return {one.identity for one in found if one.relation == "uses" and one.identity.startswith("Job/")}


def _given(catalog: Catalog, name: str) -> tuple[set[str], set[str]]:
    planned = plan_run(catalog, catalog.jobs[name], params={})
    if not isinstance(planned, Planned):
        return set(), set()
    return {target.name for target in planned.spec.targets}, set(planned.spec.credentials)


def test_a_workflow_with_several_limits_uses_what_any_of_its_nodes_reaches() -> None:
    compiled = tree(
        credential("key"),
        ssh_target("a", "key"),
        ssh_target("b", "key"),
        job("both", "{names: [a, b]}"),
        "kind: Workflow\nmetadata: {name: flow}\nspec:\n  jobs:\n"
        "    one: {jobRef: both, limit: {names: [a]}}\n    two: {jobRef: both, limit: {names: [b]}}\n",
    )
    assert leaning(compiled, "Target", "a")["Workflow/flow"].startswith("uses: ")


def test_a_library_is_used_by_the_jobs_with_its_steps_and_the_default_pool_by_those_that_name_none() -> None:
    """Neither needs a document."""
    steps = "[{run: 'true'}, {uses: linux-core/logrotate@1, with: {config: /etc/x}}]"
    compiled = tree(credential("key"), ssh_target("a", "key"), job("rotate", "{names: [a]}", steps=steps))
    assert leaning(compiled, "StepLibrary", "linux-core") == {
        "Job/rotate": "uses: spec.steps[1].uses -> StepLibrary/linux-core"
    }
    assert leaning(compiled, "RunnerPool", "default") == {
        "Job/rotate": "uses: spec.runsOn.pool by default -> RunnerPool/default"
    }


def test_a_credential_is_used_by_who_hands_it_over_and_beside_steps_of_libraries() -> None:
    key, given = "{type: string, secret: true}", "{key: {credentialRef: db-key, field: privateKey}}"
    steps = "[{uses: linux-core/logrotate@1, with: {config: /x}}]"
    compiled = tree(
        credential("db-key"),
        ssh_target("db", "db-key"),
        job("rotate", "{names: [db]}", steps=steps),
        f"kind: Job\nmetadata: {{name: takes}}\nspec: {{params: {{key: {key}}}, steps: [{{uses: dummy}}]}}\n",
        f"kind: Schedule\nmetadata: {{name: nightly}}\nspec: {{jobRef: takes, every: 1h, params: {given}}}\n",
        f"kind: Workflow\nmetadata: {{name: flow}}\nspec: {{jobs: {{a: {{jobRef: takes, params: {given}}}}}}}\n",
        f"kind: RunRequest\nmetadata: {{name: ask}}\nspec: {{jobRef: takes, params: {given}}}\n",
    )
    found = leaning(compiled, "Credential", "db-key")
    assert set(found) == {"Target/db", "Job/rotate", "Schedule/nightly", "Workflow/flow", "RunRequest/ask"}
    assert found["Workflow/flow"] == "uses: spec.jobs.a.params.key.credentialRef -> Credential/db-key"


def test_a_rule_mentions_the_objects_that_it_names() -> None:
    """It would be refused without them; that it selects by labels is no reason to keep anything."""
    channel = (
        "kind: NotificationChannel\nmetadata: {name: chat}\nspec: {type: slack, url: 'https://chat.example.org/x'}\n"
    )
    rule = (
        "kind: NotificationRule\nmetadata: {name: told}\n"
        "spec: {events: [run.failed], channels: [chat], select: {kinds: [Job], names: [by-name]}}\n"
    )
    fleet = tree(credential("key"), ssh_target("web", "key"), job("by-name", "{names: [web]}"), channel, rule)
    assert leaning(fleet, "Job", "by-name") == {"NotificationRule/told": "names: spec.select.names[0] -> Job/by-name"}
    assert leaning(fleet, "NotificationChannel", "chat") == {
        "NotificationRule/told": "uses: spec.channels[0] -> NotificationChannel/chat"
    }
