"""Whether those who answer for a commit may make its change: the two trees, read, for `engine.authority` to judge.

Where no signature is asked for nobody can say who answers, so nothing is enforced.
"""

from collections import OrderedDict
from collections.abc import Iterator

from engine.authority import needs, permissions, permits
from engine.authority.needs import Need
from engine.authority.permissions import Permissions
from engine.authority.permits import Forbidden, Permitted, Waiting
from engine.authority.trust import Authority, Change, Stopped, signers
from engine.catalog import Catalog
from engine.changes.ingredients import Tree
from reconciler.acts.changegate import OpenChange
from reconciler.definitions import Definitions

WAITS = "WaitsForApproval"
"""The reason of a stop that approvals end."""
REJECTED = "Rejected"
"""The reason of one that somebody's no has made."""
_TREES = 2


class Permits:
    """Judges changes, one after another. One caller at a time."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._good: Catalog | None = None
        self.waiting: OpenChange | None = None
        """The change that was judged last, where it waits."""

    def begin(self, good: Catalog | None, waiting: OpenChange | None) -> None:
        """Before changes are judged: `good` are the definitions in force, which stand for what cannot be read in the
        commit that a change starts from; `waiting` is what people have said of the change that waited."""
        self._good, self.waiting = good, waiting

    def __call__(self, change: Change) -> Stopped | None:
        """Why the change is not made; None: it is."""
        before, self.waiting = self.waiting, None
        if change.mode == "none" or not change.authority.policies:
            return None
        people, digest = signers(change.signature), permits.digest_of(change.base, change.commit)
        votes = before.votes if before is not None and before.digest == digest else ()
        if against := [vote.by for vote in votes if not vote.approves]:
            self.waiting = before
            return Stopped(change.commit, REJECTED, f"commit {change.commit[:12]} was rejected by {against[0]}")
        wanted = tuple(self._needs(change))
        short = change.commit[:12]
        match permits.judged(wanted, people, {vote.by for vote in votes if vote.approves}):
            case Permitted():
                return None
            case Forbidden(message=message):
                return Stopped(change.commit, "NotPermitted", f"commit {short}: {message}")
            case Waiting() as waits:
                who = tuple(sorted(permits.named(person) for person in people))
                self.waiting = OpenChange(digest, change.base, change.commit, who, waits.wants, votes)
                return Stopped(change.commit, WAITS, f"commit {short} waits: {waits.message}")

    def _needs(self, change: Change) -> Iterator[Need]:
        base, head = self._tree(change.base), self._tree(change.commit)
        in_use = self._good.origin if self._good is not None and not base.whole else needs.NOBODY_KNOWN
        for in_force in self._in_force(base, change.authority):
            yield from needs.of_change(in_force, base, head, change.paths, in_use=in_use)

    def _in_force(self, base: Tree, authority: Authority) -> Iterator[Permissions]:
        """Of a commit that cannot be read whole all count, what it says and what was said last: no slip of an admin
        lifts a Policy, and a right that was taken away is not kept by breaking a file."""
        yield permissions.among(base.definitions)
        if not base.whole and self._good is not None:
            yield permissions.of(self._good)
        if authority.earlier is not None:
            yield Permissions(authority.earlier.policies, authority.earlier.users)

    def _tree(self, commit: str) -> Tree:
        if commit not in self._trees:
            self._trees[commit] = self._definitions.tree(commit)
            if len(self._trees) > _TREES:
                self._trees.popitem(last=False)
        self._trees.move_to_end(commit)
        return self._trees[commit]
