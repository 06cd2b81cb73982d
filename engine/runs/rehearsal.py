"""A dry run: what a plan would do on each target, as far as that is known before anything runs. Pure.

Nothing is sent, connected to or opened. A rehearsal goes by the plan of a real run and by its evaluator; it takes every
step that would run for a success without results, so what reads those stays open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.expressions.contexts import RunFacts
from engine.runs.pinned import RUNNER, PinnedSpec, PinnedTarget
from engine.runs.repetition import Records
from engine.runs.stage import Facts, Room, Stage
from engine.runs.strategy import batches_of
from engine.states import NodeState, RunState, StepState
from engine.status.views import NodeView, StepView, TargetView
from engine.workflows.graphfacts import NodeRecord
from schemas.quantities import format_duration

MOST = 256 * 1024
"""Bytes of the details of a whole rehearsal: of the targets after them only the verdicts are shown."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would happen. `strategy` says in which order and batches, `places` have a step's facts as its `would`.

    It failed where something is known to fail: an expression that cannot be evaluated.
    """

    state: RunState
    strategy: Mapping[str, Any]
    places: tuple[TargetView, ...]
    nodes: tuple[NodeView, ...] = ()
    """Of a workflow, which has no places of its own."""

    def to_json(self) -> dict[str, Any]:
        """As plain data, for a store."""
        nodes = {"nodes": [_node_data(node) for node in self.nodes]} if self.nodes else {}
        return {"strategy": dict(self.strategy), "places": [_place_data(place) for place in self.places], **nodes}


def rehearse(spec: PinnedSpec, params: Mapping[str, Any], run: RunFacts, carried: Records | None = None) -> Rehearsal:
    """What the plan would do. `carried` are results that a repetition takes over from the run that it repeats."""
    targets: list[PinnedTarget | None] = list(spec.targets) if spec.on_targets else [None]
    room = Room(MOST)
    places = []
    for target in targets:
        name = target.name if target is not None else RUNNER
        known = tuple((carried or {}).get(name, ()))
        places.append(Stage(spec, target, params, run, list(known), room).played())
    failed = any(place.state is StepState.FAILED for place in places)
    return Rehearsal(RunState.FAILED if failed else RunState.SUCCEEDED, strategy_of(spec), tuple(places))


def strategy_of(spec: PinnedSpec) -> Facts:
    """In which order and batches a plan goes over its targets; nothing where it has none."""
    if not spec.on_targets:
        return {}
    names = [target.name for target in spec.targets]
    facts: Facts = {
        "order": spec.order,
        "maxParallel": spec.max_parallel,
        "batches": [list(batch) for batch in batches_of(names, spec.batches)],
    }
    if spec.pause_between:
        facts["pauseBetween"] = format_duration(spec.pause_between)
    if spec.max_failures is not None:
        facts["maxFailures"] = spec.max_failures
    return facts


# --- as plain data ---------------------------------------------------------------------------------------------------


def _place_data(place: TargetView) -> dict[str, Any]:
    return {"name": place.name, "state": str(place.state), "steps": [_step_data(step) for step in place.steps]}


def _step_data(step: StepView) -> dict[str, Any]:
    facts = {
        "id": step.id,
        "state": str(step.state),
        "phase": step.phase,
        "name": step.name,
        "error": step.error,
        "inherited": step.inherited or None,
        "would": dict(step.would or {}),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _node_data(node: NodeView) -> dict[str, Any]:
    facts = {
        "id": node.id,
        "kind": node.kind,
        "job": node.job,
        "needs": list(node.needs),
        "state": str(node.state),
        "reason": node.record.reason,
        "inherited": node.record.inherited or None,
        "would": dict(node.would or {}),
    }
    return {key: value for key, value in facts.items() if value is not None}


def nodes_of(data: Mapping[str, Any]) -> tuple[NodeView, ...]:
    """What `Rehearsal.to_json` holds of the nodes of a workflow."""
    return tuple(
        NodeView(
            node["kind"],
            node.get("job"),
            tuple(node["needs"]),
            NodeRecord(
                node["id"],
                NodeState(node["state"]),
                reason=node.get("reason"),
                inherited=node.get("inherited", False),
            ),
            node["would"],
        )
        for node in data.get("nodes", ())
    )


def places_of(data: Mapping[str, Any]) -> tuple[TargetView, ...]:
    """What `Rehearsal.to_json` holds of the places."""
    return tuple(
        TargetView(place["name"], StepState(place["state"]), steps=_steps_of(place["steps"]))
        for place in data["places"]
    )


def _steps_of(steps: Sequence[Mapping[str, Any]]) -> tuple[StepView, ...]:
    return tuple(
        StepView(
            step["id"],
            StepState(step["state"]),
            step["phase"],
            step.get("name"),
            error=step.get("error"),
            inherited=step.get("inherited", False),
            would=step["would"],
        )
        for step in steps
    )
