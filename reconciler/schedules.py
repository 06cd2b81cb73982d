"""Schedules: what is due is decided once, and enqueued in the transaction that says so."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.identity import scan_name
from engine.judge import Launch, scheduled
from engine.runs.refused import PlanRefused
from engine.schedules.admission import Admissions
from engine.schedules.decide import Decided, Due, ScheduleClock, decide, next_due
from engine.status.views import ScheduleView
from journal import schedules, setback
from journal.errors import LeadershipLost, Refused, Unavailable
from journal.schedules import ClockRow
from journal.store import Journal
from reconciler import setbacks
from reconciler.adoption import Reading, left_of, planned
from reconciler.agenda import Agenda
from reconciler.beforehand import Beforehand, Foreseen
from reconciler.decisions import Behind, Deciding, Recorded, record_all
from reconciler.keptback import KeptBacks
from reconciler.setbacks import Setback
from reconciler.turns import in_turns
from schemas.envelope import MAX_PREVIOUS_NAMES
from schemas.schedule import ScheduleSpec, Suspension

log = structlog.get_logger(__name__)

_AT_ONCE = 256
"""Schedules that are decided together."""
_LATER = "a bug of ours: what is due is decided one by one, and what fails then in a minute again"
_TRIED_AGAIN = timedelta(minutes=1)
_ODD = timedelta(minutes=5)
"""Clocks are set by less without anybody being told."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Schedules:
    """Keeps the clocks of the active schedules in memory, and every decision in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._catalog: Catalog | None = None
        self._admissions: Admissions | None = None
        self._kept_back = KeptBacks()
        self._clocks: dict[str, ScheduleClock] = {}
        self._read: Mapping[str, Reading] = {}
        self._agenda = Agenda({})
        self._beforehand = Beforehand(self._due_until, self._foreseen)
        self._furthest = _LONG_AGO
        """No clock is further."""
        self._warned = False

    @property
    def next_due(self) -> datetime | None:
        """The earliest instant at which something is to be decided."""
        return self._agenda.earliest

    def soonest(self, count: int) -> tuple[tuple[datetime, str], ...]:
        """The next due instants, each with its schedule: one a schedule. May be asked from another thread."""
        return self._agenda.first(count)

    @property
    def admissions(self) -> Admissions | None:
        """What calendars and windows say, in force."""
        return self._admissions

    def view(self, name: str, clock: ClockRow) -> ScheduleView | None:
        """The clock of a schedule with what the definitions say of it; None where it is not defined any more."""
        catalog = self._catalog  # once: this is called from the journal's reader, and the loop may adopt another
        schedule = catalog.schedules.get(name) if catalog else None
        if schedule is None or catalog is None:
            return None
        due = _next(
            catalog,
            name,
            max(clock.considered_from, min(clock.considered_until, clock.last.instant if clock.last else _LONG_AGO)),
        )
        return ScheduleView(
            name=name,
            job=schedule.spec.job_ref or schedule.spec.workflow_ref or _scan(schedule.spec),
            fingerprint=clock.fingerprint,
            considered_from=clock.considered_from,
            last=clock.last,
            next_due=due,
            kept_back=None if due is None else self._kept_back.of(catalog, name, due),
            considered_until=clock.mark,
            suspended=_suspension(schedule.spec, project=catalog.project.spec.suspend),
            former_names=catalog.former_names("Schedule", name)[:MAX_PREVIOUS_NAMES],
        )

    async def adopt(
        self, catalog: Catalog, now: datetime, *, also: Callable[[Connection], None] = lambda _: None
    ) -> None:
        """Go over to another catalog: a schedule that is new, or whose time changed, is considered from `now` on.

        The caller decides under the former catalog first, so that no instant lies between the two. A renamed schedule
        keeps its clock. `also` is written in the same transaction.
        """
        stored = await self._journal.read(schedules.clocks)
        plan = await asyncio.to_thread(planned, catalog, stored, self._read, now)
        # It was removed while the clock was ahead, and is back before the time has come.
        again = await self._journal.read(lambda conn: setback.skipped_beyond(conn, plan.unknown, now))
        back = {plan.unknown[name].names: plan.unknown[name] for name, _ in again}.values()
        every = await setbacks.counted(self._journal, (*plan.ahead, *back), now)

        def change(tx: Connection) -> Mapping[str, ScheduleClock]:
            setbacks.set_back(tx, every, now)
            schedules.put_clocks(tx, plan.changed)
            for name in plan.gone:
                schedules.forget(tx, name)
            also(tx)
            return setbacks.with_what_ran(tx, {name: row.clock for name, row in plan.wanted.items()}, catalog)

        held = await self._journal.write(change)
        dues: dict[str, datetime | None] = {}
        async for name, row in in_turns(plan.wanted.items()):
            # What is in force still is due when it was: most commits change few of many schedules.
            still = name in self._clocks and name not in plan.changed
            dues[name] = self._agenda.of(name) if still else _next(catalog, name, row.considered_until)
        self._catalog, self._admissions, self._read = catalog, Admissions(catalog), plan.readings
        self._beforehand.forget()
        self._clocks, self._agenda = dict(held), Agenda(dues)
        self._furthest = max((clock.considered_until for clock in held.values()), default=_LONG_AGO)

    def work_ahead(self, now: datetime) -> float:
        """Work out some of what is due soon. Gives the seconds after which it wants to be called again."""
        return self._beforehand.work(now)

    async def decide(self, now: datetime) -> int:
        """Decide everything that is due; gives the number of runs that were enqueued. A quiet look costs nothing."""
        catalog = self._catalog
        if catalog is None:
            return 0
        await self._set_back(catalog, now)
        self._warn(self.ahead(now))
        due, started = self._agenda.until(now), 0
        for first in range(0, len(due), _AT_ONCE):
            started += await self._decide_together(due[first : first + _AT_ONCE], catalog, now)
        return started

    def ahead(self, now: datetime) -> datetime | None:
        """Until when schedules are decided, where that is minutes after `now`: the clock was set back."""
        if self._furthest - now > _ODD:
            self._furthest = max((clock.considered_until for clock in self._clocks.values()), default=_LONG_AGO)
        return self._furthest if self._furthest - now > _ODD else None

    def _warn(self, until: datetime | None) -> None:
        if until is not None and not self._warned:
            log.warning("the clock was set back: schedules are decided further ahead", until=until.isoformat())
        self._warned = until is not None

    async def _set_back(self, catalog: Catalog, now: datetime) -> None:
        """What a clock decided that was far ahead is decided again as its time comes, but for what runs already."""
        names = [name for name, clock in self._clocks.items() if clock.implausible(now)] if self.ahead(now) else []
        if not names:
            return

        former = {name: catalog.former_names("Schedule", name) for name in names}
        every: Sequence[Setback] = [Setback((name, *former[name]), left_of(self._read, name, now)) for name in names]
        every = await setbacks.counted(self._journal, every, now)
        held = await self._journal.write(lambda tx: setbacks.take_back(tx, every, now, catalog))
        log.warning(
            "the clock was ahead: schedules are decided again from now on; what they started stays",
            schedules=len(names),
            until=self._furthest.isoformat(),
        )
        for name, clock in held.items():
            self._clocks[name] = clock
            self._agenda.set(name, self._next_of(name, clock.considered_until))

    async def _decide_together(self, names: Sequence[str], catalog: Catalog, now: datetime) -> int:
        """Decide several in one change of the journal; where that fails, each alone, so that only who fails waits."""
        # Plans of large fleets take long.
        tried = [self._tried(name, catalog, now) async for name in in_turns(names)]
        everyone = [one for one in tried if one is not None]
        try:
            outcomes = await self._journal.write(lambda tx: record_all(tx, everyone, catalog, now))
        except (Unavailable, Refused, LeadershipLost):
            raise
        except Exception:
            log.exception(_LATER, schedules=[one.name for one in everyone])
            if len(everyone) == 1:
                self._put_off(everyone[0].name, now)
                return 0
            return sum([await self._decide_together((one.name,), catalog, now) for one in everyone])
        behind = [one.name for one, outcome in zip(everyone, outcomes, strict=True) if isinstance(outcome, Behind)]
        started = sum(self._note(one, outcome) for one, outcome in zip(everyone, outcomes, strict=True))
        return started + (await self._decide_together(behind, catalog, now) if behind else 0)

    def _tried(self, name: str, catalog: Catalog, now: datetime) -> Deciding | None:
        """One that trips over a bug of ours keeps no other from being decided."""
        try:
            return self._decided(name, catalog, now)
        except Exception:
            log.exception(_LATER, schedules=[name])
            self._put_off(name, now)
            return None

    def _put_off(self, name: str, now: datetime) -> None:
        """Its clock stays where it is: what is due now is accounted for when it can be.

        Unless a commit meanwhile changes its time, or removes it: then nobody can say what was due.
        """
        self._agenda.set(name, now + _TRIED_AGAIN)

    def _decided(self, name: str, catalog: Catalog, now: datetime) -> Deciding:
        clock, mark = self._clocks[name], self._read[name].mark
        foreseen = self._beforehand.take(name)
        if foreseen is not None and (known := foreseen.at(clock, now)) is not None:
            return Deciding(name, mark, clock, known, ((known.runs[0], foreseen.launch),), foreseen.next)
        decided = self._decision(name, catalog, clock, now)
        launches = tuple((due, _launch(catalog, due)) for due in decided.runs)
        return Deciding(name, mark, clock, decided, launches, _next(catalog, name, decided.considered_until))

    def _decision(self, name: str, catalog: Catalog, clock: ScheduleClock, now: datetime) -> Decided:
        project = catalog.project.spec
        assert self._admissions is not None
        return decide(
            name,
            catalog.schedules[name].spec,
            clock,
            now,
            zone_default=project.defaults.time_zone,
            suspended=project.suspend,
            admission=self._admissions.of(name),
        )

    def _due_until(self, until: datetime, most: int) -> Sequence[str]:
        return self._agenda.until(until, most)

    def _foreseen(self, name: str) -> Foreseen | None:
        """What is decided when the next instant of a schedule is due; None where that is more than one run."""
        catalog, clock, instant = self._catalog, self._clocks.get(name), self._agenda.of(name)
        if catalog is None or clock is None or instant is None or instant <= clock.considered_until:
            return None
        try:
            decided = self._decision(name, catalog, clock, instant)
            if decided.skips or [due.instant for due in decided.runs] != [instant]:
                return None
            return Foreseen(clock, decided, _launch(catalog, decided.runs[0]), _next(catalog, name, instant))
        except Exception:
            log.debug("a bug of ours: it trips again when it is due, and is told then", schedule=name, exc_info=True)
            return None

    def _note(self, one: "Deciding", outcome: "Recorded | Behind") -> int:
        """Keep what has become of it; gives the number of runs."""
        if isinstance(outcome, Behind):
            self._clocks[one.name] = replace(one.clock, considered_until=outcome.until)
            return 0
        until = one.decided.considered_until
        self._clocks[one.name] = replace(
            one.clock, considered_until=until, ran=tuple(instant for instant in one.clock.ran if instant > until)
        )
        self._furthest = max(self._furthest, until)
        self._agenda.set(one.name, one.next)
        for run in outcome.runs:
            log.info("run enqueued", run=run, schedule=one.name)
        for skip in outcome.skips:
            log.info("due instants skipped", schedule=one.name, reason=skip.reason, count=skip.count)
        return len(outcome.runs)

    def _next_of(self, name: str, after: datetime) -> datetime | None:
        assert self._catalog is not None
        return _next(self._catalog, name, after)


def _scan(spec: ScheduleSpec) -> str:
    return "" if spec.discovery_ref is None else scan_name(spec.discovery_ref)


def _launch(catalog: Catalog, due: Due) -> Launch | PlanRefused:
    launch = scheduled(catalog, due.schedule, due.instant)
    return launch if isinstance(launch, PlanRefused) else replace(launch, starts_at=due.starts_at)


def _next(catalog: Catalog, name: str, after: datetime) -> datetime | None:
    return next_due(catalog.schedules[name].spec, after, zone_default=catalog.project.spec.defaults.time_zone)


def _suspension(spec: ScheduleSpec, *, project: bool) -> str | None:
    if project:
        return "the whole project is suspended"
    match spec.suspend:
        case Suspension(reason=reason):
            return reason
        case True:
            return ""
        case _:
            return None
