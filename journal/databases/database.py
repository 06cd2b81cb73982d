"""The port to a store: what the journal needs of a database besides SQL that all of them know."""

from collections.abc import Callable, Mapping
from typing import Protocol

from sqlalchemy import Connection, Engine, Table

from journal.databases.leaseclock import LeaseClock


class Listener(Protocol):
    """What is heard is a hint: some of it may never come."""

    def listen(self) -> None:
        """Begin, where it has not yet. One call at a time."""
        ...

    def close(self) -> None:
        """End the thread, and wait for it."""
        ...


class Database(Protocol):
    """One place that holds a journal.

    Transactions of `writing` are serialised: one that has begun is the only one of all processes until it ends, and
    reads whatever was committed before it began. Those of `reading` see one moment and refuse to write. A thread
    keeps its own connection.
    """

    writing: Engine
    reading: Engine
    lease_clock: LeaseClock | None
    """The one that all have who share the journal. None: the machine's own, and they are all on it."""

    @property
    def place(self) -> str:
        """How messages name it; without a password."""
        ...

    @property
    def elsewhere(self) -> str:
        """What to do where something else is kept there, as the end of a message."""
        ...

    def check(self, connection: Connection) -> None:
        """Refuse what is damaged, or not fit to hold a journal. Called outside of a transaction."""
        ...

    def guard(self, refuse: Callable[[Mapping[str, str]], object]) -> None:
        """From now on call `refuse` with what `meta` says at the beginning of each transaction of `writing`, in its
        turn. Where it raises, the transaction has not begun."""
        ...

    def mark(self, connection: Connection) -> int:
        """Taken before a transaction begins, for `changed`."""
        ...

    def ending(self, connection: Connection, *, told: bool | None) -> None:
        """The transaction will be committed next, and `changed` asked for afterwards.

        `told`: whether somebody who works may have something new to do by what it has told of; None: of nothing.
        """
        ...

    def changed(self, connection: Connection, mark: int) -> bool:
        """Whether the transaction that was committed last had changed anything."""
        ...

    def alone(self, connection: Connection) -> bool:
        """Whether no other process has the journal open, and none will open it to write before this transaction ends.

        Of processes of this machine that share a file, the lock of its folder speaks.
        """
        ...

    def patient(self, connection: Connection) -> None:
        """Let this transaction take as long as it does: it moves or alters tables of any size."""
        ...

    def numbered(self, connection: Connection, table: Table) -> int:
        """The highest number that the table ever gave to a row, or at least the highest there is; 0: none."""
        ...

    def number_after(self, connection: Connection, table: Table, last: int) -> None:
        """Give none of the numbers up to `last` to a new row: a cursor may have passed them."""
        ...

    def listener(self, heard: Callable[[bool], object]) -> Listener | None:
        """What calls `heard` after commits of other processes that have told the outbox of
        an object, with their `told`. None: they have to be polled for."""
        ...

    def close(self) -> None:
        """End its connections; those in use by a thread end with it."""
        ...
