"""Selecting targets: selectors, groups within groups, limits that only narrow, and the limit of the command line."""

from typing import Any

import pytest

from engine.selection import LimitError, matches, members, narrow, parse_limit, select
from schemas.selector import Selection, Selector
from schemas.target import Target, TargetGroup


def target(name: str, **labels: str) -> Target:
    return Target.model_validate(
        {"apiVersion": "opsconductor/v1", "kind": "Target", "metadata": {"name": name, "labels": labels}, "spec": {}}
    )


def group(name: str, **spec: Any) -> TargetGroup:
    return TargetGroup.model_validate(
        {"apiVersion": "opsconductor/v1", "kind": "TargetGroup", "metadata": {"name": name}, "spec": spec}
    )


TARGETS = {
    one.name: one
    for one in (
        target("web-01", role="web", env="prod"),
        target("web-02", role="web", env="lab"),
        target("db-01", role="db", env="prod"),
        target("bare"),
    )
}
GROUPS = {
    one.name: one
    for one in (
        group("eu", names=["web-01", "gone"]),
        group("labs", selector={"matchLabels": {"env": "lab"}}),
        group("all", groups=["eu", "labs", "missing"]),
        group("circle-a", groups=["circle-b"], names=["db-01"]),
        group("circle-b", groups=["circle-a"], names=["bare"]),
    )
}


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ({}, {"web-01", "web-02", "db-01", "bare"}),
        ({"matchLabels": {"role": "web"}}, {"web-01", "web-02"}),
        ({"matchLabels": {"role": "web", "env": "prod"}}, {"web-01"}),
        ({"matchExpressions": [{"key": "env", "operator": "In", "values": ["lab", "x"]}]}, {"web-02"}),
        ({"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["lab"]}]}, {"web-01", "db-01", "bare"}),
        ({"matchExpressions": [{"key": "env", "operator": "Exists"}]}, {"web-01", "web-02", "db-01"}),
        ({"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}, {"bare"}),
    ],
)
def test_all_conditions_of_a_selector_must_hold(selector: dict[str, Any], names: set[str]) -> None:
    model = Selector.model_validate(selector)
    assert {name for name, one in TARGETS.items() if matches(model, one.metadata.labels)} == names


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ({}, set()),
        ({"names": ["web-01", "gone"]}, {"web-01"}),
        ({"groups": ["all"]}, {"web-01", "web-02"}),
        ({"groups": ["circle-a"]}, {"db-01", "bare"}),
        (
            {"selector": {"matchLabels": {"role": "db"}}, "groups": ["eu"], "names": ["bare"]},
            {"db-01", "web-01", "bare"},
        ),
        ({"selector": {}, "exclude": {"names": ["bare"]}}, {"web-01", "web-02", "db-01"}),
        ({"exclude": {"selector": {"matchLabels": {"role": "web"}}}}, {"db-01", "bare"}),
        ({"selector": {}, "exclude": {"selector": {}, "exclude": {"names": ["bare"]}}}, {"bare"}),
    ],
)
def test_a_selection_is_a_union_less_what_it_excludes(selection: dict[str, Any], names: set[str]) -> None:
    assert select(Selection.model_validate(selection), TARGETS, GROUPS) == names


def test_a_limit_never_adds() -> None:
    chosen = frozenset({"web-01", "db-01"})
    limit = Selection.model_validate({"names": ["web-01", "web-02"]})
    assert narrow(chosen, limit, TARGETS, GROUPS) == {"web-01"}
    assert narrow(chosen, None, TARGETS, GROUPS) == chosen


def test_members_of_a_group_that_does_not_exist_are_none() -> None:
    assert members("missing", TARGETS, GROUPS) == frozenset()


def condition(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-01", {"names": ["web-01"]}),
        ("web-01, web-02", {"names": ["web-01", "web-02"]}),
        ("role=web", [condition("role", "In", "web")]),
        ("role==web,env!=lab", [condition("role", "In", "web"), condition("env", "NotIn", "lab")]),
        ("env in (a, b)", [condition("env", "In", "a", "b")]),
        ("env notin (a),role", [condition("env", "NotIn", "a"), condition("role", "Exists")]),
        ("!role", [condition("role", "DoesNotExist")]),
        ("example.com/role=web", [condition("example.com/role", "In", "web")]),
        ("role=", [condition("role", "In", "")]),
    ],
)
def test_a_limit_on_the_command_line_is_names_or_conditions(text: str, expected: Any) -> None:
    wanted = expected if isinstance(expected, dict) else {"selector": {"matchExpressions": expected}}
    assert parse_limit(text).to_json() == wanted


@pytest.mark.parametrize(
    "text", ["", ",", "a,,b", "Web", "role=a b", "env in ()", "env in (a", "=x", "a=b=c", "$(x)=1"]
)
def test_what_is_no_limit_is_an_error(text: str) -> None:
    with pytest.raises(LimitError):
        parse_limit(text)
