"""Why a selection chooses a target: the same answer as the engine's, in words."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.selection import select
from opsconductor.dashboard.reasons import reasons
from schemas.selector import Selection
from schemas.target import Target, TargetGroup


def target(**labels: str) -> Target:
    head = {"apiVersion": "opsconductor/v1", "kind": "Target", "metadata": {"name": "web-01", "labels": labels}}
    return Target.model_validate({**head, "spec": {}})


def group(name: str, spec: dict[str, Any]) -> TargetGroup:
    head = {"apiVersion": "opsconductor/v1", "kind": "TargetGroup", "metadata": {"name": name}}
    return TargetGroup.model_validate({**head, "spec": spec})


GROUPS = {
    "named": group("named", {"names": ["web-01"]}),
    "webs": group("webs", {"selector": {"matchLabels": {"role": "web"}}}),
    "outer": group("outer", {"groups": ["webs", "outer"]}),
    "others": group("others", {"names": ["db-01"]}),
}


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"names": ["web-01"]}, ["by its name"]),
        ({"selector": {"matchLabels": {"role": "web"}}}, ["by labels: role=web"]),
        (
            {"selector": {"matchExpressions": [
                {"key": "role", "operator": "In", "values": ["web", "db"]}, {"key": "old", "operator": "DoesNotExist"},
                {"key": "env", "operator": "NotIn", "values": ["lab"]}, {"key": "role", "operator": "Exists"}]}},
            ["by labels: role in (web,db), !old, env notin (lab), role"],
        ),
        ({"selector": {}}, ["by labels: any"]),
        ({"groups": ["named"]}, ["by group named, which holds it by its name"]),
        ({"groups": ["webs", "others"]}, ["by group webs, which holds it by labels: role=web"]),
        ({"groups": ["outer"]}, ["by group outer, which holds it by group webs"]),
        ({"exclude": {"names": ["db-01"]}}, ["all targets, but for those that are left out"]),
        ({"names": ["web-01"], "exclude": {"groups": ["webs"]}}, []),
        ({"names": ["db-01"]}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_each_way_is_told(selection: dict[str, Any], said: list[str]) -> None:
    assert reasons(Selection.model_validate(selection), target(role="web"), GROUPS) == said


NAMES = st.lists(st.sampled_from(["web-01", "db-01"]), max_size=2)
PARTS = st.fixed_dictionaries({"names": NAMES, "groups": st.lists(st.sampled_from(sorted(GROUPS)), max_size=2)})


@settings(deadline=None)
@given(PARTS, st.none() | PARTS, st.sampled_from(["web", "db"]))
def test_who_is_told_a_reason_is_chosen_and_nobody_else(
    chosen: dict[str, Any], exclude: dict[str, Any] | None, role: str
) -> None:
    selection = Selection.model_validate(chosen | ({} if exclude is None else {"exclude": exclude}))
    found = target(role=role)
    assert bool(reasons(selection, found, GROUPS)) == ("web-01" in select(selection, {"web-01": found}, GROUPS))
