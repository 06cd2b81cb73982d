"""What time costs: the next fire of a rule, a hundred thousand schedules, ten thousand that are due at once."""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from dateutil.rrule import rrulestr

from engine.times.recurrence import next_due
from schemas.schedule import ScheduleSpec
from tests.performance.measuring import milliseconds, times
from tests.performance.peers import Missing, environment, last_line, run
from tests.performance.table import Row, Verdict

LOADED, DUE = 100_000, 10_000
_PEERS = ("apscheduler>=3.10,<4", "croniter>=6", "sqlalchemy>=2", "tzdata")
_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_DAILY, _LAST_WORKDAY = "FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"
_RULES = {
    "every day since 1970": _DAILY,
    "every seven hours since 1970": "FREQ=HOURLY;INTERVAL=7",
    "the last working day of a month": f"{_LAST_WORKDAY};BYHOUR=18;BYMINUTE=0;BYSECOND=0",
    "every third Tuesday": "FREQ=WEEKLY;INTERVAL=3;BYDAY=TU;BYHOUR=4;BYMINUTE=0;BYSECOND=0",
}
_FIRST = {
    "COUNT=30000 of days": "FREQ=DAILY;COUNT=30000;BYHOUR=6;BYMINUTE=0;BYSECOND=0",
    "BYSETPOS": f"{_LAST_WORKDAY};BYHOUR=17;BYMINUTE=0;BYSECOND=0",
    "a 29 February that is a Monday": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
}
_FIRES = 400


def _spec(**fields: str) -> ScheduleSpec:
    return ScheduleSpec.model_validate({"jobRef": "any", "timeZone": "Europe/Chisinau", **fields})


def _of_rule(rule: str) -> ScheduleSpec:
    return _spec(rrule=rule, startAt=_BEGIN.isoformat())


def _ours(spec: ScheduleSpec) -> float:
    """Seconds of one next fire, in the middle of many one after another; the first is not counted."""
    instant = next_due(spec, _NOW) or _NOW
    taken = []
    for _ in range(_FIRES):
        began = time.perf_counter()
        found = next_due(spec, instant)
        taken.append(time.perf_counter() - began)
        instant = found or _NOW
    return median(taken)


def _theirs(rule: str) -> float:
    """The same question to dateutil, which counts from the beginning each time; asked once."""
    loaded = rrulestr(rule, dtstart=_BEGIN.replace(tzinfo=None))
    return _seconds(lambda: loaded.after(_NOW.replace(tzinfo=None)))


def _seconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _small(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} microseconds" if seconds < 0.001 else milliseconds(seconds)


async def rows(folder: Path) -> list[Row]:
    peers = await _peers(folder)
    return [*_rules(), *_first_looks(), *_cron(peers), *await _many(folder, peers)]


def _rules() -> list[Row]:
    found = []
    for what, rule in _RULES.items():
        ours, theirs = _ours(_of_rule(rule)), _theirs(rule)
        met = Verdict.of(ours <= 0.0002)
        beside, ratio = f"dateutil {_small(theirs)}", f"{times(theirs / ours)} faster"
        found.append(Row(f"next fire of {what}", _small(ours), beside, ratio, "at most 200 microseconds", met))
    return found


def _first_looks() -> list[Row]:
    return [
        Row(
            f"the first look at a rule: {what}",
            _small(_first_look(_of_rule(rule))),
            f"dateutil {_small(_theirs(rule))}",
        )
        for what, rule in _FIRST.items()
    ]


def _first_look(spec: ScheduleSpec) -> float:
    return _seconds(lambda: next_due(spec, _NOW))


def _cron(peers: dict[str, float] | Missing) -> list[Row]:
    ours = _ours(_spec(cron="15 2 * * *"))
    if isinstance(peers, Missing):
        return [Row("next fire of a cron", _small(ours), f"croniter: {peers.reason}", verdict=Verdict.UNMEASURED)]
    return [
        Row("next fire of a cron", _small(ours), f"{name} {_small(peers[key])}", times(peers[key] / ours))
        for name, key in (("croniter", "croniter"), ("APScheduler", "apscheduler"))
    ]


async def _many(folder: Path, peers: dict[str, float] | Missing) -> list[Row]:
    program = (sys.executable, "-m", "tests.performance.many_schedules", str(LOADED), str(DUE), str(folder))
    ours = await _said(program)
    if isinstance(ours, Missing):
        raise RuntimeError(ours.reason)
    beside = {} if isinstance(peers, Missing) else peers
    loaded, due, memory = (beside.get(name) for name in ("loaded", "due", "memory"))
    known = ours["adopted"]
    order = "in due order" if ours["inOrder"] else "OUT OF ORDER"
    return [
        Row(f"{LOADED:,} schedules: read, checked, compiled", f"{ours['read']:.1f} s"),
        Row("the next fire of each known and durable", f"{known:.1f} s (after a restart {ours['restarted']:.1f} s)",
            "APScheduler, in memory only: " + (f"{loaded:.1f} s" if loaded else "?"),
            times(loaded / known) if loaded else ""),
        Row("memory with all of them, documents and all", f"{ours['memory'] / 2**20:.0f} MiB",
            "APScheduler grows by " + (f"{memory / 2**20:.0f} MiB" if memory else "?")),
        Row("a look with nothing due", _small(ours["tick"]), goal="below 1 ms",
            verdict=Verdict.of(ours["tick"] < 0.001)),
        Row(f"{DUE:,} due in one minute: durably queued, p99", f"{ours['p99']:.1f} s, {order}",
            "APScheduler on SQLite, all: " + (f"{due:.1f} s" if due else "?"),
            times(due / ours["p99"]) if due else "", "at most 2 s",
            Verdict.of(ours["p99"] <= 2 and bool(ours["inOrder"]))),
    ]  # fmt: skip


async def _peers(folder: Path) -> dict[str, float] | Missing:
    programs = await environment("schedulers", *_PEERS)
    if isinstance(programs, Missing):
        return programs
    program = Path(__file__).with_name("scheduler_peers.py")
    return await _said((str(programs / "python"), str(program), str(LOADED), str(DUE), str(folder)))


async def _said(command: tuple[str, ...]) -> dict[str, float] | Missing:
    """The figures that a program says as its last line."""
    code, said, complained = await run(*command)
    if code != 0:
        return Missing(f"it ended with code {code}: {last_line(complained)}")
    figures: dict[str, float] = json.loads(said.splitlines()[-1])
    return figures
