"""Kind Run: one run of a job or workflow, what was planned and what happened. Only the engine writes it."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from schemas.envelope import Many
from schemas.quantities import Instant
from schemas.rules import exactly_one
from schemas.written import (
    AT,
    COMMIT,
    RUN,
    SHA256,
    Commit,
    Digest,
    NodeState,
    RunState,
    StatusDocument,
    StepState,
    Written,
    opened,
)


def _open_with_one_subject(published: dict[str, Any]) -> None:
    opened(published)
    published |= exactly_one("job", "workflow")


class RunCause(Written):
    """Why there is a run. The same cause gives the same run id."""

    kind: Literal["schedule", "request", "trigger", "workflow"] = Field(description="What set it off.")
    name: str = Field(
        description="The schedule, request or trigger; of a workflow's node the parent's run.",
        examples=["rotate-web-logs-nightly"],
    )
    instant: Instant = Field(description="When it was due, before jitter.", examples=[AT])
    requested_by: str | None = Field(default=None, description="Who asked.", examples=["ana@example.org"])
    reason: str | None = Field(default=None, description="What they said about it.", examples=["disk is full"])
    node: str | None = Field(default=None, description="Of a workflow's node: its id.", examples=["build"])
    item: int | None = Field(default=None, ge=0, description="Of a forEach: the number of the item.", examples=[0])
    event: str | None = Field(
        default=None,
        description="Of a trigger: its event, which starts one run.",
        examples=["run/build-1"],
    )
    chain: Many[str] | None = Field(
        default=None, description="The triggers before, one after another, that led to it.", examples=[["after-build"]]
    )
    rerun_of: str | None = Field(default=None, description="The run that this one repeats.", examples=[RUN])


class RunSpec(Written):
    """What was planned; nothing of it changes while the run goes on."""

    model_config = ConfigDict(json_schema_extra=_open_with_one_subject)

    job: str | None = Field(
        default=None, description="The job, or the request whose own steps it runs.", examples=["rotate-web-logs"]
    )
    workflow: str | None = Field(default=None, description="The workflow, of a run of one.", examples=["deploy-web"])
    commit: Commit = Field(description="The definitions it runs from, to its end.", examples=[COMMIT])
    cause: RunCause = Field(description="Why there is this run.")
    params: dict[str, Any] = Field(description="Its params, defaults filled in.", examples=[{"keepDays": 30}])
    targets: Many[str] | None = Field(
        default=None,
        description="The planned targets in order; left out where the job has none.",
        examples=[["web-01", "web-02"]],
    )
    libraries: dict[str, str] = Field(
        description="The step libraries it uses, with their digests.", examples=[{"linux-core": SHA256}]
    )
    priority: int | None = Field(default=None, description="Higher starts first; left out for 0.", examples=[10])
    starts_at: Instant | None = Field(default=None, description="Not before this: jitter, or notBefore.")
    inline: bool | None = Field(default=None, description="True where its steps stand in the request, not in a Job.")
    dry_run: bool | None = Field(default=None, description="True where nothing was done: it says what would be.")


class LoopOf(Written):
    """What a step would be repeated for. Of many items the first are shown; `count` is of all, where that is known."""

    items: list[Any] | str = Field(description="The items, or the expression that gives them.", examples=[["a", "b"]])
    as_: str = Field(alias="as", description="What expressions call one.", examples=["item"])
    max_parallel: int = Field(description="How many at once.", examples=[1])
    count: int | None = Field(default=None, description="How many there are.", examples=[2])


class Repeats(Written):
    """When a step would be started again, and after which pause."""

    delay: str | None = Field(default=None, description="The pause before the second attempt.", examples=["20s"])
    backoff: Literal["exponential"] | None = Field(
        default=None, description="Where it stands, each pause is twice as long as the one before."
    )
    max_delay: str | None = Field(default=None, description="The longest of such pauses.", examples=["5m"])
    jitter: bool | None = Field(default=None, description="True where each is shortened by chance, by up to half.")
    on_exit_codes: Many[int] | None = Field(
        default=None,
        description="The only exit codes after which it is; where nothing was sent it is, too.",
        examples=[[75]],
    )
    if_: str | bool | None = Field(
        default=None, alias="if", description="What must hold for it.", examples=["state == 'failed'"]
    )


class Would(Written):
    """In a dry run: what a step would do, as far as that is known before it runs."""

    verdict: Literal["run", "skip", "depends", "fail"] = Field(description="Whether it would run.")
    because: str | None = Field(
        default=None, description="Why, or on what it depends.", examples=["steps.space.outputs.used"]
    )
    connection: str | None = Field(default=None, description="By which it would run.", examples=["ssh"])
    user: str | None = Field(default=None, description="Who would log in.", examples=["ops"])
    host: str | None = Field(default=None, description="Where.", examples=["web-01.example.org:22"])
    through: str | None = Field(default=None, description="The target to reach it through.", examples=["bastion"])
    credential: str | None = Field(default=None, description="The Credential to log in with.", examples=["web-key"])
    become: str | None = Field(default=None, description="The user to become.", examples=["root"])
    shell: str | None = Field(default=None, description="What runs the script.", examples=["sh"])
    run: str | None = Field(default=None, description="The script as it is sent.", examples=['echo "${OC1}"'])
    file: str | None = Field(
        default=None, description="The script's path in the repository.", examples=["scripts/rotate.sh"]
    )
    values: dict[str, str] | None = Field(
        default=None, description="What the script's variables hold.", examples=[{"OC1": "web-01"}]
    )
    uses: str | None = Field(default=None, description="The step type.", examples=["http.request"])
    with_: dict[str, Any] | None = Field(
        default=None, alias="with", description="Its inputs.", examples=[{"url": "https://web.example.org/healthz"}]
    )
    env: dict[str, Any] | None = Field(default=None, description="Its environment.", examples=[{"LC_ALL": "C"}])
    working_dir: str | None = Field(default=None, description="The folder it runs in.", examples=["/srv/app"])
    stdin: Any = Field(default=None, description="What it reads.", examples=["yes"])
    timeout: str | None = Field(default=None, description="How long it may take.", examples=["10m"])
    attempts: int | None = Field(default=None, description="How often it is started at most.", examples=[3])
    retry: Repeats | None = Field(default=None, description="When it would be started again.")
    sensitive: bool | None = Field(
        default=None, description="True where what it prints is not kept; the outputs that it declares are."
    )
    for_each: LoopOf | None = Field(default=None, description="What it is repeated for.")
    left_out: str | None = Field(
        default=None, description="Why the rest is not told.", examples=["the details: there is no room for more"]
    )
    known_only_at_run_time: Many[str] | None = Field(
        default=None, description="Expressions that only the run can evaluate.", examples=[["steps.a.stdout"]]
    )
    secrets_of: Many[str] | None = Field(
        default=None, description="Credentials whose fields it would be given.", examples=[["db-password"]]
    )


class Strategy(Written):
    """In a dry run: in which order and batches it would go over its targets."""

    order: Literal["targetFirst", "stepFirst"] = Field(description="Which comes first.")
    max_parallel: int = Field(description="How many targets at once.", examples=[20])
    pause_between: str | None = Field(default=None, description="Between two batches.", examples=["30s"])
    max_failures: int | str | None = Field(
        default=None, description="Failed targets that it stops beyond.", examples=[1]
    )
    batches: Many[Many[str]] = Field(description="The targets of each batch.", examples=[[["web-01"], ["web-02"]]])


class RunStep(Written):
    """The last attempt of one step in one place."""

    id: str = Field(description="The step's id; of an item of a loop with its number.", examples=["space"])
    name: str | None = Field(default=None, description="What people see.", examples=["Space left"])
    phase: Literal["rescue", "finally"] | None = Field(default=None, description="Left out among the job's `steps`.")
    state: StepState = Field(description="How it ended, or that it runs.")
    rescued: bool | None = Field(default=None, description="True where its failure was rescued.")
    continued: bool | None = Field(default=None, description="True where the run went on after its failure.")
    again: bool | None = Field(default=None, description="True where another attempt follows.")
    inherited: bool | None = Field(
        default=None, description="True where it is the result of the run that this one repeats."
    )
    exit_code: int | None = Field(default=None, description="What the program returned.", examples=[0])
    duration: float | None = Field(default=None, ge=0, description="Seconds.", examples=[0.21])
    attempts: int | None = Field(
        default=None, ge=2, description="How often it was started, where more than once.", examples=[3]
    )
    outputs: dict[str, Any] | None = Field(default=None, description="Its outputs.", examples=[{"used": 71}])
    error: str | None = Field(
        default=None, description="What went wrong, in words.", examples=["the script ended with exit code 1"]
    )
    stdout_tail: str | None = Field(
        default=None, description="The last 2 KiB of stdout, where it did not succeed.", examples=["71\n"]
    )
    stderr_tail: str | None = Field(
        default=None, description="The last 2 KiB of stderr, where it did not succeed.", examples=["df: no such file\n"]
    )
    would: Would | None = Field(default=None, description="In a dry run, what it would do.")
    log: str | None = Field(
        default=None, description="Where the full log lies: a reference for `opsconductor logs`.", examples=["web-01/1"]
    )


class RunTarget(Written):
    """What a run did on one target."""

    state: StepState = Field(description="The worst of its steps, rescued and continued failures apart.")
    reason: str | None = Field(
        default=None, description="Why, where its steps do not say it.", examples=["maxFailures"]
    )
    runner: str | None = Field(
        default=None,
        description="Of a run that several runners work on, the one that has or had this target.",
        examples=["default/7b2e"],
    )
    outputs: dict[str, Any] = Field(description="The job's outputs on this target.", examples=[{"freed": 7}])
    steps: Many[RunStep] = Field(description="The steps so far, in order.")


class Asked(Written):
    """In a dry run: what a gate would ask, and of whom."""

    count: int = Field(description="How many people must approve.", examples=[1])
    users: Many[str] | None = Field(default=None, description="Users who may decide.", examples=[["ana"]])
    teams: Many[str] | None = Field(default=None, description="Teams who may decide.", examples=[["web-leads"]])
    not_requester: bool | None = Field(default=None, description="True where whoever asked for the run may not.")
    timeout: str = Field(description="How long it would wait.", examples=["4h"])
    on_timeout: Literal["fail", "skip"] = Field(description="What becomes of it when too few decide.")


class WouldRun(Written):
    """In a dry run: what one run of a node's job would do."""

    item: Any = Field(default=None, description="Of a forEach: for what it would be run.", examples=["eu"])
    params: dict[str, Any] | None = Field(
        default=None,
        description="Its params, defaults filled in; one that is not known yet stands as it was written.",
        examples=[{"version": "${{ jobs.build.outputs.version }}"}],
    )
    limit: dict[str, Any] | None = Field(
        default=None, description="What narrows the job's targets by expressions.", examples=[{"names": ["web-01"]}]
    )
    strategy: Strategy | None = Field(default=None, description="In which order and batches it would go.")
    targets: dict[str, RunTarget] | None = Field(default=None, description="What would happen on each target.")
    steps: Many[RunStep] | None = Field(default=None, description="The steps of a job without targets.")
    left_out: str | None = Field(
        default=None, description="What is not told.", examples=["3 more targets: there is no room for them"]
    )
    known_only_at_run_time: Many[str] | None = Field(
        default=None, description="Expressions that only the run can evaluate.", examples=[["jobs.build.outputs.v"]]
    )


class NodeWould(Written):
    """In a dry run: whether a node would begin, and what it would do."""

    verdict: Literal["run", "skip", "depends", "fail"] = Field(description="Whether it would begin.")
    because: str | None = Field(
        default=None, description="Why, or on what it depends.", examples=["needs build, which would be skipped"]
    )
    asks: Asked | None = Field(default=None, description="What a gate would ask.")
    wait: str | None = Field(default=None, description="How long it would wait.", examples=["10m"])
    for_each: LoopOf | None = Field(default=None, description="What its job is run for.")
    runs: Many[WouldRun] | None = Field(
        default=None, description="What its job would do: once, or for each item that is known."
    )
    known_only_at_run_time: Many[str] | None = Field(
        default=None, description="Expressions that only the run can evaluate.", examples=[["jobs.build.outputs.v"]]
    )


class Vote(Written):
    """What one person said."""

    by: str = Field(description="The User, or the e-mail address of somebody who is none.", examples=["ana"])
    decision: Literal["approve", "reject"] = Field(description="What they said.")
    at: Instant = Field(description="When.", examples=[AT])
    reason: str | None = Field(default=None, description="Why.", examples=["tested on staging"])
    approval: str | None = Field(default=None, description="The act's name.", examples=["ana-says-yes"])
    signed: bool | None = Field(default=None, description="True where a signature proves who it is.")


class NodeGate(Written):
    """A gate that was opened."""

    digest: Digest = Field(description="What people approve: see Gate.", examples=[SHA256])
    advisory: bool | None = Field(default=None, description="True where nothing proves who somebody is that voted.")
    known: Many[str] | None = Field(
        default=None, description="The nodes that had ended when it was opened.", examples=[["build"]]
    )
    votes: Many[Vote] = Field(default=(), description="What people said, oldest first.")


class RunNode(Written):
    """A node of a workflow's graph."""

    kind: Literal["job", "gate", "wait"] = Field(description="What it does.")
    state: NodeState = Field(description="Where it is, or how it ended.")
    job: str | None = Field(default=None, description="The job it runs.", examples=["build-web"])
    needs: Many[str] = Field(default=(), description="The nodes that must end before it.", examples=[["build"]])
    run: str | None = Field(default=None, description="The run of its job.", examples=[RUN])
    runs: Many[str] | None = Field(
        default=None, description="Of a forEach: a run for each item that began.", examples=[[RUN]]
    )
    items: list[Any] | None = Field(default=None, description="What it is done for.", examples=[["eu", "us"]])
    started_at: Instant | None = Field(default=None, description="When it began.", examples=[AT])
    until: Instant | None = Field(default=None, description="When its wait or its gate is over.", examples=[AT])
    finished_at: Instant | None = Field(default=None, description="When it ended.", examples=[AT])
    reason: str | None = Field(default=None, description="Why, for people.", examples=["needs build, which failed"])
    continued: bool | None = Field(default=None, description="True where its failure was forgiven.")
    cleanup: bool | None = Field(default=None, description="True where it began while the run was being ended.")
    inherited: bool | None = Field(
        default=None, description="True where it is the result of the run that this one repeats."
    )
    outputs: dict[str, Any] | None = Field(default=None, description="Its outputs.", examples=[{"version": "1.2"}])
    gate: NodeGate | None = Field(default=None, description="Of a gate that was opened.")
    would: NodeWould | None = Field(default=None, description="In a dry run, what it would do.")


class RunPlace(Written):
    """A place of a concurrency group."""

    group: str = Field(description="The group, its expressions filled in.", examples=["web-maintenance"])
    number: int = Field(ge=0, description="Which of its places, from 0.", examples=[0])


class RunWait(Written):
    """Why it waits: for a time, for a place of a group, or for a runner."""

    time: Instant | None = Field(default=None, description="For this: jitter, notBefore or a window.", examples=[AT])
    group: str | None = Field(
        default=None, description="For a place of this concurrency group.", examples=["web-maintenance"]
    )
    held_by: Many[str] | None = Field(
        default=None, description="The runs that had its places when this was written.", examples=[[RUN]]
    )
    pool: str | None = Field(default=None, description="For a runner of this pool.", examples=["default"])
    labels: dict[str, str] | None = Field(
        default=None, description="The labels that this runner must have.", examples=[{"site": "eu"}]
    )


class RunStatus(Written):
    """What happened so far."""

    state: RunState = Field(description="Where it is, or how it ended.")
    queued_at: Instant = Field(description="When it was put into the queue.", examples=[AT])
    started_at: Instant | None = Field(description="When a runner took it; null before.", examples=[AT])
    finished_at: Instant | None = Field(description="When it ended; null before.", examples=[AT])
    reason: str | None = Field(
        description="A word for programs, where the state alone does not say why.", examples=["lostTooOften"]
    )
    message: str | None = Field(
        default=None, description="A sentence for people, where the word is not enough.", examples=["no runner took it"]
    )
    place: RunPlace | None = Field(default=None, description="The place that it has, while it is open.")
    waits_for: RunWait | None = Field(default=None, description="Why it waits, while it is waiting.")
    attempt: int = Field(ge=0, description="Raised when another runner takes over.", examples=[1])
    runner: str | None = Field(
        description="The pool and the runner that has or had it; of several, one.", examples=["default/7b2e"]
    )
    outputs: dict[str, Any] = Field(
        description="The job's outputs; of a job with targets each a mapping by target. Empty where the targets are in "
        "files beside this one, which have their outputs; `opsconductor get run` puts them together.",
        examples=[{"freed": {"web-01": 7}}],
    )
    strategy: Strategy | None = Field(default=None, description="In a dry run, in which order and batches it would go.")
    targets: dict[str, RunTarget] | None = Field(
        default=None, description="By name those that began; left out where the job has none."
    )
    steps: Many[RunStep] | None = Field(default=None, description="The steps of a job without targets.")
    nodes: dict[str, RunNode] | None = Field(
        default=None, description="The graph of a workflow's run, by id, in the order of the text."
    )
    slices: int | None = Field(
        default=None,
        ge=1,
        description="Of a large run: in how many files beside this one, `<run-id>.<n>.yaml`, its targets are.",
        examples=[2],
    )


class RunSlice(Written):
    """Part of the targets of a run whose one file would be larger than 64 KiB."""

    slice: int = Field(ge=1, description="Which of the slices this is.", examples=[1])
    targets: dict[str, RunTarget] = Field(description="By name.")


class Run(StatusDocument):
    """One run of a job or workflow: what was planned, and what happened."""

    kind: Literal["Run"] = Field(description="Run.")
    spec: RunSpec | None = Field(default=None, description="What was planned; left out in a slice of a large run.")
    status: RunStatus | RunSlice = Field(description="What happened so far.")
