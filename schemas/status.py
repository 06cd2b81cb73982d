"""The kinds that only the engine writes, to the status branch (CONTRACT 4): what other programs may rely on there.

Nothing of the engine needs this module: `validate` does not load it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import Field

from schemas.envelope import Many
from schemas.quantities import Instant
from schemas.run import Run, Vote
from schemas.written import AT, COMMIT, RUN, SHA256, Commit, RunState, SkipReason, StatusDocument, StepState, Written

# --- one small file an object ---


class LatestRun(Written):
    """An ended run in one line."""

    run: str = Field(description="Its id.", examples=[RUN])
    state: RunState = Field(description="How it ended.")
    finished_at: Instant | None = Field(description="When it ended.", examples=[AT])
    reason: str | None = Field(
        default=None, description="Why, where the state does not say it.", examples=["lostTooOften"]
    )


class RecentRuns(Written):
    """The recent past of a job or workflow."""

    last_run: LatestRun | None = Field(description="The newest ended run.")
    last_success: LatestRun | None = Field(description="The newest that succeeded.")
    consecutive_failures: int = Field(ge=0, description="How many runs failed since.", examples=[0])
    former_names: Many[str] = Field(
        default=(), description="Names that it had when some of its runs began.", examples=[["rotate-logs"]]
    )


class JobStatus(StatusDocument):
    """How a job did lately."""

    kind: Literal["JobStatus"] = Field(description="JobStatus.")
    status: RecentRuns = Field(description="Its recent past.")


class WorkflowStatus(StatusDocument):
    """How a workflow did lately."""

    kind: Literal["WorkflowStatus"] = Field(description="WorkflowStatus.")
    status: RecentRuns = Field(description="Its recent past.")


class DecidedInstant(Written):
    """What became of one due instant."""

    instant: Instant = Field(description="When it was due, before jitter.", examples=[AT])
    decision: Literal["run", "skipped"] = Field(description="Whether it became a run.")
    reason: SkipReason | None = Field(default=None, description="Why it was skipped.")
    run: str | None = Field(default=None, description="The run it became.", examples=[RUN])


class ScheduleClock(Written):
    """Where a schedule's clock is: enough to go on from."""

    job: str = Field(description="What it starts.", examples=["rotate-web-logs"])
    fingerprint: str = Field(
        description="Of its time fields: when it changes, its clock starts anew.", examples=["0123456789abcdef"]
    )
    considered_from: Instant = Field(
        description="Earlier instants are never caught up: its clock began here, or was renamed, decided up to here.",
        examples=[AT],
    )
    last_decision: DecidedInstant | None = Field(description="The newest decided instant.")
    next: Instant | None = Field(description="The next due instant; null where there is none.", examples=[AT])
    considered_until: Instant | None = Field(
        None,
        description="Up to where it is decided, where a clock that was ahead has started the run of lastDecision "
        "before its time; left out otherwise.",
        examples=[AT],
    )
    suspended: str | None = Field(
        default=None, description="Why it does not fire at present; left out where it does.", examples=["holidays"]
    )
    former_names: Many[str] = Field(
        default=(),
        description="Names that it had, under which its earlier decisions are recorded.",
        examples=[["nightly-rotation"]],
    )


class ScheduleStatus(StatusDocument):
    """What a schedule decided last, and when it is due next."""

    kind: Literal["ScheduleStatus"] = Field(description="ScheduleStatus.")
    status: ScheduleClock = Field(description="Where its clock is.")


class TestedConnection(Written):
    """How one connection of a target did."""

    __test__ = False
    connection: str = Field(description="Which.", examples=["ssh"])
    ok: bool = Field(description="Whether it could be logged in to, and used.")


class LastTest(Written):
    """What `target test` found last."""

    at: Instant = Field(description="When.", examples=[AT])
    connections: Many[TestedConnection] = Field(description="Each connection that was tried.")


class LatestContact(Written):
    """What the last run that ended on a target says of it, and its last test."""

    state: StepState | None = Field(description="How the run ended there.")
    run: str | None = Field(description="That run.", examples=[RUN])
    at: Instant | None = Field(description="When it ended.", examples=[AT])
    unreachable_since: Instant | None = Field(
        default=None, description="Since when nobody got through; left out where the last one did.", examples=[AT]
    )
    last_test: LastTest | None = Field(
        default=None,
        description="What `target test` found last where the engine is, or with the database that machines share.",
    )


class TargetStatus(StatusDocument):
    """What is known of a target."""

    kind: Literal["TargetStatus"] = Field(description="TargetStatus.")
    status: LatestContact = Field(description="What the last run says of it.")


class Asked(Written):
    """What an act asked for."""

    action: str | None = Field(default=None, description="What was to be done.", examples=["start"])
    requested_by: str | None = Field(default=None, description="Who asked.", examples=["ana@example.org"])


class Answer(Written):
    """What became of an act."""

    state: Literal["accepted", "refused", "done"] = Field(description="What became of it.")
    reason: str | None = Field(description="Why it was refused, one word.", examples=["unknownRun"])
    run: str | None = Field(description="The run it started or is about.", examples=[RUN])
    message: str | None = Field(default=None, description="The same for people.", examples=["there is no such run"])
    at: Instant | None = Field(default=None, description="When it was answered.", examples=[AT])


class RequestStatus(StatusDocument):
    """The answer to an act."""

    kind: Literal["RequestStatus"] = Field(description="RequestStatus.")
    spec: Asked | None = Field(default=None, description="What it asked for, as far as it could be read.")
    status: Answer = Field(description="What became of it.")


class SeenEvent(Written):
    """What set a trigger off, and what became of it."""

    event: str = Field(
        description="Which one, by a key that no other has.",
        examples=["run/rotate-web-logs-20261121T001500Z-9f31c2a07b"],
    )
    at: Instant = Field(description="When it came.", examples=[AT])
    state: Literal["pending", "started", "ignored", "refused"] = Field(description="What became of it.")
    type: str | None = Field(default=None, description="What its sender calls it.", examples=["push"])
    delivery: str | None = Field(default=None, description="Its sender's id of it.", examples=["72d3162e-cc78"])
    reason: str | None = Field(default=None, description="Why nothing was started, one word.", examples=["condition"])
    message: str | None = Field(default=None, description="The same for people.", examples=["its 'if' was false"])
    run: str | None = Field(default=None, description="The run that it started, or was one with.", examples=[RUN])
    times: int | None = Field(
        default=None, ge=2, description="How many requests of an hour it stands for; else one.", examples=[40]
    )


class EventCounts(Written):
    """How many of the events that are remembered came to what."""

    pending: int = Field(ge=0, description="Not decided yet.", examples=[0])
    started: int = Field(ge=0, description="A run was started.", examples=[3])
    ignored: int = Field(ge=0, description="Nothing was to be done.", examples=[12])
    refused: int = Field(ge=0, description="Something was wrong with it.", examples=[1])


class SeenEvents(Written):
    """The recent past of a trigger."""

    last_event: SeenEvent = Field(description="The newest that was proven, where there is one.")
    counts: EventCounts = Field(description="Of all that are remembered.")
    events: Many[SeenEvent] = Field(max_length=20, description="The newest, the last one first.")


class TriggerStatus(StatusDocument):
    """What set a trigger off lately, and what became of it."""

    kind: Literal["TriggerStatus"] = Field(description="TriggerStatus.")
    status: SeenEvents = Field(description="Its recent past.")


class Deliveries(Written):
    """How a notification channel does."""

    state: Literal["working", "failing"] = Field(
        description="`failing`: a message was tried in vain, and is tried again or was given up without another one "
        "getting there since; where some wait, one at a time asks whether it works."
    )
    waiting: int = Field(
        ge=0,
        description="Messages that wait until it works again, those apart that quiet hours or a group hold; else 0.",
        examples=[0],
    )
    dead_letters: int = Field(ge=0, description="Messages that were given up, until they are sent again.", examples=[0])
    last_delivered: Instant | None = Field(
        description="The hour in which the newest message that got there got there.", examples=["2026-11-21T00:00:00Z"]
    )
    failing_since: Instant | None = Field(
        description="When the first attempt in vain since the last delivery was, or the first one of a message that "
        "waits for another.",
        examples=[AT],
    )
    error: str | None = Field(description="What its last attempt said.", examples=["500 from chat.example.org"])


class ChannelStatus(StatusDocument):
    """How a notification channel does; there is none before its first message."""

    kind: Literal["ChannelStatus"] = Field(description="ChannelStatus.")
    status: Deliveries = Field(description="Its messages.")


# --- decisions ---


class Skips(Written):
    """Consecutive skipped instants of one schedule, for one reason."""

    schedule: str = Field(description="Which schedule.", examples=["rotate-web-logs-nightly"])
    from_: Instant = Field(alias="from", description="The first.", examples=[AT])
    to: Instant = Field(description="The last.", examples=[AT])
    count: int = Field(ge=1, description="How many.", examples=[1])
    reason: SkipReason = Field(description="Why.")


class Decision(StatusDocument):
    """The skipped instants of a day, by the UTC day of the first of each record."""

    kind: Literal["Decision"] = Field(description="Decision.")
    decisions: Many[Skips] = Field(description="By their first instant, then schedule.")


# --- sync ---


class Engine(Written):
    """Who owns the status branch."""

    id: str = Field(description="Of the machine and its state, or of the database.", examples=["7b2e41c09d"])
    host: str = Field(description="Where it runs.", examples=["ops-1"])
    since: Instant = Field(description="When it took the branch.", examples=[AT])
    closed: Instant | None = Field(description="When it stopped in order; null while it is at work.", examples=[AT])


class Condition(Written):
    """One thing that holds, does not hold, or is not known."""

    type: Literal["Ready", "Reconciling", "Stalled", "Verified"] = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: str = Field(description="Why, one word.", examples=["Invalid"])
    message: str = Field(description="Why, for people.", examples=["3 findings"])
    last_transition_time: Instant = Field(description="Since when.", examples=[AT])


class Finding(Written):
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


class WantedApprovals(Written):
    """What documents of a change wait for."""

    documents: Many[str] = Field(description="Which.", examples=[["Job/rotate-web-logs"]])
    approvals: int = Field(ge=1, description="How many approvals they want.", examples=[2])
    not_requester: bool = Field(default=False, description="Whether those of who signed the change do not count.")
    given: Many[str] = Field(default=(), description="Users who have approved.", examples=[["bob"]])
    by: Many[str] = Field(default=(), description="Users whose approvals would count.", examples=[["ana"]])


class WordOnChange(Written):
    """What one person said of a change."""

    by: str = Field(description="Which User.", examples=["bob"])
    decision: Literal["approve", "reject"] = Field(description="Yes or no.")
    request: str = Field(description="The Approval that said it.", examples=["approve-20261121t102000z-4a1b2c"])
    reason: str = Field(default="", description="Why.", examples=["looks right"])


class WaitingChange(Written):
    """A commit that Policies let come into force when others approve it."""

    gate: str = Field(description="What an Approval names.", examples=[SHA256])
    commit: str = Field(description="The commit that waits.", examples=[COMMIT])
    base: str = Field(description="The commit it builds on.", examples=[COMMIT])
    requested_by: Many[str] = Field(description="Who signed it.", examples=[["bo"]])
    wants: Many[WantedApprovals] = Field(description="What it waits for.")
    votes: Many[WordOnChange] = Field(default=(), description="What was said so far.")


class WaitingRequest(Written):
    """A request that Policies let be done when others approve it."""

    gate: str = Field(description="What an Approval names.", examples=[SHA256])
    request: str = Field(description="Its name.", examples=["restart-web"])
    commit: str = Field(description="The commit that brought it.", examples=[COMMIT])
    file: str = Field(default="", description="Where it stands there.", examples=["requests/restart-web.yaml"])
    asks: str = Field(description="What it asks for.", examples=["run Job/rotate-web-logs"])
    expires_at: Instant | None = Field(default=None, description="When it expires.", examples=[AT])
    since: Instant | None = Field(default=None, description="When its commit arrived.", examples=[AT])
    requested_by: Many[str] = Field(description="Who signed it.", examples=[["bo"]])
    wants: Many[WantedApprovals] = Field(description="What it waits for.")
    votes: Many[WordOnChange] = Field(default=(), description="What was said so far.")


class Sync(Written):
    """Which commit was seen, and which is in force."""

    engine: Engine | None = Field(description="Who owns the branch.")
    observed_commit: str | None = Field(description="The newest that was seen.", examples=[COMMIT])
    applied_commit: str | None = Field(description="The one in force.", examples=[COMMIT])
    last_good_commit: str | None = Field(description="The newest that validated as a whole.", examples=[COMMIT])
    conditions: Many[Condition] = Field(description="How it stands.")
    findings: Many[Finding] = Field(
        max_length=50, description="What is wrong with the observed commit, at most 50 findings."
    )
    change: WaitingChange | None = Field(
        default=None, description="The commit that waits for approvals; left out where none does."
    )
    requests: Many[WaitingRequest] = Field(
        default=(), description="The requests that wait for approvals; left out where none does."
    )


class SyncStatus(StatusDocument):
    """How the definitions arrived: `sync.yaml`."""

    kind: Literal["SyncStatus"] = Field(description="SyncStatus.")
    status: Sync = Field(description="Which commit is in force.")


# --- gates ---


class NextNode(Written):
    """What a gate holds back."""

    id: str = Field(description="The node of the workflow.", examples=["ship"])
    job: str | None = Field(default=None, description="The job it runs.", examples=["ship-web"])
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its params; as an expression where they are not known yet.",
        examples=[{"version": "1.2"}],
    )
    for_each: Any = Field(default=None, description="What it is done for each of.", examples=[["eu", "us"]])
    if_: str | bool | None = Field(
        default=None, alias="if", description="What must hold for it to run.", examples=["failure()"]
    )
    targets: Many[str] = Field(default=(), description="The targets it will run on.", examples=[["web-01"]])


class GateSpec(Written):
    """What is asked, of whom. The digest covers the run, the gate, the commit and what runs next."""

    run: str = Field(description="The waiting run.", examples=[RUN])
    workflow: str = Field(description="Its workflow.", examples=["deploy-web"])
    gate: str = Field(description="The node that waits.", examples=["ask"])
    commit: Commit = Field(description="The definitions that the run runs from.", examples=[COMMIT])
    next: Many[NextNode] = Field(description="What starts when it is approved.")
    libraries: dict[str, str] = Field(
        default_factory=dict, description="The step libraries that it uses.", examples=[{"linux-core": SHA256}]
    )
    teams: Many[str] = Field(default=(), description="Teams whose members may decide.", examples=[["web-leads"]])
    users: Many[str] = Field(default=(), description="Users who may decide.", examples=[["ana"]])
    count: int = Field(default=1, ge=1, description="How many people must approve.", examples=[2])
    not_requester: bool = Field(default=False, description="Whether the requester's own approval does not count.")
    requested_by: str | None = Field(default=None, description="Who asked for the run.", examples=["ana@example.org"])
    opened_at: Instant = Field(description="Since when it waits.", examples=[AT])
    expires_at: Instant = Field(description="Until when it waits.", examples=[AT])
    on_timeout: Literal["fail", "skip"] = Field(default="fail", description="What becomes of it then.")
    known: Many[str] | None = Field(
        default=None, description="The nodes that had ended when it was opened.", examples=[["build"]]
    )


class GateState(Written):
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


class FoundPort(Written):
    """An open port."""

    port: int = Field(ge=1, le=65535, description="Its number.", examples=[22])
    service: str | None = Field(default=None, description="What answers there, as far as it says.", examples=["ssh"])


class FoundHost(Written):
    """A host that answered, or one that no longer does."""

    address: str = Field(description="Its address; of an inventory it may be a name.", examples=["192.0.2.17"])
    name: str | None = Field(
        default=None, description="Its name in the inventory, else in the DNS.", examples=["web-17.example.org"]
    )
    os: Literal["linux", "windows", "network", "other"] | None = Field(
        default=None, description="What it seems to run.", examples=["linux"]
    )
    ports: Many[FoundPort] = Field(default=(), description="Its open ports.")
    target: str | None = Field(
        default=None, description="The Target that it is, or that is proposed for it.", examples=["web-17"]
    )
    change: Literal["new", "changed", "same", "gone", "ignored"] = Field(description="Against what is defined.")
    known_by: Literal["host key", "MAC address", "name", "address"] | None = Field(
        default=None, description="What tells that it is this Target.", examples=["host key"]
    )
    mac: str | None = Field(default=None, description="Its MAC address.", examples=["00:1b:21:3c:9d:f8"])
    host_keys: Many[str] = Field(
        default=(),
        description="Fingerprints of the SSH host keys that it showed.",
        examples=[["ssh-ed25519 SHA256:uNiVztksCsDhcc0u9e8BrJvYz3JuhJ0oW3nqVTh2gQ0"]],
    )
    notes: Many[str] = Field(
        default=(), description="What is different, in words.", examples=[["moved from 192.0.2.9"]]
    )
    last_seen: Instant | None = Field(default=None, description="When one that is gone answered last.", examples=[AT])


class Proposal(Written):
    """The branch that proposes the found targets."""

    branch: str = Field(description="Its name.", examples=["opsconductor/discovery/office"])
    commit: Commit | None = Field(
        default=None, description="Its newest commit; null where nothing is proposed.", examples=[COMMIT]
    )
    trouble: str | None = Field(
        default=None,
        description="Why it does not show what the scan found.",
        examples=["the branch has commits that are not the engine's"],
    )


class FoundCounts(Written):
    """How many hosts."""

    new: int = Field(ge=0, description="No Target is one of them.", examples=[3])
    changed: int = Field(ge=0, description="Their Targets say otherwise.", examples=[1])
    same: int = Field(ge=0, description="As their Targets say.", examples=[40])
    gone: int = Field(ge=0, description="Targets that did not answer, or are not listed.", examples=[2])
    ignored: int = Field(ge=0, description="Those that `ignore` names.", examples=[0])


class Found(Written):
    """What a scan found."""

    run: str | None = Field(default=None, description="The run that scanned.", examples=[RUN])
    started_at: Instant = Field(description="When it began.", examples=[AT])
    finished_at: Instant | None = Field(default=None, description="When it ended.", examples=[AT])
    addresses: int = Field(ge=0, description="How many addresses were asked, or hosts listed.", examples=[254])
    counts: FoundCounts = Field(description="How many hosts were what.")
    hosts: Many[FoundHost] = Field(
        description="What answered, and what is gone; by address. Of many the first 1,000, those that differ first."
    )
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
        "TriggerStatus": TriggerStatus,
        "ChannelStatus": ChannelStatus,
        "SyncStatus": SyncStatus,
        "Gate": Gate,
        "Decision": Decision,
        "DiscoveryReport": DiscoveryReport,
    }
)
NOT_WRITTEN: Mapping[str, str] = MappingProxyType({})
"""Kinds that this version does not write yet."""
