"""Why an instant was decided so: the same answer in words and as data. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from engine.schedules.why import Answer
from schemas.quantities import format_instant

_COMMIT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_WORDS = {
    "run": "ran",
    "skipped": "skipped",
    "willRun": "will run",
    "willSkip": "will be skipped",
    "pending": "due, and not decided yet",
    "notConsidered": "due, and never considered",
    "notDue": "not due",
    "unknown": "due, and it is not known what was decided",
}


def as_lines(answer: Answer) -> Iterator[str]:
    """For people: a line, and those that belong to it further in."""
    reason = f": {answer.reason}" if answer.reason else ""
    when = f"{format_instant(answer.instant)} ({answer.local.isoformat(sep=' ')} {answer.time_zone})"
    yield f"{answer.schedule} {when}: {_WORDS[answer.decision]}{reason}"
    yield from (f"  {sentence}" for sentence in answer.why)
    if answer.rule is not None:
        yield f"  due by {answer.rule}"
    if answer.commit is not None:
        yield f"  definitions: {answer.commit}"
    if answer.rule is None:
        near = [("before", answer.before), ("after", answer.after)]
        said = ", ".join(f"{format_instant(instant)} {side}" for side, instant in near if instant is not None)
        yield f"  nearest due: {said or 'none'}"


def as_data(answer: Answer) -> dict[str, Any]:
    """For programs."""
    run = answer.run
    return {
        "schedule": answer.schedule,
        "instant": format_instant(answer.instant),
        "local": answer.local.isoformat(),
        "timeZone": answer.time_zone,
        "decision": answer.decision,
        "reason": answer.reason,
        "why": list(answer.why),
        "rule": answer.rule,
        "commit": answer.commit if _COMMIT_ID.fullmatch(answer.commit or "") else None,
        "definitions": answer.commit,
        "run": run
        and {
            "id": run.id,
            "state": run.state,
            "reason": run.reason,
            "queuedAt": format_instant(run.queued_at),
        },
        "nearest": {
            "before": answer.before and format_instant(answer.before),
            "after": answer.after and format_instant(answer.after),
        },
    }
