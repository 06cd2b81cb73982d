"""How long each page of the dashboard takes, with a hundred thousand runs and a gigabyte of logs in the store."""

import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from journal.store import Journal
from reconciler.schedules import Schedules
from tests.catalogs import HEAD, PROJECT, catalog, local_target
from tests.performance.fleet import COMMIT, PlayedClock, Player
from tests.performance.installed_engine import MAIN, Source
from tests.performance.measuring import milliseconds, percentile
from tests.performance.table import Row, Verdict

RUNS = 100_000
JOBS = 200
GOAL = 0.1
"""Seconds that 95 of a hundred answers take at most."""
_LOGS, _LOG = 16, 64 << 20
"""Logs of a gigabyte together, each as long as a step's log can be."""
_EVERYWHERE = 20
"""Runs of the job that runs on all targets."""
_SINCE = timedelta(days=30)
_ROUNDS = 40
_LIMIT = 300


async def rows(folder: Path) -> list[Row]:
    source, state = Source(folder / "source.git"), folder / "state"
    texts = _documents(datetime.now(UTC) - _SINCE)
    source.push(MAIN, source.commit(MAIN, {"opsconductor.yaml": PROJECT, **_files(texts)}))
    state.mkdir()
    largest = await _filled(state, texts)
    async with _shown(source, state, folder / "up.log") as shown:
        return await asyncio.to_thread(_measured, shown, largest)


def _documents(begin: datetime) -> list[str]:
    starts = begin.strftime("%Y-%m-%dT%H:%M:%SZ")
    found = [
        "kind: NotificationChannel\nmetadata: {name: team}\nspec: {type: webhook, url: 'https://ops.example.org/in'}\n",
        "kind: NotificationRule\nmetadata: {name: failures}\nspec: {events: [run.failed], channels: [team]}\n",
        *_job("everywhere", "{selector: {matchLabels: {role: web}}}", starts),
    ]
    for number in range(JOBS):
        hosts = [f"web-{number:03}-{half}" for half in ("a", "b")]
        found += [local_target(host, "{role: web}") for host in hosts]
        found += _job(f"rotate-{number:03}", f"{{names: [{', '.join(hosts)}]}}", starts)
    return found


def _job(name: str, targets: str, starts: str) -> tuple[str, str]:
    return (
        f"kind: Job\nmetadata: {{name: {name}}}\nspec:\n  targets: {targets}\n  steps:\n"
        '    - {id: space, run: df, outputs: {used: "${{ int(stdout) }}"}}\n    - {id: rotate, run: logrotate}\n',
        f"kind: Schedule\nmetadata: {{name: {name}-often}}\nspec: {{jobRef: {name}, every: 85m, startAt: {starts}}}\n",
    )


def _files(texts: list[str]) -> dict[str, str]:
    return {f"definitions/{number:04}.yaml": HEAD + text for number, text in enumerate(texts)}


# --- the store ----------------------------------------------------------------------------------------------------


async def _filled(state: Path, texts: list[str]) -> str:
    """A run of each job by the real functions, copied until there are enough; gives the run with the large logs."""
    clock = PlayedClock(datetime.now(UTC) - _SINCE)
    file = state / "journal.sqlite3"
    journal = Journal.open(f"sqlite:///{file}", clock=clock)
    try:
        schedules = Schedules(journal)
        await schedules.adopt(catalog(*texts, commit=COMMIT), clock.now())
        assert schedules.next_due is not None
        clock.advance((schedules.next_due - clock.now()).total_seconds() + 0.1)
        await schedules.decide(clock.now())
        player = Player(journal, clock)
        while claims := await player.claim(50):
            clock.advance(2)
            await player.finish(claims)
    finally:
        await journal.close()
    with closing(sqlite3.connect(file)) as connection:
        return _copied(connection, state / "logs")


def _copied(connection: sqlite3.Connection, logs: Path) -> str:
    first, last, most = connection.execute("SELECT min(seq), max(seq), max(s) FROM runs, "
                                           "(SELECT max(seq) AS s FROM steps)").fetchone()  # fmt: skip
    assert last - first + 1 == JOBS + 1
    times = RUNS // JOBS
    apart = int(_SINCE.total_seconds() * 1e6) // times
    connection.executescript(f"""
        CREATE TEMP TABLE copies AS
            WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {times - 1}) SELECT n FROM c;
        CREATE TEMP TABLE pairs AS SELECT r.seq AS old, r.seq + copies.n * {last + 1} AS new, copies.n AS n,
            copies.n * {apart} AS later, (r.seq * 7 + copies.n) % 17 = 0 AS bad
            FROM runs AS r, copies WHERE r.job <> 'everywhere' OR copies.n <= {_EVERYWHERE};
    """)
    later = {"queued_at", "started_at", "finished_at", "ended_at", "starts_at"}
    for table, key, owner in (("runs", "seq", "seq"), ("run_targets", None, "run"), ("steps", "seq", "run")):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        values = {name: f"t.{name}" for name in columns} | {name: f"t.{name} + later" for name in later & {*columns}}
        values[owner] = "new"
        if table == "runs":
            values |= {
                "id": "substr(t.id, 1, length(t.id) - 10) || printf('%010x', new)",
                "cause_key": "t.cause_key || '-' || n",
                "state": "iif(bad, 'failed', t.state)",
            }
        elif key is not None:
            values[key] = f"t.{key} + n * {most + 1}"
        if table == "steps":
            values |= {
                "state": "iif(bad AND t.step = 'rotate', 'failed', t.state)",
                "error": "iif(bad AND t.step = 'rotate', 'exit code 1', t.error)",
            }
        if table == "run_targets":
            values["state"] = "iif(bad, 'failed', t.state)"
        names = ", ".join(f'"{name}"' for name in columns)
        shown = ", ".join(values[name].replace("t.commit", 't."commit"') for name in columns)
        connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {shown} FROM pairs JOIN {table} AS t ON t.{owner} = old"
        )
    connection.commit()
    (largest,) = connection.execute("SELECT id FROM runs WHERE job = 'everywhere' ORDER BY seq DESC LIMIT 1").fetchone()
    _write_logs(connection, logs, largest)
    return str(largest)


def _write_logs(connection: sqlite3.Connection, logs: Path, run: str) -> None:
    day = run.rpartition("-")[0].rpartition("-")[2][:8]
    place = logs / day[:4] / day[4:6] / day[6:] / run
    line = b"\x1b[32m2026-11-21T00:15:00Z\x1b[0m rotated /var/log/nginx/access.log.1 in 12 ms, 18 MiB are free now\n"
    portion = line * ((1 << 20) // len(line))
    names = connection.execute("SELECT DISTINCT target FROM run_targets JOIN runs ON runs.seq = run WHERE id = ? "
                               "ORDER BY target LIMIT ?", (run, _LOGS))  # fmt: skip
    for (target,) in names.fetchall():
        (place / target).mkdir(parents=True)
        with (place / target / "steps.rotate.1.log").open("wb") as file:
            for _ in range(_LOG // len(portion)):
                file.write(portion)


# --- the pages ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shown:
    """The pages at HOST:PORT, and the process that shows them."""

    place: str
    pid: int

    def processor(self) -> float:
        """Seconds of processor time that its threads have had so far (proc(5), schedstat)."""
        spent = (file.read_text().split()[0] for file in Path(f"/proc/{self.pid}/task").glob("*/schedstat"))
        return sum(int(nanoseconds) for nanoseconds in spent) / 1e9


@asynccontextmanager
async def _shown(source: Source, state: Path, log: Path) -> AsyncIterator[_Shown]:
    """The installed program's pages, while it only watches."""
    program = Path(sys.executable).with_name("opsconductor")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            str(program), "up", str(source.path), "--state", str(state), "--paused", "--log-format", "json",
            "--dashboard", "127.0.0.1:0", stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with asyncio.timeout(_LIMIT):
            while not (place := _place(log)) or not await asyncio.to_thread(_in_force, place):
                if process.returncode is not None:
                    raise RuntimeError(f"the engine ended with code {process.returncode}:\n{log.read_text()[-2000:]}")
                await asyncio.sleep(0.1)
        yield _Shown(place, process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def _place(log: Path) -> str | None:
    said = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    found = (one["address"] for one in said if one.get("event") == "the dashboard listens")
    return next((urlsplit(address).netloc for address in found), None)


def _in_force(place: str) -> bool:
    _, answer = _get(HTTPConnection(place, timeout=_LIMIT), "/api/v1/now")
    return json.loads(answer)["sync"]["appliedCommit"] is not None


def _get(connection: HTTPConnection, path: str) -> tuple[float, bytes]:
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:500]!r}")
    return took, body


def _pages(largest: str) -> Iterator[tuple[str, str]]:
    """What each is called in the table, and its address."""
    log = f"/runs/{largest}/log?target=web-000-a&step=rotate"
    yield from (
        ("now", "/"), ("grid, a day", "/grid"), ("grid, 30 days", "/grid?range=30d"), ("schedule", "/schedule"),
        ("schedule.ics", "/schedule.ics"), ("a job", "/jobs/rotate-007"), ("a job on 400 targets", "/jobs/everywhere"),
        ("a run on 400 targets", f"/runs/{largest}"), ("the end of a log of 64 MiB", log),
        ("its middle", f"{log}&line=300000"), ("its logs", f"/runs/{largest}/logs"), ("the newest runs", "/runs"),
        ("older runs", f"/runs?before={largest}"), ("targets", "/targets"), ("a target", "/targets/web-007-a"),
        ("sync", "/sync"), ("health", "/health"), ("kinds", "/kinds"), ("all jobs", "/kinds/Job"),
        ("a document", "/kinds/Job/rotate-007"), ("a search", "/kinds?q=rotate-1"), ("wallboard", "/wallboard"),
        ("feed", "/feed.atom"), ("badge", "/badge/rotate-007.svg"), ("metrics", "/metrics"),
    )  # fmt: skip


def _measured(shown: _Shown, largest: str) -> list[Row]:
    """Every page once, then all in turn."""
    connection = HTTPConnection(shown.place, timeout=_LIMIT)
    pages = dict(_pages(largest))
    first = {name: _get(connection, path)[0] for name, path in pages.items()}
    taken: dict[str, list[float]] = {name: [] for name in pages}
    spent: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(_ROUNDS):
        for name, path in pages.items():
            before = shown.processor()
            taken[name].append(_get(connection, path)[0])
            spent[name].append(shown.processor() - before)
    return [_row(name, first[name], taken[name], median(spent[name])) for name in pages]


def _row(name: str, first: float, taken: list[float], spent: float) -> Row:
    most = percentile(taken, 95)
    return Row(
        f"page with {RUNS:,} runs in the store: {name}",
        f"p50 {milliseconds(median(taken))}, p95 {milliseconds(most)}",
        f"the first time {milliseconds(first)}; processor time {milliseconds(spent)}",
        goal=f"p95 at most {milliseconds(GOAL)}",
        verdict=Verdict.of(most <= GOAL),
    )
