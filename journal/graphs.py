"""The graphs of workflows' runs: what is recorded of their nodes, and the runs that nodes have caused.

Every function takes the transaction that it is part of. What comes next is decided in `engine.workflows.workflow`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update

from engine.identity import RunId
from engine.states import NODE_TRANSITIONS, NodeState, RunState, is_final
from engine.status.views import NodeView
from engine.workflows.graphfacts import Child, NodeRecord, OpenGate, Verdict
from engine.workflows.moves import End
from engine.workflows.workflowplan import NodeJob, PinnedNode, PinnedWorkflow
from journal import outbox, points
from journal.databases.portions import portions
from journal.databases.tables import AnyRow, Instant, nodes, runs, verdicts

_WAITS = NodeState.WAITING.value
_OPEN_STATES = tuple(state.value for state in NodeState if not is_final(state))
_OF_RUNS = select(nodes).where(nodes.c.run.in_(bindparam("which", expanding=True))).order_by(nodes.c.seq)
_VERDICTS = (
    select(nodes.c.run, nodes.c.node.label("at_node"), verdicts)
    .join(verdicts, verdicts.c.node == nodes.c.seq)
    .where(nodes.c.run.in_(bindparam("which", expanding=True)))
    .order_by(verdicts.c.seq)
)
_CHILDREN = select(
    runs.c.id, runs.c.cause, runs.c.state, runs.c.outputs, runs.c.reason, runs.c.wish, runs.c.started_at
).where(runs.c.parent == bindparam("of"))
_CLOSE = (
    update(nodes)
    .where(nodes.c.run == bindparam("which"), nodes.c.state.in_(_OPEN_STATES))
    .values(state=bindparam("to_state"), ended_at=bindparam("now", type_=Instant), until=None)
)


def lay_out(tx: Connection, seq: int, plan: PinnedWorkflow, carried: Mapping[str, NodeRecord]) -> None:
    """Put all nodes of a new run on record; those that are `carried` have the results of another run."""
    tx.execute(insert(nodes), [_row(seq, node, carried.get(node.id)) for node in plan.nodes])


def _row(seq: int, node: PinnedNode, record: NodeRecord | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "run": seq,
        "node": node.id,
        "kind": node.action.kind,
        "job": node.action.plan.job if isinstance(node.action, NodeJob) else None,
        "needs": list(node.needs),
        "state": (record.state if record is not None else NodeState.PENDING).value,
        "inherited": record is not None,
        "started_at": None, "ended_at": None, "reason": None, "outputs": None, "items": None, "runs": None,
        "continued": False,
    }  # fmt: skip
    if record is not None:
        row |= {
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "reason": record.reason,
            "outputs": dict(record.outputs) or None,
            "items": None if record.items is None else list(record.items),
            "runs": list(record.runs) or None,
            "continued": record.continued,
        }
    return row


# --- reading ---------------------------------------------------------------------------------------------------------


def records_of(conn: Connection, seqs: Collection[int]) -> Mapping[int, Mapping[str, NodeRecord]]:
    """By the number of the run, and by node, in the order of the text."""
    said: dict[tuple[int, str], list[Verdict]] = {}
    for row in conn.execute(_VERDICTS, {"which": list(seqs)}):
        verdict = Verdict(row.by, row.approved, row.at, row.act, row.reason, row.proven)
        said.setdefault((row.run, row.at_node), []).append(verdict)
    found: dict[int, dict[str, NodeRecord]] = {}
    for row in conn.execute(_OF_RUNS, {"which": list(seqs)}):
        found.setdefault(row.run, {})[row.node] = _record(row, said.get((row.run, row.node), ()))
    return found


def _record(row: AnyRow, said: Sequence[Verdict]) -> NodeRecord:
    return NodeRecord(
        id=row.node,
        state=NodeState(row.state),
        started_at=row.started_at,
        until=row.until,
        ended_at=row.ended_at,
        outputs=row.outputs or {},
        reason=row.reason,
        continued=row.continued,
        items=None if row.items is None else tuple(row.items),
        cleanup=row.cleanup,
        inherited=row.inherited,
        gate=None if row.digest is None else OpenGate(row.digest, row.gate or {}, tuple(said)),
        runs=tuple(RunId(run) for run in row.runs or ()),
    )


def children_of(conn: Connection, run: RunId) -> Mapping[str, Mapping[int, Child]]:
    """The runs that the nodes of a run have caused, by node and by the number of the item (0 without a loop)."""
    found: dict[str, dict[int, Child]] = {}
    for row in conn.execute(_CHILDREN, {"of": run}):
        state = RunState(row.state)
        began = state is not RunState.CANCELLED or row.started_at is not None
        asked = row.wish is not None
        child = Child(RunId(row.id), state, row.outputs or {}, row.reason, asked=asked, began=began)
        found.setdefault(row.cause["node"], {})[row.cause.get("item") or 0] = child
    return found


def views_of(conn: Connection, seqs: Collection[int]) -> Mapping[int, tuple[NodeView, ...]]:
    """The graphs of runs as people see them."""
    records = records_of(conn, seqs)
    found: dict[int, list[NodeView]] = {}
    for row in conn.execute(_OF_RUNS, {"which": list(seqs)}):
        record = records[row.run][row.node]
        found.setdefault(row.run, []).append(NodeView(row.kind, row.job, tuple(row.needs), record))
    return {seq: tuple(views) for seq, views in found.items()}


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of a graph's nodes have ended, of how many."""

    ended: int
    nodes: int


def progress(conn: Connection, wanted: Collection[RunId]) -> Mapping[RunId, Progress]:
    """How far workflows' runs are; what is no workflow's is left out."""
    found: dict[RunId, Progress] = {}
    # Not `ended_at`: a graph that was taken in from the status branch may not have it.
    over = func.sum(case((nodes.c.state.in_([state.value for state in NodeState if is_final(state)]), 1), else_=0))
    counted = select(runs.c.id, over, func.count()).join(nodes, nodes.c.run == runs.c.seq).group_by(runs.c.id)
    for part in portions(wanted):
        rows = conn.execute(counted.where(runs.c.id.in_(part)))
        found |= {RunId(run): Progress(ended, count) for run, ended, count in rows}
    return found


def open_gates(conn: Connection) -> tuple[OpenGate, ...]:
    """The gates that wait for people, the oldest first."""
    rows = conn.execute(select(nodes).where(nodes.c.state == _WAITS, nodes.c.digest.is_not(None)).order_by(nodes.c.seq))
    found = rows.all()
    records = records_of(conn, sorted({row.run for row in found}))
    gates = (records[row.run][row.node].gate for row in found)
    return tuple(gate for gate in gates if gate is not None)


def open_gate(conn: Connection, digest: str) -> OpenGate | None:
    """The gate of this digest, where it waits."""
    row = conn.execute(select(nodes).where(nodes.c.digest == digest, nodes.c.state == _WAITS)).first()
    return None if row is None else records_of(conn, [row.run])[row.run][row.node].gate


@dataclass(frozen=True, slots=True)
class Asked:
    """A gate that was ever opened. `reason` says how it was closed, where it is."""

    run: RunId
    workflow: str
    """By the name that it has today: a policy in force knows no other."""
    gate: OpenGate
    waits: bool
    until: datetime | None
    reason: str | None


def asked(conn: Connection, digest: str) -> Asked | None:
    """The gate of this digest, open or closed; None where there was never one."""
    named = (runs.c.id.label("run_id"), runs.c.known_as)
    query = select(nodes, *named).join(runs, runs.c.seq == nodes.c.run)
    row = conn.execute(query.where(nodes.c.digest == digest)).first()
    if row is None:
        return None
    gate = records_of(conn, [row.run])[row.run][row.node].gate
    assert gate is not None
    return Asked(RunId(row.run_id), row.known_as, gate, row.state == _WAITS, row.until, row.reason)


# --- writing ---------------------------------------------------------------------------------------------------------


def begin(
    tx: Connection,
    seq: int,
    node: str,
    state: NodeState,
    now: datetime,
    *,
    until: datetime | None = None,
    items: Sequence[Any] | None = None,
    cleanup: bool = False,
    gate: OpenGate | None = None,
) -> None:
    """A node has begun: its job is to run, or it waits."""
    points.record("node-begin")
    values = {
        "started_at": now,
        "until": until,
        "items": None if items is None else list(items),
        "cleanup": cleanup,
        "digest": None if gate is None else gate.digest,
        "gate": None if gate is None else dict(gate.shown),
    }
    _move(tx, seq, node, state, values)


def caused(tx: Connection, seq: int, node: str, run: RunId) -> None:
    """A run of the node's job is in the journal."""
    row = tx.execute(select(nodes.c.seq, nodes.c.runs).where(nodes.c.run == seq, nodes.c.node == node)).one()
    known = list(row.runs or ())
    if run not in known:
        tx.execute(update(nodes).where(nodes.c.seq == row.seq).values(runs=[*known, run]))


def vote(tx: Connection, digest: str, said: Verdict) -> None:
    """Record what somebody says at an open gate."""
    points.record("gate-vote")
    row = tx.execute(
        select(nodes.c.seq, runs.c.id).join(runs, runs.c.seq == nodes.c.run).where(nodes.c.digest == digest)
    ).one()
    tx.execute(insert(verdicts), _verdict(row.seq, said))
    outbox.add_all(tx, (("gate", digest), ("run", row.id)))


def end(tx: Connection, seq: int, ended: End, now: datetime) -> None:
    """A node has ended."""
    points.record("node-end")
    values = {
        "ended_at": now,
        "until": None,
        "reason": ended.reason,
        "outputs": dict(ended.outputs) or None,
        "continued": ended.continued,
    }
    _move(tx, seq, ended.node.id, ended.state, values)


def _move(tx: Connection, seq: int, node: str, state: NodeState, values: Mapping[str, Any]) -> None:
    here = (nodes.c.run == seq, nodes.c.node == node)
    before = NodeState(tx.execute(select(nodes.c.state).where(*here)).scalar_one())
    if state not in NODE_TRANSITIONS[before]:
        raise ValueError(f"node {node} is {before} and cannot become {state}")
    tx.execute(update(nodes).where(*here).values(state=state.value, **values))


def close(tx: Connection, seq: int, now: datetime, state: NodeState = NodeState.CANCELLED) -> None:
    """The run has ended before its nodes had: those that had not are so too, and no gate of it is open any more."""
    gates = tx.execute(
        select(nodes.c.digest).where(nodes.c.run == seq, nodes.c.state == _WAITS, nodes.c.digest.is_not(None))
    ).scalars()
    outbox.add_all(tx, tuple(("gate", digest) for digest in gates.all()))
    tx.execute(_CLOSE, {"which": seq, "now": now, "to_state": state.value})


def take_in(tx: Connection, seq: int, views: Sequence[NodeView], *, lost_at: datetime | None = None) -> None:
    """Take the graph of a run in as the status branch shows it; with `lost_at`, what was open then is unknown."""
    tx.execute(delete(nodes).where(nodes.c.run == seq))
    for view in views:
        record = view.record
        lost = lost_at is not None and not is_final(record.state)
        begun = record.state is not NodeState.PENDING
        state = (NodeState.UNKNOWN if begun else NodeState.SKIPPED) if lost else record.state
        row = {
            "run": seq,
            "node": record.id,
            "kind": view.kind,
            "job": view.job,
            "needs": list(view.needs),
            "state": state.value,
            "started_at": record.started_at,
            "until": None if lost else record.until,
            "ended_at": lost_at if lost else record.ended_at,
            "reason": record.reason,
            "outputs": dict(record.outputs) or None,
            "items": None if record.items is None else list(record.items),
            "runs": list(record.runs) or None,
            "continued": record.continued,
            "cleanup": record.cleanup,
            "inherited": record.inherited,
            "digest": None if record.gate is None else record.gate.digest,
            "gate": None if record.gate is None else dict(record.gate.shown),
        }
        node = tx.execute(insert(nodes).returning(nodes.c.seq), row).scalar_one()
        for one in record.gate.verdicts if record.gate is not None else ():
            tx.execute(insert(verdicts), _verdict(node, one))


def _verdict(node: int, said: Verdict) -> dict[str, Any]:
    return {
        "node": node,
        "by": said.by,
        "approved": said.approved,
        "at": said.at,
        "act": said.act,
        "reason": said.reason,
        "proven": said.proven,
    }
