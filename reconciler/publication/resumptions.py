"""Planning open runs again after a drained stop: their commits are opened, and the texts of their requests found."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import structlog

from engine.catalog import Catalog
from engine.identity import RunId
from engine.runs.resumption import Unprovable, resumed, resumed_graph
from engine.status.views import RunView
from journal.errors import Unavailable
from journal.runs import NewRun
from reconciler.acts.door import Found
from reconciler.definitions import Definitions
from reconciler.launches import new_run
from reconciler.repository.objects import NoSuchCommit, Objects
from schemas.act import RunRequest

log = structlog.get_logger(__name__)

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
Plans = Mapping[RunId, NewRun | Unprovable]
Replan = Callable[[Iterable[RunView]], Awaitable[Plans]]


class Resumptions:
    """Plans open runs again. `head` is the branch of definitions as it was seen, `acts` are those of both branches.

    A commit that `head` does not contain is not used: the status branch alone must not bring definitions in.
    """

    def __init__(self, objects: Objects, *, head: str | None, acts: Sequence[Found]) -> None:
        self._objects = objects
        self._definitions = Definitions(objects)
        self._head = head
        self._acts = acts

    async def plans(self, views: Iterable[RunView]) -> Plans:
        """For each run its plan, or why it has none. Raises Unavailable and Refused where the mirror cannot be read."""
        wanted = tuple(views)
        catalogs = {commit: await self._catalog(commit) for commit in dict.fromkeys(view.commit for view in wanted)}
        return {view.id: await self._plan(view, catalogs[view.commit]) for view in wanted}

    async def _catalog(self, commit: str) -> Catalog | Unprovable:
        if not _COMMIT.fullmatch(commit):  # a name that git reads otherwise would look like a damaged mirror
            return Unprovable("its commit is no full commit id")
        try:
            if self._head is None or not await asyncio.to_thread(self._objects.is_ancestor, commit, self._head):
                return Unprovable(f"its commit {commit[:12]} is not in the history of the branch of definitions")
            catalog = (await self._definitions.load(commit)).catalog
        except NoSuchCommit:
            return Unprovable(f"its commit {commit[:12]} is not to be had any more")
        return catalog or Unprovable(f"its commit {commit[:12]} does not pass validation by this version")

    async def _plan(self, view: RunView, catalog: Catalog | Unprovable) -> NewRun | Unprovable:
        if isinstance(catalog, Unprovable):
            return catalog
        try:
            act = await self._act(view) if view.inline else None
            launch = resumed_graph(view, catalog) if view.workflow else resumed(view, catalog, act)
            plan = launch if isinstance(launch, Unprovable) else new_run(launch, catalog)
        except Unavailable:
            raise
        except Exception as error:  # what is on the branch may be anybody's: it must not keep an engine from starting
            log.exception("a bug of ours: a run cannot be planned again", run=view.id)
            return Unprovable(f"it cannot be planned again, by a bug of ours: {type(error).__name__}")
        if isinstance(plan, NewRun) and dict(plan.libraries) != dict(view.libraries):
            return Unprovable("the step libraries that it ran with are not those of this version")
        return plan

    async def _act(self, view: RunView) -> RunRequest | None:
        """The request that caused the run, where its text has stood unchanged since."""
        for found in self._acts:
            act = found.authored.document
            if not isinstance(act, RunRequest) or (view.cause.kind, view.cause.name) != ("request", act.name):
                continue
            commit = await asyncio.to_thread(self._objects.introduced, found.head, found.authored.file)
            if commit is None:
                continue
            instant = act.spec.not_before or commit.committed_at
            same = instant == view.cause.instant and commit.committer_email == view.cause.requested_by
            if same and commit.committed_at <= view.queued_at:
                return act
        return None
