"""Who leans on a document, and by which way."""

import pytest
from hypothesis import given, settings

from engine.catalog import Catalog
from engine.checks.references import references_of
from engine.compile import Compiled
from engine.impact import Impact, impact
from engine.planning import Planned, plan_run
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


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_reference_of_every_kind_is_found_from_its_other_end(kind: str) -> None:
    """Built on `references_of`: whoever teaches it a new kind has taught `impact` as well."""
    assert FLEET.catalog is not None
    everybody = [*FLEET.definitions, *FLEET.acts]
    assert {authored.document.kind for authored in everybody} >= {"Job", "Schedule", "RunRequest", "TargetGroup"}
    for authored in everybody:
        for reference in references_of(authored):
            if reference.kind == kind:
                found = impact(FLEET.catalog, kind, reference.name, FLEET.acts)
                assert authored.identity in {one.identity for one in found or ()}


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
