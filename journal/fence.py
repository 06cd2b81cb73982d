"""The right to write about a run."""

from dataclasses import dataclass

from sqlalchemy import BindParameter, ColumnElement, exists, literal, or_

from engine.identity import RunId
from engine.states import RunState
from journal.databases.tables import runs
from journal.slicetables import slices


@dataclass(frozen=True, slots=True)
class Fence:
    """A run and the token of the claim that holds it, or a slice of it; every claim has a higher one."""

    run: RunId
    token: int


def holds(token: BindParameter[int]) -> ColumnElement[bool]:
    """Of a row of `runs`: it is worked on, and the token is of its claim or of one of its slices.

    Whoever takes a slice away raises the run's token too: the last one given must not outlive its slice there.
    """
    of_slice = exists(literal(1)).where(slices.c.run == runs.c.seq, slices.c.token == token)
    return (runs.c.state == RunState.RUNNING.value) & or_(runs.c.token == token, of_slice)
