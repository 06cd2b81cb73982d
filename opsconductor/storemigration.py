"""`store migrate`: the engine's store from its state folder into PostgreSQL, and back."""

from collections.abc import Iterator
from contextlib import contextmanager

from journal import leadership
from journal.databases import transfer
from journal.databases.database import Database
from journal.databases.transfer import Moved
from journal.store import database_of
from opsconductor.exits import UsageError
from opsconductor.lock import held
from opsconductor.settings import StateFolder
from reconciler.publication import claim, owner, rebuild


def to_database(state: StateFolder, url: str) -> Moved:
    """Take the store of the folder along. Raises UsageError where there is none, or the URL is no server's."""
    server = _server(url)
    if not state.journal.exists():
        raise UsageError(f"{state.root} is not an engine's state folder; name its SOURCE or --state")
    with _both(state, server) as (folder, server):
        own = claim.engine_id(owner.machine_id(), str(state.root))
        return transfer.move(folder, server, lambda _, to: rebuild.was(to, own))


def to_folder(state: StateFolder, url: str) -> Moved:
    """Take the store of the database into the folder, which is made where it is not there."""
    with _both(state, _server(url)) as (folder, server):
        return transfer.move(server, folder, lambda of, to: rebuild.was(to, leadership.engine_id(of)))


def _server(url: str) -> Database:
    if not url.startswith(("postgresql:", "postgres:")):
        raise UsageError("--database: it begins with postgresql://, as in postgresql://ops@db.example.org/opsconductor")
    return database_of(url)


@contextmanager
def _both(state: StateFolder, server: Database) -> Iterator[tuple[Database, Database]]:
    state.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with held(state.lock):
        folder = database_of(f"sqlite:///{state.journal}")
        try:
            yield folder, server
        finally:
            folder.close()
            server.close()
