"""Approval gates: what a gate shows, its digest, and who may say what to it. Pure.

People approve a digest. It covers the run, the gate, the commit, and all that starts by itself once the gate is open:
the jobs up to the next gate, their targets, their params as far as they are known, and the step libraries they use. So
nobody approves one thing and gets another; a run that is done again takes a yes over only by the same digest.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.expressions.contexts import RunFacts
from engine.expressions.expression import ExpressionError, render, texts_of
from engine.identity import Cause, run_id
from engine.states import NodeState, is_final
from engine.status.views import NodeView, RunView
from engine.status.yamltext import plain
from engine.workflows.graphfacts import Facts, NodeRecord, OpenGate, behind, context_of
from engine.workflows.moves import Ask
from engine.workflows.workflowplan import NodeGate, NodeJob, PinnedNode, PinnedWorkflow
from schemas.policy import User, folded
from schemas.quantities import format_instant

_COVERED = ("run", "gate", "commit", "next", "libraries")
"""What of a gate's text its digest covers."""


def opened(plan: PinnedWorkflow, facts: Facts, ask: Ask, now: datetime) -> OpenGate:
    """The gate as it is shown from now on."""
    assert isinstance(ask.node.action, NodeGate)
    rule, held_back = ask.node.action.rule, tuple(_next(plan, ask.node))
    shown: dict[str, Any] = {
        "run": facts.run.id,
        "workflow": plan.name,
        "gate": ask.node.id,
        "commit": plan.commit,
        "next": [_held_back(plan, facts, node) for node in held_back],
        "libraries": dict(sorted(_libraries(held_back))),
        "teams": list(rule.teams),
        "users": list(rule.users),
        "count": rule.count,
        "notRequester": rule.not_requester,
        "requestedBy": facts.run.cause.requested_by,
        "openedAt": format_instant(now),
        "expiresAt": format_instant(ask.until),
        "onTimeout": rule.on_timeout,
        "known": [node.id for node in plan.nodes if _has_ended(facts.records.get(node.id))],
    }
    shown = {key: plain(value) for key, value in shown.items() if value is not None}
    return OpenGate(digest_of(shown), shown)


def reopened(plan: PinnedWorkflow, view: RunView) -> tuple[NodeView, ...] | None:
    """The nodes of an open run as the status branch shows them, with what its open gates show; None where the digest
    of one does not follow from the plan and from what had ended when it was opened."""
    records = {node.id: node.record for node in view.nodes}
    by_id = {node.id: node for node in plan.nodes}
    found: list[NodeView] = []
    for node in view.nodes:
        record = node.record
        if record.gate is None or record.state is not NodeState.WAITING or record.until is None:
            found.append(node)
            continue
        since = record.started_at or view.queued_at
        then = _known_then(records, record.gate, since)
        run = RunFacts(view.id, view.job, view.commit, view.cause.instant, 1, view.cause)
        facts = Facts(run, view.params, view.started_at or since, then)
        gate = opened(plan, facts, Ask(by_id[node.id], record.until), since)
        if gate.digest != record.gate.digest:
            return None
        found.append(replace(node, record=replace(record, gate=replace(gate, verdicts=record.gate.verdicts))))
    return tuple(found)


def still_approved(
    plan: PinnedWorkflow, view: RunView, cause: Cause, kept: Mapping[str, NodeRecord], gate: str
) -> bool:
    """Whether the approved gate of a run that is done again, for `cause` and by its own plan, would show the same.

    `kept` are the nodes of the run that are not done again. What had ended when the gate was opened, and is done again,
    is not known by its value any more; so a value that was shown and may change makes another digest.
    """
    node, record = next(node for node in plan.nodes if node.id == gate), kept[gate]
    if record.gate is None or record.started_at is None or not isinstance(node.action, NodeGate):
        return False
    if node.action.rule.not_requester and cause.requested_by != view.cause.requested_by:
        return False  # who asks now may be who said yes then
    since = record.started_at
    then = _known_then(kept, record.gate, since)
    run = RunFacts(run_id(view.job, cause), view.job, view.commit, cause.instant, 1, cause)
    shown = opened(plan, Facts(run, view.params, since, then), Ask(node, since), since).shown
    return digest_of({**shown, "run": view.id}) == record.gate.digest


def _known_then(records: Mapping[str, NodeRecord], gate: OpenGate, since: datetime) -> Mapping[str, NodeRecord]:
    """What had ended when the gate was opened, `since` then. What ends in the same breath has the same time, so times
    tell it only for a gate of an earlier version, which names no nodes; the digest says whether they told it right."""
    known = gate.shown.get("known")
    if known is None:
        return {name: one for name, one in records.items() if one.ended_at is not None and one.ended_at <= since}
    return {name: one for name, one in records.items() if name in known and _has_ended(one)}


def _has_ended(record: NodeRecord | None) -> bool:
    return record is not None and is_final(record.state)


def digest_of(shown: Mapping[str, Any]) -> str:
    """`sha256:` and the SHA-256, in hex, of the covered keys as JSON: keys sorted, no spaces, UTF-8 (RFC 8785 for all
    values that these keys hold but numbers beyond 2^53 and fractions, which are written as Python's json does)."""
    covered = {key: shown[key] for key in _COVERED if key in shown}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _next(plan: PinnedWorkflow, gate: PinnedNode) -> Iterator[PinnedNode]:
    """The jobs that start without another question: those behind the gate, and behind no other gate after it."""
    others = [node.id for node in plan.nodes if isinstance(node.action, NodeGate) and node.id != gate.id]
    after = behind(plan, [gate.id])
    beyond = behind(plan, [name for name in others if name in after])
    for node in plan.nodes:
        if node.id in after and node.id not in beyond and isinstance(node.action, NodeJob):
            yield node


def _libraries(nodes: Iterable[PinnedNode]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node.action, NodeJob):
            yield from node.action.plan.libraries.items()


def _held_back(plan: PinnedWorkflow, facts: Facts, node: PinnedNode) -> dict[str, Any]:
    assert isinstance(node.action, NodeJob)
    context = _known(plan, facts)
    params = {name: _as_known(value, context) for name, value in node.action.params.items()}
    found: dict[str, Any] = {"id": node.id, "job": node.action.plan.job, "params": params}
    if node.action.loop is not None:
        found["forEach"] = _as_known(node.action.loop.items, context)
    if node.condition is not None:
        found["if"] = node.condition
    found["targets"] = [target.name for target in node.action.plan.targets]
    return found


def _known(plan: PinnedWorkflow, facts: Facts) -> dict[str, Any]:
    """The contexts without the nodes that have not ended: what reads those is not known yet."""
    context = context_of(plan, facts)
    return {**context, "jobs": {name: one for name, one in context["jobs"].items() if one["state"] is not None}}


def _as_known(value: Any, context: Mapping[str, Any]) -> Any:
    """The value, or the text of its expressions as they stand in the workflow where they cannot be told yet."""
    if not any("${{" in text for text in texts_of(value)):
        return value
    try:
        return render(value, context)
    except ExpressionError:
        return value


# --- who says what ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """Who brought an act: the User with that e-mail address, else the address alone."""

    email: str
    user: User | None = None

    @property
    def name(self) -> str:
        return self.user.name if self.user is not None else folded(self.email)


@dataclass(frozen=True, slots=True)
class Unheard:
    """Why somebody's word does not count at a gate. `reason` is one word for programs, `message` a sentence."""

    reason: str
    message: str


def person(email: str, users: Mapping[str, User]) -> Person:
    """Whoever has this e-mail address; upper and lower case are the same. Where several have it, it is nobody's."""
    wanted = folded(email)
    found = [one for one in users.values() if one.spec.email is not None and folded(one.spec.email) == wanted]
    return Person(email, found[0] if len(found) == 1 else None)


def heard(gate: OpenGate, who: Person) -> Unheard | None:
    """Whether a person's word counts at an open gate: None where it does.

    Users and teams are those of today's definitions; the rule is the one that the gate was opened with.
    """
    users, teams = gate.shown.get("users") or (), gate.shown.get("teams") or ()
    requester = folded(str(gate.shown.get("requestedBy") or ""))
    if any(one.by == who.name for one in gate.verdicts):
        return Unheard("twice", f"{who.name} has answered this gate before")
    if users or teams:
        own = who.user.spec.teams if who.user is not None else ()
        if who.user is None or (who.user.name not in users and not set(own) & set(teams)):
            allowed = " or ".join((*users, *(f"team {team}" for team in teams)))
            return Unheard("notAllowed", f"{who.name} may not decide here: it is for {allowed}")
    if gate.shown.get("notRequester") and requester == folded(who.email):
        return Unheard("requester", f"{who.name} asked for the run, and this gate wants somebody else")
    return None
