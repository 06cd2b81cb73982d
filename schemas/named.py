"""The published schema with the names of one repository's documents, for editors to complete. Pure.

A name that is not among them is no less right: the schema says what is well-formed, and `validate` what is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

_KINDS: Mapping[str, str] = {
    "channel": "NotificationChannel",
    "channels": "NotificationChannel",
    "credentialRef": "Credential",
    "discoveryRef": "Discovery",
    "except": "Calendar",
    "groups": "TargetGroup",
    "jobRef": "Job",
    "jobs": "Job",
    "jump": "Target",
    "names": "Target",
    "only": "Calendar",
    "pool": "RunnerPool",
    "pools": "RunnerPool",
    "subjects": "User",
    "users": "User",
    "workflowRef": "Workflow",
    "workflows": "Workflow",
}
"""Of which kind the document is that a field of this name names."""
_OTHERWISE: Mapping[tuple[str, str], str | None] = {
    ("JobSelection", "names"): "Job",
    ("ObjectSelection", "names"): None,
}
"""The same for fields of one definition; None: of several kinds."""
_NAME = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_FORM = ("type", "pattern", "minLength", "maxLength")

Schema = dict[str, Any]


def with_names(published: Schema, names: Mapping[str, Sequence[str]]) -> Schema:
    """The same schema with a choice of names, by kind, beside whatever else a field may say. `published` is changed."""
    for title, definition in published["$defs"].items():
        for field, said in _fields(definition):
            kind = _OTHERWISE.get((title, field), _KINDS.get(field))
            if kind is not None and names.get(kind):
                _offer(said, names[kind])
    return published


def _fields(definition: Any) -> list[tuple[str, Schema]]:
    """The fields of a definition, and those that its rules bring."""
    found: list[tuple[str, Schema]] = []
    for field, said in definition.get("properties", {}).items():
        if isinstance(said, dict):
            found += [(field, said), *_fields(said)]
    for rule in definition.get("allOf", ()):
        found += _fields(rule.get("then", {}))
    return found


def _offer(said: Schema, choice: Sequence[str]) -> None:
    """Where the field, each of its items, or one of its forms is a name."""
    if isinstance(items := said.get("items"), dict):
        _offer(items, choice)
    if _is_name(said):
        said["anyOf"] = [{key: said.pop(key) for key in _FORM if key in said}]
    if any(map(_is_name, said.get("anyOf", ()))):
        said["anyOf"].insert(0, {"enum": list(choice)})


def _is_name(said: Schema) -> bool:
    return _NAME in str(said.get("pattern", ""))
