"""Where marks stand in drawings, in per cent of the width or in pixels. Pure."""

from datetime import datetime

HIGH = 24.0
"""Pixels of the tallest bar of a row."""
_LOW = 3.0


def across(instant: datetime, begin: datetime, end: datetime) -> float:
    """Where an instant stands between two others, in per cent; what lies beyond stands at the edge."""
    share = (instant - begin) / (end - begin)
    return round(100 * min(max(share, 0.0), 1.0), 3)


def tall(seconds: float | None, usual: float | None, full: float = HIGH) -> float:
    """The height of a bar, in pixels: half of `full` for what takes as long as usual, and for what nobody can tell."""
    if seconds is None or not usual:
        return round(full / 2, 1)
    return round(min(max(full * seconds / usual / 2, _LOW), full), 1)
