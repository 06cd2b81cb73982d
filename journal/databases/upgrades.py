"""Tables made in an empty database, and brought from the version of an older program to this one's."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, delete, insert, inspect, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from journal.counts import counts
from journal.databases.controltables import controllers, file_parts, files, leadership
from journal.databases.database import Database
from journal.databases.noticetables import BESIDE_A_BACKLOG, channels, messages, notices, tallies
from journal.databases.tables import (
    COMPATIBLE,
    PRODUCT,
    RUNS_FAILED,
    RUNS_IN_LINE,
    RUNS_LATER,
    RUNS_NEEDY,
    VERSION,
    commits,
    discoveries,
    events,
    meta,
    metadata,
    nodes,
    run_targets,
    runs,
    steady_uses,
    uses,
    verdicts,
    watches,
)
from journal.errors import Refused
from journal.names import names
from journal.slicetables import slice_targets, slices, spreads

LEFT = "movedTo"
"""The key in `meta` of where the journal was moved to."""


def _executing(*statements: str) -> Callable[[Connection], object]:
    return lambda connection: [connection.exec_driver_sql(statement) for statement in statements]


def _with_workflows(connection: Connection) -> None:
    _executing(
        "ALTER TABLE runs ADD COLUMN workflow BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE runs ADD COLUMN parent VARCHAR(100)",
    )(connection)
    metadata.create_all(connection, tables=[nodes, verdicts])
    next(index for index in runs.indexes if index.name == "runs_by_parent").create(connection)


def _with_queues(connection: Connection) -> None:
    _executing(
        "ALTER TABLE runs ADD COLUMN on_conflict VARCHAR",
        "ALTER TABLE runs ADD COLUMN max_queue INTEGER",
        "DROP INDEX runs_open_by_group",
    )(connection)
    RUNS_IN_LINE.create(connection)
    RUNS_LATER.create(connection)


def _with_controllers(connection: Connection) -> None:
    metadata.create_all(connection, tables=[leadership, files])
    _executing(
        "ALTER TABLE runners ADD COLUMN version VARCHAR",
        "ALTER TABLE runners ADD COLUMN seen_at BIGINT",
    )(connection)


def _with_proofs(connection: Connection) -> None:
    """Who voted was proven by nothing before; a journal that came here from before 6 has the column already."""
    if all(column["name"] != "proven" for column in inspect(connection).get_columns("verdicts")):
        _executing("ALTER TABLE verdicts ADD COLUMN proven BOOLEAN NOT NULL DEFAULT false")(connection)


def _with_signs_of_life(connection: Connection) -> None:
    metadata.create_all(connection, tables=[controllers])
    _executing(
        "ALTER TABLE runners ADD COLUMN shown_until DOUBLE PRECISION",
        "ALTER TABLE runners ADD COLUMN runs INTEGER",
        "ALTER TABLE runners ADD COLUMN capacity INTEGER",
        "ALTER TABLE runners ADD COLUMN labels JSON",
    )(connection)


def _with_names(connection: Connection) -> None:
    kind = runs.c.known_as.type.compile(connection.dialect)
    _executing(
        f"ALTER TABLE runs ADD COLUMN known_as {kind} NOT NULL DEFAULT ''",
        "UPDATE runs SET known_as = job",
        "DROP INDEX runs_by_job",
    )(connection)
    next(index for index in runs.indexes if index.name == "runs_by_name").create(connection)


def _with_ledger(connection: Connection) -> None:
    """What runs know of former names is where it begins: as of one change of names, since nobody knows the order.

    Whose a name was last, its newest run says. The table is changed last, since PostgreSQL lets nobody read it then.
    """
    metadata.create_all(connection, tables=[names])
    _executing(
        "INSERT INTO names (kind, name, since, until, today)"
        " SELECT CASE WHEN workflow THEN 'Workflow' ELSE 'Job' END, job, 0, 1, known_as FROM runs WHERE seq IN"
        " (SELECT max(seq) FROM runs WHERE NOT inline AND known_as <> job GROUP BY workflow, job)",
        "ALTER TABLE runs ADD COLUMN naming INTEGER",
    )(connection)


def _with_backlogs(connection: Connection) -> None:
    for index in BESIDE_A_BACKLOG:
        index.create(connection, checkfirst=True)  # the tables of 9 are made with all of them


def _with_parts(connection: Connection) -> None:
    """A journal that came here from before 11 has the column already."""
    if all(column["name"] != "parts" for column in inspect(connection).get_columns("files")):
        _executing("ALTER TABLE files ADD COLUMN parts BIGINT")(connection)
    metadata.create_all(connection, tables=[file_parts])


def _with_needs(connection: Connection) -> None:
    kind = runs.c.needs.type.compile(connection.dialect)
    _executing(f"ALTER TABLE runs ADD COLUMN needs {kind}")(connection)
    RUNS_NEEDY.create(connection)


def _with_slices(connection: Connection) -> None:
    kind = run_targets.c.runner.type.compile(connection.dialect)
    _executing(f"ALTER TABLE run_targets ADD COLUMN runner {kind}")(connection)
    metadata.create_all(connection, tables=[spreads, slices, slice_targets])


def _with_recipients(connection: Connection) -> None:
    """A journal that came here from before 9 has the column already."""
    if all(column["name"] != "reached" for column in inspect(connection).get_columns("messages")):
        _executing("ALTER TABLE messages ADD COLUMN reached JSON")(connection)


_OF_9 = [commits, notices, tallies, messages, channels, counts]
_UPGRADES: dict[int, Callable[[Connection], object]] = {
    2: _executing("ALTER TABLE runs ADD COLUMN message TEXT"),
    3: _executing(
        "ALTER TABLE steps ADD COLUMN again BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE steps ADD COLUMN rescued BOOLEAN NOT NULL DEFAULT false",
        "ALTER TABLE run_targets ADD COLUMN reason VARCHAR",
    ),
    4: _executing("ALTER TABLE steps ADD COLUMN inherited BOOLEAN NOT NULL DEFAULT false"),
    5: _executing("ALTER TABLE runs ADD COLUMN rehearsal JSON"),
    6: _with_workflows,
    7: lambda connection: metadata.create_all(connection, tables=[watches, events]),
    8: _with_queues,
    9: lambda connection: metadata.create_all(connection, tables=_OF_9),
    10: lambda connection: metadata.create_all(connection, tables=[uses]),
    11: _with_controllers,
    12: _with_proofs,
    13: lambda connection: metadata.create_all(connection, tables=[steady_uses]),
    14: _with_signs_of_life,
    15: _with_names,
    16: lambda connection: metadata.create_all(connection, tables=[discoveries]),
    17: _with_ledger,
    18: _with_backlogs,
    19: _with_parts,
    20: _with_needs,
    21: RUNS_FAILED.create,
    22: _with_slices,
    23: _with_recipients,
}
"""How a journal of the version before becomes one of this version. PostgreSQL holds none from before 11. Since then the
tables say who may use them."""


def prepare(connection: Connection, database: Database, *, left_is_fine: bool = False) -> None:
    """Create the tables in an empty database, or bring them to this version; within the caller's transaction.

    Raises Refused where something else is kept there, a newer program has made tables that this one cannot use, or
    the journal was moved away (unless `left_is_fine`).
    """
    names = set(inspect(connection).get_table_names())
    if not names:
        metadata.create_all(connection)
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in described().items()])
        return
    known = _known(connection) if "meta" in names else {}
    _refuse(known, database, left_is_fine=left_is_fine)
    if int(known["version"]) < VERSION:
        database.patient(connection)
        for step in range(int(known["version"]) + 1, VERSION + 1):
            _UPGRADES[step](connection)
        connection.execute(delete(meta).where(meta.c.key.in_(described())))
        connection.execute(insert(meta), [{"key": key, "value": value} for key, value in described().items()])


def guarded(database: Database) -> None:
    """Let no transaction begin from now on that is to write and may not any more: it raises Refused.

    A newer program may have changed the tables meanwhile, or somebody has moved the journal away, while this process
    was connected or was not.
    """
    database.guard(lambda known: _refuse(known, database, left_is_fine=False))


def _refuse(known: Mapping[str, str], database: Database, *, left_is_fine: bool) -> None:
    if known.get("product") != PRODUCT or not known.get("version", "").isdigit():
        raise Refused(f"{database.place} is not an OpsConductor journal; {database.elsewhere}")
    version, needed = int(known["version"]), known.get("compatible", known["version"])
    if version > VERSION and (not needed.isdigit() or int(needed) > VERSION):
        raise Refused(
            f"{database.place} was changed by a newer OpsConductor (its tables are version {version}, this program "
            f"knows {VERSION}); run that version here too, or {database.elsewhere}"
        )
    if LEFT in known and not left_is_fine:
        raise Refused(
            f"{database.place} is not used any more: the journal was moved to {known[LEFT]}; go on there, "
            "or take it back with 'opsconductor store migrate'"
        )


def left_for(connection: Connection) -> str | None:
    """Where the journal was moved to; None where it is here."""
    return _said(connection).get(LEFT)


def leave(connection: Connection, place: str) -> None:
    """Let nobody use the journal here any more."""
    connection.execute(insert(meta), {"key": LEFT, "value": place})


def is_own(connection: Connection) -> bool:
    """Whether the tables are of this program's version, and not of a newer one that it may work beside."""
    return _said(connection).get("version") == str(VERSION)


def described() -> dict[str, str]:
    """What the tables say of themselves, in `meta`."""
    return {"product": PRODUCT, "version": str(VERSION), "compatible": str(COMPATIBLE)}


def _known(connection: Connection) -> dict[str, str]:
    try:
        return _said(connection)
    except (OperationalError, ProgrammingError):  # it has other columns
        return {}


def _said(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(select(meta.c.key, meta.c.value))}
