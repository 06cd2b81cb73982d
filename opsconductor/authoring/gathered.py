"""Facts that a run gathered, from its file on the status branch into the documents of a checkout."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.discovery.facts import facts_of, targets_in, with_facts
from opsconductor.authoring.formatting import documents_below
from opsconductor.authoring.wholefile import replace


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts by target, and in a line each what of the run's outputs is none."""

    facts: Mapping[str, Mapping[str, Any]]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line for each target whose facts are others now, and for each that stays as it is though they should be."""

    told: tuple[str, ...]
    trouble: tuple[str, ...]


def gathered(run: Mapping[str, Any], only: Collection[str] = ()) -> Gathered:
    """What a Run of the status branch has of each target; of its outputs `only` those, where any are named."""
    facts: dict[str, Mapping[str, Any]] = {}
    left_out = []
    for name, target in sorted((run.get("status", {}).get("targets") or {}).items()):
        outputs = target.get("outputs") if isinstance(target, dict) else None
        wanted = {key: value for key, value in (outputs or {}).items() if not only or key in only}
        found, others = facts_of(wanted)
        if found:
            facts[name] = found
        left_out += [f"{name}: not written: {text}" for text in others]
    return Gathered(facts, tuple(left_out))


def written(root: Path, facts: Mapping[str, Mapping[str, Any]], *, dry_run: bool = False) -> Outcome:
    """Write them into the documents below a folder with a Project, each file whole or not at all. Raises UsageError."""
    told: list[str] = []
    trouble: list[str] = []
    met: set[str] = set()
    for file, data in documents_below(root):
        met |= targets_in(data, str(file))
        made = with_facts(data, str(file.relative_to(root)), facts)
        trouble += [f"{name}: left as it is: {why}" for name, why in made.kept.items()]
        if not made.changed:
            continue
        lines = [f"{name}: {', '.join(names)}" for name, names in made.changed.items()]
        if dry_run or replace(file, made.data, instead_of=data):
            told += lines
        else:
            trouble += [f"{name}: left as it is: its file was changed meanwhile; try again" for name in made.changed]
    trouble += [f"{name}: there is no such Target in this checkout" for name in sorted(facts.keys() - met)]
    return Outcome(tuple(told), tuple(trouble))
