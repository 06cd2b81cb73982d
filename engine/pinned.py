"""What will be done: a run's plan, fixed when it is enqueued and kept to its end, whatever is merged meanwhile."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any, Literal, get_args

from pydantic import TypeAdapter

from schemas.credential import CredentialSpec
from schemas.job import Retry, Shell
from schemas.target import Become, Connections

Phase = Literal["steps", "rescue", "finally"]
_ITEM = re.compile(r"\[\d+\]")
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In the order of a run."""
RUNNER = "-"
"""Stands for the target in a job without targets: its steps run on the runner's side."""


def is_nested(path: str) -> bool:
    """Whether a step's path leads into another step: an item of it, or a step of its rescue."""
    return "/" in path or "[" in path


def called(path: str) -> str:
    """What expressions call the step at a path."""
    return path.rpartition("/")[2].partition("[")[0]


def every(steps: Iterable["PlannedStep"]) -> Iterator["PlannedStep"]:
    """The steps, each followed by those of its rescue."""
    for step in steps:
        yield step
        yield from every(step.rescue)


def in_rescue_of(path: str, child: str) -> str:
    """The path of a step in the rescue of the one at `path`."""
    return f"{path}/{child}"


def plan_path(path: str) -> str:
    """The path that a step has in its plan, where an item's step has none of its own."""
    return _ITEM.sub("", path)


def for_item(step: "PlannedStep", index: int) -> "PlannedStep":
    """The step as it runs for one item of its loop, with its rescue; `index` counts from 0.

    What an item's failure means for the others is the loop's matter.
    """
    path = f"{step.id}[{index}]"
    return replace(
        step,
        id=path,
        loop=None,
        continue_on_error=False,
        rescue=tuple(_moved(one, step.id, path) for one in step.rescue),
    )


def _moved(step: "PlannedStep", old: str, new: str) -> "PlannedStep":
    rescue = tuple(_moved(one, old, new) for one in step.rescue)
    return replace(step, id=new + step.id.removeprefix(old), rescue=rescue)


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
class Loop:
    """What a step is repeated for. `items` is a list, or the CEL text that gives one; `as_` is what expressions say."""

    items: list[Any] | str
    as_: str = "item"
    max_parallel: int = 1


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with every default filled in. Expressions are evaluated right before it starts, on each target.

    `id` is its path, unique in the plan: `rotate`, a step of its rescue `rotate/rescue_1`, an item's `rotate[2]`.
    """

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
    become: Become | None = None
    retry: Retry | None = None
    loop: Loop | None = None
    rescue: tuple["PlannedStep", ...] = ()

    @property
    def nested(self) -> bool:
        """Whether it belongs to another step."""
        return is_nested(self.id)

    @property
    def called(self) -> str:
        """Its name in expressions: the last part of its path, without the item's number."""
        return called(self.id)


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
    jumps: tuple[PinnedTarget, ...] = ()
    """The targets that others are reached through; each has its own jump, and none leads in a circle."""
    credentials: dict[str, CredentialSpec] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """Of the job, or of the request that holds the steps: a credential's `allowedFor` is judged by them."""
    order: Literal["targetFirst", "stepFirst"] = "targetFirst"
    max_parallel: int = 20
    batches: tuple[int | str, ...] = ("100%",)
    """Shares of all targets."""
    pause_between: timedelta = timedelta(0)
    max_failures: int | str | None = None
    """Failed targets beyond which nothing new starts: a number, or a percentage of all."""
    timeout: timedelta = timedelta(hours=1)
    outputs: dict[str, Any] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    """Of the pool, in CIDR form: where a host that comes from an expression may lie."""

    @property
    def every_step(self) -> tuple[PlannedStep, ...]:
        """Those within `rescue` included, in the order of the text."""
        return tuple(every(self.steps))


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
