"""The names whose values are in the value of an expression of a script for Python."""

import ast
from collections.abc import Iterator

from engine.scripts.python_calls import called
from engine.scripts.python_flows import Way, is_list, is_quote, spoken, stands_bare
from engine.scripts.python_implicit import SENT, read_by
from engine.scripts.python_names import Names
from engine.scripts.python_tree import children

_SAME = frozenset({"str", "list", "tuple", "copy"})
_SHORT = 16
"""Functions that one call may mean: more are not looked at."""


class Sources:
    def __init__(self, names: Names) -> None:
        self._names = names

    def of(self, value: ast.expr, way: Way) -> Iterator[tuple[str, Way]]:
        """The names whose values are in the value of an expression, and in which way."""
        waiting: list[tuple[ast.AST, Way]] = [(value, way)]
        while waiting:
            node, how = waiting.pop()
            own: Way = how if how != "copy" else "text"
            match node:
                case ast.Name(id=name):
                    yield name, how
                case ast.List(elts=[first, *rest]) | ast.Tuple(elts=[first, *rest]):
                    is_head = not isinstance(first, ast.Starred | ast.List | ast.Tuple)
                    waiting.append((first, own if is_head else how))
                    waiting += ((one, "command" if how == "copy" else how) for one in rest)
                case ast.BinOp(left=left, op=ast.Add(), right=right) if how == "copy" and is_list(node):
                    waiting += ((left, "copy"), (right, "command"))
                case ast.BinOp(op=ast.Add()) | ast.JoinedStr() if how == "copy":
                    waiting += self._joined(node)
                case ast.FormattedValue(value=inner, format_spec=spec):
                    waiting += ((one, own) for one in (inner, spec) if one is not None)
                case ast.IfExp(body=body, orelse=orelse):
                    waiting += ((body, how), (orelse, how))
                case ast.BoolOp(values=values):
                    waiting += ((one, how) for one in values)
                case ast.NamedExpr(target=inner) | ast.Await(value=inner) | ast.Starred(value=inner):
                    waiting.append((inner, how))
                case ast.Attribute(value=inner, attr="copy"):
                    waiting.append((inner, how))
                case ast.Subscript(value=inner) | ast.Attribute(value=inner):
                    waiting.append((inner, own))
                case ast.Compare() | ast.Lambda() | ast.UnaryOp(op=ast.Not()):
                    pass
                case ast.Call(func=ast.Lambda(body=body), args=given):
                    waiting += ((one, own) for one in (body, *given))
                case ast.Call():
                    waiting += self._of_call(node, how, own)
                    yield from ((result, how) for result in results_of(node, self._names))
                    yield from ((one, own) for one in read_by(node, self._names))
                case ast.Yield():
                    yield SENT, own
                case _:
                    waiting += [(one, own) for one in children(node)]

    def _of_call(self, call: ast.Call, how: Way, own: Way) -> list[tuple[ast.AST, Way]]:
        name, base = called(call.func)
        given: list[ast.expr] = [*call.args, *(one.value for one in call.keywords)]
        if (
            name in self._names.numbers
            or (not base and self._names.functions.get(name or ""))
            or name in self._names.enums
        ):
            return []
        if is_quote(call):
            return [(one, "quoted" if how == "copy" else "command" if how == "spoken" else how) for one in given]
        if name in _SAME:
            own = how
        if name == "get" and len(given) > 0:
            given = given[1:]
        inner = (
            [call.func.value] if isinstance(call.func, ast.Attribute) else [] if base == "" and name else [call.func]
        )
        return [(one, own) for one in (*inner, *given)]

    def _joined(self, node: ast.expr) -> Iterator[tuple[ast.AST, Way]]:
        """The parts of a text, which stay quoted where sh reads them as words."""
        found = spoken(node)
        if found is None or not stands_bare(found[0]):
            yield from ((one, "text") for one in children(node))
        else:
            yield from ((one, "spoken" if self._is_word(one) else "text") for one in found[1])

    def _is_word(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Call):
            return is_quote(node) or (isinstance(node.func, ast.Name) and bool(self._names.called(node.func)))
        return isinstance(node, ast.Name)


def results_of(call: ast.Call, names: Names) -> list[str]:
    """The names of what the functions return that a call may mean."""
    return [names.result(one) for one in names.returning(call)[:_SHORT]]
