"""The step types of plug-ins, as the lock file copies them: a commit is checked without what it is run by. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from engine.checks.memory import remembered
from engine.userschema import problems_of
from schemas.diagnostic import Diagnostic
from schemas.reader import Authored
from schemas.span import start_of
from schemas.steps import STEP_TYPES, StepType
from schemas.steps.declared import NAME, NONE, declared

LOCK_KEY = "plugins"
"""In the lock file: by package, its `version` and its `steps`, by name."""
RELOCK = "'opsconductor plugin lock' writes it anew from what is installed"


@dataclass(frozen=True, slots=True)
class Plugged:
    """What a lock file says of plug-ins."""

    step_types: Mapping[str, StepType] = field(default_factory=lambda: NONE)
    findings: tuple[Diagnostic, ...] = ()


NO_PLUGINS = Plugged()


def plugged(locked: Any, file: str) -> Plugged:
    """Read the part of a lock file that copies plug-ins. What cannot be used is a finding."""
    if locked is None:
        return NO_PLUGINS
    found: dict[str, tuple[str, StepType]] = {}
    findings: list[Diagnostic] = []
    for package, name, data in _entries(locked):
        problem = problem_of(name, data)
        if problem is None and name in found:
            problem = f"'{found[name][0]}' has it too; one of the two must go"
        if problem is not None:
            message = f"step type '{name[:80]}' of plug-in '{package[:80]}': {problem}"
            findings.append(Diagnostic(start_of(file), "OC323", message, RELOCK))
        else:
            found[name] = (package, declared(data).step_type(name))
    return Plugged({name: one for name, (_, one) in sorted(found.items())}, tuple(findings))


def problem_of(name: str, data: Any) -> str | None:
    """Why a declaration cannot be used; None where it can."""
    if name in STEP_TYPES:
        return "there is a built-in step type of this name, which cannot be replaced"
    if re.fullmatch(NAME, name) is None:
        return "the name of a plug-in's step type is two to four words with dots between, such as sample.greet"
    if not isinstance(data, dict):
        return "it is not a mapping"
    try:
        read = declared(data)
    except ValueError as error:
        return str(error)
    for what, schemas in (("input", read.inputs), ("output", read.outputs)):
        for key, schema in schemas.items():
            for problem in problems_of(schema):
                return f"{what} '{key}': {problem.message}"
    return None


def _entries(locked: Any) -> Iterator[tuple[str, str, Any]]:
    for package, entry in locked.items() if isinstance(locked, dict) else ():
        steps = entry.get("steps") if isinstance(entry, dict) else None
        for name, data in steps.items() if isinstance(steps, dict) else ():
            yield str(package), str(name), data


def knowing(documents: Iterable[Authored], types: Mapping[str, StepType]) -> list[Authored]:
    """The documents, with the step types that they may use beside the built-in ones.

    The same documents and types give the same values, so that what is known of one stays known.
    """
    if not types:
        return list(documents)
    return [remembered(one, "plug-ins", (types,), partial(replace, one, plugged=types)) for one in documents]
