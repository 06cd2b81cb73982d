"""Kinds as people spell them, and where the status branch has the status of each."""

import difflib

from opsconductor.exits import UsageError

STATUS_FOLDERS = {
    "Job": "jobs",
    "Workflow": "workflows",
    "Schedule": "schedules",
    "Target": "targets",
    "RunRequest": "requests",
    "Trigger": "triggers",
}
_SHORT = {
    "request": "RequestStatus",
    "group": "TargetGroup",
    "pool": "RunnerPool",
    "sync": "SyncStatus",
    "library": "StepLibrary",
}


def kind_named(text: str) -> str:
    """`jobs`, `job`, `Job`, `target-groups`, ... as the kind's own name. Raises UsageError with the nearest ones."""
    from schemas.kinds import MODELS, STATUS_KINDS

    known = {kind.lower(): kind for kind in (*MODELS, *STATUS_KINDS)} | _SHORT
    wanted = text.lower().replace("-", "").replace("_", "")
    singular = (wanted, wanted.removesuffix("s"), wanted.removesuffix("es"), wanted.removesuffix("ies") + "y")
    for form in singular:
        if form in known:
            return known[form]
    near = difflib.get_close_matches(wanted, known, n=1)
    hint = f"; did you mean {known[near[0]]}?" if near else f"; there are {', '.join(sorted(set(known.values())))}"
    raise UsageError(f"there is no kind {text!r}{hint}")


def kind_to_write(text: str) -> str:
    """The same for kinds that people write. Raises UsageError for those that the engine writes, too."""
    from schemas.kinds import MODELS

    kind = kind_named(text)
    if kind not in MODELS:
        raise UsageError(f"{kind} is written by the engine; people write {', '.join(MODELS)}")
    return kind
