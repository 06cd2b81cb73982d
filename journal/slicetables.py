"""The tables of runs that several runners work on together; what they hold of a run goes when it has ended (ADR 0058).

A spread is the run's one coordinating record. A slice is what one runner holds of it: under a token of its own, as many
targets at a time as it has places.
"""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, Table, false

from journal.databases.tables import Characters, metadata

spreads = Table(
    "spreads",
    metadata,
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("max_parallel", Integer, nullable=False),
    Column("allowed", Integer),  # how many may fail; null: any number
    Column("pause", Float, nullable=False),  # seconds between two batches
    # The batch whose targets may begin, by the lease clock not before `opens_at`.
    Column("batch", Integer, nullable=False),
    Column("opens_at", Float),
    Column("failed", Integer, nullable=False),  # of all targets, those that have or will
    Column("good", Boolean, nullable=False),  # whether any of the open batch did not fail
    Column("halt", Characters),  # why no other target begins
    sqlite_with_rowid=False,
)

slices = Table(
    "slices",
    metadata,
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("token", Integer, primary_key=True),
    Column("runner", Characters, nullable=False),
    Column("lease_until", Float, nullable=False),
    Index("slices_by_runner", "runner"),
    sqlite_with_rowid=False,
)

slice_targets = Table(
    # Targets that have not ended: in a slice, or waiting for one.
    "slice_targets",
    metadata,
    Column("run", ForeignKey("runs.seq", ondelete="CASCADE"), primary_key=True),
    Column("target", Characters, primary_key=True),
    Column("number", Integer, nullable=False),  # its place in the plan
    Column("batch", Integer, nullable=False),
    Column("token", Integer),  # of the slice that it is in
    Column("begun", Boolean, nullable=False, default=False, server_default=false()),
    Column("failing", Boolean, nullable=False, default=False, server_default=false()),  # it will not succeed any more
    Column("lost", Integer, nullable=False, default=0, server_default="0"),  # with so many runners
    sqlite_with_rowid=False,
)
Index("slice_targets_in_order", slice_targets.c.run, slice_targets.c.batch, slice_targets.c.number)
_HELD = slice_targets.c.token.is_not(None)
Index(
    "slice_targets_held",
    slice_targets.c.run,
    slice_targets.c.token,
    sqlite_where=_HELD,
    postgresql_where=_HELD,
)
