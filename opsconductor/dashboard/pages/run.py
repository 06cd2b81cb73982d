"""One run: a sentence in words, its steps and targets, its graph."""

from datetime import datetime

from sqlalchemy import Connection

from engine.identity import RunId
from engine.pinned import RUNNER
from engine.readmodel import run_file
from engine.states import StepState
from engine.views import NodeView, StepView, TargetView
from engine.yamltext import stamp
from journal import runviews
from opsconductor.dashboard import sentence
from opsconductor.dashboard.pages.briefs import usual_seconds
from opsconductor.dashboard.pages.page import Asked, Page
from opsconductor.dashboard.sources import Data, Sources


async def load(sources: Sources, asked: Asked) -> Data | None:
    """A run as its file says it, with what people see beside it."""
    return await sources.journal.read(lambda conn: _run(conn, asked.path["run"], sources.clock.now()))


PAGE = Page("/runs/{run}", "run", load)


def _run(conn: Connection, name: str, at: datetime) -> Data | None:
    view = runviews.get(conn, RunId(name))
    if view is None:
        return None
    usual = usual_seconds(conn, view.job)
    shown = {
        "usual": usual,
        "sentence": sentence.of_run(view, at, usual),
        "places": [_place(place) for place in sentence.places(view)],
        "nodes": [_node(node) for node in view.nodes],
    }
    return {"at": stamp(at)} | run_file(view) | {"shown": shown}


def _place(place: TargetView) -> Data:
    name = "" if place.name == RUNNER else place.name
    return {"name": name, "state": place.state and str(place.state), "steps": [_step(step) for step in place.steps]}


def _step(step: StepView) -> Data:
    good = step.state is StepState.SUCCEEDED
    return {
        "id": step.id,
        "phase": "" if step.phase == "steps" else step.phase,
        "logged": sentence.phase_and_step(step),
        "state": str(step.state),
        "rescued": step.rescued,
        "continued": step.continued,
        "duration": step.duration,
        "attempts": step.attempts,
        "error": step.error or "",
        "tail": "" if good else step.stderr_tail or step.stdout_tail or "",
        "log": step.log is not None,
    }


def _node(node: NodeView) -> Data:
    return {
        "id": node.id,
        "kind": node.kind,
        "state": str(node.state),
        "needs": list(node.needs),
        "runs": list(node.record.runs),
        "reason": node.record.reason or "",
    }
