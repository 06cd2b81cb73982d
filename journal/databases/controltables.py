"""The tables by which controllers and runners of one database find each other."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKeyConstraint, Index, LargeBinary, Table

from journal.databases.tables import Characters, Instant, metadata

leadership = Table(
    # One row a role: who leads. A token is never used twice.
    "leadership",
    metadata,
    Column("role", Characters, primary_key=True),
    Column("holder", Characters, nullable=False),
    Column("host", Characters, nullable=False),
    Column("version", Characters, nullable=False),
    Column("since", Instant, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("lease_until", Float),  # null: it was given up
)

controllers = Table(
    # Who is at work, whether it leads or stands by.
    "controllers",
    metadata,
    Column("name", Characters, primary_key=True),
    Column("host", Characters, nullable=False),
    Column("version", Characters, nullable=False),
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("lease_until", Float, nullable=False),
)

files = Table(
    # Of the repository: what runners asked for, and what a controller, which has the repository, answered.
    "files",
    metadata,
    Column("commit", Characters, primary_key=True),
    Column("folder", Boolean, primary_key=True),
    Column("path", Characters, primary_key=True),
    Column("used_at", Instant, nullable=False),
    Column("answered", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary),
    Column("trouble", Characters),  # of a large file: what programs read that know nothing of parts
    Column("parts", BigInteger),  # how many the data lies in; null: it is in `data`
)
file_parts = Table(
    # Of large ones: each part is written by a transaction of its own, before the answer, so that others write between.
    "file_parts",
    metadata,
    Column("commit", Characters, primary_key=True),
    Column("folder", Boolean, primary_key=True),
    Column("path", Characters, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    # What was left behind half written goes with the question.
    ForeignKeyConstraint(
        ["commit", "folder", "path"], [files.c.commit, files.c.folder, files.c.path], ondelete="CASCADE"
    ),
)
_UNANSWERED = files.c.answered.is_(False)
Index("files_unanswered", files.c.used_at, sqlite_where=_UNANSWERED, postgresql_where=_UNANSWERED)
