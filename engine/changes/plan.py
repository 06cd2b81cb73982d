"""What a merge would change, said by the functions that then do it. Pure: the same trees and instant, the same plan."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from engine.authority import needs, permissions
from engine.authority.needs import Need
from engine.catalog import Catalog
from engine.changes import plan_documents, plan_times, plan_told, plan_windows
from engine.changes.ingredients import Tree
from engine.changes.plan_documents import Documents
from engine.changes.plan_reach import CredentialGain, Reach, TargetsChange
from engine.changes.plan_starts import Start, starts
from engine.changes.plan_times import Cut, ScheduleChange
from engine.changes.plan_told import ToldChange
from engine.changes.plan_windows import Block
from engine.compile import Compiled
from engine.prune import removed_too_much
from engine.times.zones import Source, source
from engine.triggers import Happened, of_commit, set_off
from schemas.diagnostic import Diagnostic, has_errors, in_order

DEFAULT_HORIZON = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Plan:
    """What accepting `head` right before `start` would change. All instants are aware, in UTC.

    `findings` are those of `head`, and the guard's where it removes too much. `base_findings` are the errors of a base
    that is no valid commit: it is then compared with as if it were empty, since nobody can say what is in force.
    Where `head` is not valid it changes nothing, and only documents, acts and findings are given.
    """

    base: str
    head: str
    start: datetime
    end: datetime
    zones: Source
    """The time zone data that local times were worked out by."""
    documents: Documents
    schedules: tuple[ScheduleChange, ...] = ()
    cut: tuple[Cut, ...] = ()
    """Schedules, changed or not, that fire more often than is looked at."""
    starts_at_once: tuple[Start, ...] = ()
    targets: tuple[TargetsChange, ...] = ()
    credentials: tuple[CredentialGain, ...] = ()
    starts_later: tuple[Start, ...] = ()
    """Requests that the commit brings and that start no run before `end`: their `notBefore` lies there or beyond."""
    told: tuple[ToldChange, ...] = ()
    """What is told of objects to others than before."""
    blocked_by: tuple[Block, ...] = ()
    """Windows in which runs of head would start, by window and cause: they are skipped, or start when it ends."""
    permissions: tuple[Need, ...] = ()
    """What whoever brings the commit must be allowed to, and who is: by the Policies of base for what it changes, and
    by those then in force for what its acts ask for. Empty where there is no Policy."""
    not_acted_on: tuple[Literal["policies"], ...] = ()
    """What is said and nobody is held to: Policies of either side, where base asks for no signatures."""
    findings: tuple[Diagnostic, ...] = ()
    inherited: frozenset[Diagnostic] = frozenset()
    """Those of `findings` that are warnings and stand in base as well: no news for a reviewer."""
    base_findings: tuple[Diagnostic, ...] = ()

    accepted: bool = True
    """Whether the commit would come into force; errors about acts do not stop it."""


def plan(
    base: Compiled,
    head: Compiled,
    now: datetime,
    horizon: timedelta = DEFAULT_HORIZON,
    *,
    names: tuple[str, str],
    paths: Collection[str] = (),
) -> Plan:
    """Compare two trees. `names` are what base and head are called. Fires are those in [now, now + horizon).

    `paths` are those that differ between the two, of all files: they set triggers off.

    Where only the prune guard refuses `head`, its effects are given all the same: a person may accept it by name.
    """
    documents = plan_documents.between((*base.definitions, *base.acts), (*head.definitions, *head.acts))
    guard = removed_too_much(base.catalog, head.catalog) if base.catalog and head.catalog else ()
    accepted = head.catalog is not None and not has_errors(guard)
    found = Plan(
        base=names[0],
        head=names[1],
        start=now,
        end=now + horizon,
        zones=source(),
        documents=documents,
        findings=in_order([*head.findings, *guard]),
        inherited=_inherited(base.findings, head.findings),
        base_findings=() if base.catalog else tuple(one for one in base.findings if one.severity == "error"),
        accepted=accepted,
    )
    if head.catalog is not None:
        found = _with_effects(found, base.catalog or Catalog("", head.catalog.project), head.catalog)
    # Acts are judged whatever becomes of their commit: against the definitions that are then in force.
    active = head.catalog if accepted else base.catalog
    heard = _heard(base.catalog, head.catalog, paths, now) if accepted else ()
    begun = starts(active, base.acts, head.acts, found.schedules if accepted else (), now, heard) if active else ()
    later = tuple(one for one in begun if one.starts_at is not None and one.starts_at >= found.end)
    found = replace(found, starts_at_once=tuple(one for one in begun if one not in later), starts_later=later)
    blocks = (
        *(plan_windows.of_schedules(head.catalog.windows, found.schedules) if head.catalog else ()),
        *(plan_windows.of_requests(active.windows, begun) if active else ()),
    )
    return replace(
        found,
        blocked_by=tuple(sorted(blocks, key=lambda one: (one.window, one.cause))),
        permissions=_permissions(base, head, paths, active),
    )


def _heard(base: Catalog | None, head: Catalog | None, paths: Collection[str], now: datetime) -> tuple[Happened, ...]:
    """The events of the commit: which triggers it sets off, and what they are told."""
    if base is None or head is None:
        return ()
    return tuple(
        Happened(name, f"commit/{head.commit}", now, of_commit(head.commit, base.commit, asked))
        for name, asked in set_off(base, head, paths).items()
    )


def _permissions(base: Compiled, head: Compiled, paths: Collection[str], active: Catalog | None) -> tuple[Need, ...]:
    in_force = permissions.among(base.definitions)
    changing = needs.of_change(in_force, Tree.of(base), Tree.of(head), paths)
    known = {authored.identity for authored in base.acts}
    acts = [authored for authored in head.acts if authored.identity not in known]
    return (*changing, *(needs.of_acts(permissions.of(active), acts, active) if active else ()))


def _inherited(before: Iterable[Diagnostic], after: Iterable[Diagnostic]) -> frozenset[Diagnostic]:
    """By file, code and message, so many as there were: lines move."""
    known = Counter((one.span.file, one.code, one.message) for one in before)
    found: set[Diagnostic] = set()
    for one in after:
        what = (one.span.file, one.code, one.message)
        if one.severity == "warning" and known[what]:
            known[what] -= 1
            found.add(one)
    return frozenset(found)


def _with_effects(found: Plan, base: Catalog, head: Catalog) -> Plan:
    reach = Reach(base, head, found.documents)
    times = plan_times.changes(base, head, found.documents, found.start, found.end)
    unsigned = base.project.spec.verify.mode == "none"
    return replace(
        found,
        schedules=times.changed,
        cut=times.cut,
        targets=reach.targets(),
        credentials=reach.credentials(),
        told=plan_told.changes(base, head, found.documents),
        not_acted_on=("policies",) if unsigned and (base.policies or head.policies) else (),
    )
