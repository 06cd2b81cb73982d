"""What `event` is known to hold, as JSON Schema: all of it for events of ours, a part of it for those of forges.

Of a forge only what its documentation gives for every event of that kind is here (GitHub "Webhook events and
payloads", GitLab "Webhook events", Gitea "Webhooks"); what else it sends is not known, and never held to be wrong.
"""

from collections.abc import Mapping
from typing import Any

from engine.states import RunState
from schemas.trigger import Event

Shape = Mapping[str, Any]
_TEXT, _MAYBE_TEXT, _NUMBER = {"type": "string"}, {"type": ["string", "null"]}, {"type": "integer"}
_TEXTS = {"type": "array", "items": _TEXT}


def _closed(**fields: Any) -> Shape:
    return {"type": "object", "properties": fields, "additionalProperties": False}


def _open(**fields: Any) -> Shape:
    return {"type": "object", "properties": fields}


OF_RUN = _closed(
    run=_TEXT,
    job=_MAYBE_TEXT,
    workflow=_MAYBE_TEXT,
    state={"type": "string", "enum": [str(state) for state in RunState]},
    reason=_MAYBE_TEXT,
    commit=_TEXT,
    cause=_closed(kind=_TEXT, name=_TEXT, instant=_TEXT, requestedBy=_MAYBE_TEXT),
    params={"type": "object"},
    outputs={"type": "object"},
    queuedAt=_TEXT,
    startedAt=_MAYBE_TEXT,
    finishedAt=_MAYBE_TEXT,
    targets=_TEXTS,
    results={"type": "object"},
)
OF_COMMIT = _closed(commit=_TEXT, before=_TEXT, paths=_TEXTS, count=_NUMBER)

_REPOSITORY = _open(id=_NUMBER, name=_TEXT, full_name=_TEXT, default_branch=_TEXT, private={"type": "boolean"})
_PUSH = {"ref": _TEXT, "before": _TEXT, "after": _TEXT, "commits": {"type": "array"}}
_KNOWN: Mapping[tuple[str, str], Shape] = {
    ("github", "push"): _open(**_PUSH, repository=_REPOSITORY, forced={"type": "boolean"}, compare=_TEXT),
    ("github", "release"): _open(
        action=_TEXT, repository=_REPOSITORY, release=_open(id=_NUMBER, tag_name=_TEXT, prerelease={"type": "boolean"})
    ),
    ("github", "pull_request"): _open(action=_TEXT, number=_NUMBER, repository=_REPOSITORY),
    ("gitea", "push"): _open(**_PUSH, repository=_REPOSITORY, compare_url=_TEXT),
    ("gitlab", "Push Hook"): _open(**_PUSH, object_kind=_TEXT, project_id=_NUMBER, user_name=_TEXT),
    ("gitlab", "Tag Push Hook"): _open(**_PUSH, object_kind=_TEXT, project_id=_NUMBER, user_name=_TEXT),
}


def shape_of(event: Event) -> Shape:
    """What `event` holds in a trigger; empty where nothing is known of it."""
    if event.run is not None:
        return OF_RUN
    if event.definitions is not None:
        return OF_COMMIT
    webhook = event.webhook
    if webhook is None or len(webhook.events) != 1:
        return {}
    return _KNOWN.get((webhook.provider, webhook.events[0]), {})


def unknown_field(shape: Shape, path: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """The first name on a path that there cannot be, and the names that there are; None where all may be."""
    for part in path:
        properties = shape.get("properties", {})
        if part not in properties and shape.get("additionalProperties") is False:
            return part, tuple(properties)
        shape = properties.get(part) or {}
    return None
