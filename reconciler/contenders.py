"""Which file is judged where several bring an act of one name.

A name is consumed once, and whoever may push the requests branch may push a file of any name. So nobody's file, and
nobody else's, may take the place of a request that waits for approvals: neither written over it nor beside it. What
waits is read from the commit that brought it, whatever became of its file since.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine import permits
from engine.trust import Mode, Signature, signers
from reconciler.actgate import OpenAct
from reconciler.asking import unsigned
from reconciler.door import Found
from reconciler.objects import CommitInfo, Objects
from schemas.reader import read

SignedAs = Callable[[CommitInfo, str], Signature]
"""Who answers for the commit that brought an act of this name."""


@dataclass(frozen=True, slots=True)
class Contenders:
    """Chooses among the files of one name. `brought` says which commit brought what a file says; None: unknown."""

    objects: Objects
    mode: Mode
    brought: Callable[[Found], CommitInfo | None]
    signed: SignedAs

    def chosen(self, name: str, found: Sequence[Found], waits: OpenAct | None) -> Found | None:
        """The one to judge; None where what waits is gone with its commit, and nothing took its place."""
        if waits is not None:
            return next((one for one in found if self._replaces(one, waits)), None) or self._again(waits)
        if self.mode == "none":
            return found[0]
        # One that nobody answers for hides none that somebody does.
        return next((one for one in found if self._answered_for(one, name)), found[0])

    def _answered_for(self, one: Found, name: str) -> bool:
        commit = self.brought(one)
        return commit is not None and unsigned(self.signed(commit, name), self.mode) is None

    def _replaces(self, one: Found, waits: OpenAct) -> bool:
        """Whether those who signed what waits have put this in its place: later, by a commit that they signed too."""
        commit = self.brought(one)
        if commit is None or self.mode == "none" or commit.id == waits.commit or not self.objects.has(waits.commit):
            return False
        if self.objects.is_ancestor(commit.id, waits.commit):
            return False
        if commit.committed_at < self.objects.commit_info(waits.commit).committed_at:
            return False
        by = self.signed(commit, waits.request)
        return unsigned(by, self.mode) is None and {*map(permits.named, signers(by))} == {*waits.requesters}

    def _again(self, waits: OpenAct) -> Found | None:
        if not self.objects.has(waits.commit) or (data := self.objects.file(waits.commit, waits.file)) is None:
            return None
        acts = (one for one in read(data, waits.file).documents if one.is_act and one.document.name == waits.request)
        return next((Found(one, waits.commit) for one in acts), None)
