"""Why a selection chooses a target, in words. Pure."""

from collections.abc import Iterator, Mapping
from typing import assert_never

from engine.selection import matches, members, select
from schemas.selector import Expression, Selection, Selector
from schemas.target import Target, TargetGroup


def reasons(selection: Selection, target: Target, groups: Mapping[str, TargetGroup]) -> list[str]:
    """Every way in which it is chosen; none where it is not."""
    if target.name not in select(selection, {target.name: target}, groups):
        return []
    return list(_ways(selection, target, groups)) or ["all targets, but for those that are left out"]


def _ways(selection: Selection, target: Target, groups: Mapping[str, TargetGroup]) -> Iterator[str]:
    if target.name in selection.names:
        yield "by its name"
    if selection.selector is not None and matches(selection.selector, target.metadata.labels):
        yield _by_labels(selection.selector)
    for name in selection.groups:
        if target.name in members(name, {target.name: target}, groups):
            yield f"by group {name}, which holds it {_in_group(name, target, groups)}"


def _in_group(name: str, target: Target, groups: Mapping[str, TargetGroup]) -> str:
    spec = groups[name].spec
    if target.name in spec.names:
        return "by its name"
    if spec.selector is not None and matches(spec.selector, target.metadata.labels):
        return _by_labels(spec.selector)
    inner = next((one for one in spec.groups if target.name in members(one, {target.name: target}, groups)), "another")
    return f"by group {inner}"


def _by_labels(selector: Selector) -> str:
    said = [f"{key}={value}" for key, value in selector.match_labels.items()]
    said += [condition(one) for one in selector.match_expressions]
    return f"by labels: {', '.join(said)}" if said else "by labels: any"


def condition(one: Expression) -> str:
    """A condition on labels as the command line takes it."""
    match one.operator:
        case "In":
            return f"{one.key} in ({','.join(one.values)})"
        case "NotIn":
            return f"{one.key} notin ({','.join(one.values)})"
        case "Exists":
            return one.key
        case "DoesNotExist":
            return f"!{one.key}"
        case _:
            assert_never(one.operator)
