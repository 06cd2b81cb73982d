"""The plug-ins of this machine: what they bring, what is wrong with them, and what the lock file copies of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.plugins import LOCK_KEY, problem_of
from opsconductor import lockfile
from runners.connections.ways import DOOR as CONNECTIONS
from runners.deliveries import DOOR as CHANNELS
from runners.doors import Door, Fault, source
from runners.secrets.sources import DOOR as SECRETS
from runners.steps import DOOR as STEPS
from schemas.guard import load
from schemas.steps.declared import FILE

DOORS: tuple[Door[Any], ...] = (STEPS, CONNECTIONS, SECRETS, CHANNELS)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that a plug-in brings and that can be used. `what` is its entry point group, without our name."""

    what: str
    name: str
    package: str
    version: str


def parts() -> tuple[Part, ...]:
    """What plug-ins bring, by group and name. Imports nothing of them."""
    return tuple(
        Part(door.group.removeprefix("opsconductor."), name, *_package(entry))
        for door in DOORS
        for name, entry in sorted(door.plugged().items())
    )


def faults() -> tuple[Fault, ...]:
    """What is wrong with the plug-ins of this machine. Imports all of them."""
    found = [fault for door in DOORS for fault in door.faults()]
    for name, entry in sorted(STEPS.plugged().items()):
        try:
            problem = problem_of(name, _declaration(entry))
        except ValueError as error:
            problem = str(error)
        if problem is not None:
            found.append(Fault(STEPS.group, name, source(entry), problem))
    return tuple(found)


def declaration(name: str) -> Any:
    """What a plug-in's step type says of itself. Raises ValueError."""
    entry = STEPS.plugged().get(name)
    if entry is None:
        raise ValueError(f"no plug-in brings a step type '{name}' that could be used")
    return _declaration(entry)


def locked() -> dict[str, Any]:
    """What the lock file says of the step types that are installed: by package its version and its step types.

    Imports nothing of them. Raises ValueError for a declaration that cannot be used.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(STEPS.plugged().items()):
        data = _declaration(entry)
        if (problem := problem_of(name, data)) is not None:
            raise ValueError(f"step type '{name}' of {source(entry)}: {problem}")
        package, version = _package(entry)
        found.setdefault(package, {"version": version, "steps": {}})["steps"][name] = data
    return dict(sorted(found.items()))


def relocked(text: bytes | None, *, prune: bool = False) -> bytes:
    """The lock file with the plug-ins of this machine, and all else as it was. Raises ValueError.

    Plug-ins that are not installed here stay in it, unless `prune` takes them out.
    """
    whole = lockfile.parsed(text)
    former = whole.get(LOCK_KEY)
    others = former if isinstance(former, dict) and not prune else {}
    plugins = dict(sorted({**others, **locked()}.items()))
    kept = {key: value for key, value in whole.items() if key != LOCK_KEY}
    new = {**kept, LOCK_KEY: plugins} if plugins else kept
    if new == whole and text is not None:
        return text
    return lockfile.text_of(new)


def _declaration(entry: EntryPoint) -> Any:
    """What a plug-in declares of a step type. Raises ValueError."""
    for folder in _folders(entry):
        if (file := folder / FILE).is_file():
            return _declarations(file).get(entry.name)
    raise ValueError(f"{source(entry)} has no file {FILE} in its package {entry.module.partition('.')[0]}")


def _declarations(file: Path) -> Mapping[str, Any]:
    loaded = load(file.read_bytes(), FILE)
    if loaded.findings or len(loaded.documents) != 1 or not isinstance(loaded.documents[0], dict):
        why = loaded.findings[0].message if loaded.findings else "it is not one mapping"
        raise ValueError(f"{file}: {why}")
    return loaded.documents[0]


def _folders(entry: EntryPoint) -> Iterator[Path]:
    # that of the outermost package: to find an inner one would import the code of what is around it
    spec = find_spec(entry.module.partition(".")[0])
    for place in spec.submodule_search_locations or () if spec is not None else ():
        yield Path(place)


def _package(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("opsconductor", "")
