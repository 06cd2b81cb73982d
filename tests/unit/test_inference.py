"""What types say is wrong, the library refuses, whatever the values."""

from itertools import product

import pytest

from engine.expression import ExpressionError, compile_text, evaluate
from engine.inference import WORDS, infer, said

VALUES = {
    "bool": "true",
    "int": "1",
    "double": "1.5",
    "text": '"a"',
    "bytes": 'b"a"',
    "list": "[1]",
    "map": '{"a": 1}',
    "null": "null",
    "time": 'timestamp("2026-01-01T00:00:00Z")',
    "duration": 'duration("1s")',
}
OPERATORS = ["+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "in", "&&", "||"]


def answer(cel: str) -> object:
    try:
        return evaluate(cel, {})
    except ExpressionError:
        return "refused"


def test_every_type_is_tried() -> None:
    assert VALUES.keys() == WORDS.keys()


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_does_not_fit_by_type_the_library_refuses(operator: str) -> None:
    for left, right in product(VALUES.values(), repeat=2):
        cel = f"{left} {operator} {right}"
        types, found = infer(compile_text(cel).tree, lambda _: None)
        result = answer(cel)
        if any(mismatch.certain for mismatch in found):
            # a boolean on the left may decide without a look at the right
            assert result == "refused" or operator in ("&&", "||"), cel
        elif found:
            assert result is (operator == "!="), cel
        elif operator not in ("==", "!=", "in", "&&", "||") and "null" not in (left, right):
            assert result != "refused" or types is None or "bytes" in types, cel


@pytest.mark.parametrize(
    "form", ["!({})", "size({})", "({}).size()", "({}).x", "({})[0]", "({}).map(x, x)", "({}).matches('a')",
             "({}).startsWith('a')", "({}) ? 1 : 2", "({}).all(x, true)"]
)  # fmt: skip
def test_what_does_not_fit_a_function_the_library_refuses(form: str) -> None:
    for value in VALUES.values():
        cel = form.format(value)
        if infer(compile_text(cel).tree, lambda _: None)[1]:
            assert answer(cel) == "refused", cel


@pytest.mark.parametrize(
    ("cel", "types"),
    [
        ("1 + 2", "a whole number"),
        ("a.b + 1", None),
        ("true ? 1 : 'x'", "a whole number or text"),
        ("[1].map(x, x.y + 'a')", "a list"),
        ("int('3') > 2", "true or false"),
        ("timestamp('x') - timestamp('y')", "a duration"),
        ("has(a.b)", "true or false"),
        ("type(1)", None),
        ("-1.5", "a number"),
        ("0x1F", "a whole number"),
        ("a.exists(x, x == 1 && x.y)", "true or false"),
    ],
)
def test_the_type_of_a_result(cel: str, types: str | None) -> None:
    found, wrong = infer(compile_text(cel).tree, lambda _: None)

    assert (found and said(found), wrong) == (types, ())


def test_a_name_that_a_comprehension_binds_hides_the_one_outside() -> None:
    tree = compile_text("[1].all(n, n.x == 'a') && n == 'a'").tree

    _, wrong = infer(tree, lambda path: frozenset({"int"}) if path == ("n",) else None)

    assert [mismatch.certain for mismatch in wrong] == [False]
