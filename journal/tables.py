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
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine import Dialect

AnyRow = Row[*tuple[Any, ...]]
"""A row of any query; its columns are attributes."""
VERSION = 11
"""Raised with every change of the tables; `journal.store` upgrades older files step by step."""
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
        return None if value is None else _EPOCH + timedelta(microseconds=value)


def json_value() -> JSON:
    """A column of JSON, where None is the database's own null."""
    return JSON(none_as_null=True)


# SQLite counts rows by INTEGER alone; PostgreSQL must not run out of 32 bits.
Seq = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

specs = Table(
    "specs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("id", String(100), nullable=False, unique=True),
    # Exactly once: whatever crashes and whoever repeats, one cause is one run.
    Column("cause_key", String, nullable=False, unique=True),
    Column("cause", json_value(), nullable=False),
    Column("job", String, nullable=False),
    Column("commit", String, nullable=False),
    # An imported run has no spec: the status branch does not hold it.
    Column("spec", ForeignKey("specs.digest"), nullable=True),
    Column("params", json_value(), nullable=False),
    Column("targets", json_value(), nullable=False),
    Column("on_targets", Boolean, nullable=False),
    Column("libraries", json_value()),
    Column("rerun_of", String(100)),
    Column("pool", String, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("inline", Boolean, nullable=False, default=False),
    Column("state", String, nullable=False),
    Column("reason", String),
    Column("message", Text),
    Column("concurrency", String),
    Column("slots", Integer, nullable=False, default=1),
    Column("slot", Integer),
    # What it asks for when its time comes; null in runs of before, which wait like a queue.
    Column("on_conflict", String),
    Column("max_queue", Integer),
    Column("queued_at", Instant, nullable=False),
    Column("starts_at", Instant),
    Column("due_at", Instant),  # as starts_at, until it has come
    Column("queue_deadline", Instant),  # until it is claimed
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("token", Integer, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lost", Integer, nullable=False, default=0),
    Column("runner", String),
    Column("lease_until", Float),
    Column("wish", String),
    Column("wish_reason", String),
    Column("outputs", json_value()),
    # Of a dry run, all that it says: it has no steps and no targets of its own. Null where it is a run.
    Column("rehearsal", json_value()),
    # No runner takes a workflow's run; its plan is a graph.
    Column("workflow", Boolean, nullable=False, default=False, server_default=false()),
    # The workflow's run that a node's run belongs to.
    Column("parent", String(100)),
    Index("runs_by_job", "job", "seq"),
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
_LATER = runs.c.due_at.is_not(None)
RUNS_LATER = Index("runs_later", runs.c.due_at, sqlite_where=_LATER, postgresql_where=_LATER)

causes = Table(
    # What is left of runs that retention has removed: an act is consumed once, ever; an instant fires once.
    "causes",
    metadata,
    Column("key", String, primary_key=True),
    Column("run", String(100), nullable=False),
    Column("state", String, nullable=False),
    sqlite_with_rowid=False,
)

run_targets = Table(
    # Targets that have ended.
    "run_targets",
    metadata,
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("target", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("outputs", json_value()),
    Column("reason", String),
    Column("ended_at", Instant, nullable=False),
    Index("run_targets_by_target", "target", "run"),
    sqlite_with_rowid=False,
)

steps = Table(
    "steps",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), nullable=False),
    Column("target", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("step", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("name", String),
    Column("state", String, nullable=False),
    Column("token", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("exit_code", Integer),
    Column("duration", Float),
    Column("outputs", json_value()),
    Column("stdout", Text),
    Column("stderr", Text),
    Column("stdout_tail", Text),
    Column("stderr_tail", Text),
    Column("error", Text),
    Column("log", String),
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
    Column("target", String, primary_key=True),
    Column("credential", String, primary_key=True),
    Column("token", Integer, primary_key=True),
    Column("runner", String),
    Column("at", Instant, nullable=False),
    Index("uses_by_credential", "credential", "run"),
    sqlite_with_rowid=False,
)

nodes = Table(
    # Of the graph of a workflow's run: all from the beginning, in the order of the text.
    "nodes",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), nullable=False),
    Column("node", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("job", String),
    Column("needs", json_value(), nullable=False),
    Column("state", String, nullable=False),
    Column("started_at", Instant),
    Column("until", Instant),
    Column("ended_at", Instant),
    Column("reason", Text),
    Column("outputs", json_value()),
    Column("items", json_value()),
    Column("runs", json_value()),
    Column("continued", Boolean, nullable=False, default=False),
    Column("cleanup", Boolean, nullable=False, default=False),
    Column("inherited", Boolean, nullable=False, default=False),
    # A gate, once it is open: what is approved is its digest.
    Column("digest", String(71), unique=True),
    Column("gate", json_value()),
    UniqueConstraint("run", "node", name="nodes_once_a_run"),
)

verdicts = Table(
    # What people said at gates: one of them once a gate.
    "verdicts",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("node", ForeignKey("nodes.seq", ondelete="CASCADE"), nullable=False),
    Column("by", String, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Column("act", String, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("node", "by", name="verdicts_once_a_person"),
)

evidence = Table(
    # Results from runners that had lost their lease: kept, and without effect on anything settled.
    "evidence",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("run", String(100), nullable=False, index=True),
    Column("token", Integer, nullable=False),
    Column("what", String, nullable=False),
    Column("target", String),
    Column("phase", String),
    Column("step", String),
    Column("attempt", Integer),
    Column("state", String, nullable=False),
    Column("detail", json_value(), nullable=False),
    Column("at", Instant, nullable=False),
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("considered_from", Instant, nullable=False),
    Column("considered_until", Instant, nullable=False),
    Column("lost_until", Instant),
)

decisions = Table(
    "decisions",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("schedule", String, nullable=False),
    Column("first", Instant, nullable=False),
    Column("last", Instant, nullable=False),
    Column("times", Integer, nullable=False),
    Column("verdict", String, nullable=False),
    Column("reason", String),
    Column("run", String(100)),
    Column("decided_at", Instant, nullable=False),
    # Each due instant is decided once.
    UniqueConstraint("schedule", "first", name="decisions_once_an_instant"),
    Index("decisions_by_last", "schedule", "last"),
    Index("decisions_by_day", "verdict", "first"),
)

acts = Table(
    "acts",
    metadata,
    Column("name", String, primary_key=True),
    Column("state", String),
    Column("reason", String),
    Column("message", Text),
    Column("action", String),
    Column("requested_by", String),
    Column("run", String(100), index=True),
    Column("digest", String),
    Column("first_seen", Instant, nullable=False),
    Column("settled_at", Instant),
)

watches = Table(
    # Which ends of runs set which trigger off: a row a job (empty: any) and state. Replaced with every commit in force.
    "watches",
    metadata,
    Column("trigger", String, primary_key=True),
    Column("workflow", Boolean, primary_key=True),
    Column("job", String, primary_key=True),
    Column("state", String, primary_key=True),
    sqlite_with_rowid=False,
)

events = Table(
    # What set triggers off, and what became of it. A key is taken once, so that a delivery sent again is known.
    "events",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("trigger", String, nullable=False),
    Column("key", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("type", String),
    Column("delivery", String),
    Column("arrived_at", Instant, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String),
    Column("message", Text),
    Column("run", String(100)),
    Column("dedupe", String),
    # How many: of refused requests that nobody signed, those of an hour are one.
    Column("times", Integer, nullable=False, default=1, server_default="1"),
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
    Column("commit", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("verdict", String, nullable=False),
    Column("detail", json_value(), nullable=False),
    sqlite_autoincrement=True,
)

runners = Table(
    "runners",
    metadata,
    Column("name", String, primary_key=True),
    Column("pool", String, nullable=False),
    Column("host", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("lease_until", Float),
    Column("version", String),
    Column("seen_at", Instant),  # its last sign of life, by the wall clock
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Seq, primary_key=True, autoincrement=True),
    Column("topic", String, nullable=False),
    Column("key", String, nullable=False),
    sqlite_autoincrement=True,
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", json_value()),
)
