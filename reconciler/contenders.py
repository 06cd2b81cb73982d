"""Which file is judged where several bring an act of one name.

A name is consumed once, and whoever may push the requests branch may push a file of any name. So nobody's file, and
nobody else's, may take the place of an act that somebody signed, whether it waits for approvals or was not judged yet:
neither over it nor beside it, nor by taking it away. What waits is read from the commit that brought it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine import permits
from engine.judge import Refuse
from engine.trust import Mode, Signature, signers
from reconciler.actgate import OpenAct
from reconciler.asking import unsigned
from reconciler.brought import Version, asked_last
from reconciler.door import Found
from reconciler.objects import CommitInfo, Objects
from schemas.reader import read

SignedAs = Callable[[CommitInfo, str], Signature]
"""Who answers for the commit that brought an act of this name."""

_GONE = Refuse(
    "gone", "the commit that brought it is no longer there: the branch was rewritten while it waited; ask again"
)
_WITHDRAWN = Refuse("withdrawn", "who signed it took it away before it was judged")


@dataclass(frozen=True, slots=True)
class Contenders:
    """Chooses among the files of one name. `brought` says which commit brought what a file says; None: unknown."""

    objects: Objects
    mode: Mode
    brought: Callable[[Found], CommitInfo | None]
    signed: SignedAs

    def chosen(
        self, name: str, found: Sequence[Found], versions: Sequence[Version], waits: OpenAct | None
    ) -> Found | Refuse | None:
        """The one to judge, or why there is none; None where there is nothing that needs an answer."""
        if waits is not None:
            return self._replacing(found, versions, waits) or self._again(waits) or _GONE
        if self.mode != "none":
            last = asked_last(versions, lambda one: self._answering(self.objects.commit_info(one.commit), name))
            if last is not None:
                return _WITHDRAWN if last.act is None else Found(last.act, last.commit)
            # One that nobody answers for hides none that somebody does.
            of_people = (one for one in found if self._answering(self.brought(one), name) is not None)
            return next(of_people, found[0] if found else None)
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
        for one in reversed(versions):
            if one.act is None or one.inherited:
                continue
            if self._replaces(self.objects.commit_info(one.commit), waits):
                return Found(one.act, one.commit)
        return next((one for one in found if self._replaces(self.brought(one), waits)), None)

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
