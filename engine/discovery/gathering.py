"""Facts that a run gathered, as a proposal: what differs from the documents, target by target. Pure.

Only `facts` are changed, of whichever Target they are; what the run does not say stays, and so does all else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.discovery.changing import Change
from engine.discovery.facts import changes_of, facts_of
from schemas.target import Target

Verdict = tuple[bool, tuple[str, ...]]
"""Whether its document is another, and what people should know of it."""


def gathered(
    outputs: Mapping[str, Mapping[str, Any]],
    targets: Mapping[str, Target],
    change: Callable[[str, Sequence[Change]], str | None],
) -> dict[str, Verdict]:
    """What becomes of each target of a run, by name. `change` makes changes to one, or says why it stays as it is."""
    return {name: _one(name, said, targets, change) for name, said in sorted(outputs.items())}


def _one(
    name: str,
    outputs: Mapping[str, Any],
    targets: Mapping[str, Target],
    change: Callable[[str, Sequence[Change]], str | None],
) -> Verdict:
    facts, left_out = facts_of(outputs)
    notes = tuple(f"not written: {one}" for one in left_out)
    if (target := targets.get(name)) is None:
        return False, ("not changed: there is no such Target any more",)
    changes = changes_of(target, facts)
    if not changes:
        return False, notes
    if (why := change(name, changes)) is not None:
        return False, (why, *notes)
    return True, (f"facts: {', '.join(one.path[-1] for one in changes)}", *notes)
