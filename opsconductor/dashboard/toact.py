"""What people may do about a page's subject: the command, the document, and the git that does the same. Pure.

Nothing is done here: a page shows the change, and a person makes the commit.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from engine.catalog import Catalog
from engine.leaks import shown as leaking
from engine.states import RUN_TRANSITIONS, NodeState
from engine.status.views import RunView
from opsconductor import acts
from opsconductor.acts import Act
from opsconductor.authoring import patches
from opsconductor.authoring.suspending import with_suspension
from opsconductor.dashboard.sources import Data
from schemas.job import Job
from schemas.project import DEFAULT_REQUESTS_REF, DEFAULT_STATUS_REF
from schemas.workflow import Workflow

_FAILED = frozenset({"failed", "timedOut", "unreachable"})
_BRANCH = "refs/heads/"


def of_run(view: RunView, catalog: Catalog | None, newest: str | None, at: datetime) -> list[Data]:
    """Its end while it is open, with a yes and a no for each gate that waits; after that its repetition.

    `newest` is the newest run of the same job.
    """
    return [_shown(title, act, catalog) for title, act in _of_run(view, newest, at)]


def _of_run(view: RunView, newest: str | None, at: datetime) -> Iterator[tuple[str, Act]]:
    seed = (view.id, newest or "")
    for node in view.nodes:
        gate = node.record.gate if node.state is NodeState.WAITING else None
        for decision, title in _DECISIONS if gate is not None else ():
            assert gate is not None
            name = acts.shown_name(decision, (gate.digest, str(len(gate.verdicts))), at)
            yield f"{title} {node.id}", _act("Approval", name, acts.voted(gate.digest, decision))
    if RUN_TRANSITIONS[view.state]:
        yield "Cancel this run", _request("cancel", seed, acts.cancelled(view.id), at)
        return
    yield "Run it again, as it was", _request("rerun", seed, acts.rerun(view.id), at)
    if _failed_in_part(view):
        again = acts.rerun(view.id, failed_only=True)
        yield "Run it again, only where it failed", _request("rerun", (*seed, "failed"), again, at)


def _failed_in_part(view: RunView) -> bool:
    states = [str(node.state) for node in view.nodes] or [str(place.state) for place in view.results]
    return view.rehearsal is None and len(states) > 1 and bool(_FAILED.intersection(states))


_DECISIONS: tuple[tuple[Literal["approve", "reject"], str], ...] = (
    ("approve", "Approve what waits at"),
    ("reject", "Reject what waits at"),
)


def of_subject(document: Job | Workflow, catalog: Catalog | None, newest: str | None, at: datetime) -> list[Data]:
    """A run of a job or workflow. What it must be told is named: only people know it."""
    spec = acts.started(document.name, workflow=isinstance(document, Workflow))
    act = _request(document.name, (document.kind, newest or ""), spec, at)
    needed = [name for name, schema in document.spec.params.items() if _is_needed(schema)]
    return [{**_shown("Ask for a run", act, catalog), "needs": needed}]


def _is_needed(schema: Mapping[str, Any]) -> bool:
    return schema.get("required") is True and "default" not in schema


def of_schedule(catalog: Catalog, name: str, text: str | None, at: datetime) -> list[Data]:
    """The schedule suspended, or going on again, as a patch of its file. `text` is the file at the commit in force."""
    authored = catalog.origin.get(f"Schedule/{name}")
    if authored is None or text is None:
        return []
    suspend = catalog.schedules[name].spec.suspend is False
    after = with_suspension(text, authored.file, name, suspend=suspend)
    if after is None:
        return []
    patch = patches.patch({authored.file: patches.Change(text, after)})
    if leaking(patch.encode()).leaks:
        return []  # whoever reads pages may not read the repository
    verb = "suspend" if suspend else "resume"
    branch = acts.act_name(f"{verb}-{name}", at.replace(minute=0, second=0, microsecond=0), catalog.commit[:6])
    git = patches.commands(patch, base=catalog.commit, branch=branch, message=f"{verb.capitalize()} schedule {name}")
    title = "Suspend it" if suspend else "Let it go on"
    change = {"document": patch, "path": authored.file, "branch": None, "git": git}
    return [{"title": title, "needs": [], "command": None, **change}]


def _request(about: str, seed: Sequence[str], spec: acts.Spec, at: datetime) -> Act:
    return _act("RunRequest", acts.shown_name(about, seed, at), spec)


def _act(kind: Literal["RunRequest", "Approval"], name: str, spec: acts.Spec) -> Act:
    return Act(kind, name, spec, acts.words(spec))


def _shown(title: str, act: Act, catalog: Catalog | None) -> Data:
    ref = DEFAULT_REQUESTS_REF if catalog is None else catalog.project.spec.requests.ref
    status = DEFAULT_STATUS_REF if catalog is None else catalog.project.spec.status.ref
    return {
        "title": title,
        "needs": [],
        "command": act.command,
        "document": act.text,
        "path": act.path,
        "branch": ref.removeprefix(_BRANCH),
        "git": acts.git_commands(act, ref, status),
    }
