"""Proposals of what scans found: made of the scans, pushed to a branch, settled in the journal and told."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.discovery import seen
from engine.discovery.proposal import Base, Outcome, Place, Proposal, Scanned, proposed
from engine.discovery.report import found, news
from journal import discoveries, facts
from journal.clock import Clock
from journal.discoveries import ScanRow
from journal.errors import LeadershipLost, Refused, Unavailable
from journal.notices import Notice, happened
from journal.store import Journal
from reconciler.discovery.branches import ProposalBranches, Pushed, fact_of
from reconciler.discovery.gathering import Gathering
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import Objects
from schemas.quantities import format_instant, parse_instant

log = structlog.get_logger(__name__)

_LONGEST = 400


class Proposals:
    """Makes a proposal of each scan that nobody has looked at yet. One per engine; its calls take turns."""

    def __init__(
        self,
        journal: Journal,
        mirror: Mirror,
        clock: Clock,
        definitions: str = "main",
        told: Callable[[Connection, Catalog, str, str, Mapping[str, Outcome], datetime], None] = lambda *_: None,
    ) -> None:
        """`definitions` is the branch that these come from. `told` is called in the transaction that settles a
        proposal whose branch has a new commit.
        """
        self._journal, self._told = journal, told
        self._objects = Objects(mirror.path)
        self._branches = ProposalBranches(journal, mirror, clock, definitions)
        self._gathering = Gathering(journal)
        self.active: Catalog | None = None
        """The definitions in force."""
        self._left_behind: str | None = None
        """The commit at which it was last looked for branches that nobody proposes on."""

    async def work(self, now: datetime) -> None:
        """Settle what was scanned. Raises Unavailable where git or the store is away: then it is done later."""
        catalog = self.active
        if catalog is None:
            return
        await self._gathering.work(catalog)
        branches = []
        for name in await self._journal.read(discoveries.unsettled):
            today = catalog.name_now("Discovery", name)
            if today != name:  # a run that began under the former name
                former = {name: today}
                await self._journal.write(lambda tx, former=former: discoveries.follow(tx, former))  # type: ignore[misc]
            if (branch := _branch_of(catalog, today)) is not None:
                branches.append(branch)
            else:  # it is forgotten once nothing is left of what it proposed
                self._left_behind = None
        await self._propose_all(catalog, dict.fromkeys(branches, ()), now)
        await self._leave_behind(catalog, now)

    async def _leave_behind(self, catalog: Catalog, now: datetime) -> None:
        """Branches that Discoveries had before they were removed, or were given another: nobody proposes there."""
        if catalog.commit == self._left_behind:
            return
        left: dict[str, tuple[str, ...]] = {}
        for row in await self._journal.read(discoveries.every):
            before = (row.report or {}).get("proposal", {}).get("branch")
            removed = (row.name,) if row.name not in catalog.discoveries else ()
            if before is not None and before != _branch_of(catalog, row.name):
                left[before] = (*left.get(before, ()), *removed)
            elif removed:
                await self._journal.write(lambda tx, name=row.name: discoveries.forget(tx, name))  # type: ignore[misc]
        await self._propose_all(catalog, left, now)
        self._left_behind = catalog.commit

    async def _propose_all(self, catalog: Catalog, branches: Mapping[str, Collection[str]], now: datetime) -> None:
        """Branches, and the Discoveries to forget with each. One that must wait keeps no other from being written."""
        waits: Unavailable | None = None
        for branch, removed in sorted(branches.items()):
            try:
                await self._propose(catalog, branch, removed, now)
            except Unavailable as error:
                log.warning("a proposal waits", branch=branch, error=error.message)
                waits = error
            except LeadershipLost:
                raise
            except Exception as error:  # what hosts say, or a commit has, must not end the engine at each start
                log.exception("a bug of ours: nothing can be proposed on a branch", branch=branch)
                await self._give_up(catalog, branch, removed, _words(error))
        if waits is not None:
            raise waits

    async def _propose(self, catalog: Catalog, branch: str, removed: Collection[str], now: datetime) -> None:
        rows = await self._journal.read(discoveries.every)
        wanted = [row for row in rows if _branch_of(catalog, row.name) == branch]
        scans = {row.name: scanned for row in wanted if (scanned := _scanned(catalog, row)) is not None}
        made = await asyncio.to_thread(self._made, catalog, scans)
        proposal = made.proposal
        try:
            pushed = await self._branches.pushed(catalog, branch, proposal, whole=not made.tripped)
        except Refused as error:  # a person must allow it; what was found is told all the same
            log.warning("the proposal could not be pushed", branch=branch, error=error.message)
            pushed = Pushed(None, error.message[:_LONGEST])

        def settle(tx: Connection) -> None:
            for row in wanted:
                if (words := made.tripped.get(row.name)) is not None:
                    _settle_bare(tx, row, branch, words)
                else:
                    self._settle(tx, row, proposal, branch, pushed, now)
            for name in removed:
                discoveries.forget(tx, name)
            if pushed.new is not None:  # in one with what is told of it: who takes it for old news tells nobody
                facts.put(tx, fact_of(branch), pushed.new.to_json())
                self._told(tx, catalog, branch, pushed.new.commit, proposal.outcomes, now)

        await self._journal.write(settle)
        for name, outcome in proposal.outcomes.items():
            counts = dict(Counter(row.verdict for row in outcome.rows))
            log.info("scan settled", discovery=name, branch=branch, commit=pushed.commit, hosts=counts)

    def _made(self, catalog: Catalog, scans: Mapping[str, Scanned]) -> "_Made":
        """The proposal of all scans that trip over no bug of ours. Raises Refused where the definitions are not had."""
        base = self._base(catalog)
        try:
            return _Made(proposed(base, scans.values()))
        except (Unavailable, Refused):
            raise
        except Exception:  # one keeps no other from being proposed
            tripped = {name: words for name, one in scans.items() if (words := _trips(base, one)) is not None}
            if not tripped:
                raise
            return _Made(proposed(base, [one for name, one in scans.items() if name not in tripped]), tripped)

    async def _give_up(self, catalog: Catalog, branch: str, removed: Collection[str], words: str) -> None:
        """Nothing is proposed of what was scanned until the next scan; that is told."""

        def settle(tx: Connection) -> None:
            for row in discoveries.every(tx):
                if _branch_of(catalog, row.name) == branch:
                    _settle_bare(tx, row, branch, words)
            for name in removed:
                discoveries.forget(tx, name)

        await self._journal.write(settle)

    def _settle(
        self, tx: Connection, row: ScanRow, proposal: Proposal, branch: str, pushed: Pushed, now: datetime
    ) -> None:
        outcome = proposal.outcomes.get(row.name)
        if outcome is None:  # what was kept is no scan: a journal that somebody wrote to
            discoveries.settle(tx, row.name, row.run, None, row.last_seen)
            return
        report = found(outcome, branch, pushed.commit, pushed.trouble)
        last_seen = {name: format_instant(at) for name, at in outcome.last_seen.items()}
        if not discoveries.settle(tx, row.name, row.run, report, last_seen) or row.settled:
            return
        if (said := news(report, row.report)) is not None:
            happened(tx, Notice("discovery.changed", now, "Discovery", row.name, row.run, data=said))

    def _base(self, catalog: Catalog) -> Base:
        places = {}
        for name in catalog.targets:
            authored = catalog.origin[f"Target/{name}"]
            places[name] = Place(authored.file, authored.index)
        types = {name: credential.spec.type for name, credential in catalog.credentials.items()}
        commit, objects = catalog.commit, self._objects
        return Base(
            catalog.targets,
            places,
            lambda file: objects.file(commit, file),
            types,
            lambda path: objects.standing(commit, path),
        )


@dataclass(frozen=True, slots=True)
class _Made:
    """A proposal, and in words why some scans have no part in it, by the name of the Discovery."""

    proposal: Proposal
    tripped: Mapping[str, str] = field(default_factory=dict)


def _words(error: Exception) -> str:
    said = error.message if isinstance(error, Refused) else f"an error of ours: {type(error).__name__}"
    return f"nothing is proposed of this scan: {said}"[:_LONGEST]


def _trips(base: Base, one: Scanned) -> str | None:
    try:
        proposed(base, [one])
    except Exception as error:
        log.exception("a bug of ours: a scan cannot be proposed", discovery=one.discovery.name)
        return _words(error)
    return None


def _settle_bare(tx: Connection, row: ScanRow, branch: str, words: str) -> None:
    """With a report that has no more than why there is none."""
    try:
        report = found(Outcome(seen.from_json(row.scan), (), {}), branch, None, words)
    except ValueError:  # no scan: see `_scanned`
        report = None
    discoveries.settle(tx, row.name, row.run, report, row.last_seen)


def _branch_of(catalog: Catalog, name: str) -> str | None:
    discovery = catalog.discoveries.get(name)
    return None if discovery is None else discovery.spec.propose.branch


def _scanned(catalog: Catalog, row: ScanRow) -> Scanned | None:
    try:
        scan = seen.from_json(row.scan)
        last = {name: parse_instant(at) for name, at in row.last_seen.items()}
    except ValueError as error:
        log.warning("what a scan found cannot be read", discovery=row.name, error=str(error))
        return None
    former = frozenset(catalog.former_names("Discovery", row.name))
    return Scanned(catalog.discoveries[row.name], scan, last, former)
