"""The graph of a workflow's run in its Run file: each node with what it needs, its runs and how it ended.

Everything that a rebuilt store needs to go on stands here, open gates and their votes included;
`engine.status.readback` is the way back. Pure.
"""

from typing import Any

from engine.status.views import NodeView
from engine.status.yamltext import plain, stamp
from engine.workflows.graphfacts import OpenGate

Document = dict[str, Any]


def node(view: NodeView) -> Document:
    """A node as `status.nodes.<id>`."""
    record = view.record
    facts: Document = {
        "kind": view.kind,
        "state": str(record.state),
        "job": view.job,
        "needs": list(view.needs) or None,
        "run": record.runs[0] if record.runs and record.items is None else None,
        "runs": list(record.runs) if record.runs and record.items is not None else None,
        "items": None if record.items is None else list(record.items),
        "startedAt": record.started_at and stamp(record.started_at),
        "until": record.until and stamp(record.until),
        "finishedAt": record.ended_at and stamp(record.ended_at),
        "reason": record.reason,
        "continued": record.continued or None,
        "cleanup": record.cleanup or None,
        "inherited": record.inherited or None,
        "outputs": dict(record.outputs) or None,
        "gate": None if record.gate is None else _gate(record.gate),
        "would": None if view.would is None else dict(view.would),
    }
    return {key: plain(value) for key, value in facts.items() if value is not None}


def votes(gate: OpenGate) -> list[Document]:
    """What people said, oldest first."""
    return [
        {
            "by": plain(one.by),
            "decision": "approve" if one.approved else "reject",
            "at": stamp(one.at),
            **({"reason": plain(one.reason)} if one.reason else {}),
            "approval": one.act,
            **({"signed": True} if one.proven else {}),
        }
        for one in gate.verdicts
    ]


def _gate(gate: OpenGate) -> Document:
    """What an open gate shows stands in its own file, and follows from the plan of the run and what was known then."""
    said = votes(gate)
    advisory = {"advisory": True} if gate.advisory else {}
    known = {"known": plain(gate.shown["known"])} if "known" in gate.shown else {}
    return {"digest": gate.digest, **advisory, **known, **({"votes": said} if said else {})}
