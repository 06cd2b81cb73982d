"""What the lock file copies of plug-ins: a commit is checked without what it is run by. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from engine.checks.memory import remembered
from engine.patterns import MAX_TOGETHER, compiling
from engine.userschema import problems_of
from schemas.bugs import answered
from schemas.diagnostic import Diagnostic
from schemas.parts import KINDS, Kind, Part, Parts, part
from schemas.reader import Authored
from schemas.span import start_of
from schemas.steps import STEP_TYPES, StepType
from schemas.steps.declared import NAME, NONE, declared
from schemas.target import PLUGIN_NAME

LOCK_KEY = "plugins"
"""In the lock file: by package, its `version`, and its `steps`, `connections`, `secrets` and `channels`, by name."""
RELOCK = "'opsconductor plugin lock' writes it anew from what is installed"

What = Literal["steps"] | Kind
STEPS: Literal["steps"] = "steps"
WORDS: Mapping[What, str] = MappingProxyType(
    {STEPS: "step type", "connections": "connection", "secrets": "secret source", "channels": "notification channel"}
)
"""What plug-ins bring, by the key that it has in a lock, as people say it."""
NO_PARTS: Parts = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plugged:
    """What a lock file says of plug-ins."""

    step_types: Mapping[str, StepType] = field(default_factory=lambda: NONE)
    parts: Parts = field(default_factory=lambda: NO_PARTS)
    findings: tuple[Diagnostic, ...] = ()


NO_PLUGINS = Plugged()


def plugged(locked: Any, file: str) -> Plugged:
    """Read the part of a lock file that copies plug-ins. What cannot be used is a finding."""
    if locked is None:
        return NO_PLUGINS
    if sum(map(compiling, set(_patterns(locked)))) > MAX_TOGETHER:
        message = f"the patterns of its plug-ins have more than {MAX_TOGETHER:,} parts written out; none is read"
        return replace(NO_PLUGINS, findings=(Diagnostic(start_of(file), "OC323", message, RELOCK),))
    found: dict[tuple[str, str], str] = {}
    types: dict[str, StepType] = {}
    parts: dict[Kind, dict[str, Part]] = {kind: {} for kind in KINDS}
    findings: list[Diagnostic] = []
    for package, what, name, data in _entries(locked):
        problem = problem_of(name, data) if what == STEPS else problem_of_part(name, data)
        if problem is None and (what, name) in found:
            problem = f"'{found[what, name]}' has it too; one of the two must go"
        if problem is not None:
            message = f"{WORDS[what]} '{name[:80]}' of plug-in '{package[:80]}': {problem}"
            findings.append(Diagnostic(start_of(file), "OC323", message, RELOCK))
            continue
        found[what, name] = package
        if what == STEPS:
            types[name] = declared(data).step_type(name)
        else:
            parts[what][name] = part(data)
    return Plugged(dict(sorted(types.items())), parts, tuple(findings))


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
    return _problem_within({"input": read.inputs, "output": read.outputs})


def problem_of_part(name: str, data: Any) -> str | None:
    """The same for the declaration of a connection, a secret source or a channel."""
    if re.fullmatch(PLUGIN_NAME, name) is None:
        return "what a plug-in brings has a name of words with dots between, such as sample.shell"
    if not isinstance(data, dict):
        return "it is not a mapping"
    try:
        return _problem_within({"setting": part(data).settings})
    except ValueError as error:
        return str(error)


def _problem_within(declared: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str | None:
    """What is wrong with the first schema that is none; by what the schemas are for, and by name."""
    for what, schemas in declared.items():
        for key, schema in schemas.items():
            for problem in problems_of(schema):
                return f"{what} '{key}': {problem.message}"
    return None


def _patterns(locked: Any) -> Iterator[str]:
    """All that may be one, wherever it stands."""
    waiting = [locked]
    while waiting:
        match waiting.pop():
            case dict() as found:
                waiting += found.values()
                if isinstance(pattern := found.get("pattern"), str):
                    yield pattern
            case list() as found:
                waiting += found


def _entries(locked: Any) -> Iterator[tuple[str, What, str, Any]]:
    for package, entry in locked.items() if isinstance(locked, dict) else ():
        for what in WORDS:
            given = entry.get(what) if isinstance(entry, dict) else None
            for name, data in given.items() if isinstance(given, dict) else ():
                yield str(package), what, str(name), data


def knowing(documents: Iterable[Authored], types: Mapping[str, StepType]) -> list[Authored]:
    """The documents, with the step types that they may use beside the built-in ones.

    The same documents and types give the same values, so that what is known of one stays known.
    """
    return [_knowing(one, types) for one in documents] if types else list(documents)


def knowing_or_told(
    documents: Iterable[Authored], types: Mapping[str, StepType]
) -> tuple[list[Authored], dict[Authored, Diagnostic]]:
    """The same, and what is to be said of documents for which that met a bug of ours: they stay as they were."""
    if not types:
        return list(documents), {}
    found, bugs = list[Authored](), dict[Authored, Diagnostic]()
    for one in documents:
        place = partial(one.span, "metadata", "name")
        known, said = answered("plug-ins", place, partial(_knowing, one, types), one)
        found.append(known)
        bugs.update((one, bug) for bug in said)
    return found, bugs


def _knowing(document: Authored, types: Mapping[str, StepType]) -> Authored:
    return remembered(document, "plug-ins", (types,), partial(replace, document, plugged=types))
