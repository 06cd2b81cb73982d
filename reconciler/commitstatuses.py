"""Statuses of commits: written as messages with what they tell, and delivered by runners like any other.

So a forge that is away delays nothing: what it is to be told waits in the journal.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

import structlog
from sqlalchemy import Connection

from engine.catalog import Catalog
from engine.discovery.proposal import Outcome
from engine.notifications import commitstatus, pullrequest
from engine.notifications.channels import COMMIT_STATUS, PULL_REQUEST
from engine.notifications.commitstatus import Status
from engine.notifications.forges import Place, Unplaced
from journal import commits, messages
from journal.commits import Judged
from journal.messages import Channel, NewMessage

log = structlog.get_logger(__name__)

_HELD = timedelta(seconds=2)
"""A commit is mostly judged in less: then the forge is asked once, not twice."""
_BRANCHES = "refs/heads/"


class CommitStatuses:
    """Tells what comes of commits to whom the definitions in force name; those of a rejected commit name nobody."""

    def __init__(self, branch: str) -> None:
        """`branch` is that of the definitions."""
        self._branch = branch
        self.source = ""
        """The address that definitions come from, without a login."""
        self.status_here = True
        """Whether the status branch is pushed to the source."""
        self.pages: str | None = None
        """The dashboard's address, where others than who sits at this machine can open it."""
        self.active: Catalog | None = None
        """The definitions in force."""

    @property
    def any(self) -> bool:
        """Whether anybody is told."""
        return self.active is not None and isinstance(self._place(self.active), Place)

    def channel(self, catalog: Catalog) -> Iterator[Channel]:
        """What the runners deliver by, where a commit comes into force."""
        status, place = catalog.project.spec.commit_status, self._place(catalog)
        match place:
            case Place() if status is not None:
                pinned = commitstatus.pinned(catalog, status, place, self._branch)
                pool, asking = commitstatus.pool_of(catalog, status), pullrequest.pinned(pinned)
                yield Channel(COMMIT_STATUS, pool, pinned.to_json(), catalog.commit)
                yield Channel(PULL_REQUEST, pool, asking.to_json(), catalog.commit)
            case Unplaced(reason=reason):
                log.warning("no forge is told what comes of commits", because=reason, field="Project.spec.commitStatus")

    def seen(self, tx: Connection, commit: str, now: datetime) -> None:
        """A commit is going to be judged. One that was looked at last is looked at again after a restart: no news."""
        if self.active is not None and commits.last(tx) != commit:
            self._tell(tx, self.active, commitstatus.pending(commit, now), held_until=now + _HELD)

    def judged(self, tx: Connection, judged: Judged, catalog: Catalog | None) -> None:
        """What came of it; `catalog` are the definitions in force from now on."""
        if catalog is not None:
            self._tell(tx, catalog, commitstatus.judged(judged.commit, judged.verdict, judged.detail, judged.at))

    def behind(self, tx: Connection, head: str, judged: Judged) -> None:
        """The head of the branch does not come into force, because of a commit before it."""
        if self.active is not None and head != judged.commit:
            reason = str(judged.detail.get("reason") or judged.verdict)
            self._tell(tx, self.active, commitstatus.behind(head, judged.commit, reason, judged.at))

    def proposed(
        self, tx: Connection, catalog: Catalog, branch: str, commit: str, outcomes: Mapping[str, Outcome], now: datetime
    ) -> None:
        """A branch with what scans found is at a new commit: a pull request is opened for it, or written anew."""
        status = catalog.project.spec.commit_status
        if status is None or not isinstance(self._place(catalog), Place) or not pullrequest.wanted(catalog, outcomes):
            return
        message = NewMessage(
            id=pullrequest.message_id(branch, commit),
            channel=PULL_REQUEST,
            pool=commitstatus.pool_of(catalog, status),
            rule=PULL_REQUEST,
            order_key=branch,
            context=pullrequest.context_of(catalog.project.metadata.name, branch, commit, outcomes, now),
            notices=(),
            created_at=now,
        )
        messages.supersede(tx, PULL_REQUEST, branch)
        messages.write(tx, message)

    def _tell(self, tx: Connection, catalog: Catalog, status: Status, *, held_until: datetime | None = None) -> None:
        place, wanted = self._place(catalog), catalog.project.spec.commit_status
        if not isinstance(place, Place) or wanted is None or messages.known(tx, status.id):
            return
        project = catalog.project.metadata.name
        message = NewMessage(
            id=status.id,
            channel=COMMIT_STATUS,
            pool=commitstatus.pool_of(catalog, wanted),
            rule=COMMIT_STATUS,
            order_key=status.commit,
            context=commitstatus.context_of(status, project, self._link(catalog, place)),
            notices=(),
            created_at=status.at,
            hold_until=held_until,
        )
        messages.supersede(tx, COMMIT_STATUS, status.commit)
        messages.write(tx, message)

    def _place(self, catalog: Catalog) -> Place | Unplaced | None:
        return commitstatus.place(catalog, self.source)

    def _link(self, catalog: Catalog, place: Place) -> str | None:
        """The dashboard's page of commits, else the status branch as the forge shows it."""
        if self.pages is not None:
            return f"{self.pages.rstrip('/')}/sync"
        ref = catalog.project.spec.status.ref
        return place.branch_page(quote(ref.removeprefix(_BRANCHES))) if self.status_here else None
