"""From a job and what was asked to a plan: defaults, params, targets, group variables, scripts and credentials."""

from datetime import timedelta
from typing import Any

import pytest

from engine.catalog import Catalog
from engine.expressions.expression import Status
from engine.runs.pinned import PinnedSpec, Script, Use, dump, load
from engine.runs.planning import Planned, plan_inline, plan_run
from engine.runs.refused import PlanRefused
from runners.prepare import is_ok
from schemas.act import InlineJob
from schemas.credential import Credential
from schemas.job import Job
from schemas.kinds import MODELS
from schemas.project import Project
from schemas.selector import Selection
from schemas.target import Target, TargetGroup

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb0000000000000000000000000000000000000000000"


def document(kind: str, name: str, spec: dict[str, Any], **labels: str) -> Any:
    data = {"apiVersion": "opsconductor/v1", "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}
    return MODELS[kind].model_validate(data)


def machine(name: str, *, credential: str = "key", variables: dict[str, Any] | None = None, **labels: str) -> Target:
    connections = {"ssh": {"credentialRef": credential, "hostKeys": [HOST_KEY]}}
    spec = {"host": name, "connections": connections, "vars": variables or {}}
    found = document("Target", name, spec, **labels)
    assert isinstance(found, Target)
    return found


def job(steps: list[dict[str, Any]] | None = None, *, labels: dict[str, str] | None = None, **spec: Any) -> Job:
    found = document("Job", "j", {"steps": steps or [{"run": "true"}], **spec}, **(labels or {}))
    assert isinstance(found, Job)
    return found


def catalog(**more: Any) -> Catalog:
    project: Project = document("Project", "p", more.pop("project", {}))
    targets = more.pop(
        "targets", (machine("web-01", role="web"), machine("web-02", role="web"), machine("db-01", role="db"))
    )
    groups: tuple[TargetGroup, ...] = more.pop("groups", ())
    key: Credential = document("Credential", "key", {"type": "ssh", "from": {"file": "k"}, **more.pop("key", {})})
    web: Credential = document("Credential", "web", {"type": "password", "from": {"file": "w"}})
    return Catalog(
        "c" * 40,
        project,
        targets={one.name: one for one in targets},
        groups={one.name: one for one in groups},
        credentials={"key": key, "web": web},
    )


WEB = {"selector": {"matchLabels": {"role": "web"}}}


def planned(job: Job, catalog_: Catalog | None = None, *, limit: Any = None, **params: Any) -> PinnedSpec:
    found = plan_run(
        catalog_ or catalog(), job, params=params, limit=None if limit is None else Selection.model_validate(limit)
    )
    assert isinstance(found, Planned), found
    return found.spec


def refused(job: Job, catalog_: Catalog | None = None, *, limit: Any = None, **params: Any) -> PlanRefused:
    found = plan_run(
        catalog_ or catalog(), job, params=params, limit=None if limit is None else Selection.model_validate(limit)
    )
    assert isinstance(found, PlanRefused), found
    return found


def test_every_default_is_filled_in() -> None:
    steps = [
        {"run": "echo ${{ params.a }}"},
        {"id": "two", "uses": "dummy", "with": {"exit": 1}, "if": "${{ success() }}", "timeout": "10m"},
    ]
    spec = planned(
        job(
            steps,
            targets=WEB,
            params={"a": {}},
            env={"A": "1", "B": "2"},
            **{"finally": [{"run": "true", "env": {"A": "3"}}]},
        )
    )
    first, second, last = spec.steps
    assert (first.id, first.phase, first.action) == ("step_1", "steps", Script("sh", 'echo "${OC1}"', ("params.a",)))
    assert first.env == {"A": "1", "B": "2"}
    assert (second.id, second.action, second.condition) == ("two", Use("dummy", {"exit": 1}), "success()")
    assert second.timeout == timedelta(minutes=10)
    assert (last.id, last.phase, last.env) == ("finally_1", "finally", {"A": "3", "B": "2"})
    assert [one.name for one in spec.targets] == ["web-01", "web-02"]
    assert spec.targets[0].default_connection == "ssh"
    assert (spec.on_targets, spec.max_parallel, spec.timeout) == (True, 20, timedelta(hours=1))
    assert spec.commit == "c" * 40


def test_timeouts_come_from_the_job_then_the_project() -> None:
    project = {"defaults": {"timeout": "2h"}}
    assert planned(job(timeout="40m", targets=WEB), catalog(project=project)).timeout == timedelta(minutes=40)
    assert planned(job(targets=WEB), catalog(project=project)).timeout == timedelta(hours=2)


def test_a_plan_is_the_same_bytes_again_and_reads_back_the_same() -> None:
    spec = planned(job([{"run": "echo ${{ target.name }}"}], targets=WEB))
    again = planned(job([{"run": "echo ${{ target.name }}"}], targets=WEB))
    assert dump(spec) == dump(again)
    assert load(dump(spec)) == spec


def test_step_types_that_are_scripts_become_scripts_over_their_connection() -> None:
    steps = [
        {"uses": "ssh.exec", "with": {"run": "echo ${{ target.name }}", "shell": "bash"}},
        {"uses": "local.exec", "with": {"run": "true"}},
        {"uses": "script", "with": {"run": "true"}},
        {"uses": "assert", "with": {"that": "${{ true }}"}},
    ]
    remote, local, script, check = planned(job(steps, targets=WEB)).steps
    assert (remote.action, remote.connection) == (Script("bash", 'echo "${OC1}"', ("target.name",)), "ssh")
    assert (local.action, local.connection) == (Script("sh", "true"), "local")
    assert (script.action, script.connection) == (Script("sh", "true"), None)
    assert check.action == Use("assert", {"that": "${{ true }}"})


def test_a_script_without_a_shell_is_for_the_system_of_each_target() -> None:
    connections = {"winrm": {"credentialRef": "web"}}
    windows = document("Target", "win-01", {"host": "a", "os": "windows", "connections": connections}, role="web")
    steps: list[dict[str, Any]] = [
        {"run": "echo ${{ target.name }}"},
        {"run": "echo a", "shell": "bash"},
        {"uses": "winrm.exec", "with": {"run": "a"}},
    ]
    free, named, over = planned(
        job(steps, targets=WEB), catalog(targets=(machine("web-01", role="web"), windows))
    ).steps
    assert isinstance(free.action, Script)
    assert free.action.on("linux").text == 'echo "${OC1}"'
    assert free.action.on("windows") == Script("powershell", "echo $OC1", ("target.name",))
    assert named.action == Script("bash", "echo a")
    assert over.action == Script("powershell", "a")
    only = planned(job(steps[:1], targets=WEB), catalog(targets=(windows,))).steps[0]
    assert only.action == Script("powershell", "echo $OC1", ("target.name",))


@pytest.mark.parametrize(
    "step",
    [
        {"run": "echo '${{ params.a }}'"},
        {"run": "echo ${{ 1 + }}"},
        {"run": "true", "if": "a b"},
        {"run": "true", "outputs": {"x": "${{ nope( }}"}},
        {"uses": "ssh.exec", "with": {}},
        {"uses": "ssh.exec", "with": {"run": "true", "Shell": "sh"}},
        {"uses": "ssh.exec", "with": {"run": "eval ${{ 1 }}"}},
        {"uses": "nothing.known"},
    ],
)
def test_what_validation_would_have_refused_is_refused_again(step: dict[str, Any]) -> None:
    assert refused(job([step], targets=WEB)).reason == "badSteps"


PARAMS: dict[str, Any] = {
    "days": {"type": "integer", "default": 14, "minimum": 1},
    "name": {"type": "string", "required": True, "maxLength": 5},
    "note": {"type": "string"},
}


def test_params_get_their_defaults() -> None:
    found = plan_run(catalog(), job(params=PARAMS, targets=WEB), params={"name": "x"})
    assert isinstance(found, Planned)
    assert found.params == {"days": 14, "name": "x", "note": None}
    again = plan_run(catalog(), job(params=PARAMS, targets=WEB), params=found.params)
    assert again == found


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "'name' is required"),
        ({"name": None}, "'name' is required"),
        ({"name": "x", "other": 1}, "no param 'other'"),
        ({"name": "toolong"}, "too long"),
        ({"name": "x", "days": 0}, "'days'"),
        ({"name": "x", "days": "14"}, "'days'"),
        ({"name": "x", "days": True}, "'days'"),
        ({"name": "x", "note": "n" * 70_000}, "64 KiB"),
    ],
)
def test_params_are_what_the_job_asks_for(params: dict[str, Any], said: str) -> None:
    found = refused(job(params=PARAMS, targets=WEB), **params)
    assert found.reason == "badParams"
    assert said in found.message


@pytest.mark.parametrize(
    ("targets", "limit", "names"),
    [
        (WEB, None, ["web-01", "web-02"]),
        (WEB, {"names": ["web-02", "db-01"]}, ["web-02"]),
        ({"names": ["db-01", "web-01"]}, None, ["db-01", "web-01"]),
    ],
)
def test_a_limit_can_only_narrow(targets: Any, limit: Any, names: list[str]) -> None:
    assert [one.name for one in planned(job(targets=targets), limit=limit).targets] == names


@pytest.mark.parametrize(
    ("targets", "limit"),
    [({"names": ["gone"]}, None), (WEB, {"names": ["db-01"]}), ({}, None), (None, {"names": ["web-01"]})],
)
def test_no_target_left_is_said(targets: Any, limit: Any) -> None:
    assert refused(job([{"uses": "dummy"}], targets=targets), limit=limit).reason == "noTargets"


def test_a_job_without_targets_runs_in_one_place() -> None:
    spec = planned(job([{"uses": "dummy"}]))
    assert (spec.on_targets, spec.targets, spec.credentials) == (False, (), {})


def test_the_nearest_group_wins_then_the_target() -> None:
    def group(name: str, variables: dict[str, Any], **spec: Any) -> Any:
        return document("TargetGroup", name, {"vars": variables, **spec})

    groups = (
        group("world", {"far": "world", "mid": "world", "near": "world", "own": "world"}, groups=["land"]),
        group("land", {"mid": "land", "near": "land", "own": "land"}, groups=["town", "world"]),
        group("town", {"near": "town", "own": "town"}, names=["web-01"]),
        group("a-tie", {"near": "a-tie"}, selector={"matchLabels": {"role": "web"}}),
        group("other", {"far": "other"}, names=["db-01"]),
    )
    found = catalog(groups=groups, targets=(machine("web-01", variables={"own": "target"}, role="web"),))
    variables = planned(job(targets=WEB), found).targets[0].vars
    assert variables == {"far": "world", "mid": "land", "near": "a-tie", "own": "target"}


@pytest.mark.parametrize(
    ("reader", "kept"),
    [
        ({"run": "echo ${{ steps.a.stdout }}"}, {"a"}),
        ({"run": "true", "if": "steps.a.json.x == 1"}, {"a"}),
        ({"run": "true", "env": {"X": "${{ steps['a'].stderr }}"}}, {"a"}),
        ({"uses": "dummy", "with": {"stdout": "${{ steps.a }}"}}, {"a"}),
        ({"run": "true", "stdin": "${{ steps[target.name].stdout }}"}, {"a", "b", "c"}),
        ({"run": "true", "if": "steps.a.outputs.x == 1 && steps.a.exitCode == 0"}, set()),
        ({"run": "true", "outputs": {"x": "${{ stdout }}"}}, set()),
    ],
)
def test_output_is_kept_only_where_a_later_expression_reads_it(reader: dict[str, Any], kept: set[str]) -> None:
    spec = planned(job([{"id": "a", "run": "true"}, {"id": "b", "run": "true"}, {"id": "c", **reader}], targets=WEB))
    assert {one.id for one in spec.steps if one.keeps_output} == kept


def test_outputs_of_the_job_keep_output_too() -> None:
    spec = planned(job([{"id": "a", "run": "true"}], targets=WEB, outputs={"x": "${{ steps.a.stdout }}"}))
    assert spec.steps[0].keeps_output


def test_credentials_that_the_run_can_reach_are_pinned_by_metadata() -> None:
    steps = [{"run": "true", "env": {"P": "${{ secrets.web.password }}"}}]
    assert set(planned(job(steps, targets=WEB)).credentials) == {"key", "web"}
    sudo = [{"uses": "local.exec", "with": {"run": "true"}, "become": {"user": "root", "credentialRef": "web"}}]
    assert set(planned(job(sudo, targets=WEB)).credentials) == {"web"}
    assert set(planned(job([{"uses": "dummy"}], targets=WEB)).credentials) == set()
    assert set(planned(job([{"uses": "local.exec", "with": {"run": "true"}}], targets=WEB)).credentials) == set()
    assert planned(job(targets=WEB)).credentials["key"].from_ is not None


@pytest.mark.parametrize(
    ("key", "labels", "allowed"),
    [
        ({"allowedFor": {"matchLabels": {"team": "web"}}}, {"team": "web"}, True),
        ({"allowedFor": {"matchLabels": {"team": "web"}}}, {"team": "db"}, False),
        ({"allowedFor": {"matchLabels": {"team": "web"}}}, {}, False),
        ({"pools": ["default"]}, {}, True),
        ({"pools": ["dmz"]}, {}, False),
    ],
)
def test_credentials_are_used_only_where_they_may_be(
    key: dict[str, Any], labels: dict[str, str], allowed: bool
) -> None:
    asked = job(targets=WEB, labels=labels)
    if allowed:
        assert "key" in planned(asked, catalog(key=key)).credentials
    else:
        assert refused(asked, catalog(key=key)).reason == "notAllowed"


def test_the_pool_decides_what_may_be_opened() -> None:
    asked = job(targets=WEB, runsOn={"pool": "dmz"})
    assert planned(asked, catalog(key={"pools": ["dmz"]})).credentials.keys() == {"key"}
    assert refused(asked, catalog(key={"pools": ["default"]})).reason == "notAllowed"


def test_a_credential_that_does_not_exist_is_refused() -> None:
    found = catalog(targets=(machine("web-01", credential="gone", role="web"),))
    assert refused(job(targets=WEB), found).reason == "notAllowed"


def test_an_inline_job_is_planned_likewise() -> None:
    inline = InlineJob.model_validate({"steps": [{"run": "uptime"}], "targets": WEB})
    found = plan_inline(catalog(), "ask-1", inline, limit=Selection.model_validate({"names": ["web-01"]}))
    assert isinstance(found, Planned)
    assert (found.spec.job, found.params) == ("ask-1", {})
    assert [one.name for one in found.spec.targets] == ["web-01"]
    restricted = catalog(key={"allowedFor": {"matchLabels": {"team": "web"}}})
    assert isinstance(plan_inline(restricted, "ask-1", inline), PlanRefused)
    assert isinstance(plan_inline(restricted, "ask-1", inline, labels={"team": "web"}), Planned)
    elsewhere = catalog(key={"pools": ["dmz"]})
    assert isinstance(plan_inline(elsewhere, "ask-1", inline, labels={"team": "web"}), PlanRefused)


@pytest.mark.parametrize(("code", "ok"), [(0, True), (7, True), (5, False)])
def test_a_list_of_exit_codes_may_hold_expressions(code: int, ok: bool) -> None:
    asked = job(steps=[{"run": "true", "okExitCodes": [0, "${{ exitCode > 6 ? exitCode : 1 }}"]}], targets=WEB)
    assert is_ok(planned(asked).steps[0], code, {"exitCode": code}, Status()) is ok


# --- secret params ---

KEY = {"token": {"type": "string", "secret": True, "required": True}}
USES_KEY: list[dict[str, Any]] = [
    {
        "run": "true",
        "env": {"TOKEN": "${{ params.token }}", "NAME": "x"},
        "rescue": [{"run": "true", "stdin": "${{ params.token }}"}],
    }
]


def test_a_secret_param_stands_for_the_field_of_the_credential_that_was_named() -> None:
    spec = planned(job(USES_KEY, params=KEY, targets=WEB), token={"credentialRef": "web", "field": "password"})
    (step,) = spec.steps
    assert step.env == {"TOKEN": '${{ secrets["web"].password }}', "NAME": "x"}
    assert step.rescue[0].stdin == '${{ secrets["web"].password }}'
    assert set(spec.credentials) == {"key", "web"}


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("hunter2", "badParams"),
        ({"credentialRef": "web"}, "badParams"),
        ({"credentialRef": "web", "field": "password", "more": 1}, "badParams"),
        ({"credentialRef": 'web"].password }} ${{ params', "field": "password"}, "badParams"),
        ({"credentialRef": "web", "field": "password + params.x"}, "badParams"),
        ({"credentialRef": ["web"], "field": "password"}, "badParams"),
        ({"credentialRef": "web", "field": ["password"]}, "badParams"),
        ({"credentialRef": "nobody", "field": "password"}, "notAllowed"),
        (None, "badParams"),
    ],
)
def test_a_secret_param_takes_nothing_else(token: Any, reason: str) -> None:
    assert refused(job(USES_KEY, params=KEY, targets=WEB), token=token).reason == reason


def test_a_secret_param_opens_nothing_that_the_job_may_not_use() -> None:
    closed = catalog(key={"allowedFor": {"matchLabels": {"team": "db"}}})
    spec = job(USES_KEY, params=KEY, targets=WEB)
    assert refused(spec, closed, token={"credentialRef": "key", "field": "privateKey"}).reason == "notAllowed"


def test_the_targets_on_the_way_are_pinned_with_what_logs_in_there() -> None:
    """Each once, however many targets lie behind it; nothing else of them is used."""
    hop = {"credentialRef": "web", "hostKeys": [HOST_KEY], "jump": "outer"}
    documents = {
        "gate": {"host": "gate", "connections": {"ssh": hop}},
        "outer": {"host": "outer", "connections": {"ssh": {"credentialRef": "key", "hostKeys": [HOST_KEY]}}},
        **{
            name: {"host": name, "connections": {"ssh": {"hostKeys": [HOST_KEY], "jump": "gate"}}}
            for name in ("far-1", "far-2")
        },
    }
    found = [document("Target", name, spec) for name, spec in documents.items()]
    spec = planned(job([{"run": "true"}], targets={"names": ["far-1", "far-2"]}), catalog(targets=tuple(found)))
    assert [hop.name for hop in spec.jumps] == ["gate", "outer"]
    assert set(spec.credentials) == {"key", "web"}
