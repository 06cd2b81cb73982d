"""What a library's step is given, against what it takes. Pure: asked before anything is sent, and by a dry run."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.checks.parameters import faults_of, schema_of
from engine.runs.pinned import LibraryCall, PinnedTarget


def unfit(call: LibraryCall, target: PinnedTarget | None, inputs: Mapping[str, Any]) -> str | None:
    """Why the step cannot do its work here, with these inputs as far as they are known; None where it can."""
    return next((f"{call.uses}: {fault}; nothing was sent" for fault in _faults(call, target, inputs)), None)


def misfit(call: LibraryCall, name: str, value: Any) -> str | None:
    """Why an output is not what the step promises; None where it is."""
    for path, message in faults_of(schema_of(call.gives.get(name, {})), value):
        return f"{call.uses}: output '{name}'{_place(path)}: {message}"
    return None


def _faults(call: LibraryCall, target: PinnedTarget | None, inputs: Mapping[str, Any]) -> Iterator[str]:
    if target is not None and call.platforms and target.os not in call.platforms:
        yield f"it runs on {' and '.join(call.platforms)}, and target '{target.name}' is {target.os}"
    for name, value in inputs.items():
        takes = call.takes.get(name, {})
        if value is None and takes.get("required") is not True:
            continue  # left out
        for path, message in faults_of(schema_of(takes), value):
            yield f"input '{name}'{_place(path)}: {message}"


def _place(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part!r}]" for part in path)
