"""The kinds that only the engine writes, to the status branch (CONTRACT 4): what other programs may rely on there.

Keys may be added to these files by a later version and none is dropped, so their published schemas leave keys that they
do not know open. Nothing of the engine needs this module: `validate` does not load it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from schemas.envelope import Many, Model
from schemas.quantities import Instant
from schemas.rules import exactly_one

RunState = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled", "timedOut", "unknown"]
StepState = Literal["running", "succeeded", "failed", "timedOut", "cancelled", "unreachable", "skipped", "unknown"]
NodeState = Literal[
    "pending", "running", "waiting", "succeeded", "failed", "timedOut", "cancelled", "skipped", "unknown"
]  # fmt: skip
SkipReason = Literal[
    "overlap", "window", "calendar", "suspended", "missed", "catchUpMax", "noTargets", "storeLost"
]  # fmt: skip
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]

_RUN = "rotate-web-logs-20261121T001500Z-9f31c2a07b"
_COMMIT = "1f0c3a9b5d7e2468ace013579bdf02468ace1357"
_SHA256 = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_AT = "2026-11-21T00:15:00Z"


def _open(published: dict[str, Any]) -> None:
    """Whoever reads a file of a later version finds keys that this one did not have."""
    published.pop("additionalProperties", None)


def _open_with_one_subject(published: dict[str, Any]) -> None:
    _open(published)
    published |= exactly_one("job", "workflow")


class _Written(Model):
    model_config = ConfigDict(json_schema_extra=_open)


class StatusMetadata(_Written):
    """Whom the file is about."""

    name: str = Field(description="The object's name; of a Run its id, of a Gate its digest.", examples=[_RUN])


class StatusDocument(_Written):
    """The envelope of a file of the status branch."""

    api_version: Literal["opsconductor/v1"] = Field(description="Always opsconductor/v1.")
    kind: str = Field(description="Which kind of file this is.")
    metadata: StatusMetadata = Field(description="Whom the file is about.")


# --- runs ---


class RunCause(_Written):
    """Why there is a run. The same cause gives the same run id."""

    kind: Literal["schedule", "request", "trigger", "workflow"] = Field(description="What set it off.")
    name: str = Field(
        description="The schedule, request or trigger; of a workflow's node the parent's run.",
        examples=["rotate-web-logs-nightly"],
    )
    instant: Instant = Field(description="When it was due, before jitter.", examples=[_AT])
    requested_by: str | None = Field(default=None, description="Who asked.", examples=["ana@example.org"])
    reason: str | None = Field(default=None, description="What they said about it.", examples=["disk is full"])
    node: str | None = Field(default=None, description="Of a workflow's node: its id.", examples=["build"])
    item: int | None = Field(default=None, ge=0, description="Of a forEach: the number of the item.", examples=[0])
    rerun_of: str | None = Field(default=None, description="The run that this one repeats.", examples=[_RUN])


class RunSpec(_Written):
    """What was planned; nothing of it changes while the run goes on."""

    model_config = ConfigDict(json_schema_extra=_open_with_one_subject)

    job: str | None = Field(
        default=None, description="The job, or the request whose own steps it runs.", examples=["rotate-web-logs"]
    )
    workflow: str | None = Field(default=None, description="The workflow, of a run of one.", examples=["deploy-web"])
    commit: Commit = Field(description="The definitions it runs from, to its end.", examples=[_COMMIT])
    cause: RunCause = Field(description="Why there is this run.")
    params: dict[str, Any] = Field(description="Its params, defaults filled in.", examples=[{"keepDays": 30}])
    targets: Many[str] | None = Field(
        default=None,
        description="The planned targets in order; left out where the job has none.",
        examples=[["web-01", "web-02"]],
    )
    libraries: dict[str, str] = Field(
        description="The step libraries it uses, with their digests.", examples=[{"linux-core": _SHA256}]
    )
    priority: int | None = Field(default=None, description="Higher starts first; left out for 0.", examples=[10])
    starts_at: Instant | None = Field(default=None, description="Not before this: jitter, or notBefore.")
    inline: bool | None = Field(default=None, description="True where its steps stand in the request, not in a Job.")
    dry_run: bool | None = Field(default=None, description="True where nothing was done: it says what would be.")


class LoopOf(_Written):
    """What a step would be repeated for. Of many items the first are shown; `count` is of all, where that is known."""

    items: list[Any] | str = Field(description="The items, or the expression that gives them.", examples=[["a", "b"]])
    as_: str = Field(alias="as", description="What expressions call one.", examples=["item"])
    max_parallel: int = Field(description="How many at once.", examples=[1])
    count: int | None = Field(default=None, description="How many there are.", examples=[2])


class Would(_Written):
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
    sensitive: bool | None = Field(default=None, description="True where nothing of what it prints is kept.")
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


class Strategy(_Written):
    """In a dry run: in which order and batches it would go over its targets."""

    order: Literal["targetFirst", "stepFirst"] = Field(description="Which comes first.")
    max_parallel: int = Field(description="How many targets at once.", examples=[20])
    pause_between: str | None = Field(default=None, description="Between two batches.", examples=["30s"])
    max_failures: int | str | None = Field(
        default=None, description="Failed targets that it stops beyond.", examples=[1]
    )
    batches: Many[Many[str]] = Field(description="The targets of each batch.", examples=[[["web-01"], ["web-02"]]])


class RunStep(_Written):
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


class RunTarget(_Written):
    """What a run did on one target."""

    state: StepState = Field(description="The worst of its steps, rescued and continued failures apart.")
    reason: str | None = Field(
        default=None, description="Why, where its steps do not say it.", examples=["maxFailures"]
    )
    outputs: dict[str, Any] = Field(description="The job's outputs on this target.", examples=[{"freed": 7}])
    steps: Many[RunStep] = Field(description="The steps so far, in order.")


class Vote(_Written):
    """What one person said."""

    by: str = Field(description="The User, or the e-mail address of somebody who is none.", examples=["ana"])
    decision: Literal["approve", "reject"] = Field(description="What they said.")
    at: Instant = Field(description="When.", examples=[_AT])
    reason: str | None = Field(default=None, description="Why.", examples=["tested on staging"])
    approval: str | None = Field(default=None, description="The act's name.", examples=["ana-says-yes"])


class NodeGate(_Written):
    """A gate that was opened."""

    digest: Digest = Field(description="What people approve: see Gate.", examples=[_SHA256])
    votes: Many[Vote] = Field(default=(), description="What people said, oldest first.")


class RunNode(_Written):
    """A node of a workflow's graph."""

    kind: Literal["job", "gate", "wait"] = Field(description="What it does.")
    state: NodeState = Field(description="Where it is, or how it ended.")
    job: str | None = Field(default=None, description="The job it runs.", examples=["build-web"])
    needs: Many[str] = Field(default=(), description="The nodes that must end before it.", examples=[["build"]])
    run: str | None = Field(default=None, description="The run of its job.", examples=[_RUN])
    runs: Many[str] | None = Field(default=None, description="Of a forEach: a run for each item that began.")
    items: list[Any] | None = Field(default=None, description="What it is done for.", examples=[["eu", "us"]])
    started_at: Instant | None = Field(default=None, description="When it began.", examples=[_AT])
    until: Instant | None = Field(default=None, description="When its wait or its gate is over.", examples=[_AT])
    finished_at: Instant | None = Field(default=None, description="When it ended.", examples=[_AT])
    reason: str | None = Field(default=None, description="Why, for people.", examples=["needs build, which failed"])
    continued: bool | None = Field(default=None, description="True where its failure was forgiven.")
    cleanup: bool | None = Field(default=None, description="True where it began while the run was being ended.")
    inherited: bool | None = Field(
        default=None, description="True where it is the result of the run that this one repeats."
    )
    outputs: dict[str, Any] | None = Field(default=None, description="Its outputs.", examples=[{"version": "1.2"}])
    gate: NodeGate | None = Field(default=None, description="Of a gate that was opened.")


class RunStatus(_Written):
    """What happened so far."""

    state: RunState = Field(description="Where it is, or how it ended.")
    queued_at: Instant = Field(description="When it was put into the queue.", examples=[_AT])
    started_at: Instant | None = Field(description="When a runner took it; null before.", examples=[_AT])
    finished_at: Instant | None = Field(description="When it ended; null before.", examples=[_AT])
    reason: str | None = Field(
        description="A word for programs, where the state alone does not say why.", examples=["lostTooOften"]
    )
    message: str | None = Field(
        default=None, description="A sentence for people, where the word is not enough.", examples=["no runner took it"]
    )
    attempt: int = Field(ge=0, description="Raised when another runner takes over.", examples=[1])
    runner: str | None = Field(description="The pool and the runner that has or had it.", examples=["default/7b2e"])
    outputs: dict[str, Any] = Field(
        description="The job's outputs; of a job with targets each a mapping by target.",
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


class RunSlice(_Written):
    """Part of the targets of a run whose one file would be larger than 64 KiB."""

    slice: int = Field(ge=1, description="Which of the slices this is.", examples=[1])
    targets: dict[str, RunTarget] = Field(description="By name.")


class Run(StatusDocument):
    """One run of a job or workflow: what was planned, and what happened."""

    kind: Literal["Run"] = Field(description="Run.")
    spec: RunSpec | None = Field(default=None, description="What was planned; left out in a slice of a large run.")
    status: RunStatus | RunSlice = Field(description="What happened so far.")


# --- one small file an object ---


class LatestRun(_Written):
    """An ended run in one line."""

    run: str = Field(description="Its id.", examples=[_RUN])
    state: RunState = Field(description="How it ended.")
    finished_at: Instant | None = Field(description="When it ended.", examples=[_AT])
    reason: str | None = Field(
        default=None, description="Why, where the state does not say it.", examples=["lostTooOften"]
    )


class RecentRuns(_Written):
    """The recent past of a job or workflow."""

    last_run: LatestRun | None = Field(description="The newest ended run.")
    last_success: LatestRun | None = Field(description="The newest that succeeded.")
    consecutive_failures: int = Field(ge=0, description="How many runs failed since.", examples=[0])


class JobStatus(StatusDocument):
    """How a job did lately."""

    kind: Literal["JobStatus"] = Field(description="JobStatus.")
    status: RecentRuns = Field(description="Its recent past.")


class WorkflowStatus(StatusDocument):
    """How a workflow did lately."""

    kind: Literal["WorkflowStatus"] = Field(description="WorkflowStatus.")
    status: RecentRuns = Field(description="Its recent past.")


class DecidedInstant(_Written):
    """What became of one due instant."""

    instant: Instant = Field(description="When it was due, before jitter.", examples=[_AT])
    decision: Literal["run", "skipped"] = Field(description="Whether it became a run.")
    reason: SkipReason | None = Field(default=None, description="Why it was skipped.")
    run: str | None = Field(default=None, description="The run it became.", examples=[_RUN])


class ScheduleClock(_Written):
    """Where a schedule's clock is: enough to go on from."""

    job: str = Field(description="What it starts.", examples=["rotate-web-logs"])
    fingerprint: str = Field(
        description="Of its time fields: when it changes, its clock starts anew.", examples=["0123456789abcdef"]
    )
    considered_from: Instant = Field(description="Earlier instants are never caught up.", examples=[_AT])
    last_decision: DecidedInstant | None = Field(description="The newest decided instant.")
    next: Instant | None = Field(description="The next due instant; null where there is none.", examples=[_AT])
    suspended: str | None = Field(
        default=None, description="Why it does not fire at present; left out where it does.", examples=["holidays"]
    )


class ScheduleStatus(StatusDocument):
    """What a schedule decided last, and when it is due next."""

    kind: Literal["ScheduleStatus"] = Field(description="ScheduleStatus.")
    status: ScheduleClock = Field(description="Where its clock is.")


class LatestContact(_Written):
    """What the last run that ended on a target says of it."""

    state: StepState | None = Field(description="How the run ended there.")
    run: str | None = Field(description="That run.", examples=[_RUN])
    at: Instant | None = Field(description="When it ended.", examples=[_AT])
    unreachable_since: Instant | None = Field(
        default=None, description="Since when nobody got through; left out where the last one did.", examples=[_AT]
    )


class TargetStatus(StatusDocument):
    """What is known of a target."""

    kind: Literal["TargetStatus"] = Field(description="TargetStatus.")
    status: LatestContact = Field(description="What the last run says of it.")


class Asked(_Written):
    """What an act asked for."""

    action: str | None = Field(default=None, description="What was to be done.", examples=["start"])
    requested_by: str | None = Field(default=None, description="Who asked.", examples=["ana@example.org"])


class Answer(_Written):
    """What became of an act."""

    state: Literal["accepted", "refused", "done"] = Field(description="What became of it.")
    reason: str | None = Field(description="Why it was refused, one word.", examples=["unknownRun"])
    run: str | None = Field(description="The run it started or is about.", examples=[_RUN])
    message: str | None = Field(default=None, description="The same for people.", examples=["there is no such run"])
    at: Instant | None = Field(default=None, description="When it was answered.", examples=[_AT])


class RequestStatus(StatusDocument):
    """The answer to an act."""

    kind: Literal["RequestStatus"] = Field(description="RequestStatus.")
    spec: Asked | None = Field(default=None, description="What it asked for, as far as it could be read.")
    status: Answer = Field(description="What became of it.")


# --- decisions ---


class Skips(_Written):
    """Consecutive skipped instants of one schedule, for one reason."""

    schedule: str = Field(description="Which schedule.", examples=["rotate-web-logs-nightly"])
    from_: Instant = Field(alias="from", description="The first.", examples=[_AT])
    to: Instant = Field(description="The last.", examples=[_AT])
    count: int = Field(ge=1, description="How many.", examples=[1])
    reason: SkipReason = Field(description="Why.")


class Decision(StatusDocument):
    """The skipped instants of a day, by the UTC day of the first of each record."""

    kind: Literal["Decision"] = Field(description="Decision.")
    decisions: Many[Skips] = Field(description="By their first instant, then schedule.")


# --- sync ---


class Engine(_Written):
    """Who owns the status branch."""

    id: str = Field(description="Of the machine and its state, or of the database.", examples=["7b2e41c09d"])
    host: str = Field(description="Where it runs.", examples=["ops-1"])
    since: Instant = Field(description="When it took the branch.", examples=[_AT])
    closed: Instant | None = Field(description="When it stopped in order; null while it is at work.", examples=[_AT])


class Condition(_Written):
    """One thing that holds, does not hold, or is not known."""

    type: Literal["Ready", "Reconciling", "Stalled", "Verified"] = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, one word.", examples=["Invalid"])
    message: str = Field(description="Why, for people.", examples=["3 findings"])
    last_transition_time: Instant = Field(description="Since when.", examples=[_AT])


class Finding(_Written):
    """A finding of `opsconductor validate`."""

    file: str = Field(description="From the repository's root.", examples=["definitions/jobs/rotate.yaml"])
    line: int = Field(ge=1, description="From 1.", examples=[10])
    column: int = Field(ge=1, description="From 1, in code points.", examples=[7])
    end_line: int = Field(ge=1, description="Of the end.", examples=[10])
    end_column: int = Field(ge=1, description="Of the end.", examples=[11])
    code: str = Field(description="Its code; `opsconductor explain CODE` tells more.", examples=["OC203"])
    severity: Literal["error", "warning"] = Field(description="Whether the commit is rejected for it.")
    message: str = Field(description="What is wrong.", examples=["'use' is not a field of a step"])
    hint: str = Field(description="What to do; empty where there is nothing to say.", examples=["did you mean 'uses'?"])
    docs: str | None = Field(description="The page of the code.", examples=["docs/codes/OC203.md"])


class Sync(_Written):
    """Which commit was seen, and which is in force."""

    engine: Engine | None = Field(description="Who owns the branch.")
    observed_commit: str | None = Field(description="The newest that was seen.", examples=[_COMMIT])
    applied_commit: str | None = Field(description="The one in force.", examples=[_COMMIT])
    last_good_commit: str | None = Field(description="The newest that validated as a whole.", examples=[_COMMIT])
    conditions: Many[Condition] = Field(description="How it stands.")
    findings: Many[Finding] = Field(
        max_length=50, description="What is wrong with the observed commit, at most 50 findings."
    )


class SyncStatus(StatusDocument):
    """How the definitions arrived: `sync.yaml`."""

    kind: Literal["SyncStatus"] = Field(description="SyncStatus.")
    status: Sync = Field(description="Which commit is in force.")


# --- gates ---


class NextNode(_Written):
    """What a gate holds back."""

    id: str = Field(description="The node of the workflow.", examples=["ship"])
    job: str | None = Field(default=None, description="The job it runs.", examples=["ship-web"])
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its params; as an expression where they are not known yet.",
        examples=[{"version": "1.2"}],
    )
    for_each: Any = Field(default=None, description="What it is done for each of.", examples=[["eu", "us"]])
    targets: Many[str] = Field(default=(), description="The targets it will run on.", examples=[["web-01"]])


class GateSpec(_Written):
    """What is asked, of whom. The digest covers the run, the gate, the commit and what runs next."""

    run: str = Field(description="The waiting run.", examples=[_RUN])
    workflow: str = Field(description="Its workflow.", examples=["deploy-web"])
    gate: str = Field(description="The node that waits.", examples=["ask"])
    commit: Commit = Field(description="The definitions that the run runs from.", examples=[_COMMIT])
    next: Many[NextNode] = Field(description="What starts when it is approved.")
    libraries: dict[str, str] = Field(
        default_factory=dict, description="The step libraries that it uses.", examples=[{"linux-core": _SHA256}]
    )
    teams: Many[str] = Field(default=(), description="Teams whose members may decide.", examples=[["web-leads"]])
    users: Many[str] = Field(default=(), description="Users who may decide.", examples=[["ana"]])
    count: int = Field(default=1, ge=1, description="How many people must approve.", examples=[2])
    not_requester: bool = Field(default=False, description="Whether the requester's own approval does not count.")
    requested_by: str | None = Field(default=None, description="Who asked for the run.", examples=["ana@example.org"])
    opened_at: Instant = Field(description="Since when it waits.", examples=[_AT])
    expires_at: Instant = Field(description="Until when it waits.", examples=[_AT])
    on_timeout: Literal["fail", "skip"] = Field(default="fail", description="What becomes of it then.")


class GateState(_Written):
    """How it stands."""

    state: Literal["open", "approved", "rejected", "timedOut", "cancelled"] = Field(description="How it stands.")
    votes: Many[Vote] = Field(default=(), description="What people said so far.")
    advisory: bool = Field(
        default=False, description="True where nobody's signature is checked, so that names prove nothing."
    )


class Gate(StatusDocument):
    """A workflow's run that waits for people. `opsconductor approve` and `reject` answer it."""

    kind: Literal["Gate"] = Field(description="Gate.")
    spec: GateSpec = Field(description="What is asked, of whom.")
    status: GateState = Field(description="How it stands.")


# --- discoveries ---


class FoundPort(_Written):
    """An open port."""

    port: int = Field(ge=1, le=65535, description="Its number.", examples=[22])
    service: str | None = Field(default=None, description="What answers there, as far as it says.", examples=["ssh"])


class FoundHost(_Written):
    """A host that answered, or one that no longer does."""

    address: str = Field(description="Its address.", examples=["192.0.2.17"])
    name: str | None = Field(default=None, description="Its name in the DNS.", examples=["web-17.example.org"])
    os: Literal["linux", "windows", "network", "other"] | None = Field(
        default=None, description="What it seems to run.", examples=["linux"]
    )
    ports: Many[FoundPort] = Field(default=(), description="Its open ports.")
    target: str | None = Field(
        default=None, description="The Target that it is, or that is proposed for it.", examples=["web-17"]
    )
    change: Literal["new", "changed", "same", "gone"] = Field(description="Against what is defined.")


class Proposal(_Written):
    """The branch that proposes the found targets."""

    branch: str = Field(description="Its name.", examples=["opsconductor/discovery/office"])
    commit: Commit | None = Field(
        default=None, description="Its newest commit; null where nothing is proposed.", examples=[_COMMIT]
    )


class Found(_Written):
    """What a scan found."""

    run: str | None = Field(default=None, description="The run that scanned.", examples=[_RUN])
    started_at: Instant = Field(description="When it began.", examples=[_AT])
    finished_at: Instant | None = Field(default=None, description="When it ended.", examples=[_AT])
    addresses: int = Field(ge=0, description="How many addresses were asked.", examples=[254])
    hosts: Many[FoundHost] = Field(description="What answered, and what is gone; by address.")
    proposal: Proposal | None = Field(default=None, description="Where the found targets are proposed.")


class DiscoveryReport(StatusDocument):
    """What a Discovery found last."""

    kind: Literal["DiscoveryReport"] = Field(description="DiscoveryReport.")
    status: Found = Field(description="What the last scan found.")


STATUS_MODELS: Mapping[str, type[StatusDocument]] = MappingProxyType(
    {
        "Run": Run,
        "JobStatus": JobStatus,
        "WorkflowStatus": WorkflowStatus,
        "ScheduleStatus": ScheduleStatus,
        "TargetStatus": TargetStatus,
        "RequestStatus": RequestStatus,
        "SyncStatus": SyncStatus,
        "Gate": Gate,
        "Decision": Decision,
        "DiscoveryReport": DiscoveryReport,
    }
)
NOT_WRITTEN: Mapping[str, str] = MappingProxyType(
    {
        "DiscoveryReport": "nothing is scanned",
    }
)
"""Kinds that this version does not write yet."""
