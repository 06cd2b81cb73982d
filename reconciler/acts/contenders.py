"""Which file is judged where several bring an act of one name.

A name is consumed once, and whoever may push the requests branch may push a file of any name. So nobody's file, and
nobody else's, may take the place of an act that somebody signed, whether it waits for approvals or was not judged yet:
neither over it nor beside it, nor by taking it away. What waits is read from the commit that brought it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from engine.authority import permits
from engine.authority.trust import Mode, Signature, signers
from engine.judge import Refuse
from reconciler.acts.actgate import OpenAct
from reconciler.acts.asking import unsigned
from reconciler.acts.brought import Version, asked_last
from reconciler.acts.door import Found
from reconciler.repository.objects import CommitInfo, Objects
from schemas.reader import read

MOST_OF_NAME = 20
"""Commits of one name whose signatures are looked at, where many came together: each costs a program's start."""
SignedAs = Callable[[CommitInfo, str], Signature]
"""Who answers for the commit that brought an act of this name."""

_GONE = Refuse(
    "gone", "the commit that brought it is no longer there: the branch was rewritten while it waited; ask again"
)
_CROWDED = Refuse(
    "tooMany",
    f"more than {MOST_OF_NAME} commits that came together bring something of this name, and nobody who is trusted "
    "signed the first of them; ask again under another name",
)
_WITHDRAWN = Refuse("withdrawn", "who signed it took it away before it was judged")


@dataclass(frozen=True, slots=True)
class Contenders:
    """Chooses among the files of one name. `brought` says which commit brought what a file says; None: unknown."""

    objects: Objects
    mode: Mode
    brought: Callable[[Found], CommitInfo | None]
    signed: SignedAs
    seen: bool = True
    """The branch was fetched: what is not there now is gone."""

    def chosen(
        self, name: str, found: Sequence[Found], versions: Sequence[Version], waits: OpenAct | None
    ) -> Found | Refuse | None:
        """The one to judge, or why there is none; None where there is nothing that needs an answer, or can have one."""
        if waits is not None:
            # A branch that could not be fetched may hold it still.
            missing = _GONE if self.seen or self.objects.has(waits.commit) else None
            return self._replacing(found, versions, waits) or self._again(waits) or missing
        if self.mode != "none":
            last = asked_last(
                versions, lambda one: self._answering(self.objects.commit_info(one.commit), name), MOST_OF_NAME
            )
            if last is not None:
                return _WITHDRAWN if last.act is None else Found(last.act, last.commit)
            # One that nobody answers for hides none that somebody does.
            looked_at = found[:MOST_OF_NAME]
            of_people = (one for one in looked_at if self._answering(self.brought(one), name) is not None)
            if (by_somebody := next(of_people, None)) is not None:
                return by_somebody
            if len(found) > MOST_OF_NAME or sum(one.act is not None for one in versions) > MOST_OF_NAME:
                return _CROWDED
        return found[0] if found else None

    def _answering(self, commit: CommitInfo | None, name: str) -> frozenset[str] | None:
        """Those who answer for a commit that brings an act of this name; None: nobody who is trusted, or known."""
        if commit is None:
            return None
        by = self.signed(commit, name)
        return frozenset(map(permits.named, signers(by))) if unsigned(by, self.mode) is None else None

    def _replacing(self, found: Sequence[Found], versions: Sequence[Version], waits: OpenAct) -> Found | None:
        """What those who signed what waits have put in its place."""
        if self.mode == "none" or not self.objects.has(waits.commit):
            return None
        later = (one for one in reversed(versions) if one.act is not None and not one.inherited)
        for one in islice(later, MOST_OF_NAME):
            if one.act is not None and self._replaces(self.objects.commit_info(one.commit), waits):
                return Found(one.act, one.commit)
        return next((one for one in found[:MOST_OF_NAME] if self._replaces(self.brought(one), waits)), None)

    def _replaces(self, commit: CommitInfo | None, waits: OpenAct) -> bool:
        """Whether it is later, and signed by them too."""
        if commit is None or commit.id == waits.commit or self.objects.is_ancestor(commit.id, waits.commit):
            return False
        if commit.committed_at < self.objects.commit_info(waits.commit).committed_at:
            return False
        return self._answering(commit, waits.request) == frozenset(waits.requesters)

    def _again(self, waits: OpenAct) -> Found | None:
        if not self.objects.has(waits.commit) or (data := self.objects.file(waits.commit, waits.file)) is None:
            return None
        acts = (one for one in read(data, waits.file).documents if one.is_act and one.document.name == waits.request)
        return next((Found(one, waits.commit) for one in acts), None)
