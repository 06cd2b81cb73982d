"""Two processes that decide on one journal: each instant and each act has one decision, the first."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.catalog import Catalog
from engine.identity import Cause, RunId, run_id
from engine.judge import Launch, scheduled
from engine.schedules.windows import Windows
from journal import acts, runs, schedules
from journal.clock import SystemClock
from journal.store import Journal
from reconciler.acts.door import Found
from reconciler.acts.requests import Requests
from reconciler.launches import new_run
from reconciler.repository.objects import CommitInfo, Objects
from reconciler.schedules import Schedules
from schemas.quantities import format_instant
from schemas.reader import read
from tests.catalogs import HEAD, catalog, job, local_target

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DUE = T0 + timedelta(seconds=60)


def _catalog() -> Catalog:
    where = "  targets: {names: [here]}\n  concurrency: {onConflict: skip}\n"
    schedule = "kind: Schedule\nmetadata: {name: often}\nspec: {jobRef: greet, every: 1m}\n"
    return catalog(local_target("here"), job("greet", spec=where), schedule)


async def _decider(journal: Journal) -> Schedules:
    found = Schedules(journal)
    await found.adopt(_catalog(), T0)
    return found


async def _holder(journal: Journal) -> RunId:
    """A run that has the slot."""
    launch = scheduled(_catalog(), "often", T0)
    assert isinstance(launch, Launch)
    asked = Cause("request", "before", T0)
    holder = new_run(Launch(run_id("greet", asked), asked, launch.planned, launch.job), _catalog())
    await journal.write(lambda tx: runs.enqueue(tx, holder, T0))
    return holder.id


async def test_an_instant_that_one_process_skipped_is_not_run_by_another(tmp_path: Path) -> None:
    """The slot became free between the two looks; what was decided first stands."""
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    first, second = await _decider(journal), await _decider(journal)
    holder = await _holder(journal)
    with capture_logs() as logged:
        await first.decide(DUE)
    told = {"event": "due instants skipped", "schedule": "often", "reason": "overlap", "count": 1}
    assert [told.items() <= line.items() for line in logged] == [True], "who reads the log alone sees it too"
    await journal.write(lambda tx: runs.cancel(tx, holder, reason=None, by=None, now=DUE))

    await second.decide(DUE + timedelta(seconds=1))

    decision = await journal.read(lambda conn: schedules.decision(conn, "often", DUE))
    assert decision is not None
    assert (decision.decision, decision.reason) == ("skipped", "overlap")
    assert [run.id for run in await journal.read(runs.recent)] == [holder]
    await journal.close()


async def test_a_schedule_that_meets_a_bug_of_ours_keeps_no_other_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it end the engine; what was due is accounted for once it can be decided."""
    where = "  targets: {names: [here]}\n  concurrency: {onConflict: allow}\n"
    due = "kind: Schedule\nmetadata: {name: NAME}\nspec: {jobRef: greet, every: 1m}\n"
    named = [due.replace("NAME", name) for name in ("first", "poison", "second")]
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    found = Schedules(journal)
    await found.adopt(catalog(local_target("here"), job("greet", spec=where), *named), T0)

    def at_fault(catalog: Catalog, name: str, instant: datetime) -> Any:
        if name == "poison":
            raise ZeroDivisionError("a bug")
        return scheduled(catalog, name, instant)

    with monkeypatch.context() as patch:
        patch.setattr("reconciler.schedules.scheduled", at_fault)
        assert await found.decide(DUE) == 2
        assert found.next_due == DUE + timedelta(minutes=1), "it is not asked again at once"

    assert await found.decide(DUE + timedelta(minutes=1)) == 3 + 1
    decision = await journal.read(lambda conn: schedules.decision(conn, "poison", DUE))
    assert decision is not None and decision.decision == "run"
    await journal.close()


async def test_a_process_that_is_behind_does_not_turn_the_clock_back(tmp_path: Path) -> None:
    """What is decided stays considered, whoever writes last."""
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    first, second = await _decider(journal), await _decider(journal)
    await first.decide(DUE + timedelta(seconds=5))
    await second.decide(DUE + timedelta(seconds=1))
    clocks = await journal.read(schedules.clocks)
    assert clocks["often"].considered_until == DUE + timedelta(seconds=5)
    assert len(await journal.read(runs.recent)) == 1
    await journal.close()


class _Asked(Objects):
    """Says who asked; `meanwhile` is what others do until it has."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self._meanwhile = meanwhile

    def introductions(self, head: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
        self._meanwhile()
        return dict.fromkeys(paths, CommitInfo(head, "Ada", "ada@example.org", "Ada", "ada@example.org", T0, (), "ask"))


async def test_each_act_is_judged_by_the_time_that_it_is_by_then(tmp_path: Path) -> None:
    """A freeze that begins while many are judged holds those that come after: it may take minutes to sign them all."""
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    begins = DUE + timedelta(minutes=3)
    times = f"from: {format_instant(begins)}, until: {format_instant(begins + timedelta(hours=1))}"
    free = "  targets: {names: [here]}\n  concurrency: {onConflict: allow}\n"
    freeze = f"kind: Window\nmetadata: {{name: w}}\nspec: {{effect: deny, {times}, requests: deny, blocked: skip}}\n"
    definitions = catalog(local_target("here"), job("greet", spec=free), freeze)
    text = "---\n".join(
        f"{HEAD}kind: RunRequest\nmetadata: {{name: ask-{number}}}\nspec: {{jobRef: greet}}\n" for number in range(4)
    )
    asked = [Found(act, "a" * 40) for act in read(text.encode(), "requests/ask.yaml").documents]
    minutes = count()

    def moment() -> datetime:
        return DUE + next(minutes) * timedelta(minutes=1)

    known: dict[str, Any] = {"baseline": frozenset(), "lost": frozenset(), "windows": Windows(definitions)}
    await Requests(journal, _Asked()).answer(asked, definitions, moment, **known)
    answers = await journal.read(lambda conn: acts.seen(conn, [f"ask-{number}" for number in range(4)]))
    told = [(answers[f"ask-{number}"].state, answers[f"ask-{number}"].reason) for number in range(4)]
    assert told == [("accepted", None)] * 2 + [("refused", "window")] * 2
    await journal.close()


async def test_an_act_that_one_process_refused_is_not_done_by_another(tmp_path: Path) -> None:
    """The slot became free while both judged it; what was answered first stands."""
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.sqlite3'}", clock=SystemClock())
    holder = await _holder(journal)
    text = f"{HEAD}kind: RunRequest\nmetadata: {{name: ask}}\nspec: {{jobRef: greet}}\n"
    asked = [Found(act, "a" * 40) for act in read(text.encode(), "requests/ask.yaml").documents]
    loop = asyncio.get_running_loop()

    known: dict[str, Any] = {"baseline": frozenset(), "lost": frozenset(), "windows": Windows(_catalog())}

    async def other() -> None:
        await Requests(journal, _Asked()).answer(asked, _catalog(), lambda: DUE, **known)
        await journal.write(lambda tx: runs.cancel(tx, holder, reason=None, by=None, now=DUE))

    def meanwhile() -> None:
        asyncio.run_coroutine_threadsafe(other(), loop).result()

    await Requests(journal, _Asked(meanwhile)).answer(asked, _catalog(), lambda: DUE, **known)

    answer = (await journal.read(lambda conn: acts.seen(conn, ["ask"])))["ask"]
    assert (answer.state, answer.reason) == ("refused", "overlap")
    assert [run.id for run in await journal.read(runs.recent)] == [holder]
    await journal.close()
