"""What the variables of a script for Python hold, as far as the script itself writes it out."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from engine.scripts.python_calls import called
from engine.scripts.python_flows import Flows

_FEW = 4
"""Names by which one list may be made longer: with more of them nothing is known of its end."""
AGAIN = 3
"""How often that stands for a repeated one which is put into a list again and again."""
_LISTS = 8
"""Lists given to one name of which it is asked what they are in the end: what starts a command asks of all."""
_COPYING = frozenset({"list", "tuple", "iter", "copy", "deepcopy"})


class Held:
    """Of one script, when all of its statements are followed."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._changing = _changing(flows)
        self._members: dict[str, list[ast.expr] | None] = {}

    def given(self, name: str) -> Sequence[ast.expr] | None:
        """All that a name is given, in any place; None where nobody can tell."""
        return None if name in self._flows.otherwise else self._flows.given.get(name)

    def tail(self, name: str) -> list[ast.expr] | None:
        """What is put at the end of the lists that are given to a name, under any of their names; None where they are
        changed otherwise."""
        by = self._changing.get(name, ())
        if len(by) > _FEW or not self._flows.altered.isdisjoint(by):
            return None
        # A field, or another name, may be that of a function that is called again.
        ends = [(again or one != name or one[0] == ".", items) for one in by for again, items in self._flows.ends[one]]
        found: list[ast.expr] = []
        for again, group in groupby(ends, key=itemgetter(0)):
            found += [item for _, items in group for item in items] * (AGAIN if again else 1)
        return found

    def members(self, node: ast.expr) -> list[ast.expr] | None:
        """What is in a list or a mapping; None where nobody can tell."""
        if not isinstance(node, ast.Name):
            return _written(node)
        if node.id not in self._members:
            self._members[node.id] = self._members_of(node.id)
        return self._members[node.id]

    def _members_of(self, name: str) -> list[ast.expr] | None:
        given, tail = self.given(name), self.tail(name)
        if given is None or tail is None or any(isinstance(one, ast.Starred) for one in tail):
            return None
        found = [_written(one) for one in given]
        return None if None in found else [*(item for one in found for item in one or ()), *tail]

    def commands(self) -> Iterator[ast.List]:
        """The lists as they are in the end, where something is put to what is written out."""
        for name, given in self._flows.given.items():
            end = self._flows.added.get(name) if (tail := self.tail(name)) is None else tail
            for one in given[:_LISTS] if end else ():
                if isinstance(one, ast.List | ast.Tuple):
                    yield ast.List(elts=[*one.elts, *(end or ())], ctx=ast.Load())


def _changing(flows: Flows) -> dict[str, list[str]]:
    """By name: the names by which a list that it holds is changed, at most one more than a few."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    waiting = [(name, name) for name in sorted(flows.changed)]
    for name, by in waiting:
        if by not in found[name] and len(found[name]) <= _FEW:
            found[name].append(by)
            waiting += [(other, by) for other in flows.aliases.get(name, ())]
    return found


def is_copy(node: ast.AST) -> ast.expr | None:
    """What a call makes a list of that holds the same."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if name in _COPYING:
            return one
        case ast.Call(func=ast.Attribute(attr="copy", value=one), args=[], keywords=[]):
            return one
        case ast.Call(args=[one], keywords=[]) if called(node.func) in (("copy", "copy"), ("deepcopy", "copy")):
            return one
    return None


def _written(node: ast.expr) -> list[ast.expr] | None:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return None if any(isinstance(one, ast.Starred) for one in items) else [*items]
        case ast.Dict(values=values):
            return [*values]
    return None
