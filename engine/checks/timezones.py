"""Names of time zones. Apart from the times: every Project may name one, and cron and rrule take long to load."""

import re
from collections.abc import Iterator, Mapping
from functools import cache

from engine.checks.scope import Path, Scope
from engine.times import zones
from schemas.diagnostic import Diagnostic
from schemas.guesses import Names
from schemas.project import Project
from schemas.reader import Authored

_DISTANCE = re.compile(
    r"(?:Etc/)?(?:GMT|UTC|UT|Z)? ?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", re.ASCII | re.IGNORECASE
)
"""How far from UTC, as no zone is named: the name most like it would be that of another time."""


def about(authored: Authored, _: Scope) -> Iterator[Diagnostic]:
    if isinstance(authored.document, Project):
        yield from zone(authored, authored.document.spec.defaults.time_zone, ("spec", "defaults", "timeZone"))


def zone(authored: Authored, name: str | None, path: Path) -> Iterator[Diagnostic]:
    """A finding where a name is no time zone."""
    if name is None or is_zone(name):
        return
    if (distance := _DISTANCE.fullmatch(name)) is not None:
        yield Diagnostic(authored.span(*path), "OC501", f"'{name}' is not a time zone", _named(distance))
        return
    folded, known = _known()
    near = known.near(name[:80].lower().replace(" ", "_"), 0.7)
    hint = f"did you mean '{folded[near]}'?" if near else "write an IANA name, as in Europe/Chisinau or UTC"
    yield Diagnostic(authored.span(*path), "OC501", f"'{name}' is not a time zone", hint)


def _named(distance: re.Match[str]) -> str:
    hint = "write an IANA name, as in Europe/Chisinau, which knows when clocks change"
    hours = int(distance["hours"])
    east = distance["sign"] == "+"
    fixed = f"Etc/GMT{'-' if east else '+'}{hours}"
    if hours == 0 or int(distance["minutes"] or 0) or not is_zone(fixed):
        return f"{hint}, or UTC"
    ahead = "ahead of" if east else "behind"
    return f"{hint}; always {hours} h {ahead} UTC is '{fixed}': in these names the sign is the other way round"


@cache
def _known() -> tuple[Mapping[str, str], Names]:
    folded = {known.lower(): known for known in zones.names()}
    return folded, Names(folded)


def is_zone(name: str) -> bool:
    """Whether a name is one of the IANA time zones."""
    try:
        zones.zone(name)
    except ValueError:
        return False
    return True
