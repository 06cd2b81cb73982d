"""`python scheduler_peers.py LOADED DUE FOLDER`: croniter and APScheduler doing the same as we.

Runs in an environment of its own, where nothing of ours is; says one line of JSON.
"""

import json
import logging
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from croniter import croniter

ZONE = ZoneInfo("Europe/Chisinau")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).astimezone(ZONE)
CRON = "15 2 * * *"
_ROUNDS = 2000


def nothing() -> None:
    """What the jobs do."""


def _each(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        step()
    return (time.perf_counter() - began) / _ROUNDS


def _next_fires() -> dict[str, float]:
    trigger, found = CronTrigger.from_crontab(CRON, timezone=ZONE), NOON

    def theirs() -> None:
        nonlocal found
        found = trigger.get_next_fire_time(found, found)

    walk = croniter(CRON, NOON)
    return {"croniter": _each(lambda: walk.get_next(datetime)), "apscheduler": _each(theirs)}


def _paused(store: Any) -> BackgroundScheduler:
    scheduler = BackgroundScheduler(jobstores={"default": store}, executors={"default": DebugExecutor()}, timezone=ZONE)
    scheduler.start(paused=True)
    return scheduler


def _loaded(count: int) -> dict[str, float]:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    scheduler = _paused(MemoryJobStore())
    for number in range(count):
        trigger = CronTrigger.from_crontab(f"{number * 7 % 60} {number % 12} * * *", timezone=ZONE)
        scheduler.add_job(nothing, trigger, id=f"load-{number}")
    seconds = time.perf_counter() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    scheduler.shutdown()
    return {"loaded": seconds, "memory": grown * 1024}


def _due(count: int, folder: Path) -> dict[str, float]:
    """Seconds until all that are due at one time have been handed to the executor, and their next times are stored."""
    scheduler = _paused(SQLAlchemyJobStore(url=f"sqlite:///{folder / 'apscheduler.sqlite3'}"))
    due = datetime.now(ZONE) - timedelta(seconds=1)
    for number in range(count):
        trigger = CronTrigger.from_crontab("0 2 * * *", timezone=ZONE)
        scheduler.add_job(nothing, trigger, id=f"due-{number}", misfire_grace_time=None, next_run_time=due)
    scheduler.state = 1  # running; its thread sleeps until the next time it knows of
    began = time.perf_counter()
    scheduler._process_jobs()
    seconds = time.perf_counter() - began
    scheduler.shutdown()
    return {"due": seconds}


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    figures = _next_fires() | _loaded(int(sys.argv[1])) | _due(int(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps(figures), flush=True)
