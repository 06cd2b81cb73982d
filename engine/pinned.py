"""What will be done: a run's plan, fixed when it is enqueued and kept to its end, whatever is merged meanwhile."""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from schemas.credential import CredentialSpec
from schemas.job import Shell
from schemas.target import Connections

Phase = Literal["steps", "finally"]
RUNNER = "-"
"""Stands for the target in a job without targets: its steps run on the runner's side."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script whose expressions became holes: `text` reads them as OC1, OC2, ...; `holes` are their CEL texts."""

    shell: Shell
    text: str
    holes: tuple[str, ...] = ()
    kind: Literal["script"] = "script"


@dataclass(frozen=True, slots=True)
class Use:
    """A step type by name, with its inputs as written (expressions inside)."""

    type: str
    inputs: dict[str, Any] = field(default_factory=dict)
    kind: Literal["use"] = "use"


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with every default filled in. Expressions are evaluated right before it starts, on each target."""

    id: str
    phase: Phase
    action: Script | Use
    name: str | None = None
    condition: str | bool | None = None
    connection: str | None = None
    env: dict[str, Any] = field(default_factory=dict)
    working_dir: str | None = None
    stdin: str | None = None
    timeout: timedelta | None = None
    continue_on_error: bool = False
    ok_exit_codes: tuple[int, ...] | str = (0,)
    outputs: dict[str, Any] = field(default_factory=dict)
    idempotent: bool = False
    sensitive: bool = False
    keeps_output: bool = False
    """Whether a later expression reads its stdout, stderr or json, so that they must outlive the runner."""


@dataclass(frozen=True, slots=True)
class PinnedTarget:
    """A target as it was at the run's commit; `vars` are merged from its groups."""

    name: str
    host: str | None = None
    os: str = "linux"
    labels: dict[str, str] = field(default_factory=dict)
    vars: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    connections: Connections = field(default_factory=Connections)
    default_connection: str | None = None


@dataclass(frozen=True, slots=True)
class PinnedSpec:
    """Everything a runner needs to execute a run, secrets apart."""

    job: str
    commit: str
    steps: tuple[PlannedStep, ...]
    targets: tuple[PinnedTarget, ...] = ()
    on_targets: bool = False
    """Whether the job selects targets; without, `targets` is empty and the runner itself is the only place."""
    credentials: dict[str, CredentialSpec] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """Of the job, or of the request that holds the steps: a credential's `allowedFor` is judged by them."""
    max_parallel: int = 20
    timeout: timedelta = timedelta(hours=1)
    outputs: dict[str, Any] = field(default_factory=dict)

    def phase(self, phase: Phase) -> tuple[PlannedStep, ...]:
        return tuple(step for step in self.steps if step.phase == phase)


@cache
def _adapter() -> TypeAdapter[PinnedSpec]:
    return TypeAdapter(PinnedSpec)


def dump(spec: PinnedSpec) -> bytes:
    """The spec as JSON. Equal specs give equal bytes."""
    return _adapter().dump_json(spec, by_alias=True)


def load(data: bytes | str) -> PinnedSpec:
    """Read what `dump` wrote."""
    return _adapter().validate_json(data)


def digest(data: bytes) -> str:
    """Content name of a dumped spec: runs of one commit on the same targets share one row."""
    return hashlib.sha256(data).hexdigest()
