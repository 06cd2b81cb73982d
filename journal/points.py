"""Named crash points: places between two durable effects, where a test may kill or freeze the process.

Everyone who writes code with durable effects adds its names to the end of `POINTS` and calls `reach` there. Without
an installed hook a point costs one comparison.

The commits of the journal have two points each, `<change>.uncommitted` and `<change>.committed`: a change says what
it is by `record`, and the store reaches the points around the COMMIT of the batch that it is in.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Between:
    """The two durable effects: `before` has happened when the point is reached, `after` has not."""

    before: str
    after: str


POINTS: dict[str, Between] = {
    # journal: the file
    "journal.file-created": Between("an empty database file exists", "its tables are committed"),
    "journal.drained": Between("the last change is committed", "the write-ahead log is merged into the file"),
    # journal: a run is caused
    "enqueue.uncommitted": Between("the commit or act that causes a run is in git", "the run is in the journal"),
    "enqueue.committed": Between("the run is in the journal", "a runner has claimed it"),
    "admit.uncommitted": Between("the holder of the slot has ended", "the waiting run has the slot"),
    "admit.committed": Between("the waiting run has the slot", "a runner has claimed it"),
    "overlap.uncommitted": Between("a run's time has come, and its place is taken", "its end is in the journal"),
    "overlap.committed": Between("its end for an overlap is in the journal", "the end is on the status branch"),
    "put-off.uncommitted": Between("a run's time has come, in a window", "its later start is in the journal"),
    "put-off.committed": Between("the later start of a run is in the journal", "the window ends and it is queued"),
    "expire.uncommitted": Between("the run's queue timeout has passed", "its end as timedOut is in the journal"),
    "expire.committed": Between("its end as timedOut is in the journal", "the end is on the status branch"),
    "cancel.uncommitted": Between("the act that cancels is in git", "the wish is in the journal"),
    "cancel.committed": Between("the wish is in the journal", "the runner has ended the run"),
    "decide.uncommitted": Between("a schedule's instant is due", "its decision is in the journal"),
    "decide.committed": Between("the decision is in the journal", "it is on the status branch"),
    "settle.uncommitted": Between("an act is in git", "the journal says what became of it"),
    "settle.committed": Between("the journal says what became of the act", "its RequestStatus is on the status branch"),
    # journal: a run is executed
    "claim.uncommitted": Between("the run is queued", "the runner's claim with its new token is in the journal"),
    "claim.committed": Between("the claim is in the journal", "the first step's start is in the journal"),
    "step-start.uncommitted": Between("the step before has its recorded end", "the step's start is in the journal"),
    "step-start.committed": Between("the step's start is in the journal", "the step has its effect on the target"),
    "step-end.uncommitted": Between("the step has had its effect on the target", "its end is in the journal"),
    "step-end.committed": Between("the step's end is in the journal", "the next step's start is in the journal"),
    "step-skip.uncommitted": Between("the step before has its recorded end", "the skip is in the journal"),
    "step-skip.committed": Between("the skip is in the journal", "the next step's start is in the journal"),
    "step-rescued.uncommitted": Between(
        "the last step of a rescue has its end", "that it made up for it is in the journal"
    ),
    "step-rescued.committed": Between("that a rescue made up for a step is in the journal", "the next step's start is"),
    "target-end.uncommitted": Between("a target's last step has its recorded end", "the target's end is recorded"),
    "target-end.committed": Between("the target's end is in the journal", "the run's end is in the journal"),
    "finish.uncommitted": Between("all targets have their recorded ends", "the run's end is in the journal"),
    "finish.committed": Between("the run's end is in the journal", "the end is on the status branch"),
    # journal: a workflow's run goes on
    "node-begin.uncommitted": Between("all that a node needs has ended", "that it has begun is in the journal"),
    "node-begin.committed": Between("that a node has begun is in the journal", "its run is, or its gate is shown"),
    "node-end.uncommitted": Between(
        "a node's run has ended, or its gate or wait is over", "the node's end is recorded"
    ),
    "node-end.committed": Between("the node's end is in the journal", "what needs it has begun"),
    "gate-vote.uncommitted": Between("an approval is in git", "what it says at the gate is in the journal"),
    "gate-vote.committed": Between("what an approval says is in the journal", "the gate's end is recorded"),
    "workflow-end.uncommitted": Between("all nodes have their recorded ends", "the workflow's end is in the journal"),
    "workflow-end.committed": Between("the workflow's end is in the journal", "the end is on the status branch"),
    # journal: names
    "rename.uncommitted": Between(
        "a commit that renames a document is in the mirror", "the journal has it in force, with the names of before"
    ),
    "rename.committed": Between(
        "the journal has a commit in force that renames a document, and the names of before", "a decision under it is"
    ),
    # journal: triggers
    "event.uncommitted": Between("something has happened that sets a trigger off", "the event is in the journal"),
    "event.committed": Between("the event is in the journal", "what becomes of it is"),
    "trigger.uncommitted": Between("an event is in the journal", "its run, or why there is none, is"),
    "trigger.committed": Between("an event's run is in the journal", "what became of it is on the status branch"),
    # journal: notifications
    "notice.uncommitted": Between(
        "what somebody may want to know has happened", "it and its notice are in the journal"
    ),
    "notice.committed": Between("a notice is in the journal", "what the rules make of it is"),
    "message.uncommitted": Between("a notice is in the journal", "its messages are, and the rules' cursor"),
    "message.committed": Between("a message and the rules' cursor are in the journal", "a runner has claimed it"),
    # journal: a message is delivered
    "message-claim.uncommitted": Between("a message is in the journal", "a runner's claim of it is"),
    "message-claim.committed": Between("the claim of a message is in the journal", "its words are"),
    "message-words.uncommitted": Between("the claim of a message is in the journal", "its words are"),
    "message-words.committed": Between("the words of a message are in the journal", "the other side has it"),
    "message-end.uncommitted": Between("the other side has a message, or refused it", "what became of it is recorded"),
    "message-end.committed": Between("what became of an attempt is recorded", "the next claim of its channel is"),
    # journal: leases
    "register.uncommitted": Between("the runner's process has started", "the runner is in the journal"),
    "register.committed": Between("the runner is in the journal", "its first claim is in the journal"),
    "renew.uncommitted": Between("the lease is two thirds over", "the renewed lease is in the journal"),
    "renew.committed": Between("the renewed lease is in the journal", "the runner's next write"),
    "reap.uncommitted": Between("a lease has expired", "the run is queued again or unknown"),
    "reap.committed": Between("the lost run is queued again", "another runner has claimed it"),
    "release.uncommitted": Between("a draining runner's last step has its end", "the run is queued again"),
    "release.committed": Between("the released run is queued again", "another runner has claimed it"),
    # journal: upkeep
    "import.uncommitted": Between("the status branch holds a run", "the run is in the new journal"),
    "import.committed": Between("the run is in the new journal", "the next one is"),
    "consume.uncommitted": Between("the consumer has done what the outbox told it", "its cursor is in the journal"),
    "consume.committed": Between("the cursor is in the journal", "the outbox is trimmed"),
    "prune.uncommitted": Between("a run is past its retention", "the run is out of the tables and its cause is kept"),
    "prune.committed": Between("old runs are out of the tables", "their files are off the status branch"),
    # reconciler: git
    "mirror.built": Between("a new mirror stands complete beside the old one", "the old one is moved out of its place"),
    "mirror.moved": Between("the old mirror is out of its place", "the new one is in its place"),
    "mirror.fetched": Between("the commit is in the mirror", "what became of it is in the journal"),
    "status.written": Between("the status commit is in the mirror", "it is on the status branch"),
    "status.pushed": Between("the status commit is on the status branch", "the mirror's record of it is written"),
    "status.recorded": Between("the mirror's record of the status commit is written", "the outbox cursor is moved"),
    "status.set-aside": Between("a foreign commit has a branch of its own", "the status branch has our line again"),
    "owner.claimed": Between("the claim is on the status branch", "the first decision is in the journal"),
    "owner.taken-over": Between("the claim that takes over is pushed", "the branch is taken in"),
    "owner.closing": Between("the last status is on the branch", "the closed claim is on the branch"),
    "owner.closed": Between("the closed claim is on the branch", "the journal is closed"),
    # reconciler: definitions
    "definitions.seen": Between("the commit is on the definitions branch", "it is in the mirror"),
    "definitions.accepted": Between("the mirror keeps the good commit", "the journal has it as accepted, with clocks"),
    "definitions.adopted": Between("the accepted commit and its clocks are in the journal", "a decision under them is"),
    # runners
    "runner.locked": Between("nothing of an earlier runner runs on this host", "the runner is in the journal"),
    "step.begun": Between("the step's start is in the journal", "its script is on its way"),
    "step.sent": Between("the step's script is on its way", "its exit status has come back"),
    "step.ended": Between("the step has ended on the target, its log is written", "its end is in the journal"),
    "step.stopped": Between("the order to end the step has been carried out", "its end is in the journal"),
    "finally.entered": Between("the last ordinary step has its recorded end", "finally's first start is recorded"),
    "run.walked": Between("the last target's end is in the journal", "the run's end is in the journal"),
    "drain.handed-over": Between("draining has ended the running steps", "the run is queued again"),
}

_hook: Callable[[str], None] | None = None
_changes: list[str] = []  # of the batch in hand; touched by the one writer thread alone


def install(hook: Callable[[str], None] | None) -> None:
    """Have `hook` called with the name of every point reached, in the thread that reaches it. None removes it."""
    global _hook  # noqa: PLW0603 - one process, one hook
    _hook = hook


def reach(name: str) -> None:
    """Be at the named point. An undeclared name is a bug: KeyError when a hook is installed, as in every test."""
    if _hook is None:
        return
    if name not in POINTS:
        raise KeyError(f"crash point {name!r} is not declared in journal.points.POINTS")
    _hook(name)


def record(change: str) -> None:
    """Said inside a change of the journal: the batch that holds it passes `<change>.uncommitted` and `.committed`."""
    if _hook is not None:
        _changes.append(change)


def begun() -> None:
    """The store begins a batch."""
    _changes.clear()


def uncommitted() -> None:
    """The store has made all changes of a batch and commits next."""
    for change in dict.fromkeys(_changes):
        reach(f"{change}.uncommitted")


def committed() -> None:
    """The store has committed a batch and tells the callers next."""
    for change in dict.fromkeys(_changes):
        reach(f"{change}.committed")
