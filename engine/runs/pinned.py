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
from schemas.steps import STEP_TYPES, StepType
from schemas.target import Become, Connections

Phase = Literal["steps", "rescue", "finally"]
_NOT_PLANNED = re.compile(r"\[\d+\]|\.\d+(?=\.)")
_NESTED = re.compile(r"[/\[.]")
_CALLED = re.compile(r"[^/.\[]+(?=(?:\[\d+\])?\Z)")
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In the order of a run."""
RUNNER = "-"
"""Stands for the target in a job without targets: its steps run on the runner's side."""


def is_nested(path: str) -> bool:
    """Whether a step's path leads into another step: an item of it, a step of its rescue, or of a library's step."""
    return _NESTED.search(path) is not None


def called(path: str) -> str:
    """What expressions call the step at a path."""
    found = _CALLED.search(path)
    return found[0] if found is not None else path


def named(steps: Iterable["PlannedStep"]) -> Iterator["PlannedStep"]:
    """The steps that expressions of one scope may name: each, followed by those of its rescue."""
    for step in steps:
        yield step
        yield from named(step.rescue)


def every(steps: Iterable["PlannedStep"]) -> Iterator["PlannedStep"]:
    """The steps, each followed by those that its library's step consists of, and by those of its rescue."""
    for step in steps:
        yield step
        yield from every(parts_of(step))
        yield from every(step.rescue)


def parts_of(step: "PlannedStep", attempt: int = 1) -> tuple["PlannedStep", ...]:
    """The steps that an attempt of a library's step consists of, by their paths in the whole plan."""
    if not isinstance(step.action, LibraryCall):
        return ()
    prefix = within(step.id, attempt)
    return tuple(_moved(one, "", prefix) for one in step.action.steps)


def within(path: str, attempt: int = 1) -> str:
    """What the paths of the steps begin with that an attempt of the library's step at `path` consists of."""
    return f"{path}." if attempt == 1 else f"{path}.{attempt}."


def in_rescue_of(path: str, child: str) -> str:
    """The path of a step in the rescue of the one at `path`."""
    return f"{path}/{child}"


def plan_path(path: str) -> str:
    """The path that a step has in its plan, where items and repeated attempts of a library's step have none."""
    return _NOT_PLANNED.sub("", path)


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
    on_windows: str | None = None
    """The text for PowerShell, where the author names no shell and only some targets are Windows."""
    file: str | None = None
    """The path in the repository, with expressions, of the script that runs in place of `text`."""

    def on(self, os: str | None) -> "Script":
        """The script as it runs on a target."""
        if os != "windows" or self.on_windows is None:
            return self
        return Script("powershell", self.on_windows, self.holes, file=self.file)


@dataclass(frozen=True, slots=True)
class Use:
    """A step type by name, with its inputs as written (expressions inside)."""

    type: str
    inputs: dict[str, Any] = field(default_factory=dict)
    declared: StepType | None = None
    """What a plug-in's type says of itself, as it was at the run's commit."""
    kind: Literal["use"] = "use"

    @property
    def known(self) -> StepType | None:
        """What its step type says of itself; None for one that does not exist."""
        return STEP_TYPES.get(self.type) or self.declared


@dataclass(frozen=True, slots=True)
class LibraryCall:
    """A library's step with all that it consists of, so that a run keeps it whatever is merged meanwhile.

    `inputs` are as written, secrets apart: those stand in `steps` where they are used. `takes` and `gives` are the JSON
    Schemas of inputs and outputs; `outputs` are the expressions that give them. The ids of `steps` are paths within it.
    """

    uses: str
    digest: str
    """Of the library."""
    steps: tuple["PlannedStep", ...]
    inputs: dict[str, Any] = field(default_factory=dict)
    takes: dict[str, dict[str, Any]] = field(default_factory=dict)
    gives: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    """The `target.os` it is for; empty for all."""
    kind: Literal["library"] = "library"

    @property
    def library(self) -> str:
        """The name of the library."""
        return self.uses.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Loop:
    """What a step is repeated for. `items` is a list, or the CEL text that gives one; `as_` is what expressions say."""

    items: list[Any] | str
    as_: str = "item"
    max_parallel: int = 1


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step with every default filled in. Expressions are evaluated right before it starts, on each target.

    `id` is its path, unique in the plan: `rotate`, a step of its rescue `rotate/rescue_1`, an item's `rotate[2]`, a
    step that it consists of as a library's step `rotate.look`, and `rotate.2.look` in its second attempt.
    """

    id: str
    phase: Phase
    action: Script | Use | LibraryCall
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
    sealed: dict[str, str] = field(default_factory=dict)
    """The files of those that are encrypted in place, by name: only a runner with a key of theirs can open them."""
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
    needs: dict[str, str] = field(default_factory=dict)
    """The labels that a runner of the pool must have to take it."""
    discovery: str | None = None
    """The Discovery, of the run that scans for one."""
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    """`spec` of the NotificationChannels that its steps send messages by, as documents write it, by name."""

    @property
    def every_step(self) -> tuple[PlannedStep, ...]:
        """Those within `rescue` and library steps included, in the order of the text."""
        return tuple(every(self.steps))

    @property
    def libraries(self) -> dict[str, str]:
        """The digests of the libraries whose steps it holds, by name."""
        calls = (step.action for step in self.every_step if isinstance(step.action, LibraryCall))
        return dict(sorted((call.library, call.digest) for call in calls))


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
