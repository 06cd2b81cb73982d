"""Drafts without the names of what is not written: one job that cannot be carried takes no rule with it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from opsconductor.imports.drafts import Draft


def without(draft: Draft, gone: Collection[str]) -> Draft:
    """The draft with no list of it naming a document (`Kind/name`) that is gone."""
    return replace(draft, documents=tuple(_kept(one, gone) for one in draft.documents))


def _kept(one: Mapping[str, Any], gone: Collection[str]) -> Mapping[str, Any]:
    spec = dict(one["spec"])
    if one["kind"] == "NotificationRule" and "names" in spec.get("select", {}):
        spec["select"] = {**spec["select"], "names": _left(spec["select"]["names"], "Job", gone)}
    elif one["kind"] == "TargetGroup":
        spec |= {
            key: _left(spec[key], kind, gone)
            for key, kind in (("names", "Target"), ("groups", "TargetGroup"))
            if key in spec
        }
    return {**one, "spec": spec}


def _left(names: list[str], kind: str, gone: Collection[str]) -> list[str]:
    return [name for name in names if f"{kind}/{name}" not in gone]
