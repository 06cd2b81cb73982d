"""The one table that `make bench` prints."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from enum import Enum

HEADS = ("what", "ours", "beside", "ratio", "goal", "")


class Verdict(Enum):
    """Whether a goal is met. NONE: there is none. UNMEASURED: what it is measured beside could not be had."""

    MET = "met"
    MISSED = "MISSED"
    NONE = ""
    UNMEASURED = "NOT MEASURED"

    @classmethod
    def of(cls, met: bool) -> "Verdict":
        return cls.MET if met else cls.MISSED


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, what it is seen beside in the same run, and what was hoped for."""

    what: str
    ours: str
    beside: str = ""
    ratio: str = ""
    goal: str = ""
    verdict: Verdict = Verdict.NONE

    @property
    def cells(self) -> tuple[str, ...]:
        *texts, verdict = astuple(self)
        return (*texts, verdict.value)


def text(rows: Iterable[Row]) -> str:
    """The rows under their heads, in columns."""
    lines = [HEADS, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "  ".join("-" * width for width in widths).rstrip(), *shown[1:]])
