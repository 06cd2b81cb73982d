"""What is seen of the source: its branches, by the names that the settings in force give them."""

import asyncio
from datetime import timedelta

from engine.authority.trust import anybody
from journal.errors import Refused, Unavailable
from reconciler.authority.chain import chain_of
from reconciler.authority.trust import TRUST_NOBODY, TrustSettings
from reconciler.definitions import Definitions
from reconciler.lookout import Lookout, Sighting
from reconciler.repository.mirror import Mirror
from reconciler.repository.objects import Objects
from schemas.project import DEFAULT_REQUESTS_REF, Project

LONGEST_SLEEP = timedelta(seconds=30)
"""However quiet it is: the wall clock may have jumped, or another process left a note in the journal."""


class Outlook:
    """The last look at the source, and where to look next. One look at a time."""

    def __init__(self, mirror: Mirror, branch: str, trust: TrustSettings = TRUST_NOBODY) -> None:
        self.branch = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        """The branch of definitions."""
        self.status_ref: str | None = None
        """The status branch, once it is known: it is looked at together with the others."""
        self.in_force: Project | None = None
        """The settings in force."""
        self.sighting = Sighting()
        """What the last look saw."""
        self._mirror = mirror
        self._lookout = Lookout(mirror)
        # A look is made beside a pass, and Objects have one caller at a time.
        self._ahead = Definitions(Objects(mirror.path))
        self._first = chain_of(mirror.path, self._ahead, trust, permits=anybody)
        self._ahead_turn = asyncio.Lock()
        self._first_requests_ref = DEFAULT_REQUESTS_REF

    async def look(self) -> None:
        """See what the source has."""
        sighting = await self._lookout.look(self._refs)
        if self.in_force is None:
            sighting = await self._look_where_the_head_says(sighting)
        self.sighting = sighting

    async def project(self) -> Project | None:
        """The settings in force; before anything is, those that the head of the branch asks for."""
        return self.in_force if self.in_force is not None else await self.project_of_head()

    async def project_of_head(self) -> Project | None:
        """The settings that the head of the branch asks for, where they can be read."""
        head = self.sighting.heads.get(self.branch)
        return await self._project_ahead(head)

    async def _project_ahead(self, head: str | None) -> Project | None:
        """Of a commit that the settings do not let in as the first one nothing is heeded, nor where status goes."""
        async with self._ahead_turn:
            if head is None or not await asyncio.to_thread(self._first.begins, head):
                return None
            return await self._ahead.project(head)

    async def interval(self) -> timedelta:
        """How long it takes at most until an engine on this source has looked at its branches."""
        project = await self.project()
        return min(project.spec.interval, LONGEST_SLEEP) if project else LONGEST_SLEEP

    async def _look_where_the_head_says(self, sighting: Sighting) -> Sighting:
        """Before anything is in force the head of the branch says where acts are: those there must be seen at once."""
        head = sighting.heads.get(self.branch)
        try:
            project = await self._project_ahead(head)
        except (Unavailable, Refused) as error:
            return Sighting(trouble=str(error))
        wanted = project.spec.requests.ref if project else DEFAULT_REQUESTS_REF
        if wanted == self._first_requests_ref:
            return sighting
        self._first_requests_ref = wanted
        return await self._lookout.look(self._refs)

    @property
    def _refs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (self.branch, self.requests_ref, self.status_ref))))

    def unseen(self, *, acts: bool) -> str | None:
        """Why the last look did not show the branch of definitions, and with `acts` that of requests; None: it did."""
        sighting = self.sighting
        refs = (self.branch, self.requests_ref) if acts else (self.branch,)
        return sighting.trouble or next((sighting.troubles[ref] for ref in refs if ref in sighting.troubles), None)

    async def missing(self) -> str | None:
        """What to say where the source was seen and lacks the branch of definitions; else None."""
        if self.sighting.heads.get(self.branch, "") is not None:
            return None
        return (await self._mirror.missing(self.branch)).message

    @property
    def head(self) -> str | None:
        """The branch of definitions, as it was last seen."""
        return self.sighting.heads.get(self.branch)

    @property
    def pace(self) -> timedelta:
        """How often the branches are looked at now."""
        interval = self.in_force.spec.interval if self.in_force else LONGEST_SLEEP
        return min(interval, LONGEST_SLEEP)

    @property
    def requests_ref(self) -> str:
        """The branch of acts."""
        wanted = self.in_force.spec.requests.ref if self.in_force else self._first_requests_ref
        return wanted if wanted != self.branch else DEFAULT_REQUESTS_REF
