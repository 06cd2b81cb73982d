"""The plug-ins of this machine: what they bring, what is wrong with them, and what the lock file copies of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.plugins import LOCK_KEY, WORDS, What, problem_of, problem_of_part
from opsconductor.authoring import lockfile
from runners.connections.ways import DOOR as CONNECTIONS
from runners.deliveries import DOOR as CHANNELS
from runners.doors import Door, Fault, source
from runners.secrets.sources import DOOR as SECRETS
from runners.steps import DOOR as STEPS
from schemas.guard import load
from schemas.parts import SETTINGS_FILE, Kind
from schemas.parts import Part as Settings
from schemas.parts import part as declared_part
from schemas.steps.declared import FILE

DOORS: Mapping[What, Door[Any]] = MappingProxyType(
    {"steps": STEPS, "connections": CONNECTIONS, "secrets": SECRETS, "channels": CHANNELS}
)
"""By the key that what comes through has in a lock file."""


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
        Part(what, name, *_package(entry))
        for what, door in DOORS.items()
        for name, entry in sorted(door.plugged().items())
    )


def faults() -> tuple[Fault, ...]:
    """What is wrong with the plug-ins of this machine. Imports all of them."""
    found = [fault for door in DOORS.values() for fault in door.faults()]
    for what, door in DOORS.items():
        for name, entry in sorted(door.plugged().items()):
            try:
                problem = _problem(what, name, entry)
            except ValueError as error:
                problem = str(error)
            if problem is not None:
                found.append(Fault(door.group, name, source(entry), problem))
    return tuple(found)


def declaration(name: str) -> Any:
    """What a plug-in's step type says of itself. Raises ValueError."""
    entry = STEPS.plugged().get(name)
    if entry is None:
        raise ValueError(f"no plug-in brings a step type '{name}' that could be used")
    return _declared("steps", entry)


def settings(kind: Kind, name: str) -> Settings | None:
    """What a plug-in says of a part; None where it says nothing, or the part is built in. Raises ValueError."""
    entry = DOORS[kind].plugged().get(name)
    data = _declared(kind, entry) if entry is not None else None
    if data is None:
        return None
    if (problem := problem_of_part(name, data)) is not None:
        raise ValueError(problem)
    return declared_part(data)


def locked() -> dict[str, Any]:
    """What the lock file says of the plug-ins that are installed: by package its version, and what it brings.

    Imports nothing of them. A connection, secret source or channel that says nothing of itself is left out. Raises
    ValueError for a declaration that cannot be used, and for a step type without one.
    """
    found: dict[str, dict[str, Any]] = {}
    for what, door in DOORS.items():
        for name, entry in sorted(door.plugged().items()):
            if (problem := _problem(what, name, entry)) is not None:
                raise ValueError(f"{WORDS[what]} '{name}' of {source(entry)}: {problem}")
            if (data := _declared(what, entry)) is not None:
                package, version = _package(entry)
                found.setdefault(package, {"version": version}).setdefault(what, {})[name] = data
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


def _problem(what: What, name: str, entry: EntryPoint) -> str | None:
    """Why what a plug-in says of a part cannot be used. Raises ValueError where it cannot be read."""
    data = _declared(what, entry)
    if what == "steps":
        return problem_of(name, data)
    return problem_of_part(name, data) if data is not None else None


def _declared(what: What, entry: EntryPoint) -> Any:
    """What a plug-in says of a part; None where that is nothing, which a step type may not do. Raises ValueError."""
    if what != "steps":
        of_kind = (_read(entry, SETTINGS_FILE) or {}).get(what)
        return of_kind.get(entry.name) if isinstance(of_kind, dict) else None
    found = _read(entry, FILE)
    if found is None:
        raise ValueError(f"{source(entry)} has no file {FILE} in its package {entry.module.partition('.')[0]}")
    return found.get(entry.name)


def _read(entry: EntryPoint, name: str) -> Mapping[str, Any] | None:
    """A file of the package that an entry point is of; None where it has none. Raises ValueError."""
    files = (folder / name for folder in _folders(entry))
    return next((_declarations(file) for file in files if file.is_file()), None)


def _declarations(file: Path) -> Mapping[str, Any]:
    loaded = load(file.read_bytes(), file.name)
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
