"""From what a run found out about its targets to `facts` of their documents. Pure.

What a run gives is a host's word: it is bounded, never a secret by its name, and no text of it reads as an expression.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.commented import NotFormatted
from engine.discovery.changing import Change, Put, changed
from engine.discovery.seen import is_shown
from engine.leaks import names_a_secret
from schemas.reader import read
from schemas.target import Target

LONGEST, DEEPEST = 4_096, 4
"""Characters of one fact as JSON, and how deep it may be nested."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file with the facts of its Targets: which of them are other than they were, and what was left as it is."""

    data: bytes
    changed: Mapping[str, Sequence[str]]
    kept: Mapping[str, str]


def facts_of(outputs: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The outputs that can be facts, and why each of the others cannot. What is null is not known, and no fact."""
    found: dict[str, Any] = {}
    left_out = []
    for name, value in sorted(outputs.items()):
        if value is None:
            continue
        if names_a_secret(name):
            left_out.append(f"{name} looks like a secret")
        elif not _is_plain(value, DEEPEST):
            left_out.append(f"{name} has text that cannot stand in a document, or is nested too deeply")
        elif len(json.dumps(value, ensure_ascii=False)) > LONGEST:
            left_out.append(f"{name} is longer than {LONGEST:,} characters")
        else:
            found[name] = value
    return found, left_out


def with_facts(data: bytes, file: str, facts: Mapping[str, Mapping[str, Any]]) -> Written:
    """A file with these facts of its Targets, by their names; others that a Target has stay."""
    names: dict[str, Sequence[str]] = {}
    kept: dict[str, str] = {}
    for one in read(data, file).documents:
        target = one.document
        if not isinstance(target, Target) or target.name not in facts:
            continue
        changes = changes_of(target, facts[target.name])
        if not changes:
            continue
        try:
            data = changed(data, one.index, changes)
        except NotFormatted as error:
            kept[target.name] = str(error)
            continue
        names[target.name] = [change.path[-1] for change in changes]
    return Written(data, names, kept)


def targets_in(data: bytes, file: str) -> frozenset[str]:
    """The names of the Targets in a file."""
    return frozenset(one.document.name for one in read(data, file).documents if isinstance(one.document, Target))


def changes_of(target: Target, facts: Mapping[str, Any]) -> list[Change]:
    """What its document does not have yet."""
    had = target.spec.facts
    return [
        Put(("spec", "facts", name), value)
        for name, value in sorted(facts.items())
        if name not in had or json.dumps(had[name], sort_keys=True) != json.dumps(value, sort_keys=True)
    ]


def _is_plain(value: Any, depth: int) -> bool:
    if depth < 0:
        return False
    match value:
        case dict():
            return all(_is_text(key) and _is_plain(one, depth - 1) for key, one in value.items())
        case list():
            return all(_is_plain(one, depth - 1) for one in value)
        case str():
            return _is_text(value)
        case bool() | int() | None:
            return True
        case float():
            return math.isfinite(value)
        case _:
            return False


def _is_text(text: str) -> bool:
    """Lines of letters that can be seen, and nothing that would read as an expression."""
    lines = (line.strip(" ") for line in text.split("\n"))
    return "${{" not in text and all(is_shown(line, LONGEST) for line in lines if line)
