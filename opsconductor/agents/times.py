"""What is next, and why an instant was decided as it was."""

import difflib
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice

from engine.schedules.admission import Admissions
from engine.schedules.fires import fires_of
from opsconductor.agents import answer as a
from opsconductor.agents.answer import Data, Found, NoAnswer, Tool
from opsconductor.agents.sight import Sight
from opsconductor.whyreport import as_data, as_lines
from schemas.quantities import format_instant, parse_duration, parse_instant

_LONGEST = timedelta(days=31)


def next_fires(sight: Sight, asked: Data) -> Found:
    begin = _instant(asked["from"]) if "from" in asked else sight.now.replace(microsecond=0)
    span = _span(asked.get("within", "24h"))
    commit, most, only = sight.head(), asked.get("limit", 50), asked.get("schedule")
    catalog = sight.compiled(commit).catalog
    if catalog is None:
        raise NoAnswer("refused", f"the definitions of commit {commit[:12]} have errors: nothing of it is in force")
    if only is not None and only not in catalog.schedules:
        raise NoAnswer("notFound", f"there is no schedule {only}{_near(only, list(catalog.schedules))}")
    project, admissions = catalog.project.spec, Admissions(catalog)
    # One after another, as they come: a fleet of schedules that fire each second must not be gathered first.
    each = (
        fires_of(
            schedule, begin, begin + span, zone_default=project.defaults.time_zone, suspended=project.suspend,
            admission=admissions.of(name),
        )
        for name, schedule in catalog.live_schedules.items()
        if only in (None, name)
    )  # fmt: skip
    found = list(islice(merge(*each, key=lambda fire: (fire.instant, fire.schedule)), most + 1))
    return Found({
        "commit": commit,
        "from": format_instant(begin),
        "until": format_instant(begin + span),
        "fires": [fire.to_json() for fire in found[:most]],
        "more": len(found) > most,
    })  # fmt: skip


def why(sight: Sight, asked: Data) -> Found:
    inquiry = sight.inquiry()
    schedule = inquiry.now_called(asked["schedule"])
    if not inquiry.knows(schedule):
        raise NoAnswer("notFound", f"there is no schedule {schedule}{_near(schedule, inquiry.names)}")
    instant = _instant(asked["instant"]) if "instant" in asked else None
    answers = inquiry.last_and_next(schedule) if instant is None else (inquiry.answer(schedule, instant),)
    words = [line for one in answers for line in as_lines(one)]
    return Found({
        "schedule": schedule,
        "words": words or ["nothing was decided yet, and nothing is due"],
        "answers": [as_data(one) for one in answers],
    })  # fmt: skip


def _instant(text: str) -> datetime:
    try:
        found = parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise NoAnswer("invalidArguments", f"{text} is no instant: {error}; write 2026-11-22T02:00:00Z") from error
    if not 2000 <= found.year < 9000:
        raise NoAnswer("invalidArguments", "an instant is from the year 2000 on")
    return found


def _span(text: str) -> timedelta:
    try:
        found = parse_duration(text)
    except (ValueError, OverflowError) as error:
        raise NoAnswer("invalidArguments", f"{text} is no duration: {error}; write 24h or 7d") from error
    if found > _LONGEST:
        raise NoAnswer("tooLarge", "'within' is 31d at most")
    return found


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else "; find_documents with kind Schedule lists them"


_INSTANT = {"type": "string", "maxLength": 40}
TOOLS = (
    Tool(
        "next_fires", "What is next", "When schedules fire, in their own zone and in UTC, and what calendars and "
        "windows keep out.", next_fires,
        {
            "schedule": a.said(a.NAME, "Only this one."),
            "from": a.said(_INSTANT, "RFC 3339, as in 2026-11-22T02:00:00Z; now by default."),
            "within": {"type": "string", "maxLength": 20, "description": "24h by default, 31d at most."},
            "limit": a.limit(200, 50),
        },
        {"commit": a.TEXT, "from": a.TEXT, "until": a.TEXT, "fires": a.ROWS, "more": a.YES},
    ),
    Tool(
        "why", "Why it did or did not run", "What was decided for an instant of a schedule, or will be, by which rule "
        "and from which commit; without an instant the last decision and the next.", why,
        {
            "schedule": a.said(a.NAME, "The schedule."),
            "instant": a.said(_INSTANT, "RFC 3339, as in 2026-11-22T02:00:00Z."),
        },
        {"schedule": a.TEXT, "words": a.TEXTS, "answers": a.ROWS},
        needs=("schedule",),
    ),
)  # fmt: skip
