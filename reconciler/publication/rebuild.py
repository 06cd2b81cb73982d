"""Taking in the status branch: into a new store, or after another engine wrote it (CONTRACT 4, "Rebuilding").

What the branch cannot prove is said: unknown runs, instants and requests that are storeLost.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from engine.identity import RunId
from engine.schedules.decide import Skips
from engine.status import readback, readmodel
from engine.status.views import DecisionView, EngineView, RequestView, RunView, ScheduleView, SyncView
from journal import acts, facts, runimport, runresume, runs, schedules
from journal.databases import savepoint
from journal.store import Journal
from reconciler.acts import actgate, changegate
from reconciler.publication.publish import Publisher
from reconciler.publication.resumptions import Plans, Replan

log = structlog.get_logger(__name__)

_RUN_FILE = re.compile(r"/[^/]+-\d{8}T\d{6}Z-[0-9a-f]{10}(?:\.(?P<slice>[1-9]\d{0,5}))?\.yaml$", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_SAID = 20
"""How many files that were left out are named in the log; all are counted."""
REBUILT = "rebuilt"
_TO_TAKE_IN = "takeIn"
"""The fact that holds the claim which stood on the branch before ours, until what it stands for is taken in."""
_WAS = "formerEngines"
"""The fact that holds the ids that the engine of this store had where the store was before."""
_TOOK_OVER = "enginesBefore"
"""The fact that holds the ids of engines whose branch was taken in, the newest last."""
_MOST_BEFORE = 20
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was taken in, in files. `lost`: the engine before had not drained, so what it did last may be missing.

    `left_out` counts the files that this program does not write, or that contradict another.
    """

    runs: int
    requests: int
    schedules: int
    lost: bool
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """The branch is to be taken in before anything is decided. `before` is the claim of who wrote it last."""

    before: EngineView | None
    believed: bool = True
    """What stood on the branch may be taken in: where signing is on, this engine's key had signed it."""


def was(tx: Connection, engine_id: str) -> None:
    """Remember that this store was the engine of that id before it was moved: what that one wrote, this one knows."""
    facts.put(tx, _WAS, sorted({engine_id, *facts.get(tx, _WAS, [])}))


def engines(conn: Connection) -> tuple[str, ...]:
    """The ids that the engine of this store had where the store was before."""
    return tuple(facts.get(conn, _WAS, []))


def took_over(conn: Connection) -> tuple[str, ...]:
    """The ids of engines that led here before, by the claims that stood on the branch when it was taken in."""
    return tuple(facts.get(conn, _TOOK_OVER, []))


async def intend(journal: Journal, own_id: str, before: EngineView | None, *, believed: bool = True) -> bool:
    """Remember whose claim stands on the branch, before ours hides it. Doing it again is harmless.

    Gives whether the branch is to be taken in: where the store is new, or where somebody else wrote it.
    """

    def change(tx: Connection) -> bool:
        known = facts.get(tx, _TO_TAKE_IN)
        # A start that was cut off before it took in what it had found: our claim, or a branch that it had emptied.
        if known is not None and (not known.get("believed", True) or (before is not None and before.id == own_id)):
            return True
        foreign = before is not None and before.id not in (own_id, *facts.get(tx, _WAS, []))
        wanted = foreign or facts.get(tx, REBUILT) is None
        doubted = {} if believed else {"believed": False}
        facts.put(tx, _TO_TAKE_IN, {"before": _to_json(before), **doubted} if wanted else None)
        return wanted

    return await journal.write(change)


async def pending(journal: Journal) -> Pending | None:
    """What is still to be taken in; None where the store has it all."""
    found = await journal.read(lambda conn: facts.get(conn, _TO_TAKE_IN))
    return None if found is None else Pending(_from_json(found["before"]), found.get("believed", True))


def _to_json(claim: EngineView | None) -> dict[str, str | None] | None:
    if claim is None:
        return None
    closed = claim.closed.isoformat() if claim.closed else None
    return {"id": claim.id, "host": claim.host, "since": claim.since.isoformat(), "closed": closed}


def _from_json(value: Mapping[str, str] | None) -> EngineView | None:
    if value is None:
        return None
    closed = datetime.fromisoformat(value["closed"]) if value["closed"] else None
    return EngineView(value["id"], value["host"], datetime.fromisoformat(value["since"]), closed)


def _commit(text: str | None) -> str | None:
    """A full commit id; anything else is a name that git might read otherwise."""
    return text if text and _COMMIT.fullmatch(text) else None


async def from_branch(
    journal: Journal,
    publisher: Publisher,
    *,
    before: EngineView | None,
    present: frozenset[str],
    now: datetime,
    replan: Replan | None = None,
    in_history: Callable[[str], bool] | None = None,
    believed: bool = True,
    trusts: bool = True,
) -> Rebuilt:
    """Fill a new store, or take in what another engine did. One transaction: after a crash it is done again.

    `before` is the claim that stood on the branch before ours. Every schedule goes on from its published mark. After a
    drained stop open runs go on, by the plans that `replan` gives; those that it cannot plan are unknown. After an
    undrained stop instants between that mark and now are storeLost, open runs are unknown, and those of the requests
    `present` now that the branch has no answer to are remembered as lost, so that the loop refuses them.

    The last good commit is in force again only where it is `in_history` of the branch of definitions: who can write to
    the status branch alone must not bring definitions in. Where it is not, history was rewritten or the branch is
    forged; it is trusted all the same, so that nothing is in force until somebody has accepted a commit by name.

    What is not `believed` was put aside before: it is as if the engine before had not drained, and had said nothing.
    Where the branch may not bring a commit in that nobody judged (not `trusts`), the last good one is not heeded.

    No file keeps the engine from starting: each is taken in whole or left out, and what was left out is counted and
    logged.
    """
    found = await asyncio.to_thread(_read_all, publisher)
    left_out = dict(found.left_out)
    drained = believed and (before is None or before.closed is not None)
    lost_until = None if drained else now
    wrote = _wrote(before, publisher.engine_id)
    good = _commit(found.sync.last_good if found.sync else None) if trusts else None
    applied = good if good and (in_history is None or await asyncio.to_thread(in_history, good)) else None
    former, ahead = _of_former_names(found), _of_marked(found)
    plans: Plans = {}
    if replan is not None and trusts and before is not None and before.closed is not None:
        plans = await replan(view for view in found.runs.values() if view.finished_at is None)

    def change(tx: Connection) -> None:
        def take(path: str, write: Callable[[Connection], object]) -> None:
            if (refused := savepoint.tried(tx, write)) is not None:
                left_out[path] = refused

        for path, view in sorted(found.runs.items(), key=lambda item: item[1].queued_at):
            take(path, partial(runresume.take_in, view=view, plan=plans.get(view.id), wrote=wrote, now=now))
        if before is not None and before.id != publisher.engine_id:
            told = {view.id for view in found.runs.values()} | {RunId(PurePosixPath(path).stem) for path in left_out}
            runimport.end_untold(tx, told, now)
        for path, last in former:
            take(path, partial(schedules.import_last, last=last, now=last.instant))
        for path, skips in found.days.items():
            take(path, partial(schedules.import_skips, skips=skips, now=now))
        known = schedules.clocks(tx)
        for path, clock in found.clocks.items():
            own, ran = known.get(clock.name), ahead.get(clock.name, ())
            take(path, partial(_import_clock, view=clock, own=own, lost_until=lost_until, ran=ran))
        for path, answer in found.answers.items():
            take(path, partial(_import_answer, answer=answer, now=now))
        if good and facts.get(tx, "accepted") is None:
            facts.put(tx, "accepted", {"applied": applied, "trusted": good})
        if believed and trusts and found.sync is not None:
            _import_votes(tx, found.sync, drained=drained)
        unanswered = present - set(acts.seen(tx, present))
        # An answer that was left out was given: what it was cannot be proven, so the request is not answered again.
        unproven = {name for name in unanswered if readmodel.request_path(name) in left_out}
        already = facts.get(tx, REBUILT, {}).get("lostRequests", [])
        lost = sorted({*already, *(unproven if drained else unanswered)})
        if believed and before is not None and before.id != publisher.engine_id:
            others = (one for one in took_over(tx) if one != before.id)
            facts.put(tx, _TOOK_OVER, [*others, before.id][-_MOST_BEFORE:])
        facts.put(tx, REBUILT, {"at": now.isoformat(), "lostRequests": lost})
        facts.put(tx, _TO_TAKE_IN, None)

    await journal.write(change)
    for path, reason in islice(left_out.items(), _SAID):
        shown = path.encode(errors="backslashreplace").decode()  # git keeps names that are no text
        log.warning("a file of the status branch was left out", path=shown, reason=reason)

    def taken(files: Mapping[str, object]) -> int:
        return len(files.keys() - left_out.keys())

    done = Rebuilt(
        runs=taken(found.runs),
        requests=taken(found.answers),
        schedules=taken(found.clocks),
        lost=not drained,
        left_out=len(left_out),
    )
    if left_out or (found.sync is not None and found.sync.observed is not None):
        log.warning(
            "the store was new: filled from the status branch",
            runs=done.runs,
            requests=done.requests,
            left_out=done.left_out,
        )
    return done


def _import_votes(tx: Connection, sync: SyncView, *, drained: bool) -> None:
    """What waits for approvals. A request that an engine which did not drain left is unanswered, and so lost."""
    if sync.change is not None:
        changegate.take_in(tx, sync.change)
    if drained and sync.requests:
        answered = acts.seen(tx, [one["request"] for one in sync.requests])
        actgate.take_in(tx, [one for one in sync.requests if one["request"] not in answered])


def _wrote(before: EngineView | None, own_id: str) -> runresume.Wrote:
    if before is None or before.id == own_id:
        return "ours"
    return "undrained" if before.closed is None else "drained"


def _of_marked(found: "_Branch") -> Mapping[str, list[RunView]]:
    """By schedule the runs of those whose newest decision does not say up to where they are decided."""
    ran: dict[str, list[RunView]] = {clock.name: [] for clock in found.clocks.values() if clock.considered_until}
    for run in found.runs.values() if ran else ():
        if run.cause.kind == "schedule" and run.cause.name in ran:
            ran[run.cause.name].append(run)
    return ran


def _of_former_names(found: "_Branch") -> list[tuple[str, DecisionView]]:
    """What ran under names that no clock has, by the run's path, rising: none of it is to run under a new name.

    Which schedule had which name before stands in the definitions, which are read later; a run that is older than the
    mark of every clock is left out.
    """
    clocks = {clock.name for clock in found.clocks.values()}
    since = min((readmodel.considered_until(clock) for clock in found.clocks.values()), default=None)
    beyond = [
        (path, DecisionView(run.cause.name, run.cause.instant, "run", None, run.id))
        for path, run in found.runs.items()
        if run.cause.kind == "schedule" and since and run.cause.instant > since and run.cause.name not in clocks
    ]
    return sorted(beyond, key=lambda one: one[1].instant)


def _import_clock(
    tx: Connection,
    view: ScheduleView,
    own: schedules.ClockRow | None,
    lost_until: datetime | None,
    ran: Iterable[RunView] = (),
) -> None:
    """`ran` are its runs, where a clock that was ahead has started some beyond its mark: none is to run again."""
    # Not later, also after a drained stop: what became due while the engine drained was not decided by it.
    mark = readmodel.considered_until(view)
    if own is not None and own.considered_until >= mark:
        return
    schedules.put_clock(
        tx,
        view.name,
        fingerprint=view.fingerprint,
        considered_from=view.considered_from,
        considered_until=mark,
        lost_until=lost_until,
    )
    beyond = (run for run in ran if run.cause.instant > mark)
    for run in sorted(beyond, key=lambda run: run.cause.instant):
        one = DecisionView(view.name, run.cause.instant, "run", None, run.id)
        schedules.import_last(tx, one, run.cause.instant)
    if view.last is not None:
        schedules.import_last(tx, view.last, view.last.instant)


def _import_answer(tx: Connection, answer: RequestView, now: datetime) -> None:
    take = acts.overrule if answer.state != "accepted" else acts.settle
    take(
        tx,
        answer.name,
        state=answer.state,
        reason=answer.reason,
        message=answer.message,
        action=answer.action,
        requested_by=answer.requested_by,
        run=RunId(answer.run) if answer.run else None,
        now=answer.at or now,
    )
    if answer.action == "cancel" and answer.state == "accepted" and answer.run:
        # Its run is open there because `finally` was still to do, and that it is to end stands nowhere else.
        runs.cancel(tx, RunId(answer.run), reason=None, by=answer.requested_by, now=now)


# --- reading the branch -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Branch:
    """What stands on the branch, by path. `left_out`: files that this program does not write, and why."""

    runs: Mapping[str, RunView]
    clocks: Mapping[str, ScheduleView]
    answers: Mapping[str, RequestView]
    days: Mapping[str, tuple[Skips, ...]]
    sync: SyncView | None
    left_out: Mapping[str, str]


def _read_all(publisher: Publisher) -> _Branch:
    """Read and parse everything: some milliseconds a run, so not on the loop."""
    left_out: dict[str, str] = {}

    def parsed(paths: Iterable[str], parse: Callable[[str, bytes], V]) -> dict[str, V]:
        found: dict[str, V] = {}
        for path in paths:
            try:
                if (text := publisher.read(path)) is not None:
                    found[path] = parse(path, text)
                elif path != readmodel.SYNC:  # every other was just listed
                    left_out[path] = "it is no file, or larger than a document may be"
            except ValueError as error:  # Unreadable, or beyond the size of a document
                left_out[path] = str(error)
        return found

    heads, slices = _run_paths(publisher.list("runs"))

    def run(path: str, text: bytes) -> RunView:
        return readback.parse_run_file(text, (publisher.read(part) or b"" for part in slices.get(path, ())))

    return _Branch(
        runs=parsed(heads, run),
        clocks=parsed(publisher.list("schedules"), lambda _, text: readback.parse_schedule_status(text)),
        answers=parsed(publisher.list("requests"), lambda _, text: readback.parse_request_status(text)),
        days=parsed(publisher.list("decisions"), lambda _, text: readback.parse_decisions(text)),
        sync=parsed([readmodel.SYNC], lambda _, text: readback.parse_sync_file(text)).get(readmodel.SYNC),
        left_out=left_out,
    )


def _run_paths(paths: Iterable[str]) -> tuple[list[str], Mapping[str, list[str]]]:
    """The heads of runs, and by head the paths of its slices in order. Only what is in the tree is ever read."""
    heads: list[str] = []
    slices: dict[str, list[tuple[int, str]]] = {}
    for path in paths:
        if (named := _RUN_FILE.search(path)) is None:
            continue
        if named["slice"] is None:
            heads.append(path)
        else:
            head = f"{path[: named.start('slice') - 1]}.yaml"
            slices.setdefault(head, []).append((int(named["slice"]), path))
    return heads, {head: [path for _, path in sorted(found)] for head, found in slices.items()}
