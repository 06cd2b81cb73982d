"""The right to write about a run."""

from dataclasses import dataclass

from engine.identity import RunId


@dataclass(frozen=True, slots=True)
class Fence:
    """A run and the token of the claim that holds it; every claim has a higher one."""

    run: RunId
    token: int
