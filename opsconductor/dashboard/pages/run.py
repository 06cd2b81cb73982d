"""One run: a sentence in words, its steps and targets over time, what it was given, what is new about it, its graph."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.expressions.contexts import RunFacts
from engine.identity import RunId
from engine.runs.pinned import RUNNER, PinnedSpec, is_nested
from engine.runs.rehearsal import rehearse
from engine.states import NodeState, StepState
from engine.status.graphfile import node as node_file
from engine.status.placefile import place as place_file
from engine.status.readmodel import run_file
from engine.status.views import NodeView, RunView, StepView, TargetView
from engine.status.yamltext import stamp
from journal import attempts, runviews, trends
from journal.attempts import Attempt, Planned
from opsconductor.dashboard import sentence, toact
from opsconductor.dashboard.definitions import lines_of
from opsconductor.dashboard.differences import differences
from opsconductor.dashboard.pages.briefs import usual_seconds
from opsconductor.dashboard.pages.page import Asked, Page, UnfitQuery, number_of
from opsconductor.dashboard.sentence import why_of
from opsconductor.dashboard.sources import Data, Sources
from opsconductor.dashboard.timeline import timeline
from opsconductor.rehearsed import lines, of_node, of_place, of_step
from schemas.envelope import Document
from schemas.reader import Authored, read

_PLACES = 20
"""Targets that one page shows in full."""
_MATRIX = 300
_COLUMNS = 40
_ATTEMPTS = 4_000
_LINES = 500
_GOOD = (StepState.SUCCEEDED, StepState.SKIPPED)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked for: `only` what failed, one target, a page of the targets."""

    only: bool
    target: str | None
    page: int


async def load(sources: Sources, asked: Asked) -> Data | None:
    """A run as its file says it, with what people see beside it. The query has `only`, `target` and `page`."""
    if (only := asked.query.get("only", "")) not in ("", "failed"):
        raise UnfitQuery("'only' is failed, or left out")
    wish = _Wish(bool(only), asked.query.get("target") or None, number_of(asked.query, "page", 1))
    at = sources.clock.now()
    catalog = sources.engine.catalog
    found = await sources.journal.read(lambda conn: _run(conn, RunId(asked.path["run"]), wish, at, catalog))
    if found is None:
        return None
    data, view, plan = found
    data["shown"]["given"] = await asyncio.to_thread(_given, view, plan, data["shown"]["places"])
    data["shown"]["definition"] = await asyncio.to_thread(_definition, sources, view)
    return data


PAGE = Page(
    "/runs/{run}",
    "run",
    load,
    asks={"only": "`failed`: only the targets that did not succeed.", "target": "One target.", "page": "From 1 on."},
    gives=("apiVersion", "kind", "metadata", "spec", "status", "shown"),
)


def _run(
    conn: Connection, name: RunId, wish: _Wish, at: datetime, catalog: Catalog | None
) -> tuple[Data, RunView, Planned | None] | None:
    view = runviews.get(conn, name)
    if view is None:
        return None
    kind = "Workflow" if view.workflow else "Job"
    today = view.job if catalog is None or view.inline else catalog.name_now(kind, view.today)
    usual = usual_seconds(conn, today, workflow=view.workflow)
    every = sentence.places(view)
    chosen = [place for place in every if _is_wanted(place, wish)]
    pages = max(-(-len(chosen) // _PLACES), 1)
    page = min(wish.page, pages)
    places = chosen[(page - 1) * _PLACES : page * _PLACES]
    seen = attempts.attempts(conn, name, [place.name for place in places], limit=_ATTEMPTS)
    plan = attempts.planned(conn, name)
    newest = trends.marks(conn, today, workflow=view.workflow, limit=1)
    shown = {
        "usual": usual,
        "sentence": sentence.of_run(view, at, usual),
        "places": [_place(place) for place in places],
        "only": "failed" if wish.only else "",
        "target": wish.target,
        "page": page,
        "pages": pages,
        "begun": len(every),
        "timeline": timeline(view, _whole(seen), at),
        "matrix": _matrix(chosen) if view.on_targets and not view.workflow else None,
        "difference": _difference(conn, plan),
        "nodes": [_node(node) for node in view.nodes],
        "acts": toact.of_run(view, catalog, newest[0].id if newest else None, at),
    }
    file = run_file(view)
    shown["rehearsed"] = "\n".join(lines(file)) if view.rehearsal is not None else None
    return {"at": stamp(at)} | file | {"shown": shown}, view, plan


def _is_wanted(place: TargetView, wish: _Wish) -> bool:
    if wish.target is not None and place.name != wish.target:
        return False
    return not wish.only or place.state not in (*_GOOD, StepState.RUNNING, None)


def _whole(seen: Sequence[Attempt]) -> Sequence[Attempt]:
    """Nothing rather than a part that looks like the whole."""
    return () if len(seen) == _ATTEMPTS else seen


def _difference(conn: Connection, now: Planned | None) -> Data | None:
    other = None if now is None else attempts.before(conn, now.run)
    before = None if other is None else attempts.planned(conn, other)
    return None if now is None or before is None else differences(before, now)


# --- what it was given ---


def _given(view: RunView, planned: Planned | None, places: Sequence[Data]) -> Data | None:
    """Inputs of the steps in the first place shown, as far as they were known before the run; secrets by name alone."""
    spec = None if planned is None else planned.plan
    if not isinstance(spec, PinnedSpec) or view.rehearsal is not None or not places:
        return None
    name = places[0]["name"]
    alone = replace(spec, targets=tuple(one for one in spec.targets if one.name == name))
    if spec.on_targets and not alone.targets:
        return None
    facts = RunFacts(view.id, view.job, view.commit, view.cause.instant, max(view.attempt, 1), view.cause)
    found = rehearse(alone, view.params, facts).places[0]
    return {"place": name, "text": "\n".join(of_place(place_file(found)))}


def _definition(sources: Sources, view: RunView) -> Data | None:
    """The text of its job at its commit, where that stands in the file where it stands today, by the name that it had
    then; else the text of today. `ofToday` says which, `today` the name of today where that is another."""
    catalog = sources.engine.catalog
    if catalog is None or view.inline:
        return None
    kind = "Workflow" if view.workflow else "Job"
    today = catalog.name_now(kind, view.today)
    known = catalog.origin.get(f"{kind}/{today}")
    if known is None:
        return None
    authored = known if view.commit == catalog.commit else _then(sources, view, known, kind)
    shown = known if authored is None else authored
    lines = lines_of(shown.document)
    return {
        "file": shown.file,
        "line": shown.span().line,
        "same": authored is not None and _body(authored.document) == _body(known.document),
        "ofToday": authored is None,
        "today": today if today != view.job else None,
        "lines": lines[:_LINES],
        "more": len(lines) > _LINES,
    }


def _then(sources: Sources, view: RunView, known: Authored, kind: str) -> Authored | None:
    """The document as its commit had it, by the name of then or by a later one that the run is known by."""
    data = sources.engine.committed(view.commit, known.file)
    found = {one.identity: one for one in (() if data is None else read(data, known.file).documents)}
    return found.get(f"{kind}/{view.job}") or found.get(f"{kind}/{view.today}")


def _body(document: Document) -> Data:
    """All but what a new name changes."""
    data = document.to_json()
    metadata = {key: value for key, value in data["metadata"].items() if key not in ("name", "previousNames")}
    return data | {"metadata": metadata}


# --- targets and steps ---


def _matrix(places: Sequence[TargetView]) -> Data:
    """Targets and steps, a state each; what steps consist of is left out."""
    columns: dict[str, None] = {}
    for place in places[:_MATRIX]:
        columns |= dict.fromkeys(sentence.phase_and_step(step) for step in place.steps if not is_nested(step.id))
    names = list(columns)[:_COLUMNS]
    return {
        "steps": names,
        "rows": [_matrix_row(place, names) for place in places[:_MATRIX]],
        "more": max(len(places) - _MATRIX, 0),
    }


def _matrix_row(place: TargetView, names: Sequence[str]) -> Data:
    states: Mapping[str, str] = {sentence.phase_and_step(step): _state(step.state, step.would) for step in place.steps}
    return {
        "name": place.name,
        "state": place.state and str(place.state),
        "states": [states.get(name) for name in names],
    }


def _place(place: TargetView) -> Data:
    name = "" if place.name == RUNNER else place.name
    return {
        "name": name,
        "key": place.name,
        "state": place.state and str(place.state),
        "reason": place.reason or "",
        "runner": place.runner or "",
        "steps": [_step(step) for step in place.steps],
    }


def _step(step: StepView) -> Data:
    good = step.state is StepState.SUCCEEDED
    return {
        "id": step.id,
        "phase": "" if step.phase == "steps" else step.phase,
        "logged": sentence.phase_and_step(step),
        "state": _state(step.state, step.would),
        "verdict": "" if step.would is None else of_step(step.would),
        "rescued": step.rescued,
        "continued": step.continued,
        "duration": step.duration,
        "attempts": step.attempts,
        "error": _unsaid(step.error, step.would),
        "tail": "" if good else step.stderr_tail or step.stdout_tail or "",
        "log": step.log is not None,
    }


def _state(state: StepState | NodeState, would: Mapping[str, Any] | None) -> str:
    """Of a dry run nothing has happened: what would run has the state of that alone."""
    begins = would is not None and would.get("verdict") in ("run", "depends")
    return "dry run" if begins and state.value == StepState.SKIPPED.value else str(state)


def _unsaid(text: str | None, would: Mapping[str, Any] | None) -> str:
    """What the verdict of a dry run has not said already."""
    return "" if not text or (would is not None and text == would.get("because")) else text


def _node(node: NodeView) -> Data:
    runs = list(node.record.runs)
    return {
        "id": node.id,
        "kind": node.kind,
        "state": _state(node.state, node.would),
        "verdict": "" if node.would is None else of_node(node_file(node)),
        "needs": list(node.needs),
        "runs": runs,
        "reason": _unsaid(why_of(node), node.would),
        "until": None if node.record.until is None else stamp(node.record.until),
        "under": node.job or node.kind,
        "href": f"/runs/{runs[0]}" if len(runs) == 1 else None,
    }
