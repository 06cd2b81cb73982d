"""The tables. Instants are microseconds since 1970 in UTC: they sort, compare and cost nothing on either database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect

AnyRow = Row[*tuple[Any, ...]]
"""A row of any query; its columns are attributes."""
VERSION = 23
"""Raised with every change of the tables; `journal.databases.upgrades` upgrades older ones step by step."""
COMPATIBLE = 15
"""The oldest version whose programs may go on with these tables, beside newer ones. Where a change is such that they
would be wrong, or could not write (a new column without a default), it is raised to VERSION."""
PRODUCT = "opsconductor"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + value * _MICROSECOND  # in half the time of timedelta(microseconds=)


def json_value() -> JSON:
    """A column of JSON, where None is the database's own null."""
    return JSON(none_as_null=True)


# Compared byte by byte on either database, whatever the locale of a PostgreSQL server: SQLite knows nothing else.
Characters = String().with_variant(String(collation="C"), "postgresql")

# SQLite counts rows by INTEGER alone; PostgreSQL must not run out of 32 bits.
Seq = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Characters, primary_key=True),
    Column("value", Characters, nullable=False),
)

SAID = "SELECT key, value FROM meta"
"""What the tables say of themselves, as a statement that a transaction can begin with."""

specs = Table(
    "specs",
    metadata,
    Column("digest", Characters, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", Characters, nullable=False, unique=True),
    # Exactly once: whatever crashes and whoever repeats, one cause is one run.
    Column("cause_key", Characters, nullable=False, unique=True),
    Column("cause", json_value(), nullable=False),
    # The job or workflow that it is of, by the name of then; `known_as` is the one of today, by which its past goes.
    Column("job", Characters, nullable=False),
    Column("known_as", Characters, nullable=False),
    Column("commit", Characters, nullable=False),
    # An imported run has no spec: the status branch does not hold it.
    Column("spec", ForeignKey("specs.digest"), nullable=True),
    Column("params", json_value(), nullable=False),
    Column("targets", json_value(), nullable=False),
    Column("on_targets", Boolean, nullable=False),
    Column("libraries", json_value()),
    Column("rerun_of", Characters),
    Column("pool", Characters, nullable=False),
    # The labels that its runner must have, as one text (`engine.runs.runnerlabels`).
    Column("needs", Characters),
    Column("priority", BigInteger, nullable=False, default=0),
    Column("inline", Boolean, nullable=False, default=False),
    Column("state", Characters, nullable=False),
    Column("reason", Characters),
    Column("message", Characters),
    Column("concurrency", Characters),
    Column("slots", BigInteger, nullable=False, default=1),
    Column("slot", BigInteger),
    # What it asks for when its time comes; null in runs of before, which wait like a queue.
    Column("on_conflict", Characters),
    Column("max_queue", BigInteger),
    Column("queued_at", Instant, nullable=False),
    Column("starts_at", Instant),
    Column("due_at", Instant),  # as starts_at, until it has come
    Column("queue_deadline", Instant),  # until it is claimed
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("token", Integer, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lost", Integer, nullable=False, default=0),
    Column("runner", Characters),
    Column("lease_until", Float),
    Column("wish", Characters),
    Column("wish_reason", Characters),
    Column("outputs", json_value()),
    # Of a dry run, all that it says: it has no steps and no targets of its own. Null where it is a run.
    Column("rehearsal", json_value()),
    # No runner takes a workflow's run; its plan is a graph.
    Column("workflow", Boolean, nullable=False, default=False, server_default=false()),
    # The workflow's run that a node's run belongs to.
    Column("parent", Characters),
    # In which generation of names (`journal.names`) its plan and its cause are written; null in runs of before.
    Column("naming", Integer),
    Index("runs_by_name", "known_as", "seq"),
    sqlite_autoincrement=True,
)

# Two runs never hold one slot of a concurrency group.
Index(
    "runs_one_holder_a_slot",
    runs.c.concurrency,
    runs.c.slot,
    unique=True,
    sqlite_where=runs.c.slot.is_not(None),
    postgresql_where=runs.c.slot.is_not(None),
)
# Ended runs are many and open ones few: what asks for open runs says `finished_at IS NULL` and reads these alone.
_OPEN = runs.c.finished_at.is_(None)
Index("runs_open", runs.c.state, runs.c.priority.desc(), runs.c.seq, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index(
    "runs_by_parent",
    runs.c.parent,
    sqlite_where=runs.c.parent.is_not(None),
    postgresql_where=runs.c.parent.is_not(None),
)
# The queue of a group in its order, apart from whose time has not come: the next is found at once, however many wait.
RUNS_IN_LINE = Index(
    "runs_in_line",
    runs.c.concurrency,
    runs.c.state,
    runs.c.due_at,
    runs.c.priority.desc(),
    runs.c.seq,
    runs.c.finished_at,  # always null; with it, who counts the queue reads the index alone
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
_NEEDY = _OPEN & runs.c.needs.is_not(None)
RUNS_NEEDY = Index("runs_needy", runs.c.state, runs.c.needs, sqlite_where=_NEEDY, postgresql_where=_NEEDY)
_LATER = runs.c.due_at.is_not(None)
RUNS_LATER = Index("runs_later", runs.c.due_at, sqlite_where=_LATER, postgresql_where=_LATER)
# Failures are few among all runs, and what broke lately is asked for however many runs succeeded since. The index and
# who asks have the states in the same words: else SQLite does not take it.
FAILED = text("state IN ('failed', 'timedOut', 'unknown')")
RUNS_FAILED = Index("runs_failed", runs.c.seq, sqlite_where=FAILED, postgresql_where=FAILED)

causes = Table(
    # What is left of runs that retention has removed: an act is consumed once, ever; an instant fires once.
    "causes",
    metadata,
    Column("key", Characters, primary_key=True),
    Column("run", Characters, nullable=False),
    Column("state", Characters, nullable=False),
    sqlite_with_rowid=False,
)

run_targets = Table(
    # Targets that have ended.
    "run_targets",
    metadata,
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("target", Characters, primary_key=True),
    Column("state", Characters, nullable=False),
    Column("outputs", json_value()),
    Column("reason", Characters),
    Column("ended_at", Instant, nullable=False),
    # Whose slice it was in, of a run that several worked on; else it is the run's.
    Column("runner", Characters),
    Index("run_targets_by_target", "target", "run"),
    sqlite_with_rowid=False,
)

steps = Table(
    "steps",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), nullable=False),
    Column("target", Characters, nullable=False),
    Column("phase", Characters, nullable=False),
    Column("step", Characters, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", Characters),
    Column("state", Characters, nullable=False),
    Column("token", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("exit_code", BigInteger),
    Column("duration", Float),
    Column("outputs", json_value()),
    Column("stdout", Characters),
    Column("stderr", Characters),
    Column("stdout_tail", Characters),
    Column("stderr_tail", Characters),
    Column("error", Characters),
    Column("log", Characters),
    Column("continued", Boolean, nullable=False, default=False),
    Column("again", Boolean, nullable=False, default=False, server_default=false()),
    Column("rescued", Boolean, nullable=False, default=False, server_default=false()),
    Column("inherited", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("run", "target", "phase", "step", "attempt", name="steps_one_start_an_attempt"),
)

uses = Table(
    # Of credentials by runs; a run that another runner went on with has those of both.
    "uses",
    metadata,
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("target", Characters, primary_key=True),
    Column("credential", Characters, primary_key=True),
    Column("token", Integer, primary_key=True),
    Column("runner", Characters),
    Column("at", Instant, nullable=False),
    Index("uses_by_credential", "credential", "run"),
    sqlite_with_rowid=False,
)

steady_uses = Table(
    # Of credentials by what is no run: a channel, a trigger, the Project's statuses of commits.
    "steady_uses",
    metadata,
    Column("credential", Characters, primary_key=True),
    Column("used_by", Characters, primary_key=True),
    Column("runner", Characters),
    Column("first", Instant, nullable=False),
    Column("last", Instant, nullable=False),
    sqlite_with_rowid=False,
)

nodes = Table(
    # Of the graph of a workflow's run: all from the beginning, in the order of the text.
    "nodes",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), nullable=False),
    Column("node", Characters, nullable=False),
    Column("kind", Characters, nullable=False),
    Column("job", Characters),
    Column("needs", json_value(), nullable=False),
    Column("state", Characters, nullable=False),
    Column("started_at", Instant),
    Column("until", Instant),
    Column("ended_at", Instant),
    Column("reason", Characters),
    Column("outputs", json_value()),
    Column("items", json_value()),
    Column("runs", json_value()),
    Column("continued", Boolean, nullable=False, default=False),
    Column("cleanup", Boolean, nullable=False, default=False),
    Column("inherited", Boolean, nullable=False, default=False),
    # A gate, once it is open: what is approved is its digest.
    Column("digest", Characters, unique=True),
    Column("gate", json_value()),
    UniqueConstraint("run", "node", name="nodes_once_a_run"),
)

verdicts = Table(
    # What people said at gates: one of them once a gate.
    "verdicts",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("node", ForeignKey("nodes.seq", ondelete="CASCADE"), nullable=False),
    Column("by", Characters, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("act", Characters, nullable=False),
    Column("reason", Characters, nullable=False),
    Column("proven", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("node", "by", name="verdicts_once_a_person"),
)

evidence = Table(
    # Results from runners that had lost their lease: kept, and without effect on anything settled.
    "evidence",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("run", Characters, nullable=False, index=True),
    Column("token", Integer, nullable=False),
    Column("what", Characters, nullable=False),
    Column("target", Characters),
    Column("phase", Characters),
    Column("step", Characters),
    Column("attempt", Integer),
    Column("state", Characters, nullable=False),
    Column("detail", json_value(), nullable=False),
    Column("at", Instant, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("fingerprint", Characters, nullable=False),
    Column("considered_from", Instant, nullable=False),
    Column("considered_until", Instant, nullable=False),
    Column("lost_until", Instant),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("schedule", Characters, nullable=False),
    Column("first", Instant, nullable=False),
    Column("last", Instant, nullable=False),
    Column("times", BigInteger, nullable=False),
    Column("verdict", Characters, nullable=False),
    Column("reason", Characters),
    Column("run", Characters),
    Column("decided_at", Instant, nullable=False),
    # Each due instant is decided once.
    UniqueConstraint("schedule", "first", name="decisions_once_an_instant"),
    Index("decisions_by_last", "schedule", "last"),
    Index("decisions_by_day", "verdict", "first"),
)

acts = Table(
    "acts",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("state", Characters),
    Column("reason", Characters),
    Column("message", Characters),
    Column("action", Characters),
    Column("requested_by", Characters),
    Column("run", Characters, index=True),
    Column("digest", Characters),
    Column("first_seen", Instant, nullable=False),
    Column("settled_at", Instant),
)

watches = Table(
    # Which ends of runs set which trigger off: a row a job (empty: any) and state. Replaced with every commit in force.
    "watches",
    metadata,
    Column("trigger", Characters, primary_key=True),
    Column("workflow", Boolean, primary_key=True),
    Column("job", Characters, primary_key=True),
    Column("state", Characters, primary_key=True),
    sqlite_with_rowid=False,
)

events = Table(
    # What set triggers off, and what became of it. A key is taken once, so that a delivery sent again is known.
    "events",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("trigger", Characters, nullable=False),
    Column("key", Characters, nullable=False),
    Column("kind", Characters, nullable=False),
    Column("type", Characters),
    Column("delivery", Characters),
    Column("arrived_at", Instant, nullable=False),
    Column("state", Characters, nullable=False),
    Column("reason", Characters),
    Column("message", Characters),
    Column("run", Characters),
    Column("dedupe", Characters),
    # How many: of refused requests that nobody signed, those of an hour are one.
    Column("times", BigInteger, nullable=False, default=1, server_default="1"),
    Column("settled_at", Instant),
    # What came, until it is decided.
    Column("payload", LargeBinary),
    UniqueConstraint("trigger", "key", name="events_once_a_trigger"),
    Index("events_by_trigger", "trigger", "seq"),
    sqlite_autoincrement=True,
)
_PENDING = events.c.state == "pending"
Index("events_pending", events.c.seq, sqlite_where=_PENDING, postgresql_where=_PENDING)

commits = Table(
    # Of definitions: those that were looked at, and what came of each; the newest of them.
    "commits",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("commit", Characters, nullable=False),
    Column("at", Instant, nullable=False),
    Column("verdict", Characters, nullable=False),
    Column("detail", json_value(), nullable=False),
    sqlite_autoincrement=True,
)

runners = Table(
    "runners",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("pool", Characters, nullable=False),
    Column("host", Characters, nullable=False),
    Column("since", Instant, nullable=False),
    Column("lease_until", Float),
    Column("version", Characters),
    # What follows it says of itself where others share the journal; its lease is in `shown_until`, so that one that
    # has no run to keep is seen too.
    Column("seen_at", Instant),
    Column("shown_until", Float),
    Column("runs", Integer),
    Column("capacity", Integer),
    Column("labels", json_value()),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("topic", Characters, nullable=False),
    Column("key", Characters, nullable=False),
    sqlite_autoincrement=True,
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", Characters, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("key", Characters, primary_key=True),
    Column("value", json_value()),
)

discoveries = Table(
    # Of each Discovery its last scan, and what was made of it; `last_seen` is of its Targets, by name.
    "discoveries",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("run", Characters, nullable=False),
    Column("scan", LargeBinary, nullable=False),
    Column("scanned_at", Instant, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("report", json_value()),
    Column("last_seen", json_value()),
)
