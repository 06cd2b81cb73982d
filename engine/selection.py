"""Which targets are meant: selectors on labels, selections of targets, and what a limit leaves of them."""

import re
from collections.abc import Iterable, Iterator, Mapping

from schemas.selector import Expression, Selection, Selector
from schemas.target import Target, TargetGroup


class LimitError(ValueError):
    """A limit of the command line that cannot be read; the message says what is wrong."""


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether all conditions hold. An empty selector matches everything.

    As in Kubernetes, `NotIn` holds too where the label is missing.
    """
    exact = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return exact and all(_holds(condition, labels) for condition in selector.match_expressions)


def select(selection: Selection, targets: Mapping[str, Target], groups: Mapping[str, TargetGroup]) -> frozenset[str]:
    """Names of the targets chosen: the union of selector, groups and names, less `exclude`.

    Names and groups that do not exist choose nothing. A selection that says nothing at all chooses nothing; one with
    only `exclude` chooses from all targets.
    """
    said = selection.selector is not None or selection.groups or selection.names
    chosen = _chosen(selection, targets, groups) if said or selection.exclude is None else frozenset(targets)
    return chosen - select(selection.exclude, targets, groups) if selection.exclude is not None else chosen


def narrow(
    chosen: frozenset[str],
    limit: Selection | None,
    targets: Mapping[str, Target],
    groups: Mapping[str, TargetGroup],
) -> frozenset[str]:
    """What a limit leaves of the targets chosen: never more."""
    return chosen if limit is None else chosen & select(limit, targets, groups)


def members(group: str, targets: Mapping[str, Target], groups: Mapping[str, TargetGroup]) -> frozenset[str]:
    """Targets of a group, those of the groups in it included. Groups that contain each other are no problem here."""
    found: set[str] = set()
    for name in _reachable(group, groups):
        spec = groups[name].spec
        found.update(target for target in spec.names if target in targets)
        if spec.selector is not None:
            found.update(_matching(spec.selector, targets))
    return frozenset(found)


def parse_limit(text: str) -> Selection:
    """The L of the command line: a label selector, or target names separated by commas.

    Conditions are separated by commas and must all hold: `role=web`, `env!=lab`, `env in (a,b)`, `env notin (a,b)`,
    `!key`, and `key` where another condition shows that labels are meant; bare words alone are names of targets.
    Raises LimitError.
    """
    parts = [part.strip() for part in re.split(r",(?![^()]*\))", text)]
    if not all(parts):
        raise LimitError(f"'{text}' is no limit; write target names or conditions on labels, separated by commas")
    if all(_BARE.fullmatch(part) for part in parts):
        return Selection.model_validate({"names": [_target_name(part) for part in parts]})
    return Selection(selector=Selector.model_validate({"matchExpressions": [_condition(part) for part in parts]}))


_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._:/@+-]*"
_BARE = re.compile(_KEY)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_COMPARED = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_AMONG = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_ABSENT = re.compile(rf"!\s*({_KEY})")


def _target_name(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > 63:
        raise LimitError(f"'{text}' is no name of a target; for a condition on labels write {text}=VALUE or !{text}")
    return text


def _condition(text: str) -> dict[str, object]:
    if match := _COMPARED.fullmatch(text):
        return {"key": match[1], "operator": "NotIn" if match[2] == "!=" else "In", "values": [match[3]]}
    if match := _AMONG.fullmatch(text):
        values = [value.strip() for value in match[3].split(",")]
        if all(re.fullmatch(_VALUE, value) for value in values) and any(values):
            return {"key": match[1], "operator": "NotIn" if match[2] == "notin" else "In", "values": values}
    if match := _ABSENT.fullmatch(text):
        return {"key": match[1], "operator": "DoesNotExist"}
    if _BARE.fullmatch(text):
        return {"key": text, "operator": "Exists"}
    raise LimitError(
        f"'{text}' is no condition; write key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
    )


def _holds(condition: Expression, labels: Mapping[str, str]) -> bool:
    match condition.operator:
        case "In":
            return labels.get(condition.key) in condition.values
        case "NotIn":
            return labels.get(condition.key) not in condition.values
        case "Exists":
            return condition.key in labels
        case "DoesNotExist":
            return condition.key not in labels


def _chosen(selection: Selection, targets: Mapping[str, Target], groups: Mapping[str, TargetGroup]) -> frozenset[str]:
    found = {name for name in selection.names if name in targets}
    if selection.selector is not None:
        found.update(_matching(selection.selector, targets))
    for group in selection.groups:
        found.update(members(group, targets, groups))
    return frozenset(found)


def _matching(selector: Selector, targets: Mapping[str, Target]) -> Iterator[str]:
    return (name for name, target in targets.items() if matches(selector, target.metadata.labels))


def _reachable(group: str, groups: Mapping[str, TargetGroup]) -> Iterable[str]:
    found: dict[str, None] = {}
    waiting = [group]
    while waiting:
        name = waiting.pop()
        if name in groups and name not in found:
            found[name] = None
            waiting.extend(groups[name].spec.groups)
    return found
